//! AWS JSON 1.1: from a request to an answer, with authorization and faults on the way.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use uuid::Uuid;

use crate::clock;
use crate::emulator::Emulator;
use crate::error::ApiError;
use crate::faults::{Fault, FaultKind};
use crate::journal::RequestRecord;
use crate::operations::Operation;
use crate::server::Interruption;

const TARGET_PREFIX: &str = "Lightsail_20161128.";

/// A call, as far as it could be read.
struct Call {
    /// The operation's name, whether or not it is emulated.
    name: String,
    operation: Option<Operation>,
    input: Result<Value, ApiError>,
}

/// Answers `POST /`.
pub async fn answer(State(emulator): State<Arc<Emulator>>, headers: HeaderMap, body: Bytes) -> Response {
    let call = Call::read(&headers, &body);
    let fault = emulator.world().faults.take(&call.name, call.service());
    if let Some(fault) = &fault {
        clock::sleep(fault.delay_ms).await;
    }
    let result = match fault.as_ref().and_then(refusal) {
        Some(refusal) => Err(refusal),
        None => perform(&emulator, &headers, &call).await,
    };
    record(&emulator, &call, &result, fault.as_ref(), false);
    let result = match &fault {
        Some(fault) if fault.kind == FaultKind::ErrorAfter => Err(ApiError::service(message_of(fault))),
        _ => result,
    };
    respond(&emulator, result, fault.map(|fault| fault.kind))
}

/// Does what a request of the control API asks, beside the pipeline: without authorization and faults.
///
/// # Errors
/// As the API answers them.
pub fn act(emulator: &Arc<Emulator>, operation: &str, input: Value) -> Result<Value, ApiError> {
    let call =
        Call { name: operation.to_owned(), operation: Operation::from_name(operation), input: Ok(input) };
    let result = call.parts().and_then(|(operation, input)| operation.execute(emulator, input.clone()));
    record(emulator, &call, &result, None, true);
    result
}

impl Call {
    fn read(headers: &HeaderMap, body: &[u8]) -> Call {
        let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
        let operation = target.strip_prefix(TARGET_PREFIX).and_then(Operation::from_name);
        let name = match target.strip_prefix(TARGET_PREFIX).unwrap_or(target) {
            "" => "(none)",
            name => name,
        };
        let input = match serde_json::from_slice(body) {
            Ok(input @ Value::Object(_)) => Ok(input),
            Ok(_) => Err(ApiError::serialization("The body is not a JSON object.")),
            Err(error) => Err(ApiError::serialization(format!("The body is not JSON: {error}."))),
        };
        Call { name: name.to_owned(), operation, input }
    }

    fn parts(&self) -> Result<(Operation, &Value), ApiError> {
        let operation = self.operation.ok_or_else(|| {
            ApiError::unknown_operation(format!(
                "The operation {} is not one that this service knows.",
                self.name
            ))
        })?;
        self.input.as_ref().map(|input| (operation, input)).map_err(Clone::clone)
    }

    fn service(&self) -> Option<&str> {
        self.operation?.service_name(self.input.as_ref().ok()?)
    }
}

async fn perform(emulator: &Arc<Emulator>, headers: &HeaderMap, call: &Call) -> Result<Value, ApiError> {
    let (operation, input) = call.parts()?;
    if let Some(authorizer) = &emulator.authorizer {
        let resource = resource(emulator, operation, call.service());
        authorizer.check(headers, operation.name(), &resource).await?;
    }
    operation.execute(emulator, input.clone())
}

/// The resource that a permission must name; `*` for a service that does not exist, for it has no ARN.
fn resource(emulator: &Emulator, operation: Operation, service: Option<&str>) -> String {
    let world = emulator.world();
    let service = service.filter(|_| operation.is_resource_level()).and_then(|name| world.services.get(name));
    service.map_or_else(|| "*".to_owned(), |service| emulator.arn(service))
}

/// The error of a fault that keeps the work from being done.
fn refusal(fault: &Fault) -> Option<ApiError> {
    match fault.kind {
        FaultKind::Throttling => Some(ApiError::throttling(message_of(fault))),
        FaultKind::ServiceException | FaultKind::ResetBefore => Some(ApiError::service(message_of(fault))),
        FaultKind::AccessDenied => Some(ApiError::access_denied(message_of(fault))),
        FaultKind::InvalidInput => Some(ApiError::invalid_input(message_of(fault))),
        FaultKind::ResetAfter | FaultKind::ErrorAfter | FaultKind::Truncate | FaultKind::Delay => None,
    }
}

fn message_of(fault: &Fault) -> String {
    let usual = match fault.kind {
        FaultKind::Throttling => "Rate exceeded",
        FaultKind::AccessDenied => "You are not authorized to perform this operation.",
        FaultKind::InvalidInput => "The input is not valid.",
        _ => "An unexpected error occurred.",
    };
    fault.message.clone().unwrap_or_else(|| usual.to_owned())
}

fn record(
    emulator: &Emulator,
    call: &Call,
    result: &Result<Value, ApiError>,
    fault: Option<&Fault>,
    person: bool,
) {
    let error = result.as_ref().err();
    let record = RequestRecord {
        time: clock::now(),
        operation: call.name.clone(),
        service: call.service().map(str::to_owned),
        status: error.map_or(StatusCode::OK, |error| error.kind.status()).as_u16(),
        error: error.map(|error| error.kind.name()),
        message: error.map(|error| error.message.clone()),
        fault: fault.map(|fault| fault.kind.name()),
        person,
    };
    if !emulator.quiet {
        record.write();
    }
    emulator.world().journal.requests.push(record);
}

fn respond(emulator: &Emulator, result: Result<Value, ApiError>, fault: Option<FaultKind>) -> Response {
    let (status, body, error) = match result {
        Ok(body) => (StatusCode::OK, body, None),
        Err(error) => (error.kind.status(), error.body(), Some(error.kind.name())),
    };
    let body = body.to_string();
    let length = body.len();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert("content-type", http::HeaderValue::from_static("application/x-amz-json-1.1"));
    headers.insert("content-length", length.into());
    if let Ok(id) = Uuid::new_v4().to_string().parse() {
        headers.insert("x-amzn-requestid", id);
    }
    if let Some(error) = error.filter(|_| emulator.settings().error_type_header) {
        headers.insert("x-amzn-errortype", http::HeaderValue::from_static(error));
    }
    match fault {
        Some(FaultKind::ResetBefore | FaultKind::ResetAfter) => {
            response.extensions_mut().insert(Interruption::Reset);
        }
        Some(FaultKind::Truncate) => {
            response.extensions_mut().insert(Interruption::Truncate);
        }
        _ => {}
    }
    response
}
