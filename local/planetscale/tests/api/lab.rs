//! An emulator with one database, and a client of it.

use std::sync::OnceLock;

use planetscale_emulator::{Options, Server, Settings};
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};

/// Milliseconds of each deployment state in a lab: long enough that none ends before the clock is moved.
pub const PHASE: u64 = 60_000;
pub const TOKEN: &str = "deployer:secret";
pub const HOTELS: &str =
    "CREATE TABLE hotels (id INT UNSIGNED PRIMARY KEY AUTO_INCREMENT, name VARCHAR(50) NOT NULL)";
pub const ADD_COLUMN: &str = "ALTER TABLE hotels ADD stars INT";

pub struct Lab {
    pub origin: String,
    http: Client,
    _server: Server,
}

/// The server behind the branches; without one they are in memory.
pub fn database_server() -> Option<String> {
    std::env::var("PLANETSCALE_EMULATOR_DATABASE_SERVER").ok()
}

/// An answer's status and JSON body; `null` when it has none.
pub struct Answer {
    pub status: u16,
    pub body: Value,
}

impl Answer {
    pub async fn of(response: Response) -> Self {
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        Self { status, body: serde_json::from_str(&text).unwrap_or(Value::Null) }
    }

    pub fn text(&self, pointer: &str) -> &str {
        self.body
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("{pointer}: {}", self.body))
    }
}

impl Lab {
    /// `main` and `dev` with the table `hotels`, and a token that may do what a pipeline does.
    pub async fn start() -> Self {
        Self::start_on(database_server()).await
    }

    /// The same in a database server, or in memory.
    pub async fn start_on(database_server: Option<String>) -> Self {
        let options = Options { quiet: true, database_server, ..Options::default() };
        let server = Server::start(options).await.unwrap();
        let origin = format!("http://{}", server.address());
        let lab = Self { origin, http: client(), _server: server };
        let durations: Value = [
            "pending",
            "queued",
            "submitting",
            "in_progress",
            "in_progress_cutover",
            "in_progress_cancel",
            "complete_pending_revert",
            "in_progress_revert",
        ]
        .iter()
        .map(|state| ((*state).to_owned(), json!(PHASE)))
        .collect::<serde_json::Map<_, _>>()
        .into();
        lab.settings(json!({"durations": durations})).await;
        lab.control(Method::PUT, "tokens/deployer", json!({"token": "secret", "organization": "acme"})).await;
        lab.in_database(Method::PUT, "", json!({"schema": HOTELS, "branches": ["dev"]})).await;
        lab
    }

    pub async fn settings(&self, changes: Value) {
        self.control(Method::PATCH, "settings", changes).await;
    }

    /// Moves the clock by as many phases.
    pub async fn pass(&self, phases: u64) {
        for _ in 0..phases {
            self.control(Method::POST, "clock", json!({"advance_ms": PHASE})).await;
        }
    }

    /// A control call that has to succeed.
    pub async fn control(&self, method: Method, path: &str, body: Value) -> Value {
        let answer = self.try_control(method, path, body).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.body
    }

    pub async fn try_control(&self, method: Method, path: &str, body: Value) -> Answer {
        let url = format!("{}/_control/{path}", self.origin);
        Answer::of(self.http.request(method, url).json(&body).send().await.unwrap()).await
    }

    /// A control call below the database.
    pub async fn in_database(&self, method: Method, path: &str, body: Value) -> Value {
        let path = format!("organizations/acme/databases/shop{path}");
        self.control(method, &path, body).await
    }

    pub async fn sql(&self, branch: &str, sql: &str) {
        self.in_database(Method::POST, &format!("/branches/{branch}/sql"), json!({"sql": sql})).await;
    }

    /// The CREATE TABLE statements of a branch, by table.
    pub async fn schema(&self, branch: &str) -> Value {
        self.in_database(Method::GET, &format!("/branches/{branch}/schema"), json!({})).await
    }

