//! CloudFormation's custom resources: its request, and the answer that it waits for.
//!
//! Source: AWS's guide to CloudFormation, "Custom resource request and response objects".

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::http::{Client, Lost, Method, Request as Call, Url};
use crate::{Error, text};

/// The longest reason: an answer has at most 4,096 bytes in all.
const LONGEST_REASON: usize = 700;

/// What a function that is a custom resource is invoked with: CloudFormation's request, or a person's own event.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Event<P, H> {
    /// CloudFormation installs, updates or deletes the resource.
    Install(Request<P>),
    /// A person invokes the function.
    ByHand(H),
}

/// A request of CloudFormation.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request<P> {
    /// What is done with the resource.
    pub request_type: RequestType,
    #[serde(rename = "ResponseURL")]
    response_url: String,
    stack_id: String,
    request_id: String,
    logical_resource_id: String,
    physical_resource_id: Option<String>,
    /// The resource's properties in the template.
    pub resource_properties: P,
}

/// What is done with the resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum RequestType {
    /// It is new.
    Create,
    /// Its properties changed.
    Update,
    /// It goes.
    Delete,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Response<'a> {
    status: &'a str,
    reason: &'a str,
    physical_resource_id: &'a str,
    stack_id: &'a str,
    request_id: &'a str,
    logical_resource_id: &'a str,
    data: &'a Map<String, Value>,
}

impl<P> Request<P> {
    /// Tells CloudFormation how the request ended; without this answer a stack waits for its time-out.
    ///
    /// `id` names the resource: with another one than before, CloudFormation then deletes the former. `data` are the
    /// attributes that the template reads with `Fn::GetAtt`.
    ///
    /// # Errors
    /// [`Error::Retryable`] when CloudFormation did not take the answer.
    pub async fn answer(
        &self,
        http: &Client,
        id: &str,
        result: Result<&Map<String, Value>, &Error>,
    ) -> Result<(), Error> {
        let reason = result
            .err()
            .map_or_else(|| "Done.".into(), |error| text::shorten(&error.to_string(), LONGEST_REASON));
        let no_data = Map::new();
        let response = Response {
            status: if result.is_ok() { "SUCCESS" } else { "FAILED" },
            reason: &reason,
            physical_resource_id: match self.request_type {
                RequestType::Delete => self.physical_resource_id.as_deref().unwrap_or("none"),
                RequestType::Create | RequestType::Update => id,
            },
            stack_id: &self.stack_id,
            request_id: &self.request_id,
            logical_resource_id: &self.logical_resource_id,
            data: result.unwrap_or(&no_data),
        };
        let body = serde_json::to_vec(&response).map_err(|error| Error::Unexpected(format!("{error}.")))?;
        let url = Url::parse(&self.response_url).map_err(|error| {
            Error::Misconfigured(format!("CloudFormation's ResponseURL is none: {error}."))
        })?;
        // The URL is signed without a content type.
        let mut call = Call::new(Method::PUT, url);
        *call.body_mut() = Some(body.into());
        let lost =
            |Lost { causes, .. }| Error::Retryable(format!("CloudFormation took no answer: {causes}."));
        let status = http.call(call).await.map_err(lost)?.status;
        if !status.is_success() {
            return Err(Error::Retryable(format!("CloudFormation refused the answer: {status}.")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde::de::IgnoredAny;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_of_cloudformation_is_told_from_an_event_of_a_persons_own() {
        let request = json!({"RequestType": "Update", "ResponseURL": "https://example.com", "StackId": "s",
            "RequestId": "r", "ResourceType": "Custom::X", "LogicalResourceId": "X", "PhysicalResourceId": "x",
            "ResourceProperties": {"ServiceToken": "arn"}, "OldResourceProperties": {}});
        let event: Event<IgnoredAny, IgnoredAny> = serde_json::from_value(request).unwrap();
        assert!(matches!(event, Event::Install(Request { request_type: RequestType::Update, .. })));
        for own in [json!({}), json!(null), json!({"RequestType": "Update"})] {
            let event: Event<IgnoredAny, IgnoredAny> = serde_json::from_value(own).unwrap();
            assert!(matches!(event, Event::ByHand(_)));
        }
    }
}
