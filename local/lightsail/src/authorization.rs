//! Whether a caller is allowed, as somebody else decides.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::Full;
use serde::Deserialize;
use serde_json::json;

use crate::error::ApiError;
use crate::http_client::HttpClient;

/// Asks an address about every call.
pub struct Authorizer {
    address: Uri,
    client: HttpClient,
}

#[derive(Deserialize)]
struct Decision {
    allowed: bool,
    message: Option<String>,
}

impl Authorizer {
    pub fn new(address: Uri, client: HttpClient) -> Self {
        Authorizer { address, client }
    }

    /// Asks whether the caller that signed a request may do `operation` to `resource` (an ARN, or `*`).
    ///
    /// # Errors
    /// `UnauthenticatedException` when the request is not signed, `AccessDeniedException` when the answer is
    /// no, `ServiceException` when there is no answer.
    pub async fn check(&self, headers: &HeaderMap, operation: &str, resource: &str) -> Result<(), ApiError> {
        let access_key_id = header(headers, "authorization").and_then(access_key_id).ok_or_else(|| {
            ApiError::unauthenticated(
                "The request must carry an Authorization header with a Signature Version 4.",
            )
        })?;
        let question = json!({
            "accessKeyId": access_key_id,
            "sessionToken": header(headers, "x-amz-security-token"),
            "action": format!("lightsail:{operation}"),
            "resource": resource,
        });
        let decision = self.ask(question.to_string()).await.map_err(ApiError::service)?;
        if decision.allowed {
            return Ok(());
        }
        Err(ApiError::access_denied(
            decision.message.unwrap_or_else(|| format!("Not authorized to perform lightsail:{operation}.")),
        ))
    }

    async fn ask(&self, question: String) -> Result<Decision, String> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(&self.address)
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(question)))
            .map_err(|error| error.to_string())?;
        let answer = self.client.send(request).await?;
        if answer.status != StatusCode::OK {
            return Err(format!(
                "{} answered {} to a question of authorization.",
                self.address, answer.status
            ));
        }
        serde_json::from_slice(&answer.body).map_err(|error| {
            format!("{} gave no decision on a question of authorization: {error}.", self.address)
        })
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The access key in `AWS4-HMAC-SHA256 Credential=KEY/date/region/service/aws4_request, …`.
fn access_key_id(authorization: &str) -> Option<&str> {
    let (_, credential) = authorization.strip_prefix("AWS4-HMAC-SHA256")?.split_once("Credential=")?;
    credential.split('/').next().filter(|key| !key.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caller_is_named_by_the_signature() {
        let signed = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/us-east-1/lightsail/aws4_request, \
                      SignedHeaders=host, Signature=0";
        assert_eq!(access_key_id(signed), Some("AKIDEXAMPLE"));
        assert_eq!(access_key_id("Basic abc"), None);
    }
}
