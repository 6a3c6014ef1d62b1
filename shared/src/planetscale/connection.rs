//! The client together with the secret that opens it.

use aws_sdk_secretsmanager::Client;

use super::client::{PlanetScale, ServiceToken};
use crate::release::{Database, Release};
use crate::{Error, aws, config, secrets};

/// What a function needs to talk to PlanetScale.
#[derive(Debug, Clone)]
pub struct Connection {
    planetscale: PlanetScale,
    secrets: Client,
    secret_arn: String,
}

impl Connection {
    /// Reads `PLANETSCALE_SECRET_ARN` and, if it is set, `PLANETSCALE_API_URL`.
    ///
    /// # Errors
    /// [`Error::Misconfigured`] when the secret is not named.
    pub fn from_env() -> Result<Self, Error> {
        Ok(Self::new(
            PlanetScale::from_env(),
            Client::new(&aws::config()),
            config::required("PLANETSCALE_SECRET_ARN")?,
        ))
    }

    /// `planetscale` with the token in the secret `secret_arn`.
    pub fn new(planetscale: PlanetScale, secrets: Client, secret_arn: String) -> Self {
        Self { planetscale, secrets, secret_arn }
    }

    /// The client of the API.
    pub fn planetscale(&self) -> &PlanetScale {
        &self.planetscale
    }

    /// The service token.
    ///
    /// # Errors
    /// Those of [`secrets::read`] and [`ServiceToken::parse`].
    pub async fn token(&self) -> Result<ServiceToken, Error> {
        ServiceToken::parse(&secrets::read(&self.secrets, &self.secret_arn, "FillPlanetScaleSecret").await?)
    }
}

/// What a function needs that changes something at PlanetScale.
#[cfg(feature = "records")]
#[derive(Debug, Clone)]
pub struct Writer {
    /// The connection.
    pub connection: Connection,
    /// What every change has to pass first.
    pub fence: crate::fence::Fence,
}

#[cfg(feature = "records")]
impl Writer {
    /// Reads what [`Connection::from_env`] and [`crate::fence::Fence::from_env`] read.
    ///
    /// # Errors
    /// Theirs.
    pub fn from_env() -> Result<Self, Error> {
        Ok(Self {
            connection: Connection::from_env()?,
            fence: crate::fence::Fence::from_env(&aws::config())?,
        })
    }
}

/// The database of `release`.
///
/// # Errors
/// [`Error::Misconfigured`] when it has none: then the state machine must not ask for a deploy request.
pub fn database(release: &Release) -> Result<&Database, Error> {
    release.database.as_ref().ok_or_else(|| Error::Misconfigured("The release has no database.".into()))
}
