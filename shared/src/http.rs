//! The HTTPS client of every call, to AWS and to others.

use std::error::Error as _;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

pub use reqwest::header::HeaderMap;
use reqwest::redirect;
pub use reqwest::{Method, Request, StatusCode, Url};

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a whole call may take, unless its request says otherwise.
pub const TIMEOUT: Duration = Duration::from_secs(15);

/// Who carries requests to their servers and brings the answers: the network, or in a simulation a function.
pub trait Transport: Send + Sync {
    /// Makes one call and reads its answer whole, within [`TIMEOUT`] or the request's own time-out.
    ///
    /// # Errors
    /// [`Lost`] when there is no whole answer; the server may have done its work all the same.
    fn call(&self, request: Request) -> Call;

    /// Makes one call and leaves the answer's body unread, whatever its size.
    ///
    /// # Errors
    /// As [`Transport::call`] says.
    fn call_for_status(&self, request: Request) -> Call {
        self.call(request)
    }
}

/// A call under way.
pub type Call = Pin<Box<dyn Future<Output = Result<Response, Lost>> + Send>>;

impl<F: Fn(Request) -> Call + Send + Sync> Transport for F {
    fn call(&self, request: Request) -> Call {
        self(request)
    }
}

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Response {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
}

/// Why a call got no answer, without its URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{causes}")]
pub struct Lost {
    /// Whether the time was over.
    pub timed_out: bool,
    /// What went wrong, from the outside inwards.
    pub causes: String,
}

/// Makes calls. Clones share their connections.
#[derive(Clone)]
pub struct Client(Arc<dyn Transport>);

impl Client {
    /// A client over `transport`.
    pub fn new(transport: impl Transport + 'static) -> Self {
        Self(Arc::new(transport))
    }

    /// Makes one call.
    ///
    /// # Errors
    /// As [`Transport::call`] says.
    pub async fn call(&self, request: Request) -> Result<Response, Lost> {
        self.0.call(request).await
    }

    /// Makes one call, of whose answer only the status counts.
    ///
    /// # Errors
    /// As [`Transport::call`] says.
    pub async fn status(&self, request: Request) -> Result<StatusCode, Lost> {
        self.0.call_for_status(request).await.map(|answer| answer.status)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// The client of this process, with time-outs, that follows no redirect: the credentials would go with it.
///
/// The certificates it trusts are compiled in, because reading the system's store takes longer than all else a
/// function does at its start.
///
/// # Panics
/// Never: its settings are constant.
pub fn client() -> Client {
    static CLIENT: OnceLock<Client> = OnceLock::new();
    CLIENT.get_or_init(|| Client::new(Network(build()))).clone()
}

struct Network(reqwest::Client);

impl Transport for Network {
    fn call(&self, request: Request) -> Call {
        let client = self.0.clone();
        Box::pin(async move {
            let answer = client.execute(request).await.map_err(|error| lost(&error))?;
            let (status, headers) = (answer.status(), answer.headers().clone());
            let body = answer.bytes().await.map_err(|error| lost(&error))?.into();
            Ok(Response { status, headers, body })
        })
    }

    fn call_for_status(&self, request: Request) -> Call {
        let client = self.0.clone();
        Box::pin(async move {
            let answer = client.execute(request).await.map_err(|error| lost(&error))?;
            let (status, headers) = (answer.status(), answer.headers().clone());
            Ok(Response { status, headers, body: Vec::new() })
        })
    }
}

fn build() -> reqwest::Client {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls())
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TIMEOUT)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .user_agent(concat!("planetscale-lightsail-release/", env!("CARGO_PKG_VERSION")))
        .build()
        .expect("constant settings are accepted")
}

fn lost(error: &reqwest::Error) -> Lost {
    let mut causes = String::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        if !causes.is_empty() {
            causes += ": ";
        }
        causes += &error.to_string();
        cause = error.source();
    }
    if error.is_timeout() && !causes.contains("timed out") {
        causes += " (timed out)";
    }
    if causes.is_empty() {
        causes = "the connection failed".into();
    }
    Lost { timed_out: error.is_timeout(), causes }
}

fn tls() -> rustls::ClientConfig {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    rustls::ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .expect("ring offers the default protocol versions")
        .with_root_certificates(roots)
        .with_no_client_auth()
}
