//! The connection string, in the two forms in which PlanetScale shows it.
//!
//! - a URL, `mysql://user:password@host:port/database?sslaccept=strict`, whose parts are percent-encoded;
//! - that of the Go driver, `user:password@tcp(host:port)/database?tls=true`, whose password is as it is.
//!
//! How TLS is asked for differs from client to client; all of them are understood:
//! `sslaccept` (Prisma), `ssl` (Node.js), `tls` (Go), and `sslmode` or `ssl-mode` (MySQL, Rails, .NET).
//! Without one there is no TLS. No message contains the string, for it contains a password.

use std::fs;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use secrecy::SecretString;
use url::Url;

const DEFAULT_PORT: u16 = 3306;

/// Where the database is, and how to log in.
#[derive(Debug)]
pub struct Dsn {
    pub address: Address,
    pub user: String,
    pub password: SecretString,
    pub database: String,
    pub tls: Tls,
}

#[derive(Debug, PartialEq)]
pub enum Address {
    Tcp { host: String, port: u16 },
    Unix(PathBuf),
}

#[derive(Debug, PartialEq)]
pub enum Tls {
    Off,
    /// Encrypted, to whoever answers.
    Unverified,
    /// The certificate is for this host, by the public authorities or those of this PEM file.
    Verified {
        authorities: Option<Vec<u8>>,
    },
}

#[derive(Debug, PartialEq, thiserror::Error)]
pub enum DsnError {
    #[error(
        "it is neither mysql://user:password@host/database nor user:password@tcp(host:port)/database; \
         in the first form, special characters of the password must be percent-encoded"
    )]
    Form,
    #[error("it has no {0}")]
    Missing(&'static str),
    #[error("its {0} is not valid UTF-8 once it is percent-decoded")]
    Encoding(&'static str),
    #[error("its port is not a number from 1 to 65535")]
    Port,
    #[error("the parameter {0} does not have a value this application knows; it knows {1}")]
    Value(String, &'static str),
    #[error("this application does not know the parameter {0}, which is about TLS")]
    UnknownTls(String),
    #[error("its parameters ask for TLS in two ways that differ")]
    Contradiction,
    #[error("the file that the parameter {0} names cannot be read: {1}")]
    Authorities(String, String),
    #[error("a certificate authority is named, but TLS is not verified")]
    UselessAuthorities,
}

impl Dsn {
    /// Parse either form. Space around it, such as a secret's last newline, does not matter.
    pub fn parse(text: &str) -> Result<Self, DsnError> {
        let text = text.trim();
        let dsn = if text.starts_with("mysql://") || text.starts_with("mysql2://") {
            parse_url(text)?
        } else {
            parse_go(text)?
        };
        if dsn.user.is_empty() {
            return Err(DsnError::Missing("user"));
        }
        if dsn.database.is_empty() {
            return Err(DsnError::Missing("database"));
        }
        Ok(dsn)
    }
}

fn parse_url(text: &str) -> Result<Dsn, DsnError> {
    // What the error says may be a part of the password.
    let url = Url::parse(text).map_err(|_| DsnError::Form)?;
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or(DsnError::Missing("host"))?;
    Ok(Dsn {
        address: tcp(&decoded(host, "host")?, url.port().unwrap_or(DEFAULT_PORT))?,
        user: decoded(url.username(), "user")?,
        password: decoded(url.password().unwrap_or_default(), "password")?.into(),
        database: decoded(url.path().trim_start_matches('/'), "database")?,
        tls: tls(url.query_pairs())?,
    })
}

/// The Go driver's rules: the last `/` ends the address, the last `@` before it the password, the
/// first `:` the user. Facts: the README of go-sql-driver/mysql.
fn parse_go(text: &str) -> Result<Dsn, DsnError> {
    let (server, rest) = text.rsplit_once('/').ok_or(DsnError::Form)?;
    let (login, address) = server.rsplit_once('@').ok_or(DsnError::Form)?;
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    let (database, parameters) = rest.split_once('?').unwrap_or((rest, ""));
    Ok(Dsn {
        address: go_address(address)?,
        user: user.to_owned(),
        password: password.to_owned().into(),
        database: decoded(database, "database")?,
        tls: tls(url::form_urlencoded::parse(parameters.as_bytes()))?,
    })
}

fn go_address(text: &str) -> Result<Address, DsnError> {
    let (network, address) =
        text.strip_suffix(')').and_then(|text| text.split_once('(')).ok_or(DsnError::Form)?;
    match network {
        "unix" if address.is_empty() => Err(DsnError::Missing("socket")),
        "unix" => Ok(Address::Unix(address.into())),
        "tcp" => match address.rsplit_once(':') {
            // A colon inside the brackets belongs to an IPv6 address.
            Some((host, port)) if !port.ends_with(']') => {
                tcp(host, port.parse().map_err(|_| DsnError::Port)?)
            }
            _ => tcp(address, DEFAULT_PORT),
        },
        _ => Err(DsnError::Form),
    }
}

fn tcp(host: &str, port: u16) -> Result<Address, DsnError> {
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if host.is_empty() {
        return Err(DsnError::Missing("host"));
    }
    if port == 0 {
        return Err(DsnError::Port);
    }
    Ok(Address::Tcp { host: host.to_owned(), port })
}

fn decoded(text: &str, part: &'static str) -> Result<String, DsnError> {
    let text = percent_decode_str(text).decode_utf8().map_err(|_| DsnError::Encoding(part))?;
    Ok(text.into_owned())
}

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Off,
    Unverified,
    Verified,
}

/// The TLS that the parameters ask for. The others, such as `interpolateParams`, are for other clients.
fn tls<'a>(
    parameters: impl Iterator<Item = (std::borrow::Cow<'a, str>, std::borrow::Cow<'a, str>)>,
) -> Result<Tls, DsnError> {
    let mut asked = None;
    let mut authorities = None;
    for (name, value) in parameters {
        let lowercase = value.to_ascii_lowercase();
        let mode = match name.to_ascii_lowercase().replace(['-', '_'], "").as_str() {
            "sslmode" => mysql_mode(&name, &lowercase)?,
            "sslaccept" => prisma_mode(&name, &lowercase)?,
            "tls" => go_mode(&name, &lowercase)?,
            "ssl" => node_mode(&name, &value)?,
            "sslca" | "sslcert" | "sslrootcert" => {
                let read = fs::read(value.as_ref());
                authorities =
                    Some(read.map_err(|error| {
                        DsnError::Authorities(name.to_string(), error.kind().to_string())
                    })?);
                continue;
            }
            other if other.contains("ssl") || other.contains("tls") => {
                return Err(DsnError::UnknownTls(name.to_string()));
            }
            _ => continue,
        };
        if asked.replace(mode).is_some_and(|before| before != mode) {
            return Err(DsnError::Contradiction);
        }
    }
    match asked {
        Some(Mode::Off | Mode::Unverified) if authorities.is_some() => Err(DsnError::UselessAuthorities),
        None if authorities.is_none() => Ok(Tls::Off),
        Some(Mode::Off) => Ok(Tls::Off),
        Some(Mode::Unverified) => Ok(Tls::Unverified),
        Some(Mode::Verified) | None => Ok(Tls::Verified { authorities }),
    }
}

