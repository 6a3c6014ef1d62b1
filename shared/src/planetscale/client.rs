//! The client for deploy requests.

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::model::{
    Base, Branch, BranchSchema, DatabaseSettings, DeployRequest, DeployRequestNumber, ListedRequest, Page,
    is_about_approval,
};
use super::state::Stage;
use crate::http::{Client, Lost, Method, Request, StatusCode, Url};
use crate::release::Database;
use crate::{Error, config, http, order, schema, text};

/// PlanetScale's public API.
const API_URL: &str = "https://api.planetscale.com/v1";
/// The largest page that PlanetScale's lists return.
const PAGE: u64 = 100;

/// A PlanetScale service token, as the secret holds it: `{"id": "…", "token": "…"}`.
#[derive(Debug, Clone, Deserialize)]
pub struct ServiceToken {
    id: String,
    token: SecretString,
}

impl ServiceToken {
    /// Reads the secret's text.
    ///
    /// # Errors
    /// [`Error::Misconfigured`] when it is not the JSON object described above; the text itself is never repeated.
    pub fn parse(secret: &SecretString) -> Result<Self, Error> {
        serde_json::from_str(secret.expose_secret())
            .ok()
            .filter(|token: &Self| header_safe(&token.id) && header_safe(token.token.expose_secret()))
            .ok_or_else(|| {
                Error::Misconfigured(
                    "The PlanetScale secret is not a JSON object with a service token's \"id\" and \"token\". \
                     Fill it with the command in the stack's output FillPlanetScaleSecret."
                        .into(),
                )
            })
    }
}

fn header_safe(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic())
}

/// A client for the deploy requests of one database.
///
/// Redirects are not followed: the token would go with them.
#[derive(Debug, Clone)]
pub struct PlanetScale {
    http: Client,
    base_url: String,
}

/// What a new deploy request says.
#[derive(Debug, Clone, Serialize)]
pub struct NewDeployRequest<'a> {
    /// The head branch.
    pub branch: &'a str,
    /// The base branch.
    pub into_branch: &'a str,
    /// Text for people on the request's page.
    pub notes: &'a str,
    /// Whether it cuts over by itself. Always sent: left out, PlanetScale takes the last request's setting.
    pub auto_cutover: bool,
    /// Whether PlanetScale deletes the head branch afterwards. Always sent: that it is not taken from the last request,
    /// as `auto_cutover` is, is not documented.
    pub auto_delete_branch: bool,
}

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// PlanetScale answered with a refusal: a 4xx other than 401, 404, 408 and 429, and 403 only where it asks for an
    /// approval.
    Refused {
        /// The HTTP status.
        status: u16,
        /// The error code of the body, if there was one.
        code: String,
        /// What PlanetScale said.
        message: String,
        /// All of it in one sentence.
        sentence: String,
    },
    /// Anything else.
    Other(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused { sentence, .. } => Self::Unexpected(sentence),
            Failure::Other(error) => error,
        }
    }
}

impl PlanetScale {
    /// The client of the API at `PLANETSCALE_API_URL`, or of PlanetScale's public one.
    pub fn from_env() -> Self {
        Self::new(http::client(), config::optional("PLANETSCALE_API_URL"))
    }

    /// A client over `http` for PlanetScale's public API, or for the API at `base_url`.
    pub fn new(http: Client, base_url: Option<String>) -> Self {
        let base_url = base_url.unwrap_or_else(|| API_URL.into()).trim_end_matches('/').to_owned();
        Self { http, base_url }
    }

    /// The client with a token, for the deploy requests of `database`.
    pub fn deploy_requests<'a>(
        &'a self,
        database: &'a Database,
        token: &'a ServiceToken,
    ) -> DeployRequests<'a> {
        DeployRequests { client: self, database, token }
    }
}

/// The deploy requests of one database.
#[derive(Debug, Clone, Copy)]
pub struct DeployRequests<'a> {
    client: &'a PlanetScale,
    database: &'a Database,
    token: &'a ServiceToken,
}

