//! The PlanetScale emulator, the few answers of AWS that a handler asks for, and a hand in between.

use std::pin::Pin;
use std::sync::{Arc, Mutex};

use aws_sdk_ecr::config::Credentials;
use aws_types::region::Region;
use aws_types::sdk_config::SharedCredentialsProvider;
use planetscale_emulator::{Options, Server};
use serde::Serialize;
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::fence::Fence;
use shared::http::{Call, Client, Method, Request, Response, StatusCode, Url};
use shared::planetscale::{Connection, PlanetScale, Writer};
use shared::records::Records;
use shared::{Error, aws, http, lambda};

/// Milliseconds of each deployment state: long enough that none ends before the clock is moved.
pub const PHASE: u64 = 60_000;
/// The digest of the release's image.
pub const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
/// The digest of a newer one.
pub const NEWER: &str = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
/// The release's execution, and when it started.
const ARN: &str = "arn:aws:states:us-east-1:123456789012:execution:shop-api-prod-release:prod-1";
const STARTED: &str = "2026-11-23T03:46:53.000Z";

/// Changes of the head branch.
pub const ADD: &str = "ALTER TABLE hotels ADD stars INT";
pub const DROP: &str = "ALTER TABLE hotels DROP COLUMN name";

const HOTELS: &str = "CREATE TABLE hotels (id INT PRIMARY KEY, name VARCHAR(50))";

type Deed = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

pub struct World {
    /// Keeps the emulator running.
    _server: Server,
    control: Control,
    planetscale: PlanetScale,
    aws: aws_types::SdkConfig,
    hand: Arc<Mutex<Hand>>,
}

/// What the test saw of the handlers' calls, and what it does in between.
#[derive(Default)]
struct Hand {
    /// Calls of PlanetScale that change something, as `POST deploy`.
    changes: Vec<String>,
    /// Calls of AWS, by their actions.
    asked: Vec<String>,
    /// What happens just before a call of PlanetScale gets there.
    deed: Option<(String, Deed)>,
    /// What the moving tag points at; none answers that ECR is throttled.
    tag: Option<String>,
}

/// The emulator's control API.
#[derive(Clone)]
pub struct Control {
    origin: String,
}

impl Control {
    pub async fn call(&self, method: Method, path: &str, body: Value) -> Value {
        let mut request =
            Request::new(method, Url::parse(&format!("{}/_control/{path}", self.origin)).unwrap());
        *request.body_mut() = Some(body.to_string().into());
        let answer = http::client().call(request).await.unwrap();
        assert!(answer.status.is_success(), "{path}: {}", String::from_utf8_lossy(&answer.body));
        serde_json::from_slice(&answer.body).unwrap()
    }

    async fn in_database(&self, method: Method, path: &str, body: Value) -> Value {
        self.call(method, &format!("organizations/acme/databases/shop{path}"), body).await
    }

    pub async fn settings(&self, changes: Value) {
        self.call(Method::PATCH, "settings", changes).await;
    }

    pub async fn database(&self, changes: Value) {
        self.in_database(Method::PUT, "", changes).await;
    }

    pub async fn token(&self, permissions: Value) {
        let token =
            json!({"token": "only-for-the-emulator", "organization": "acme", "permissions": permissions});
        self.call(Method::PUT, "tokens/deployer", token).await;
    }

    pub async fn fault(&self, fault: Value) {
        self.call(Method::POST, "faults", fault).await;
    }

    /// Moves the emulator's clock by as many phases.
    pub async fn pass(&self, phases: u64) {
        for _ in 0..phases {
            self.call(Method::POST, "clock", json!({"advance_ms": PHASE})).await;
        }
    }

    /// Somebody changes the head branch.
    pub async fn sql(&self, sql: &str) {
        self.sql_of("dev", sql).await;
    }

    /// Somebody changes a branch.
    pub async fn sql_of(&self, branch: &str, sql: &str) {
        self.in_database(Method::POST, &format!("/branches/{branch}/sql"), json!({"sql": sql})).await;
    }

    /// The CREATE TABLE statement of the table in production.
    pub async fn production(&self) -> String {
        let tables = self.in_database(Method::GET, "/branches/main/schema", json!({})).await;
        tables["hotels"].as_str().unwrap().to_owned()
    }

