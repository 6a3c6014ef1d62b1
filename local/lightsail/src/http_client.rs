//! A small client for plain HTTP.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::runtime::BoxFuture;

const TIMEOUT: Duration = Duration::from_secs(10);

/// An answer, read to its end.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Answers requests in this process.
pub type Answers =
    Arc<dyn Fn(Request<Full<Bytes>>) -> BoxFuture<'static, Result<Answer, String>> + Send + Sync>;

/// The client; clones share their connections.
#[derive(Clone)]
pub enum HttpClient {
    Network(Client<HttpConnector, Full<Bytes>>),
    InProcess(Answers),
}

impl HttpClient {
    pub fn new() -> Self {
        HttpClient::Network(Client::builder(TokioExecutor::new()).build_http())
    }

    /// Sends `request` and reads the answer.
    ///
    /// # Errors
    /// What went wrong, naming the address, when there is no complete answer in 10 seconds.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, String> {
        let client = match self {
            HttpClient::Network(client) => client,
            HttpClient::InProcess(answers) => return answers(request).await,
        };
        let address = address_of(&request);
        within_time(&address, async {
            let (head, body) = client.request(request).await.map_err(|error| error.to_string())?.into_parts();
            let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
            Ok(Answer { status: head.status, headers: head.headers, body })
        })
        .await
    }

    /// Sends `request` and gives the body to `take`, part by part.
    ///
    /// # Errors
    /// What went wrong, naming the address: also when 10 seconds pass without a part, and when `take` fails.
    pub async fn receive(
        &self,
        request: Request<Full<Bytes>>,
        mut take: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<StatusCode, String> {
        let client = match self {
            HttpClient::Network(client) => client,
            HttpClient::InProcess(answers) => {
                let answer = answers(request).await?;
                take(&answer.body).map_err(|error| error.to_string())?;
                return Ok(answer.status);
            }
        };
        let address = address_of(&request);
        let answer = async { client.request(request).await.map_err(|error| error.to_string()) };
        let mut answer: Response<Incoming> = within_time(&address, answer).await?;
        loop {
            let frame = async { answer.frame().await.transpose().map_err(|error| error.to_string()) };
            match within_time(&address, frame).await? {
                Some(frame) => match frame.data_ref() {
                    Some(data) => take(data).map_err(|error| error.to_string())?,
                    None => continue,
                },
                None => return Ok(answer.status()),
            }
        }
    }
}

fn address_of(request: &Request<Full<Bytes>>) -> String {
    request.uri().authority().map(ToString::to_string).unwrap_or_default()
}

async fn within_time<T>(address: &str, work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    match tokio::time::timeout(TIMEOUT, work).await {
        Ok(done) => done.map_err(|error| format!("{address} does not answer: {error}")),
        Err(_) => Err(format!("{address} did not answer within 10 seconds")),
    }
}