impl DeployRequests<'_> {
    /// The open requests from the head into the base branch, oldest first.
    ///
    /// # Errors
    /// As for every call here: [`Failure::Refused`] with PlanetScale's words, [`Error::Retryable`] when a later try
    /// may succeed, [`Error::RateLimited`] for too many calls (429), [`Error::Misconfigured`] for a wrong token (401) or
    /// something missing or not permitted (403, 404).
    pub async fn open(&self) -> Result<Vec<DeployRequest>, Failure> {
        let Database { head_branch, base_branch, .. } = self.database;
        let query =
            [("state", "open"), ("branch", head_branch.as_str()), ("into_branch", base_branch.as_str())];
        let mut found = Vec::new();
        for entry in self.listed(&query).await? {
            // An entry without a number is none that a later call could name.
            let Ok(listed) = serde_json::from_value::<ListedRequest>(entry.clone()) else { continue };
            if !listed.is_open_between(head_branch, base_branch) {
                continue;
            }
            found.push(match serde_json::from_value(entry) {
                Ok(request) => request,
                Err(_) => self.get(listed.number).await?,
            });
        }
        found.retain(|request: &DeployRequest| {
            request.branch == *head_branch && request.into_branch == *base_branch && !request.is_closed()
        });
        found.sort_by_key(|request| request.number.0);
        Ok(found)
    }

    /// Every request into the base branch, from whatever branch and in whatever state.
    ///
    /// PlanetScale can narrow the list to deployed ones, but does not say whether that counts those whose revert window is
    /// open (its API description, "List deploy requests").
    ///
    /// # Errors
    /// See [`Self::open`]; an entry that cannot be read is asked for by its number, and one without a number is an
    /// [`Error::Unexpected`].
    pub async fn into_base(&self) -> Result<Vec<DeployRequest>, Failure> {
        let mut found = Vec::new();
        for entry in self.listed(&[("into_branch", &self.database.base_branch)]).await? {
            found.push(match serde_json::from_value(entry.clone()) {
                Ok(request) => request,
                Err(_) => {
                    let listed: ListedRequest = serde_json::from_value(entry).map_err(|error| {
                        Error::Unexpected(format!(
                            "PlanetScale lists a deploy request that cannot be read: {error}."
                        ))
                    })?;
                    self.get(listed.number).await?
                }
            });
        }
        found.retain(|request: &DeployRequest| request.into_branch == self.database.base_branch);
        Ok(found)
    }

    /// The entries of every page of the list that `query` asks for.
    async fn listed(&self, query: &[(&str, &str)]) -> Result<Vec<Value>, Failure> {
        let mut entries = Vec::new();
        let mut next = Some(1);
        while let Some(page) = next {
            let (number, size) = (page.to_string(), PAGE.to_string());
            let paging = [("page", number.as_str()), ("per_page", size.as_str())];
            let query: Vec<_> =
                query.iter().chain(&paging).map(|(name, value)| (*name, (*value).to_owned())).collect();
            let list: Page = self.call(Method::GET, "", &query, None).await?;
            next = list.next_page.filter(|next| *next > page);
            entries.extend(list.data);
        }
        Ok(entries)
    }

    /// Creates a request.
    ///
    /// # Errors
    /// See [`Self::open`].
    pub async fn create(&self, new: &NewDeployRequest<'_>) -> Result<DeployRequest, Failure> {
        self.call(Method::POST, "", &[], Some(json!(new))).await
    }

    /// Reads a request.
    ///
    /// # Errors
    /// See [`Self::open`].
    pub async fn get(&self, number: DeployRequestNumber) -> Result<DeployRequest, Failure> {
        self.call(Method::GET, &format!("/{number}"), &[], None).await
    }

    /// Puts a request into the deploy queue, without instant DDL: that could not be reverted.
    ///
    /// # Errors
    /// See [`Self::open`].
    pub async fn deploy(&self, number: DeployRequestNumber) -> Result<DeployRequest, Failure> {
        self.call(Method::POST, &format!("/{number}/deploy"), &[], Some(json!({"instant_ddl": false}))).await
    }

    /// Closes a request that is not deployed.
    ///
    /// # Errors
    /// See [`Self::open`].
    pub async fn close(&self, number: DeployRequestNumber) -> Result<DeployRequest, Failure> {
        self.call(Method::PATCH, &format!("/{number}"), &[], Some(json!({"state": "closed"}))).await
    }

    /// Takes a request out of the deploy queue.
    ///
    /// # Errors
    /// See [`Self::open`].
    pub async fn cancel(&self, number: DeployRequestNumber) -> Result<DeployRequest, Failure> {
        self.call(Method::POST, &format!("/{number}/cancel"), &[], Some(json!({}))).await
    }

    /// Reverts a deployed request whose revert window is open.
    ///
    /// # Errors
    /// See [`Self::open`].
    pub async fn revert(&self, number: DeployRequestNumber) -> Result<DeployRequest, Failure> {
        self.call(Method::POST, &format!("/{number}/revert"), &[], Some(json!({}))).await
    }

    /// Closes the revert window, which frees the deploy queue.
    ///
    /// # Errors
    /// See [`Self::open`].
    pub async fn skip_revert(&self, number: DeployRequestNumber) -> Result<DeployRequest, Failure> {
        self.call(Method::POST, &format!("/{number}/skip-revert"), &[], Some(json!({}))).await
    }

    /// Leaves the head branch where it is when the request is complete.
    ///
    /// # Errors
    /// See [`Self::open`].
    pub async fn keep_branch(&self, number: DeployRequestNumber) -> Result<DeployRequest, Failure> {
        let path = format!("/{number}/auto-delete-branch");
        self.call(Method::PUT, &path, &[], Some(json!({"enable": false}))).await
    }

    /// Whether a person must approve each deploy request of the database. Any permission for it suffices (PlanetScale's
    /// API description).
    ///
    /// # Errors
    /// See [`Self::open`].
    pub async fn need_approval(&self) -> Result<bool, Failure> {
        let Database { organization, name, .. } = self.database;
        let path = ["organizations", organization, "databases", name];
        let settings: DatabaseSettings =
            self.client.send(self.token, Method::GET, &path, &[], None).await?.read()?;
        Ok(settings.require_approval_for_deploy)
    }

    /// Reads what the change of `request` is judged beside: the tables of the base branch, unless the change is safe
    /// whatever they are; of a change that copies tables, whether there is room; of one that may drop data, whether the
    /// head branch is stale. Branches need `read_branch` (PlanetScale's API description); without it the request says why
    /// the tables are not known, and the head branch counts as up to date.
    ///
    /// # Errors
    /// [`Error::Retryable`] and [`Error::RateLimited`], when a later try may succeed.
    pub async fn read_surroundings(&self, request: &mut DeployRequest) -> Result<(), Error> {
        if matches!(request.base, Base::NotRead) && !schema::is_safe_anyway(request) {
            request.base = self.base().await?;
        }
        // One that is on its way takes room itself.
        if request.storage.is_none() && request.copies_tables() && request.stage() == Stage::Ready {
            request.storage = unless_kept_from(
                self.call(Method::GET, &format!("/{}/storage-check", request.number), &[], None).await,
            )?;
        }
        if request.may_drop_data() {
            let head = self.branch(&self.database.head_branch, "").await?.read::<Branch>();
            request.head_is_stale = unless_kept_from(head)?.is_some_and(|head| head.stale_schema);
        }
        Ok(())
    }

    async fn base(&self) -> Result<Base, Error> {
        let base_branch = &self.database.base_branch;
        match self.branch(base_branch, "schema").await?.read::<BranchSchema>() {
            Ok(read) => Ok(Base::Read(order::Schema::read(read.data.iter().map(|table| table.raw.as_str())))),
            Err(Failure::Refused { sentence, .. } | Failure::Other(Error::Misconfigured(sentence))) => {
                Ok(Base::Unreadable(format!(
                    "How the tables of {base_branch} are was not read, for which the token needs read_branch: {}",
                    text::shorten(&sentence, 300)
                )))
            }
            Err(Failure::Other(error)) => Err(error),
        }
    }

    async fn branch(&self, name: &str, what: &str) -> Result<Answer, Error> {
        let Database { organization, name: database, .. } = self.database;
        let path = ["organizations", organization, "databases", database, "branches", name, what];
        let path = if what.is_empty() { &path[..6] } else { &path[..] };
        self.client.send(self.token, Method::GET, path, &[], None).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, String)],
        body: Option<Value>,
    ) -> Result<T, Failure> {
        let Database { organization, name, .. } = self.database;
        let database = ["organizations", organization, "databases", name, "deploy-requests"];
        let path: Vec<_> =
            database.into_iter().chain(path.split('/').filter(|part| !part.is_empty())).collect();
        self.client.send(self.token, method, &path, query, body).await?.read()
    }
}

