//! Service tokens and who acts with them.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use serde::{Deserialize, Serialize};

/// Who did something, as bodies show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    pub id: String,
    #[serde(rename = "type")]
    pub kind: ActorKind,
    pub display_name: String,
    pub avatar_url: String,
}

/// What an actor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ActorKind {
    User,
    ServiceToken,
}

impl Actor {
    /// A person in the web application.
    pub fn person(name: &str) -> Self {
        Self {
            id: person_id(name),
            kind: ActorKind::User,
            display_name: name.to_owned(),
            avatar_url: avatar_url(),
        }
    }
}

/// The ID of a person.
pub fn person_id(name: &str) -> String {
    format!("user-{name}")
}

fn avatar_url() -> String {
    "https://app.planetscale.com/gravatar-fallback.png".into()
}

/// A service token of an organization.
#[derive(Clone)]
pub struct Token {
    pub id: String,
    pub secret: String,
    pub organization: String,
    pub name: String,
    /// The name of the person who made it: a token cannot approve that person's requests.
    pub owner: Option<String>,
    /// Permissions for every database of the organization, and for the organization itself.
    pub permissions: BTreeSet<String>,
    /// Permissions for single databases.
    pub database_permissions: BTreeMap<String, BTreeSet<String>>,
}

impl Token {
    /// The token as an actor.
    pub fn actor(&self) -> Actor {
        Actor {
            id: self.id.clone(),
            kind: ActorKind::ServiceToken,
            display_name: self.name.clone(),
            avatar_url: avatar_url(),
        }
    }

    /// Whether it has one of these permissions for a database; any permission will do if none is named.
    pub fn may(&self, database: &str, one_of: &[&str]) -> bool {
        let of_database = self.database_permissions.get(database).into_iter().flatten();
        let mut held = self.permissions.iter().chain(of_database);
        held.any(|permission| one_of.is_empty() || one_of.contains(&permission.as_str()))
    }
}

/// The ID of the token that a request presents, as `ID:TOKEN`; a `Bearer` token shows none.
pub fn presented_id(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    Some(value.split_once(':')?.0.trim().to_owned())
}

/// The token that a request presents: `ID:TOKEN` without a scheme's word, or `Bearer TOKEN`.
pub fn presented<'a>(headers: &HeaderMap, tokens: &'a BTreeMap<String, Token>) -> Option<&'a Token> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    match value.strip_prefix("Bearer ") {
        Some(secret) => tokens.values().find(|token| token.secret == secret.trim()),
        None => {
            let (id, secret) = value.split_once(':')?;
            tokens.get(id.trim()).filter(|token| token.secret == secret.trim())
        }
    }
}
