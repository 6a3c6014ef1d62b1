//! Looks at the deploy request and says what to do next.

pub mod handler;
