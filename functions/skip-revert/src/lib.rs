//! Closes the revert window of a deploy request, so that the deploy queue is free.

pub mod handler;
