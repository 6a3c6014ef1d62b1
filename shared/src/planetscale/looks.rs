//! Looks at what deploy requests need. Nothing here writes.

use serde::de::DeserializeOwned;

use super::client::{Failure, PlanetScale, ServiceToken};
use super::model::{Branch, DatabaseSettings, LintError, OpenRequest, Organization, Page};
use crate::Error;
use crate::http::{Method, StatusCode};
use crate::preflight::planetscale::Look;
use crate::release::Database;

/// The largest page that PlanetScale's lists return.
const PAGE: &str = "100";

/// Looks at one database with one token.
#[derive(Debug, Clone, Copy)]
pub struct Looks<'a> {
    client: &'a PlanetScale,
    database: &'a Database,
    token: &'a ServiceToken,
}

impl PlanetScale {
    /// The client with a token, for looks at `database`.
    pub fn looks<'a>(&'a self, database: &'a Database, token: &'a ServiceToken) -> Looks<'a> {
        Looks { client: self, database, token }
    }
}

impl Looks<'_> {
    /// The organizations that the token belongs to. Every token may ask this, so it tells a wrong token from a missing
    /// permission (PlanetScale's CLI uses it for that).
    pub async fn organizations(&self) -> Look<Vec<Organization>> {
        self.look(&["organizations"], &[]).await.map(Page::readable)
    }

    /// The database. Any permission for it suffices (PlanetScale's API description).
    pub async fn database(&self) -> Look<DatabaseSettings> {
        self.look(&self.path(&[]), &[]).await
    }

    /// A branch. It needs `read_branch` (PlanetScale's API description).
    pub async fn branch(&self, name: &str) -> Look<Branch> {
        self.look(&self.path(&["branches", name]), &[]).await
    }

    /// What PlanetScale's lint has against the tables of a branch. It needs `read_branch` (PlanetScale's API description).
    pub async fn lint(&self, name: &str) -> Look<Vec<LintError>> {
        let query = [("per_page", PAGE.to_owned())];
        self.look(&self.path(&["branches", name, "schema", "lint"]), &query).await.map(Page::readable)
    }

    /// The open deploy requests from the head into the base branch. It needs `read_deploy_request` (PlanetScale's API
    /// description).
    pub async fn open_requests(&self) -> Look<Vec<OpenRequest>> {
        let Database { head_branch, base_branch, .. } = self.database;
        let query = [
            ("state", "open".to_owned()),
            ("branch", head_branch.clone()),
            ("into_branch", base_branch.clone()),
            ("per_page", PAGE.to_owned()),
        ];
        let page: Look<Page> = self.look(&self.path(&["deploy-requests"]), &query).await;
        page.map(|page| {
            let ours = |open: &OpenRequest| {
                let request = &open.request;
                request.branch == *head_branch && request.into_branch == *base_branch && !request.is_closed()
            };
            page.readable().into_iter().filter(ours).collect()
        })
    }

    fn path<'a>(&'a self, rest: &[&'a str]) -> Vec<&'a str> {
        let Database { organization, name, .. } = self.database;
        ["organizations", organization.as_str(), "databases", name.as_str()]
            .into_iter()
            .chain(rest.iter().copied())
            .collect()
    }

    async fn look<T: DeserializeOwned>(&self, path: &[&str], query: &[(&str, String)]) -> Look<T> {
        let answer = match self.client.send(self.token, Method::GET, path, query, None).await {
            Ok(answer) => answer,
            Err(error) => return Look::Failed(error),
        };
        match answer.status {
            StatusCode::UNAUTHORIZED => Look::Unauthorized,
            StatusCode::NOT_FOUND => Look::NotFound,
            _ => match answer.read() {
                Ok(seen) => Look::Seen(seen),
                Err(Failure::Other(error)) => Look::Failed(error),
                Err(Failure::Refused { sentence, .. }) => Look::Failed(Error::Unexpected(sentence)),
            },
        }
    }
}