/// What was read; none if PlanetScale does not show it to this token.
fn unless_kept_from<T>(read: Result<T, Failure>) -> Result<Option<T>, Error> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(Failure::Refused { .. } | Failure::Other(Error::Misconfigured(_) | Error::Unexpected(_))) => {
            Ok(None)
        }
        Err(Failure::Other(error)) => Err(error),
    }
}

impl PlanetScale {
    /// Makes a call and takes its answer, whatever its status.
    pub(super) async fn send(
        &self,
        token: &ServiceToken,
        method: Method,
        path: &[&str],
        query: &[(&str, String)],
        body: Option<Value>,
    ) -> Result<Answer, Error> {
        let mut url = Url::parse(&self.base_url)
            .map_err(|error| Error::Misconfigured(format!("PLANETSCALE_API_URL is not a URL: {error}.")))?;
        url.path_segments_mut()
            .map_err(|()| Error::Misconfigured("PLANETSCALE_API_URL has no path.".into()))?
            .extend(path);
        let what = format!("{method} {}", url.path());
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let authorization = format!("{}:{}", token.id, token.token.expose_secret());
        let mut authorization = HeaderValue::from_str(&authorization)
            .map_err(|_| Error::Misconfigured("The PlanetScale token is not printable text.".into()))?;
        authorization.set_sensitive(true);

        let mut request = Request::new(method, url);
        request.headers_mut().insert(AUTHORIZATION, authorization);
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(body) = body {
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            *request.body_mut() = Some(body.to_string().into());
        }
        let lost =
            |Lost { causes, .. }| Error::Retryable(format!("No answer to {what} of PlanetScale: {causes}."));
        let answer = self.http.call(request).await.map_err(lost)?;
        Ok(Answer { what, status: answer.status, body: answer.body })
    }
}

