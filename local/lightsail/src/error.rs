//! The errors of the API.

use http::StatusCode;
use serde_json::{Value, json};

/// An error as the API answers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    pub kind: ErrorKind,
    /// Lightsail's own word for the cause, in the member `code`; `NameExists` was seen live by third parties,
    /// the others are unknown.
    pub code: &'static str,
    pub message: String,
}

/// The type of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    AccessDenied,
    InvalidInput,
    NotFound,
    Serialization,
    Service,
    Throttling,
    Unauthenticated,
    UnknownOperation,
}

impl ErrorKind {
    /// The name in `__type`.
    pub fn name(self) -> &'static str {
        match self {
            ErrorKind::AccessDenied => "AccessDeniedException",
            ErrorKind::InvalidInput => "InvalidInputException",
            ErrorKind::NotFound => "NotFoundException",
            ErrorKind::Serialization => "SerializationException",
            ErrorKind::Service => "ServiceException",
            ErrorKind::Throttling => "ThrottlingException",
            ErrorKind::Unauthenticated => "UnauthenticatedException",
            ErrorKind::UnknownOperation => "UnknownOperationException",
        }
    }

    /// The status of the answer: 500 for the one error the model marks as a fault.
    pub fn status(self) -> StatusCode {
        match self {
            ErrorKind::Service => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// Whether the error is in Lightsail's model, whose errors all have `code`, `docs`, `message` and `tip`.
    fn is_modelled(self) -> bool {
        !matches!(self, ErrorKind::Serialization | ErrorKind::Throttling | ErrorKind::UnknownOperation)
    }
}

impl ApiError {
    fn new(kind: ErrorKind, code: &'static str, message: impl Into<String>) -> Self {
        ApiError { kind, code, message: message.into() }
    }

    pub fn access_denied(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::AccessDenied, "AccessDenied", message)
    }

    pub fn invalid_input(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, "InvalidParameter", message)
    }

    pub fn name_exists(name: &str) -> Self {
        Self::new(ErrorKind::InvalidInput, "NameExists", format!("Some names are already in use: {name}"))
    }

    pub fn no_service(name: &str) -> Self {
        Self::new(
            ErrorKind::NotFound,
            "DoesNotExist",
            format!("The container service does not exist: {name}"),
        )
    }

    pub fn serialization(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Serialization, "", message)
    }

    pub fn service(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Service, "InternalFailure", message)
    }

    pub fn throttling(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Throttling, "", message)
    }

    pub fn unauthenticated(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unauthenticated, "Unauthenticated", message)
    }

    pub fn unknown_operation(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::UnknownOperation, "", message)
    }

    /// The body of the answer.
    pub fn body(&self) -> Value {
        if !self.kind.is_modelled() {
            return json!({"__type": self.kind.name(), "message": self.message});
        }
        json!({
            "__type": self.kind.name(),
            "code": self.code,
            "message": self.message,
            "docs": "https://docs.aws.amazon.com/lightsail/2016-11-28/api-reference/CommonErrors.html",
            "tip": "",
        })
    }
}
