//! Looks at the release's own deployment and says what to do next.

pub mod handler;
