//! What handlers take from requests.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, OriginalUri, Request};
use axum::http::header::HOST;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::database::{Context, Database};
use crate::error::ApiError;
use crate::token::{Actor, Token, presented};
use crate::world::World;

/// Who calls, by a token that exists.
pub struct Caller {
    pub token: Token,
    /// The address under which the emulator was reached, such as `http://127.0.0.1:4570`.
    pub origin: String,
    /// The path and query of the request.
    pub uri: String,
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let token = presented(&parts.headers, &app.world().tokens).cloned();
        let token = token.ok_or_else(|| ApiError::new(401, "The access token is invalid"))?;
        let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
        // The URI without the prefixes that nested routers take away.
        let uri = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |uri| &uri.0);
        Ok(Self { token, origin: format!("http://{host}"), uri: uri.to_string() })
    }
}

impl Caller {
    pub fn actor(&self) -> Actor {
        self.token.actor()
    }

    /// A database in which the caller has one of these permissions; any will do if none is named.
    ///
    /// # Errors
    /// Not found, when it is missing and when the permission is.
    pub fn database<'w>(
        &self,
        world: &'w mut World,
        organization: &str,
        database: &str,
        one_of: &[&str],
    ) -> Result<(&'w mut Database, Context<'w>), ApiError> {
        if self.token.organization != organization {
            return Err(ApiError::not_found());
        }
        if !self.token.may(database, one_of) {
            return Err(match world.settings.statuses.missing_permission {
                404 => ApiError::not_found(),
                status => ApiError::new(status, "You don't have permission to do that"),
            });
        }
        world.database(organization, database)
    }
}

/// A JSON body; an absent one is taken as `{}`, for clients that send none are seen to work.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ApiError> {
        let bytes = Bytes::from_request(request, app).await;
        let bytes = bytes.map_err(|error| ApiError::new(400, error.body_text()))?;
        let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        match serde_json::from_slice::<serde_json::Value>(text) {
            Err(error) => Err(ApiError::new(400, format!("The body is not JSON: {error}"))),
            Ok(value) => match serde_json::from_value(value) {
                Ok(body) => Ok(Self(body)),
                Err(error) => Err(ApiError::invalid_params(error.to_string())),
            },
        }
    }
}
