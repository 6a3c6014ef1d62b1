//! Judges whether an older image can serve on the schema of now.

pub mod handler;