    pub async fn act(&self, number: u64, action: &str) -> Value {
        self.in_database(Method::POST, &format!("/deploy-requests/{number}/act"), json!({"action": action}))
            .await
    }

    /// The schema changes of a branch that deploy requests made, as causes and numbers.
    pub async fn schema_changes(&self, branch: &str) -> Vec<(String, u64)> {
        let effects = self.control(Method::GET, "effects", json!({})).await;
        let of_branch = |effect: &&Value| effect["kind"] == "schema_changed" && effect["branch"] == branch;
        let by_request =
            |effect: &Value| Some((effect["cause"].as_str()?.to_owned(), effect["deploy_request"].as_u64()?));
        effects.as_array().unwrap().iter().filter(of_branch).filter_map(by_request).collect()
    }

    /// A call of the API below the database, with a token.
    pub async fn call_as(&self, token: &str, method: Method, path: &str, body: Option<Value>) -> Answer {
        Answer::of(self.send(token, method, path, body).await.unwrap()).await
    }

    pub async fn send(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> reqwest::Result<Response> {
        let url = format!("{}/v1/organizations/acme/databases/shop{path}", self.origin);
        self.send_to(token, method, &url, body).await
    }

    pub async fn send_to(
        &self,
        token: &str,
        method: Method,
        url: &str,
        body: Option<Value>,
    ) -> reqwest::Result<Response> {
        let mut request = self.http.request(method, url).header("Authorization", token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        request.send().await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call_as(TOKEN, Method::GET, path, None).await
    }

    /// A POST without a body.
    pub async fn post(&self, path: &str) -> Answer {
        self.call_as(TOKEN, Method::POST, path, None).await
    }

    pub async fn request(&self, number: u64) -> Answer {
        self.get(&format!("/deploy-requests/{number}")).await
    }

    /// Both states of a request and whether it is open.
    pub async fn states(&self, number: u64) -> [String; 3] {
        let answer = self.request(number).await;
        ["/state", "/deployment_state", "/deployment/state"].map(|pointer| answer.text(pointer).to_owned())
    }

    pub async fn assert_states(&self, number: u64, state: &str, deployment_state: &str, deployment: &str) {
        assert_eq!(self.states(number).await, [state, deployment_state, deployment]);
    }

    /// An open request that was not validated yet.
    pub async fn create(&self, branch: &str, more: Value) -> u64 {
        let mut body = json!({"branch": branch, "into_branch": "main", "auto_cutover": true});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = self.call_as(TOKEN, Method::POST, "/deploy-requests", Some(body)).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.body["number"].as_u64().unwrap()
    }

    /// A validated request from `dev`, in which `sql` was run.
    pub async fn ready(&self, sql: &str) -> u64 {
        self.sql("dev", sql).await;
        let number = self.create("dev", json!({})).await;
        self.pass(1).await;
        number
    }

    /// A request that is in the queue.
    pub async fn deployed(&self, sql: &str) -> u64 {
        let number = self.ready(sql).await;
        let answer = self.post(&format!("/deploy-requests/{number}/deploy")).await;
        assert_eq!((answer.status, answer.text("/deployment_state")), (200, "queued"));
        number
    }

    /// A request whose change is applied and can be reverted.
    pub async fn applied(&self, sql: &str) -> u64 {
        let number = self.deployed(sql).await;
        self.pass(4).await;
        self.assert_states(number, "open", "complete_pending_revert", "complete_pending_revert").await;
        number
    }

    /// Adds a branch made from `main`, in which `sql` was run.
    pub async fn branch(&self, name: &str, sql: &str) {
        self.in_database(Method::PUT, &format!("/branches/{name}"), json!({})).await;
        self.sql(name, sql).await;
    }
}

fn client() -> Client {
    static PROVIDER: OnceLock<()> = OnceLock::new();
    PROVIDER.get_or_init(|| {
        // Another test may have been faster.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    Client::new()
}

/// The default settings, to compare with.
pub fn default_settings() -> Value {
    serde_json::to_value(Settings::default()).unwrap()
}