// "Preferred" is in none of these: whoever is in between could switch it off.

fn mysql_mode(name: &str, value: &str) -> Result<Mode, DsnError> {
    match value.replace('-', "_").as_str() {
        "disabled" | "disable" | "none" => Ok(Mode::Off),
        "required" | "require" => Ok(Mode::Unverified),
        // The host is checked for "verify_ca" too: a certificate by anybody's authority proves little.
        "verify_identity" | "verify_full" | "verifyfull" | "verify_ca" | "verifyca" => Ok(Mode::Verified),
        _ => Err(DsnError::Value(name.to_owned(), "verify_identity, verify_ca, required and disabled")),
    }
}

fn prisma_mode(name: &str, value: &str) -> Result<Mode, DsnError> {
    match value {
        "strict" => Ok(Mode::Verified),
        "accept_invalid_certs" => Ok(Mode::Unverified),
        _ => Err(DsnError::Value(name.to_owned(), "strict and accept_invalid_certs")),
    }
}

fn go_mode(name: &str, value: &str) -> Result<Mode, DsnError> {
    match value {
        "true" | "1" => Ok(Mode::Verified),
        "false" | "0" => Ok(Mode::Off),
        "skip-verify" => Ok(Mode::Unverified),
        _ => Err(DsnError::Value(name.to_owned(), "true, skip-verify and false")),
    }
}

fn node_mode(name: &str, value: &str) -> Result<Mode, DsnError> {
    let expected = r#"true, false and {"rejectUnauthorized":true}"#;
    let unknown = || DsnError::Value(name.to_owned(), expected);
    match serde_json::from_str(value).map_err(|_| unknown())? {
        serde_json::Value::Bool(true) => Ok(Mode::Verified),
        serde_json::Value::Bool(false) => Ok(Mode::Off),
        serde_json::Value::Object(options) => match options.get("rejectUnauthorized") {
            None | Some(serde_json::Value::Bool(true)) => Ok(Mode::Verified),
            Some(serde_json::Value::Bool(false)) => Ok(Mode::Unverified),
            Some(_) => Err(unknown()),
        },
        _ => Err(unknown()),
    }
}

#[cfg(test)]
mod tests;
