//! CloudFormation's custom resources: its request, and the answer that it waits for.
//!
//! Source: AWS's guide to CloudFormation, "Custom resource request and response objects".

use std::collections::HashMap;

use aws_lambda_events::cloudformation::{
    CloudFormationCustomResourceRequest as Received, CloudFormationCustomResourceResponse as Response,
    CloudFormationCustomResourceResponseStatus as Status,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::http::{Client, Lost, Method, Request as Call, Url};
use crate::{Error, text};

/// The longest reason: an answer has at most 4,096 bytes in all.
const LONGEST_REASON: usize = 700;

/// What a function that is a custom resource is invoked with: CloudFormation's request, or a person's own event.
#[derive(Debug, Deserialize)]
#[serde(untagged, bound(deserialize = "P: Serialize + DeserializeOwned, H: Deserialize<'de>"))]
pub enum Event<P, H> {
    /// CloudFormation installs, updates or deletes the resource.
    Install(Box<Request<P>>),
    /// A person invokes the function.
    ByHand(H),
}

/// A request of CloudFormation.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Received<Value, P>", bound(deserialize = "P: Serialize + DeserializeOwned"))]
pub struct Request<P> {
    /// What is done with the resource.
    pub request_type: RequestType,
    /// The resource's properties in the template.
    pub resource_properties: P,
    response_url: String,
    /// The answer, as far as it is known.
    response: Response,
}

/// What is done with the resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestType {
    /// It is new.
    Create,
    /// Its properties changed.
    Update,
    /// It goes.
    Delete,
}

impl<P: Serialize + DeserializeOwned> TryFrom<Received<Value, P>> for Request<P> {
    type Error = &'static str;

    fn try_from(received: Received<Value, P>) -> Result<Self, Self::Error> {
        Ok(match received {
            Received::Create(r) => Self::new(
                RequestType::Create,
                [r.stack_id, r.request_id, r.logical_resource_id, String::new()],
                r.response_url,
                r.resource_properties,
            ),
            Received::Update(r) => Self::new(
                RequestType::Update,
                [r.stack_id, r.request_id, r.logical_resource_id, r.physical_resource_id],
                r.response_url,
                r.resource_properties,
            ),
            Received::Delete(r) => Self::new(
                RequestType::Delete,
                [r.stack_id, r.request_id, r.logical_resource_id, r.physical_resource_id],
                r.response_url,
                r.resource_properties,
            ),
            _ => return Err("CloudFormation asks for what is neither Create, Update nor Delete."),
        })
    }
}

impl<P> Request<P> {
    /// `ids` are those of the stack, the request and the resource, logical and physical.
    fn new(
        request_type: RequestType,
        ids: [String; 4],
        response_url: String,
        resource_properties: P,
    ) -> Self {
        let mut response = Response::default();
        [
            response.stack_id,
            response.request_id,
            response.logical_resource_id,
            response.physical_resource_id,
        ] = ids;
        Self { request_type, resource_properties, response_url, response }
    }

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
        result: Result<HashMap<String, String>, &Error>,
    ) -> Result<(), Error> {
        let mut response = self.response.clone();
        if self.request_type != RequestType::Delete {
            id.clone_into(&mut response.physical_resource_id);
        }
        match result {
            Ok(data) => (response.status, response.data) = (Status::Success, data),
            Err(error) => {
                response.status = Status::Failed;
                response.reason = Some(text::shorten(&error.to_string(), LONGEST_REASON));
            }
        }
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

    type Own = Event<Value, IgnoredAny>;

    use super::*;

    #[test]
    fn a_request_of_cloudformation_is_told_from_an_event_of_a_persons_own() {
        let request = json!({"RequestType": "Update", "ResponseURL": "https://example.com", "StackId": "s",
            "RequestId": "r", "ResourceType": "Custom::X", "LogicalResourceId": "X", "PhysicalResourceId": "x",
            "ResourceProperties": {"ServiceToken": "arn"}, "OldResourceProperties": {}});
        let event: Own = serde_json::from_value(request).unwrap();
        assert!(matches!(event, Event::Install(request) if request.request_type == RequestType::Update));
        for own in [json!({}), json!(null), json!({"RequestType": "Update"})] {
            let event: Own = serde_json::from_value(own).unwrap();
            assert!(matches!(event, Event::ByHand(_)));
        }
    }
}
