//! A small client for plain HTTP.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

const TIMEOUT: Duration = Duration::from_secs(10);

/// An answer, read to its end.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// The client; clones share their connections.
#[derive(Clone)]
pub struct HttpClient(Client<HttpConnector, Full<Bytes>>);

impl HttpClient {
    pub fn new() -> Self {
        HttpClient(Client::builder(TokioExecutor::new()).build_http())
    }

    /// Sends `request` and reads the answer.
    ///
    /// # Errors
    /// What went wrong, naming the address, when there is no complete answer in 10 seconds.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, String> {
        let address = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        let exchange = async {
            let answer = self.0.request(request).await.map_err(|error| error.to_string())?;
            let (head, body) = answer.into_parts();
            let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
            Ok(Answer { status: head.status, headers: head.headers, body })
        };
        match tokio::time::timeout(TIMEOUT, exchange).await {
            Ok(answer) => answer.map_err(|error: String| format!("{address} does not answer: {error}")),
            Err(_) => Err(format!("{address} did not answer within 10 seconds")),
        }
    }
}
