use serde::{Deserialize, Serialize};
use shared::{Error, http};

/// A request of CloudFormation to a custom resource.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub request_type: RequestType,
    #[serde(rename = "ResponseURL")]
    pub response_url: String,
    pub stack_id: String,
    pub request_id: String,
    pub logical_resource_id: String,
    pub physical_resource_id: Option<String>,
    pub resource_properties: Properties,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum RequestType {
    Create,
    Update,
    Delete,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Properties {
    pub repository: String,
    pub service: String,
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
}

impl Request {
    /// Tells CloudFormation how the request ended; without this answer a stack waits for its time-out.
    pub async fn answer(&self, result: Result<(), &Error>) -> Result<(), Error> {
        let Properties { repository, service } = &self.resource_properties;
        let reason = result.err().map_or_else(|| "Done.".into(), ToString::to_string);
        let response = Response {
            status: if result.is_ok() { "SUCCESS" } else { "FAILED" },
            reason: &reason,
            // A changed repository or service is another grant: CloudFormation then deletes the old one.
            physical_resource_id: match self.request_type {
                RequestType::Delete => self.physical_resource_id.as_deref().unwrap_or("none"),
                RequestType::Create | RequestType::Update => &format!("{repository}/{service}"),
            },
            stack_id: &self.stack_id,
            request_id: &self.request_id,
            logical_resource_id: &self.logical_resource_id,
        };
        let body = serde_json::to_vec(&response).map_err(|error| Error::Unexpected(format!("{error}.")))?;
        let lost = |error: reqwest::Error| {
            Error::Retryable(format!("CloudFormation took no answer: {}.", http::causes(&error)))
        };
        // The URL is signed without a content type.
        let sent = http::client().put(&self.response_url).body(body).send().await.map_err(lost)?;
        sent.error_for_status().map_err(|error| {
            Error::Retryable(format!("CloudFormation refused the answer: {:?}.", error.status()))
        })?;
        Ok(())
    }
}
