//! The HTTPS client of every call, to AWS and to others.

use std::error::Error as _;
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::{Client, redirect};

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a whole call may take.
const TIMEOUT: Duration = Duration::from_secs(15);

/// The client of this process, with time-outs, that follows no redirect: the credentials would go with it.
///
/// The certificates it trusts are compiled in, because reading the system's store takes longer than all else a
/// function does at its start.
///
/// # Panics
/// Never: its settings are constant.
pub fn client() -> Client {
    static CLIENT: OnceLock<Client> = OnceLock::new();
    CLIENT.get_or_init(build).clone()
}

fn build() -> Client {
    Client::builder()
        .tls_backend_preconfigured(tls())
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TIMEOUT)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .user_agent(concat!("planetscale-lightsail-release/", env!("CARGO_PKG_VERSION")))
        .build()
        .expect("constant settings are accepted")
}

/// Why a call got no answer, without its URL.
pub fn causes(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        if !text.is_empty() {
            text += ": ";
        }
        text += &error.to_string();
        cause = error.source();
    }
    if error.is_timeout() && !text.contains("timed out") {
        text += " (timed out)";
    }
    if text.is_empty() { "the connection failed".into() } else { text }
}

fn tls() -> rustls::ClientConfig {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    rustls::ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .expect("ring offers the default protocol versions")
        .with_root_certificates(roots)
        .with_no_client_auth()
}