/// An answer of the API.
pub(super) struct Answer {
    what: String,
    pub(super) status: StatusCode,
    body: Vec<u8>,
}

impl Answer {
    /// The body of a success, or why it is none.
    pub(super) fn read<T: DeserializeOwned>(self) -> Result<T, Failure> {
        let Self { what, status, body } = self;
        if !status.is_success() {
            return Err(failure(&what, status, &body));
        }
        serde_json::from_slice(&body).map_err(|error| {
            Failure::Other(Error::Retryable(format!(
                "{what} of PlanetScale answered {status} with a body that cannot be read: {error}."
            )))
        })
    }
}

/// What an error body says, in the shapes that are documented or seen live. Each field is read by itself: one that is
/// null or of another shape hides none of its neighbours.
fn words(body: &Value) -> String {
    let text = |field: &str| body[field].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let list = || match &body["errors"] {
        Value::Null => None,
        Value::Array(errors) if errors.is_empty() => None,
        errors => Some(errors.to_string()),
    };
    text("message")
        .or_else(|| text("error_description"))
        .or_else(list)
        .or_else(|| text("error"))
        .unwrap_or_default()
}

fn failure(what: &str, status: StatusCode, body: &[u8]) -> Failure {
    let body: Value = serde_json::from_str(&String::from_utf8_lossy(body)).unwrap_or_default();
    let mut words = text::shorten(&words(&body), 1_000);
    if words.is_empty() {
        words = "no explanation".into();
    }
    let code = body["code"].as_str().unwrap_or_default().to_owned();
    let sentence = format!("{what} of PlanetScale answered {}: {}", status.as_u16(), words);
    let sentence = format!("{}.", sentence.trim_end_matches('.'));
    match status.as_u16() {
        401 => Failure::Other(Error::Misconfigured(format!(
            "{sentence} The service token is wrong or revoked: fill the secret again with the command in the stack's \
             output FillPlanetScaleSecret."
        ))),
        403 if !is_about_approval(&words) => Failure::Other(Error::Misconfigured(format!(
            "{sentence} The service token lacks a permission: give it read_deploy_request and create_deploy_request for \
             this database on the service token's page at PlanetScale."
        ))),
        404 => Failure::Other(Error::Misconfigured(format!(
            "{sentence} The organization, database, branch or deploy request is missing, or the token lacks the \
             permission: PlanetScale answers 404 to both."
        ))),
        429 => Failure::Other(Error::RateLimited(sentence)),
        408 | 500.. => Failure::Other(Error::Retryable(sentence)),
        400.. => Failure::Refused { status: status.as_u16(), code, message: words, sentence },
        _ => Failure::Other(Error::Misconfigured(format!(
            "{sentence} Redirects are not followed: check PLANETSCALE_API_URL."
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_is_no_token_is_refused_without_repeating_it() {
        for secret in
            ["", "x", "{}", r#"{"id":"a"}"#, r#"{"id":"","token":"t"}"#, r#"{"id":"a","token":"b c"}"#]
        {
            let error = ServiceToken::parse(&SecretString::from(secret)).unwrap_err();
            assert_eq!(error.name(), "Misconfigured");
            assert!(error.to_string().contains("FillPlanetScaleSecret"), "{error}");
        }
        let token =
            ServiceToken::parse(&SecretString::from(r#"{"id":"abc","token":"not-a-real-one"}"#)).unwrap();
        assert!(!format!("{token:?}").contains("not-a-real-one"));
    }

    #[test]
    fn every_status_has_its_meaning() {
        let classify = |status: u16, body: &str| {
            failure("GET /x", StatusCode::from_u16(status).unwrap(), body.as_bytes())
        };
        assert!(matches!(classify(429, ""), Failure::Other(Error::RateLimited(_))));
        for status in [408, 500, 502, 503, 504] {
            assert!(matches!(classify(status, "<html>"), Failure::Other(Error::Retryable(_))), "{status}");
        }
        for status in [302, 401, 403, 404] {
            assert!(matches!(classify(status, ""), Failure::Other(Error::Misconfigured(_))), "{status}");
        }
        let approval = r#"{"code":"forbidden","message":"It must be approved."}"#;
        assert!(matches!(classify(403, approval), Failure::Refused { .. }));
        for status in [400, 409, 422] {
            let body = r#"{"code":"unprocessable","message":"No."}"#;
            match classify(status, body) {
                Failure::Refused { status: seen, code, message, sentence } => {
                    assert_eq!((seen, code.as_str(), message.as_str()), (status, "unprocessable", "No."));
                    assert_eq!(sentence, format!("GET /x of PlanetScale answered {status}: No."));
                }
                other => panic!("{status}: {other:?}"),
            }
        }
    }

    #[test]
    fn words_are_found_in_every_shape_of_error_body() {
        for (body, words) in [
            (r#"{"code":"x","message":"a"}"#, "a"),
            (r#"{"error":"invalid_token","error_description":"b"}"#, "b"),
            (r#"{"errors":[{"name":"branch"}]}"#, r#"[{"name":"branch"}]"#),
            (r#"{"code":null,"message":"c","errors":null}"#, "c"),
            (r#"{"code":7,"message":"d","error":{"a":1},"errors":{"base":["x"]}}"#, "d"),
            (r#"{"message":["e"],"errors":"f"}"#, r#""f""#),
            (r#"{"message":null,"errors":[],"error":"g"}"#, "g"),
            (r#"[1]"#, "no explanation"),
            ("<html>", "no explanation"),
        ]
        .map(|(body, words)| (body.as_bytes(), words))
        .into_iter()
        .chain([(&b"{\"message\":\"a\xff\"}"[..], "a\u{fffd}")])
        {
            match failure("GET /x", StatusCode::UNPROCESSABLE_ENTITY, body) {
                Failure::Refused { message, .. } => assert_eq!(message, words),
                other => panic!("{other:?}"),
            }
        }
    }
}
