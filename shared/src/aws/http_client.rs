//! The AWS SDKs on the HTTPS client of everything else: one TLS stack, one trust store, one set of time-outs.

use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient as SdkHttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;

use crate::http::{Client, Lost, Method, Request, Url};

/// Hands the SDKs their connections.
#[derive(Debug)]
pub(super) struct HttpClient(pub(super) Client);

impl SdkHttpClient for HttpClient {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(Connector { client: self.0.clone(), timeout: settings.read_timeout() })
    }
}

#[derive(Debug)]
struct Connector {
    client: Client,
    /// How long an answer may take, if the SDK's client sets it; otherwise as for every call.
    timeout: Option<Duration>,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (client, timeout) = (self.client.clone(), self.timeout);
        HttpConnectorFuture::new(async move {
            let mut request = outgoing(&request)?;
            if let Some(timeout) = timeout {
                *request.timeout_mut() = Some(timeout);
            }
            let answer = client.call(request).await.map_err(lost)?;
            let status = answer.status.as_u16().try_into().map_err(|error| broken(&error))?;
            let mut response = HttpResponse::new(status, SdkBody::from(answer.body));
            for (name, value) in &answer.headers {
                // A header that is not text is none that the SDKs read.
                if let Ok(value) = value.to_str() {
                    response.headers_mut().append(name.as_str().to_owned(), value.to_owned());
                }
            }
            Ok(response)
        })
    }
}

fn outgoing(request: &HttpRequest) -> Result<Request, ConnectorError> {
    let url = Url::parse(request.uri()).map_err(|error| broken(&error))?;
    let method = Method::from_bytes(request.method().as_bytes()).map_err(|error| broken(&error))?;
    let body = request.body().bytes().ok_or_else(|| broken(&"a body that is streamed"))?;
    let mut outgoing = Request::new(method, url);
    for (name, value) in request.headers() {
        let name = name.parse::<reqwest::header::HeaderName>().map_err(|error| broken(&error))?;
        outgoing.headers_mut().append(name, value.parse().map_err(|error| broken(&error))?);
    }
    *outgoing.body_mut() = Some(body.to_vec().into());
    Ok(outgoing)
}

/// No answer, so that the SDK tries again as it is set to.
fn lost(Lost { timed_out, causes }: Lost) -> ConnectorError {
    if timed_out { ConnectorError::timeout(causes.into()) } else { ConnectorError::io(causes.into()) }
}

/// A request or an answer that cannot be told over HTTP.
fn broken(what: &dyn ToString) -> ConnectorError {
    ConnectorError::user(what.to_string().into())
}
