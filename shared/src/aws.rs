//! The configuration of the AWS clients, and what their errors mean.

mod http_client;

use std::env;

pub use aws_config::SdkConfig;
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::{BehaviorVersion, Region};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::http::Response;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::sdk_config::{Builder, SharedCredentialsProvider};
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};
use serde_json::Value;

use crate::{Error, http, text};

/// The AWS configuration: region, credentials and endpoints from the environment, where Lambda puts them.
///
/// It is put together by hand: the default chain would also read profile files and build an STS client, at ten times
/// the start-up cost.
pub fn config() -> SdkConfig {
    over(http::client())
        .region(env::var("AWS_REGION").ok().map(Region::new))
        .credentials_provider(SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new()))
        .service_config(ServiceEndpoints)
        .build()
}

/// What is the same in every configuration: its calls go over `http`.
pub fn over(http: http::Client) -> Builder {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(http_client::HttpClient(http))
        // Bodies are read whole, and every call has a time-out.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
}

/// `AWS_ENDPOINT_URL_<SERVICE>` before `AWS_ENDPOINT_URL`, as the AWS SDKs and tools reference guide, "Service-specific
/// endpoints", has it.
#[derive(Debug)]
struct ServiceEndpoints;

impl LoadServiceConfig for ServiceEndpoints {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let service = key.service_id().replace([' ', '-'], "_").to_uppercase();
        let url = |name: &str| env::var(name).ok().filter(|url| !url.is_empty());
        url(&format!("{}_{service}", key.env())).or_else(|| url(key.env()))
    }
}

/// The error type of an AWS answer, such as `ImageNotFoundException`; none when there was no answer.
///
/// It is read from the answer itself: a body of Lightsail seen live carries `__type` beside a `code` of its own, such
/// as `NameExists`, and the SDK takes the `code` for the type.
pub fn code<E: ProvideErrorMetadata>(error: &SdkError<E, Response>) -> Option<String> {
    let named = error.raw_response().and_then(|response| {
        let body: Option<Value> = response.body().bytes().and_then(|body| serde_json::from_slice(body).ok());
        let name = response.headers().get("x-amzn-errortype").map(str::to_owned);
        name.or_else(|| body?["__type"].as_str().map(str::to_owned))
    });
    let known = error.as_service_error().and_then(|error| error.code()).map(str::to_owned);
    let name = named.or(known)?;
    // `com.amazonaws.lightsail#NotFoundException:http://…` in its longest form.
    let name = name.rsplit('#').next()?.split(':').next()?;
    Some(name.to_owned())
}

/// The message of an AWS answer.
pub fn message<E: ProvideErrorMetadata>(error: &SdkError<E, Response>) -> &str {
    error.as_service_error().and_then(|error| error.message()).unwrap_or_default()
}

/// What a failed call to AWS means for a release; `call` names the action as IAM does, and what it was for.
pub fn failed<E>(call: &str, error: &SdkError<E, Response>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    failed_saying(call, error, message(error))
}

/// As [`failed`], with `message` for what the answer says.
pub fn failed_saying<E>(call: &str, error: &SdkError<E, Response>, message: &str) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let Some(code) = code(error) else {
        return Error::Retryable(format!("No answer to {call}: {}.", causes(error)));
    };
    let message = text::shorten(message, 1_000);
    let message = message.trim_end_matches('.');
    let server = error.raw_response().is_some_and(|response| response.status().as_u16() >= 500);
    if server || passes(&code) {
        Error::Retryable(format!("{call} answered {code}: {message}."))
    } else if code.contains("AccessDenied") || code.starts_with("AuthorizationError") {
        Error::Misconfigured(format!(
            "{call} is not permitted: {message}. Deploy the stack again to restore its roles."
        ))
    } else {
        Error::Misconfigured(format!("{call} answered {code}: {message}."))
    }
}

/// Whether a later call may succeed: AWS asks for fewer calls, in any of the codes that its services use for it, did not
/// read the request in time, or works on the same item for somebody else (the common errors of AWS's API references, and
/// those of DynamoDB).
fn passes(code: &str) -> bool {
    code.contains("Throttl")
        || matches!(
            code,
            "TooManyRequestsException"
                | "RequestLimitExceeded"
                | "SlowDown"
                | "ProvisionedThroughputExceededException"
                | "RequestTimeout"
                | "RequestTimeoutException"
                | "TransactionConflictException"
                | "TransactionInProgressException"
        )
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += ": ";
        text += &error.to_string();
        cause = error.source();
    }
    text::shorten(&text, 1_000)
}

#[cfg(test)]
mod tests {
    use aws_smithy_runtime_api::http::StatusCode;
    use aws_smithy_types::body::SdkBody;
    use aws_smithy_types::error::metadata::ErrorMetadata;

    use super::*;

    #[test]
    fn what_passes_is_tried_again_and_what_is_wrong_is_told() {
        for (code, status, name) in [
            ("ProvisionedThroughputExceededException", 400, "Retryable"),
            ("ThrottlingException", 400, "Retryable"),
            ("Throttling", 400, "Retryable"),
            ("RequestThrottled", 400, "Retryable"),
            ("RequestLimitExceeded", 400, "Retryable"),
            ("TooManyRequestsException", 429, "Retryable"),
            ("RequestTimeout", 400, "Retryable"),
            ("RequestTimeoutException", 408, "Retryable"),
            ("InternalServerError", 500, "Retryable"),
            ("ServiceUnavailable", 503, "Retryable"),
            ("ValidationException", 400, "Misconfigured"),
            ("LimitExceededException", 400, "Misconfigured"),
            ("ResourceNotFoundException", 400, "Misconfigured"),
            ("AccessDeniedException", 400, "Misconfigured"),
        ] {
            let response = Response::new(StatusCode::try_from(status).unwrap(), SdkBody::empty());
            let error = SdkError::service_error(ErrorMetadata::builder().code(code).build(), response);
            assert_eq!(failed("dynamodb:PutItem", &error).name(), name, "{code}");
        }
    }
}
