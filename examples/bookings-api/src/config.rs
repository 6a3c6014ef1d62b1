//! What the environment says.

use std::net::SocketAddr;

use crate::dsn::{Dsn, DsnError};

/// The configuration. A value that is wrong is an error; there are no defaults to be surprised by.
pub struct Config {
    pub listen: SocketAddr,
    pub dsn: Dsn,
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{name} is not set; {expected}")]
    Missing { name: &'static str, expected: &'static str },
    #[error("LISTEN is not an address with a port, such as 0.0.0.0:8080: {0}")]
    Listen(String),
    #[error("DSN: {0}")]
    Dsn(#[from] DsnError),
}

impl Config {
    /// Read the variables, each by its name.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let required = |name, expected| {
            let value = variable(name).filter(|value| !value.trim().is_empty());
            value.ok_or(ConfigError::Missing { name, expected })
        };
        let listen = required("LISTEN", "it is the address to listen on, such as 0.0.0.0:8080")?;
        let dsn = required("DSN", "it is the connection string of the database, as PlanetScale shows it")?;
        Ok(Self {
            listen: listen.trim().parse().map_err(|_| ConfigError::Listen(listen))?,
            dsn: Dsn::parse(&dsn)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(listen: Option<&str>, dsn: Option<&str>) -> Result<Config, String> {
        Config::read(|name| match name {
            "LISTEN" => listen.map(str::to_owned),
            "DSN" => dsn.map(str::to_owned),
            _ => None,
        })
        .map_err(|error| error.to_string())
    }

    #[test]
    fn both_variables_are_read() {
        let config = read(Some("[::1]:80"), Some("mysql://u:p@h/d")).expect("both are right");
        assert_eq!(config.listen.to_string(), "[::1]:80");
    }

    #[test]
    fn an_error_names_the_variable() {
        let good = Some("mysql://u:p@h/d");
        for (listen, dsn, said) in [
            (None, good, "LISTEN is not set"),
            (Some(" "), good, "LISTEN is not set"),
            (Some("80"), good, "LISTEN is not an address"),
            (Some("0.0.0.0:65536"), good, "LISTEN is not an address"),
            (Some("0.0.0.0:80"), None, "DSN is not set"),
            (Some("0.0.0.0:80"), Some("\n"), "DSN is not set"),
            (Some("0.0.0.0:80"), Some("nothing"), "DSN: "),
        ] {
            let error = read(listen, dsn).err().expect("one is wrong");
            assert!(error.starts_with(said), "{error}");
        }
    }
}
