//! Serving a handler through the Lambda Runtime API.

use std::env;
use std::fmt::Debug;

use lambda_runtime::{LambdaEvent, service_fn};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::util::SubscriberInitExt;

use crate::Error;

/// Runs `handler` for every invocation until Lambda stops the process.
///
/// A context that could not be built does not end the process: every invocation then answers with its error,
/// so that a release ends in a sentence and not in `Runtime.ExitError`.
///
/// # Errors
/// Only when the Runtime API itself cannot be reached.
pub async fn serve<C, I, O>(
    context: Result<C, Error>,
    handler: impl AsyncFn(&C, I) -> Result<O, Error>,
) -> Result<(), lambda_runtime::Error>
where
    I: DeserializeOwned,
    O: Serialize + Debug,
{
    log();
    let (context, handler) = (&context, &handler);
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Value>| {
        let answer = match context {
            Ok(context) => match parse(event.payload) {
                Ok(input) => handler(context, input).await,
                Err(error) => Err(error),
            },
            Err(error) => Err(error.clone()),
        };
        match &answer {
            Ok(output) => tracing::info!(?output, "done"),
            Err(error) => tracing::error!(name = error.name(), %error, "failed"),
        }
        answer
    }))
    .await
}

/// Logs as Lambda's advanced logging controls ask: `AWS_LAMBDA_LOG_FORMAT` and `AWS_LAMBDA_LOG_LEVEL` (Lambda
/// developer guide, "Configuring advanced logging controls").
///
/// A line of JSON has its time as `timestamp`: Lambda takes a line without one for INFO whatever its level says. To a line
/// of text `CloudWatch` adds the time itself.
fn log() {
    let level = env::var("AWS_LAMBDA_LOG_LEVEL").ok().and_then(|level| level.parse().ok());
    let lines =
        tracing_subscriber::fmt().with_max_level(level.unwrap_or(LevelFilter::INFO)).with_target(false);
    if env::var("AWS_LAMBDA_LOG_FORMAT").is_ok_and(|format| format.eq_ignore_ascii_case("json")) {
        lines.json().finish().init();
    } else {
        lines.without_time().finish().init();
    }
}

/// Parses the function's input.
///
/// # Errors
/// [`Error::Misconfigured`] for an input that is not what the handler takes.
pub fn parse<I: DeserializeOwned>(payload: Value) -> Result<I, Error> {
    serde_json::from_value(payload).map_err(|error| {
        Error::Misconfigured(format!("The function's input is not what it expects: {error}."))
    })
}
