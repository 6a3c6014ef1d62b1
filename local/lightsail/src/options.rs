//! The command line.

use std::env;
use std::net::{SocketAddr, SocketAddrV4};
use std::path::PathBuf;

use aws_credential_types::Credentials;
use clap::{Parser, ValueEnum};
use http::Uri;

use crate::settings::Settings;

/// A local stand-in for the container services of Amazon Lightsail.
///
/// The credentials for the ECR endpoint are read from the usual variables `AWS_ACCESS_KEY_ID`,
/// `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`. When it is ready it prints one line with its address;
/// every request is one line on standard error.
#[derive(Debug, Clone, Parser)]
#[command(version)]
pub struct Options {
    /// Where to listen; port 0 takes any free port.
    #[arg(long, default_value = "127.0.0.1:4580", value_name = "ADDRESS:PORT")]
    pub listen: SocketAddr,

    /// The region of every service.
    #[arg(long, default_value = "us-east-1")]
    pub region: String,

    /// The account that owns every service.
    #[arg(long, default_value = "000000000000", value_parser = account, value_name = "12 DIGITS")]
    pub account: String,

    /// The Lightsail-owned account of the services' roles, among them the image puller roles.
    #[arg(long, default_value = "111122223333", value_parser = account, value_name = "12 DIGITS")]
    pub puller_account: String,

    /// Where images are looked up: the ECR API and the registry API at one plain HTTP address. Without it
    /// every deployment of an ECR image fails.
    #[arg(long, value_parser = http_uri, value_name = "URL")]
    pub ecr_endpoint: Option<Uri>,

    /// Where to ask, call by call, whether the caller is allowed. Without it every call is.
    #[arg(long, value_parser = http_uri, value_name = "URL")]
    pub authorize: Option<Uri>,

    /// What becomes of containers.
    #[arg(long, default_value = "verdicts")]
    pub runtime: RuntimeKind,

    /// An address of this machine, such as that of a database, which every container reaches as its own; can be
    /// repeated. A container reaches nothing else.
    #[arg(long = "container-reaches", value_parser = loopback_address, value_name = "127.0.0.1:PORT")]
    pub container_reaches: Vec<SocketAddrV4>,

    /// Where unpacked images are kept, for any number of emulators. [default: lightsail-emulator in
    /// `XDG_CACHE_HOME`, or in .cache of the home folder]
    #[arg(long, default_value_os_t = default_image_folder(), hide_default_value = true, value_name = "FOLDER")]
    pub image_folder: PathBuf,

    /// Settings other than the defaults, also after a reset; see the README.
    #[arg(long, default_value = "{}", value_parser = settings, value_name = "JSON")]
    pub settings: Settings,

    /// Write no line per request.
    #[arg(long)]
    pub quiet: bool,

    /// The credentials for the ECR endpoint; no argument sets them, for arguments can be seen by others.
    #[arg(skip)]
    pub ecr_credentials: Option<Credentials>,
}

/// What becomes of containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RuntimeKind {
    /// Nothing is started; the verdicts of the control API decide.
    Verdicts,
    /// Every container is started, as a process in namespaces of its own.
    Process,
}

impl Options {
    /// These options with the credentials of this process's environment, if it has some.
    pub fn with_credentials_of_environment(mut self) -> Self {
        if let (Ok(id), Ok(secret)) = (env::var("AWS_ACCESS_KEY_ID"), env::var("AWS_SECRET_ACCESS_KEY")) {
            let token = env::var("AWS_SESSION_TOKEN").ok();
            self.ecr_credentials = Some(Credentials::new(id, secret, token, None, "environment"));
        }
        self
    }
}

impl Default for Options {
    /// The defaults of the command line, at any free port.
    fn default() -> Self {
        Options::parse_from(["lightsail-emulator", "--listen", "127.0.0.1:0"])
    }
}

fn account(value: &str) -> Result<String, String> {
    if value.len() == 12 && value.bytes().all(|byte| byte.is_ascii_digit()) {
        Ok(value.to_owned())
    } else {
        Err("give an AWS account number of 12 digits".to_owned())
    }
}

fn settings(value: &str) -> Result<Settings, String> {
    let changes = serde_json::from_str(value).map_err(|error| format!("not JSON: {error}"))?;
    Settings::default().changed(changes)
}

fn loopback_address(value: &str) -> Result<SocketAddrV4, String> {
    let address = value.parse().ok();
    let address = address.filter(|address: &SocketAddrV4| address.ip().is_loopback() && address.port() != 0);
    address.ok_or_else(|| "give an address of this machine's own, such as 127.0.0.1:3306".to_owned())
}

fn default_image_folder() -> PathBuf {
    let of = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = of("XDG_CACHE_HOME").or_else(|| Some(of("HOME")?.join(".cache")));
    cache.unwrap_or_else(env::temp_dir).join("lightsail-emulator")
}

fn http_uri(value: &str) -> Result<Uri, String> {
    let uri: Uri = value.parse().map_err(|error| format!("not a URL: {error}"))?;
    if uri.scheme_str() == Some("http") && uri.authority().is_some() {
        Ok(uri)
    } else {
        Err("give a plain HTTP address such as http://127.0.0.1:4566".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_that_is_not_12_digits_is_refused() {
        assert!(account("123456789012").is_ok());
        assert!(account("12345678901").is_err());
        assert!(account("12345678901x").is_err());
    }

    #[test]
    fn a_container_reaches_only_loopback_addresses() {
        assert!(loopback_address("127.0.0.1:3306").is_ok());
        for bad in ["127.0.0.1", "127.0.0.1:0", "10.0.0.1:3306", "localhost:3306", "[::1]:3306"] {
            assert!(loopback_address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_endpoint_is_a_plain_http_address() {
        assert!(http_uri("http://127.0.0.1:4566").is_ok());
        assert!(http_uri("https://example.com").is_err());
        assert!(http_uri("127.0.0.1:4566").is_err());
    }
}
