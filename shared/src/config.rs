//! Settings of a function: environment variables that the template sets.

use std::env;
use std::str::FromStr;

use crate::Error;

/// The value of the environment variable `name`.
///
/// # Errors
/// [`Error::Misconfigured`] when it is missing or empty.
pub fn required(name: &str) -> Result<String, Error> {
    optional(name).ok_or_else(|| {
        Error::Misconfigured(format!(
            "The environment variable {name} is not set. The template sets it: deploy the stack again."
        ))
    })
}

/// The value of the environment variable `name`; an empty one counts as missing.
pub fn optional(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// The environment variable `name`, parsed.
///
/// # Errors
/// [`Error::Misconfigured`] when it is missing or does not parse.
pub fn parsed<T>(name: &str) -> Result<T, Error>
where
    T: FromStr,
    T::Err: std::fmt::Display,
{
    required(name)?
        .parse()
        .map_err(|error| Error::Misconfigured(format!("The environment variable {name} is wrong: {error}.")))
}