    /// A person opens a deploy request.
    pub async fn open(&self, more: Value) -> u64 {
        let mut body = json!({"branch": "dev", "into_branch": "main"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let made = self.in_database(Method::POST, "/deploy-requests", body).await;
        made["number"].as_u64().unwrap()
    }

    /// A person does something with a deploy request.
    pub async fn act(&self, number: u64, action: &str) {
        let path = format!("/deploy-requests/{number}/act");
        self.in_database(Method::POST, &path, json!({"action": action, "person": "ada"})).await;
    }

    pub async fn request(&self, number: u64) -> Value {
        self.in_database(Method::GET, &format!("/deploy-requests/{number}"), json!({})).await
    }

    pub async fn state(&self, number: u64) -> String {
        self.request(number).await["deployment_state"].as_str().unwrap().to_owned()
    }
}

impl World {
    /// `main` and `dev` with the table `hotels`.
    pub async fn start() -> Self {
        let server = Server::start(Options { quiet: true, ..Options::default() }).await.unwrap();
        let control = Control { origin: format!("http://{}", server.address()) };
        let states = [
            "pending",
            "queued",
            "submitting",
            "in_progress",
            "in_progress_cutover",
            "in_progress_cancel",
            "in_progress_revert",
        ];
        let mut durations: serde_json::Map<_, _> =
            states.into_iter().map(|state| (state.to_owned(), json!(PHASE))).collect();
        durations.insert("complete_pending_revert".into(), json!(30 * PHASE));
        control.settings(json!({"durations": durations})).await;
        control.token(json!(["read_deploy_request", "create_deploy_request"])).await;
        control.database(json!({"schema": HOTELS, "branches": ["dev"]})).await;

        let hand = Arc::new(Mutex::new(Hand { tag: Some(DIGEST.into()), ..Hand::default() }));
        let base_url = format!("{}/v1", control.origin);
        let planetscale = PlanetScale::new(through(hand.clone()), Some(base_url));
        let credentials = Credentials::new("test", "test", None, None, "test");
        let aws = aws::over(answers(hand.clone()))
            .region(Region::new("us-east-1"))
            .endpoint_url("http://aws.invalid")
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .build();
        Self { _server: server, control, planetscale, aws, hand }
    }

    pub fn control(&self) -> &Control {
        &self.control
    }

    pub fn connection(&self) -> Connection {
        let secrets = aws_sdk_secretsmanager::Client::new(&self.aws);
        Connection::new(self.planetscale.clone(), secrets, "arn:of:the:planetscale-token".into())
    }

    /// What a function has that changes something. The release of these tests holds the lock.
    fn writer(&self) -> Writer {
        let records = Records::new(aws_sdk_dynamodb::Client::new(&self.aws), "releases".into());
        let clock = Clock::new(|| STARTED.parse().unwrap());
        Writer { connection: self.connection(), fence: Fence::new(records, clock) }
    }

    pub fn ecr(&self) -> aws_sdk_ecr::Client {
        aws_sdk_ecr::Client::new(&self.aws)
    }

    /// The moving tag points at `digest` from now on; none: ECR is throttled.
    pub fn tag(&self, digest: Option<&str>) {
        self.hand.lock().unwrap().tag = digest.map(str::to_owned);
    }

    /// Just before the next `call`, such as `POST deploy`, gets to PlanetScale, somebody does `deed`.
    pub fn before<F: Future<Output = ()> + Send + 'static>(
        &self,
        call: &str,
        deed: impl FnOnce(Control) -> F + Send + 'static,
    ) {
        let control = self.control.clone();
        let deed: Deed = Box::new(move || Box::pin(deed(control)));
        self.hand.lock().unwrap().deed = Some((call.to_owned(), deed));
    }

    /// The calls of PlanetScale that change something, since the last time; and the deed is done.
    pub fn changes(&self) -> Vec<String> {
        let mut hand = self.hand.lock().unwrap();
        assert!(hand.deed.is_none(), "the call before which something was to happen was not made");
        std::mem::take(&mut hand.changes)
    }

    /// The calls of AWS since the last time.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.hand.lock().unwrap().asked)
    }

    /// A validated request of `sql`.
    pub async fn ready(&self, sql: &str) -> u64 {
        self.control.sql(sql).await;
        let number = self.control.open(json!({"auto_cutover": true})).await;
        self.control.pass(1).await;
        number
    }

    /// A request of which the change is applied and can be reverted.
    pub async fn applied(&self, sql: &str) -> u64 {
        let number = self.ready(sql).await;
        self.control.act(number, "deploy").await;
        self.control.pass(4).await;
        assert_eq!(self.control.state(number).await, "complete_pending_revert");
        number
    }

    pub async fn create(&self) -> Result<Value, Error> {
        let input = lambda::parse(input("refuse", json!({})))?;
        told(create_deploy_request::handler::handle(&self.writer(), input).await)
    }

    pub async fn get(&self, policy: &str, more: Value) -> Result<Value, Error> {
        let context = get_deploy_request::handler::Context::new(self.connection(), self.ecr());
        let input = lambda::parse(input(policy, more))?;
        told(get_deploy_request::handler::handle(&context, input).await)
    }

    pub async fn deploy(&self, policy: &str, more: Value) -> Result<Value, Error> {
        let input = lambda::parse(input(policy, more))?;
        told(deploy_deploy_request::handler::handle(&self.writer(), input).await)
    }

    pub async fn close(&self, number: u64) -> Result<Value, Error> {
        let input = lambda::parse(input("refuse", json!({"number": number})))?;
        told(close_deploy_request::handler::handle(&self.writer(), input).await)
    }

    pub async fn revert(&self, number: u64) -> Result<Value, Error> {
        let input = lambda::parse(input("refuse", json!({"number": number})))?;
        told(revert_deploy_request::handler::handle(&self.writer(), input).await)
    }

    pub async fn skip_revert(&self, number: u64) -> Result<Value, Error> {
        let input = lambda::parse(input("refuse", json!({"number": number})))?;
        told(skip_revert::handler::handle(&self.writer(), input).await)
    }
}

/// What the state machine would read.
fn told(answer: Result<impl Serialize, Error>) -> Result<Value, Error> {
    answer.map(|output| serde_json::to_value(output).unwrap())
}

fn input(policy: &str, more: Value) -> Value {
    let execution = json!({"arn": ARN, "name": "prod-1", "startedAt": STARTED});
    let mut input = json!({"release": release(policy), "execution": execution, "redrives": 0, "goal": "Validation",
        "serves": false, "waited": 0});
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    input
}

fn release(policy: &str) -> Value {
    json!({
        "application": "shop-api", "environment": "prod", "cause": "push", "pushedAt": "2026-11-23T03:46:53Z",
        "image": {"repository": "shop-api", "uri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/shop-api",
            "movingTag": "prod", "digest": DIGEST, "commit": "3f2a9c1d"},
        "service": "shop-api-prod",
        "database": {"organization": "acme", "name": "shop", "headBranch": "dev", "baseBranch": "main"},
        "policy": {"destructiveChanges": policy, "onContainerFailure": "revert-schema"},
        "deadlines": {"turn": 86_400, "validation": 1_800, "approval": 259_200, "schema": 1_209_600, "revert": 3_600,
            "containers": 2_700},
        "lastCall": 70,
    })
}

/// Carries calls to the emulator.
fn through(hand: Arc<Mutex<Hand>>) -> Client {
    Client::new(move |request: Request| -> Call {
        let hand = hand.clone();
        Box::pin(async move {
            let last = request.url().path().rsplit('/').next().unwrap_or_default();
            let call = format!("{} {last}", request.method());
            let deed = {
                let mut hand = hand.lock().unwrap();
                if request.method() != Method::GET {
                    hand.changes.push(call.clone());
                }
                hand.deed.take_if(|(before, _)| *before == call)
            };
            if let Some((_, deed)) = deed {
                deed().await;
            }
            http::client().call(request).await
        })
    })
}

/// Answers for AWS.
fn answers(hand: Arc<Mutex<Hand>>) -> Client {
    Client::new(move |request: Request| -> Call {
        let target = request.headers()["x-amz-target"].to_str().unwrap().to_owned();
        let action = target.rsplit('.').next().unwrap_or_default().to_owned();
        let mut hand = hand.lock().unwrap();
        hand.asked.push(action.clone());
        let (status, body) = match (action.as_str(), &hand.tag) {
            ("GetSecretValue", _) => {
                let token = json!({"id": "deployer", "token": "only-for-the-emulator"});
                (StatusCode::OK, json!({"SecretString": token.to_string()}))
            }
            ("GetItem", _) => {
                let lock = json!({"kind": {"S": "lock"}, "id": {"S": "lock"}, "holder": {"S": ARN},
                    "redrives": {"N": "0"}, "digest": {"S": DIGEST}, "takenAt": {"S": STARTED},
                    "usableFrom": {"S": STARTED}});
                (StatusCode::OK, json!({"Item": lock}))
            }
            ("DescribeImages", Some(digest)) => {
                (StatusCode::OK, json!({"imageDetails": [{"imageDigest": digest, "imageTags": ["prod"]}]}))
            }
            ("DescribeImages", None) => (
                StatusCode::BAD_REQUEST,
                json!({"__type": "ThrottlingException", "message": "Rate exceeded"}),
            ),
            _ => panic!("{action} is not expected"),
        };
        let response = Response { status, headers: Default::default(), body: body.to_string().into_bytes() };
        Box::pin(async move { Ok(response) })
    })
}
