//! A world: the cloud, the network to it, and what goes wrong on the way.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use axum::Router;
use axum::body::Body;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use shared::http::{Call, Lost, Request, Response};
use tokio::sync::{Notify, oneshot};
use tower_service::Service as _;

use crate::asl::{Definition, End, Failure, Position, Surroundings};
use crate::choices::{Choices, Decider};
use crate::defects::Defect;
use crate::functions::Functions;
use crate::jsonata::Variables;
use crate::services::dynamodb::Table;
use crate::services::ecr::Repository;
use crate::services::sfn::Executions;
use crate::services::{answer, error, xml};
use crate::stack::{self, Stack};
use crate::time::{self, sleep};

/// How often a call or an invocation goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// Never.
    Calm,
    /// Every now and then.
    Usual,
    /// Most releases meet several faults.
    Rough,
}

impl Weather {
    /// The weight of what is usual beside faults that weigh 1 each.
    fn calm_weight(self) -> u32 {
        match self {
            Self::Calm | Self::Usual => 700,
            Self::Rough => 80,
        }
    }
}

/// Everything there is.
pub struct World {
    me: Weak<World>,
    pub stack: Stack,
    pub weather: Weather,
    pub defect: Option<Defect>,
    choices: Mutex<Choices>,
    cloud: Mutex<Cloud>,
    planetscale: Router,
    lightsail: Router,
    functions: Mutex<Arc<Functions>>,
    pub definition: Arc<Definition>,
}

/// The part of the world that is neither emulator.
#[derive(Debug, Default)]
pub struct Cloud {
    pub table: Table,
    pub repository: Repository,
    pub executions: Executions,
    pub messages: Vec<Message>,
    pub mutations: Vec<Mutation>,
    /// What the executions did, where it is noted.
    pub steps: Option<Vec<Step>>,
    /// The states that were entered.
    pub entered: BTreeSet<String>,
    /// The story, line by line.
    pub story: Vec<(u64, String)>,
    pub outages: Vec<Outage>,
    /// From when on nothing goes wrong any more.
    pub calm_from: Option<u64>,
    /// What people did with executions.
    pub stopped: Vec<(u64, String)>,
    /// When a person pushed a digest or asked for a release by hand.
    pub asked: Vec<(u64, String)>,
    /// When the hold was set or cleared.
    pub holds: Vec<Held>,
    /// What is wrong, as soon as it happens.
    pub wrong: Vec<String>,
    invocations: u64,
    /// What becomes of the images that are asked at the public URL, by digest.
    pub answers: BTreeMap<String, Answers>,
    public: Public,
}

/// How an image answers at the service's public URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    Well,
    /// With a 500.
    Badly,
    /// With a 503 for so many milliseconds from when it is asked first, then well.
    Late(u64),
    /// With a 500 now and then: this one in a hundred tries.
    Flapping(u64),
}

/// What serves, as the public URL has it.
#[derive(Debug, Default)]
struct Public {
    /// When that was looked up.
    looked_at: u64,
    digest: Option<String>,
    /// When the first try reached what serves.
    since: u64,
}

/// The hold was set, or cleared.
#[derive(Debug, Clone, Copy)]
pub struct Held {
    pub at: u64,
    pub clears: bool,
    pub by_a_person: bool,
}

/// What an execution did: it entered a state, or a state had an answer.
#[derive(Debug, Clone)]
pub struct Step {
    pub at: u64,
    pub execution: String,
    pub state: String,
    /// None when the state was entered.
    pub answer: Option<Result<Value, Failure>>,
}

/// A notification.
#[derive(Debug, Clone)]
pub struct Message {
    pub at: u64,
    pub text: String,
}

/// A time in which a service does not answer.
#[derive(Debug, Clone)]
pub struct Outage {
    pub service: &'static str,
    pub from: u64,
    pub until: u64,
}

/// A change that a function made.
#[derive(Debug, Clone)]
pub struct Mutation {
    pub at: u64,
    /// The ARN of the execution.
    pub execution: String,
    pub invocation: u64,
    pub kind: Kind,
    /// Whether it was created when its caller had given up: nothing can keep that from happening, as neither service
    /// has a token by which it knows a call again.
    pub came_late: bool,
    /// Who held the lock.
    pub holder: Option<String>,
}

/// What was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// The lock was taken for this execution.
    Lock(String),
    /// A deploy request was created.
    Created(u64),
    /// A deploy request was put into the queue, with these statements, of which some may drop data.
    Deployed { number: u64, drops: bool, statements: Vec<String> },
    /// Anything else was done with a deploy request.
    Request { number: u64, action: String },
    /// A deployment was created for the release with this marker.
    Containers { marker: String },
}

/// Who calls.
#[derive(Clone)]
struct Caller {
    world: Arc<World>,
    label: String,
    execution: String,
    invocation: u64,
    /// The call at which the process ends.
    dies_at: Option<u32>,
    /// Whether the call arrives when its caller has given up.
    late: bool,
    calls: Arc<AtomicU32>,
    dead: Arc<Notify>,
}

thread_local! {
    /// Whether the story of this thread has a line for every call.
    pub static CALLS: Cell<bool> = const { Cell::new(false) };
}

tokio::task_local! {
    static CALLER: Caller;
}

/// A call, as the network sees it.
struct Asked {
    service: &'static str,
    operation: String,
    request: Request,
}

impl Cloud {
    /// `CodeBuild`: a build has pushed each image (API reference, "`ListBuildsForProject`" and "`BatchGetBuilds`").
    fn builds(&self, operation: &str, input: &Value) -> Response {
        let id = |tag: &str| format!("{}:{tag}", stack::BUILD_PROJECT);
        let built: Vec<(&String, &String)> =
            self.repository.tags.iter().rev().filter(|(tag, _)| *tag != stack::MOVING_TAG).collect();
        if operation == "ListBuildsForProject" {
            let ids: Vec<_> = built.iter().map(|(tag, _)| id(tag)).collect();
            return answer(200, &json!({"ids": ids}));
        }
        let wanted: Vec<_> = input["ids"].as_array().into_iter().flatten().collect();
        let builds: Vec<_> = built
            .iter()
            .filter(|(tag, _)| wanted.iter().any(|wanted| **wanted == id(tag)))
            .map(|(tag, digest)| {
                json!({"id": id(tag), "buildNumber": 1, "startTime": 1_767_603_600.0, "endTime": 1_767_603_660.0,
                    "exportedEnvironmentVariables": [{"name": "IMAGE_DIGEST", "value": digest},
                        {"name": "SUBJECT", "value": format!("Change {tag}\u{202e}")}]})
            })
            .collect();
        answer(200, &json!({"builds": builds}))
    }
}

impl World {
    /// A world without an image.
    ///
    /// # Panics
    /// When the emulators cannot start.
    pub async fn new(
        stack: Stack,
        weather: Weather,
        decider: Decider,
        defect: Option<Defect>,
        definition: Arc<Definition>,
    ) -> Arc<Self> {
        // The first ones of a thread make its clients, which takes of the numbers that a seed gives.
        let functions = Arc::new(Functions::new(&stack));
        fastrand::seed(1);
        lightsail_emulator::clock::set_for_this_thread(lightsail_emulator::clock::Time {
            now: time::now,
            sleep: |milliseconds| Box::pin(sleep(milliseconds)),
        });
        let cell: Arc<OnceLock<Weak<World>>> = Arc::default();
        let registry = cell.clone();
        let options = lightsail_emulator::Options {
            ecr_endpoint: Some(http::Uri::from_static("http://ecr")),
            ecr_credentials: Some(aws_credential_types::Credentials::new(
                "AKID",
                "none",
                None,
                None,
                "simulation",
            )),
            quiet: true,
            ..lightsail_emulator::Options::default()
        };
        let ecr: lightsail_emulator::Answers = Arc::new(move |request| {
            let world = registry.get().and_then(Weak::upgrade);
            Box::pin(async move { world.ok_or("the world is over")?.pull(request).await })
        });
        let lightsail =
            lightsail_emulator::in_process(&options, ecr).await.expect("an emulator without processes");
        let planetscale = planetscale_emulator::in_process(planetscale_emulator::Settings::default(), || {
            i64::try_from(time::now()).unwrap_or(i64::MAX)
        });
        let world = Arc::new_cyclic(|me| Self {
            me: me.clone(),
            stack,
            weather,
            defect,
            choices: Mutex::new(Choices::new(decider)),
            cloud: Mutex::default(),
            planetscale,
            lightsail,
            functions: Mutex::new(functions),
            definition,
        });
        cell.set(world.me.clone()).expect("it is set once");
        world.set_up().await;
        world
    }

    async fn set_up(&self) {
        let database = "organizations/acme/databases/shop";
        let schema = "CREATE TABLE bookings (id INT PRIMARY KEY, guest VARCHAR(99), old1 INT, old2 INT, old3 INT, old4 INT)";
        self.planetscale("PUT", database, json!({"schema": schema, "branches": ["dev"]})).await;
        self.planetscale("PUT", "tokens/pipeline", json!({"token": stack::TOKEN, "organization": "acme"}))
            .await;
        // How long each takes is not documented.
        let [creating, checking, activating, failing] = self.stack.pace.milliseconds();
        let settings = json!({"creatingDeploymentMs": creating, "evaluatingHealthCheckMs": checking,
            "activatingDeploymentMs": activating, "failureMs": failing, "serviceCreationMs": 1, "updateMs": 30_000,
            "pullerActivationMs": 1});
        self.lightsail("POST", "settings", settings).await;
        let service = json!({"serviceName": stack::SERVICE, "power": "nano", "scale": 1,
            "privateRegistryAccess": {"ecrImagePullerRole": {"isActive": true}}});
        self.lightsail("POST", "act/CreateContainerService", service).await;
        sleep(1_000).await;
    }

    fn functions(&self) -> Arc<Functions> {
        self.functions.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The stack is updated: calls from now on meet functions with other parameters.
    pub fn update(&self, stack: &Stack) {
        *self.functions.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(Functions::new(stack));
    }

    pub fn cloud(&self) -> MutexGuard<'_, Cloud> {
        self.cloud.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn choices(&self) -> MutexGuard<'_, Choices> {
        self.choices.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A line of the story.
    pub fn tell(&self, line: impl Into<String>) {
        self.cloud().story.push((time::now(), line.into()));
    }

    /// One of the ways at a place that can be disturbed; the first in fine weather.
    fn way(&self, place: &str, faults: &[u32]) -> usize {
        let calm =
            self.weather == Weather::Calm || self.cloud().calm_from.is_some_and(|from| time::now() >= from);
        if calm {
            return 0;
        }
        let weights: Vec<u32> =
            std::iter::once(self.weather.calm_weight()).chain(faults.iter().copied()).collect();
        self.choices().choose(place, &weights)
    }

    fn number(&self, place: &str, low: u64, high: u64) -> u64 {
        self.choices().number(place, low, high)
    }

    // ---- the network ----

    /// The transport of all clients: the world of the function that calls carries its call.
    pub fn carry_for_caller(request: Request) -> Call {
        let caller = CALLER.try_with(Clone::clone);
        Box::pin(async move {
            match caller {
                Ok(caller) => caller.world.clone().carry(caller, request).await,
                Err(_) => Err(lost(false)),
            }
        })
    }

    /// Carries a function's call to its service, and the answer back.
    async fn carry(self: Arc<Self>, caller: Caller, request: Request) -> Result<Response, Lost> {
        let asked = Asked::of(request);
        if asked.service == "public" {
            return self.answer_publicly(&caller).await;
        }
        let place = format!("{} {}.{}", caller.label, asked.service, asked.operation);
        let nth = caller.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let there = self.number(&format!("{place} there"), 3, 60);
        let back = self.number(&format!("{place} back"), 3, 60);
        let down = self.is_down(asked.service);
        let way = if down { 1 } else { self.way(&format!("{place} call"), &[2, 2, 1, 2, 2, 1, 2]) };
        let throttled = throttled(asked.service);
        let failed = failed(asked.service);
        if caller.dies_at == Some(nth) {
            let worked = self.number(&format!("{place} at its death"), 0, 1) == 1;
            self.tell(format!(
                "{}: dies {} {}.{}",
                caller.label,
                if worked { "after" } else { "before" },
                asked.service,
                asked.operation
            ));
            if worked {
                self.serve_later(asked, caller.clone(), there).await.ok();
            }
            caller.dead.notify_one();
            return std::future::pending().await;
        }
        let note = |what: &str| {
            if !down {
                self.tell(format!("{place}: {what}"));
            }
        };
        match way {
            0 => {}
            1 => note("the connection is refused"),
            2 => note("the work is done and the answer lost"),
            3 => note("the work is done after the caller has given up"),
            4 => note("throttled"),
            5 => note("a 5xx before the work"),
            6 => note("a 5xx after the work"),
            _ => note("late"),
        }
        match way {
            1 => {
                sleep(there).await;
                Err(lost(false))
            }
            2 => {
                self.serve_later(asked, caller, there).await.ok();
                Err(lost(false))
            }
            3 => {
                let late = self.number(&format!("{place} late"), 15_100, 40_000);
                drop(self.serve_later(asked, Caller { late: true, ..caller }, late));
                sleep(15_000).await;
                Err(lost(true))
            }
            4 => {
                sleep(there).await;
                Ok(throttled)
            }
            5 => {
                sleep(there).await;
                Ok(failed)
            }
            6 => {
                self.serve_later(asked, caller, there).await.ok();
                Ok(failed)
            }
            way => {
                let late = if way == 0 { 0 } else { self.number(&format!("{place} late"), 1_000, 14_000) };
                let response =
                    self.serve_later(asked, caller, there + late).await.map_err(|_| lost(false))?;
                sleep(back).await;
                Ok(response)
            }
        }
    }

    /// One try of a path at the service's public URL.
    async fn answer_publicly(&self, caller: &Caller) -> Result<Response, Lost> {
        let place = format!("{} public", caller.label);
        sleep(self.number(&place, 3, 60)).await;
        if self.way(&format!("{place} call"), &[1]) == 1 {
            self.tell(format!("{place}: the connection is refused"));
            return Err(lost(false));
        }
        let now = time::now();
        if self.cloud().public.looked_at + 500 < now {
            let digest = self.serving().await.and_then(|tag| self.cloud().repository.tags.get(&tag).cloned());
            let mut cloud = self.cloud();
            if cloud.public.digest != digest {
                cloud.public.since = now;
            }
            (cloud.public.looked_at, cloud.public.digest) = (now, digest);
        }
        let (answers, since) = {
            let cloud = self.cloud();
            let digest = cloud.public.digest.as_ref();
            (
                digest.map(|digest| cloud.answers.get(digest).copied().unwrap_or(Answers::Well)),
                cloud.public.since,
            )
        };
        let status = match answers {
            _ if self.defect == Some(Defect::ServesAnything) => 200,
            // Lightsail's endpoint answers so while no container does (seen live by third parties).
            None => 503,
            Some(Answers::Well) => 200,
            Some(Answers::Badly) => 500,
            Some(Answers::Late(late)) => {
                if since + late > now {
                    503
                } else {
                    200
                }
            }
            Some(Answers::Flapping(in_a_hundred)) => {
                if self.number(&format!("{place} flaps"), 1, 100) <= in_a_hundred { 500 } else { 200 }
            }
        };
        Ok(answer(status, &Value::Null))
    }

    /// The tag of the image that serves.
    pub async fn serving(&self) -> Option<String> {
        let asked = json!({"serviceName": stack::SERVICE});
        let services = self.lightsail("POST", "act/GetContainerServices", asked).await;
        let image =
            &services["containerServices"][0]["currentDeployment"]["containers"][stack::CONTAINER]["image"];
        image.as_str()?.rsplit(':').next().map(str::to_owned)
    }

    fn is_down(&self, service: &str) -> bool {
        let now = time::now();
        let cloud = self.cloud();
        cloud
            .outages
            .iter()
            .any(|outage| outage.service == service && (outage.from..outage.until).contains(&now))
    }

    /// The service does its work, whether or not anybody still waits for the answer.
    fn serve_later(
        self: &Arc<Self>,
        asked: Asked,
        caller: Caller,
        after: u64,
    ) -> oneshot::Receiver<Response> {
        let (answer, answered) = oneshot::channel();
        let world = self.clone();
        tokio::spawn(async move {
            sleep(after).await;
            let response = world.serve(asked, &caller).await;
            let _ = answer.send(response);
        });
        answered
    }

    async fn serve(self: &Arc<Self>, asked: Asked, caller: &Caller) -> Response {
        let Asked { service, operation, request } = &asked;
        if CALLS.get() {
            self.tell(format!("{} {service}.{operation} arrives", caller.label));
        }
        let body: Value = request
            .body()
            .and_then(|body| body.as_bytes())
            .map_or(Value::Null, |body| serde_json::from_slice(body).unwrap_or_default());
        match *service {
            "dynamodb" => {
                if self.defect == Some(Defect::ForgetsRecords) && body["Item"]["kind"]["S"] == "release" {
                    return answer(200, &json!({}));
                }
                let forgets = matches!(self.defect, Some(Defect::ForgetsTheLast | Defect::ForgetsWhoStopped));
                if forgets && matches!(body["Key"]["kind"]["S"].as_str(), Some("last" | "seen")) {
                    return answer(200, &json!({}));
                }
                if self.defect == Some(Defect::ForgetsTheHold) && body["Key"]["kind"]["S"] == "hold" {
                    return answer(200, &json!({}));
                }
                if operation == "PutItem" && body["Item"]["kind"]["S"] == "hold" {
                    let until = body["Item"]["until"]["S"].as_str().map(str::to_owned);
                    let by_a_person = caller.execution.is_empty();
                    self.tell(format!("{}: sets the hold until {until:?}", caller.label));
                    let hold = Held { at: time::now(), clears: until.is_some(), by_a_person };
                    self.cloud().holds.push(hold);
                }
                let mut response = self.cloud().table.call(operation, &body);
                if self.defect == Some(Defect::EverybodyHoldsTheLock) && body["Key"]["kind"]["S"] == "lock" {
                    let mut shown: Value = serde_json::from_slice(&response.body).unwrap_or_default();
                    if shown.get("Item").is_some() {
                        shown["Item"]["holder"]["S"] = caller.execution.clone().into();
                        response.body = shown.to_string().into_bytes();
                    }
                }
                if response.status.is_success()
                    && operation == "PutItem"
                    && body["Item"]["kind"]["S"] == "lock"
                {
                    let holder = body["Item"]["holder"]["S"].as_str().unwrap_or_default().to_owned();
                    self.tell(format!("{}: takes the lock", caller.label));
                    self.note(caller, Kind::Lock(holder));
                }
                response
            }
            "ecr" => self.cloud().repository.call(operation, &body),
            "secretsmanager" => {
                let secret = match body["SecretId"].as_str() {
                    Some(stack::PLANETSCALE_SECRET) => {
                        json!({"id": "pipeline", "token": stack::TOKEN}).to_string()
                    }
                    _ => stack::CONNECTION_STRING.to_owned(),
                };
                answer(200, &json!({"ARN": body["SecretId"], "Name": "secret", "SecretString": secret}))
            }
            "states" => self.step_functions(operation, &body, caller),
            "sns" => self.publish(request),
            "codebuild" => self.cloud().builds(operation, &body),
            "lightsail" => {
                let response = forward(&self.lightsail, request).await;
                self.after_lightsail(operation, &body, response, caller)
            }
            _ => self.serve_planetscale(request, operation, caller).await,
        }
    }

    fn note(&self, caller: &Caller, kind: Kind) {
        let mut cloud = self.cloud();
        let holder = cloud.table.text("lock", "holder");
        let (execution, invocation) = (caller.execution.clone(), caller.invocation);
        let came_late = caller.late && matches!(kind, Kind::Created(_) | Kind::Containers { .. });
        cloud.mutations.push(Mutation { at: time::now(), execution, invocation, kind, came_late, holder });
    }

    fn step_functions(self: &Arc<Self>, operation: &str, body: &Value, caller: &Caller) -> Response {
        let mut lag = 0;
        if operation != "StartExecution"
            && self.way(&format!("{} states.{operation} lag", caller.label), &[60]) == 1
        {
            lag = self.number("lag", 500, 5_000);
            self.tell(format!("{}: {operation} shows what was {lag} ms ago", caller.label));
        }
        let mut cloud = self.cloud();
        match operation {
            "StartExecution" if self.defect == Some(Defect::StartsNothing) => {
                answer(200, &json!({"executionArn": "arn", "startDate": 0}))
            }
            "StartExecution" => {
                let (response, started) = cloud.executions.start(body, &self.definition.start_at);
                drop(cloud);
                if let Some(arn) = started {
                    self.go_on(&arn, false);
                }
                response
            }
            "DescribeExecution" => {
                let mut response = cloud.executions.describe(body, lag);
                if self.defect == Some(Defect::ForgetsWhoStopped) {
                    response.body =
                        String::from_utf8_lossy(&response.body).replace("ABORTED", "FAILED").into_bytes();
                }
                response
            }
            "ListExecutions" => cloud.executions.list(body, lag),
            other => panic!("the simulation's Step Functions does not know {other}"),
        }
    }

    fn publish(&self, request: &Request) -> Response {
        let body = request.body().and_then(|body| body.as_bytes()).unwrap_or_default();
        let form = format!("http://sns/?{}", String::from_utf8_lossy(body));
        let url: shared::http::Url = form.parse().expect("a form");
        let field =
            |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        if self.defect != Some(Defect::TellsNobody) {
            let message = mailed(field("MessageStructure").as_deref(), field("Message").unwrap_or_default());
            let text = format!("{}\n{message}", field("Subject").unwrap_or_default());
            self.cloud().messages.push(Message { at: time::now(), text });
        }
        xml(
            200,
            "<PublishResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><PublishResult><MessageId>m</MessageId>\
             </PublishResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></PublishResponse>"
                .into(),
        )
    }

    fn after_lightsail(
        &self,
        operation: &str,
        body: &Value,
        mut response: Response,
        caller: &Caller,
    ) -> Response {
        if operation == "CreateContainerServiceDeployment" && response.status.is_success() {
            let environment = &body["containers"][stack::CONTAINER]["environment"];
            let text = |name: &str| environment[name].as_str().unwrap_or_default().to_owned();
            let marker = if caller.label.ends_with("restore-containers") {
                format!("the way back from {}", text(shared::undo::UNDO_MARKER))
            } else {
                text(shared::containers::RELEASE_MARKER)
            };
            self.tell(format!("{}: creates a deployment", caller.label));
            self.note(caller, Kind::Containers { marker });
        }
        if operation == "GetContainerServiceDeployments" && self.defect == Some(Defect::BlindToItsOwn) {
            let mut shown: Value = serde_json::from_slice(&response.body).unwrap_or_default();
            for deployment in shown["deployments"].as_array_mut().into_iter().flatten() {
                if let Some(container) = deployment["containers"][stack::CONTAINER].as_object_mut() {
                    container.remove("environment");
                }
            }
            response.body = shown.to_string().into_bytes();
        }
        response
    }

    async fn serve_planetscale(&self, request: &Request, operation: &str, caller: &Caller) -> Response {
        let number: Option<u64> =
            request.url().path_segments().and_then(|mut parts| parts.find_map(|part| part.parse().ok()));
        let mut deployed = Vec::new();
        let mut drops = false;
        if let Some(number) = number.filter(|_| operation.ends_with("deploy")) {
            let shown = self.request(number).await;
            for operation in shown["deployment"]["deploy_operations"].as_array().into_iter().flatten() {
                drops |= operation["can_drop_data"] == true;
                deployed.push(operation["ddl_statement"].as_str().unwrap_or_default().to_owned());
            }
        }
        let response = forward(&self.planetscale, request).await;
        if !response.status.is_success() || request.method() == "GET" {
            return response;
        }
        let shown: Value = serde_json::from_slice(&response.body).unwrap_or_default();
        let number = number.or(shown["number"].as_u64()).unwrap_or_default();
        let kind = match operation.rsplit(['/', ' ']).next().unwrap_or_default() {
            "deploy" => Kind::Deployed { number, drops, statements: deployed },
            "deploy-requests" => Kind::Created(number),
            "#" => Kind::Request { number, action: "close".into() },
            action => Kind::Request { number, action: action.into() },
        };
        self.tell(format!("{}: {}", caller.label, kind_text(&kind)));
        self.note(caller, kind);
        response
    }

    /// A deploy request, as PlanetScale's people see it.
    pub async fn request(&self, number: u64) -> Value {
        self.planetscale(
            "GET",
            &format!("organizations/acme/databases/shop/deploy-requests/{number}"),
            Value::Null,
        )
        .await
    }

    /// Directs the emulator of PlanetScale.
    pub async fn planetscale(&self, method: &str, path: &str, body: Value) -> Value {
        control(&self.planetscale, method, path, body).await
    }

    /// Directs the emulator of Lightsail.
    pub async fn lightsail(&self, method: &str, path: &str, body: Value) -> Value {
        control(&self.lightsail, method, path, body).await
    }

    /// What Lightsail asks of the image registry.
    async fn pull(
        &self,
        request: http::Request<http_body_util::Full<axum::body::Bytes>>,
    ) -> Result<lightsail_emulator::Answer, String> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
        let target = head.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
        let cloud = self.cloud();
        let mut headers = http::HeaderMap::new();
        if let Some(operation) = target.and_then(|target| target.rsplit('.').next()) {
            let input = serde_json::from_slice(&body).unwrap_or_default();
            let response = cloud.repository.call(operation, &input);
            return Ok(lightsail_emulator::Answer {
                status: response.status,
                headers,
                body: response.body.into(),
            });
        }
        match cloud.repository.pull(head.uri.path()) {
            Some((body, digest)) => {
                headers.insert("docker-content-digest", digest.parse().map_err(|_| "a digest is a header")?);
                Ok(lightsail_emulator::Answer { status: http::StatusCode::OK, headers, body: body.into() })
            }
            None => Ok(lightsail_emulator::Answer {
                status: http::StatusCode::NOT_FOUND,
                headers,
                body: body.slice(..0),
            }),
        }
    }

    // ---- executions ----

    /// Runs an execution, from its start or from where it stopped.
    fn go_on(self: &Arc<Self>, arn: &str, redriven: bool) {
        let world = self.clone();
        let run = Run { world: self.clone(), arn: arn.to_owned() };
        let position = {
            let cloud = self.cloud();
            let execution = &cloud.executions.all[arn];
            let (label, name) = (execution.label.clone(), execution.name.clone());
            let position = execution.position.clone();
            drop(cloud);
            self.tell(format!("{label}: {name} {}", if redriven { "is redriven" } else { "starts" }));
            position
        };
        let task = tokio::spawn(async move {
            let limit = world.definition.timeout_seconds.unwrap_or(31_536_000) * 1_000;
            let end = tokio::select! {
                biased;
                end = world.definition.run(&run, position, redriven) => Some(end),
                () = sleep(limit) => None,
            };
            world.ended(&run.arn, end);
        });
        if let Some(execution) = self.cloud().executions.all.get_mut(arn) {
            execution.task = Some(task.abort_handle());
        }
    }

    /// How an execution ended; none when its own time was over.
    fn ended(&self, arn: &str, end: Option<End>) {
        let mut cloud = self.cloud();
        let execution = cloud.executions.all.get_mut(arn).expect("it runs");
        match end {
            Some(end) => execution.end(end),
            None => execution.set_status("TIMED_OUT"),
        }
        let line = format!("{}: ends {} in {}", execution.label, execution.status(), execution.end_state());
        cloud.story.push((time::now(), line));
    }

    /// A person stops an execution that runs. Its function works on.
    pub fn stop(&self, arn: &str) {
        let mut cloud = self.cloud();
        let Some(execution) = cloud.executions.all.get_mut(arn).filter(|found| found.is_running()) else {
            return;
        };
        execution.set_status("ABORTED");
        if let Some(task) = execution.task.take() {
            task.abort();
        }
        let line = format!("a person stops {} in {}", execution.label, execution.position.state);
        let digest = execution.digest().to_owned();
        // The lock tells that a person stopped its holder; of one that waits for its turn nothing does.
        if cloud.table.text("lock", "holder").as_deref() == Some(arn) {
            cloud.stopped.push((time::now(), digest));
        }
        cloud.story.push((time::now(), line));
    }

    /// A person redrives an execution that did not succeed.
    pub fn redrive(self: &Arc<Self>, arn: &str) {
        {
            let mut cloud = self.cloud();
            let Some(execution) = cloud.executions.all.get_mut(arn) else { return };
            if matches!(execution.status(), "RUNNING" | "SUCCEEDED")
                || execution.events + 2 >= crate::asl::MOST_EVENTS
            {
                return;
            }
            execution.redrives += 1;
            execution.redriven_at = Some(time::now());
            execution.context.clear();
            execution.events += 1;
            execution.failure = None;
            execution.set_status("RUNNING");
            let digest = execution.digest().to_owned();
            cloud.asked.push((time::now(), digest));
        }
        self.go_on(arn, true);
    }

    /// Invokes a function, for an execution or for an event; it works on when nobody waits for it any more.
    ///
    /// # Errors
    /// As Lambda hands them to Step Functions.
    pub async fn invoke(
        self: &Arc<Self>,
        label: &str,
        execution: &str,
        function: &str,
        payload: Value,
    ) -> Result<Value, Failure> {
        let label = format!("{label} {function}");
        let invocation = {
            let mut cloud = self.cloud();
            cloud.invocations += 1;
            cloud.invocations
        };
        let fault = self.way(&format!("{label} invocation"), &[2, 1, 3, 4, 1]);
        let failure = |error: &str| Failure { error: error.into(), cause: String::new() };
        let mut dies_at = None;
        match fault {
            0 => {}
            1 => {
                self.tell(format!("{label}: Lambda fails"));
                return Err(failure("Lambda.ServiceException"));
            }
            2 => {
                self.tell(format!("{label}: Lambda is throttled"));
                return Err(failure("Lambda.TooManyRequestsException"));
            }
            3 => self.tell(format!("{label}: Step Functions loses the connection, the function works on")),
            4 | 5 => {
                dies_at = u32::try_from(self.number(&format!("{label} dies at"), 1, 5)).ok();
            }
            _ => {}
        }
        let caller = Caller {
            world: self.clone(),
            label: label.clone(),
            execution: execution.to_owned(),
            invocation,
            dies_at,
            late: false,
            calls: Arc::default(),
            dead: Arc::new(Notify::new()),
        };
        let (answer, answered) = oneshot::channel();
        let world = self.clone();
        let (function, dead) = (function.to_owned(), caller.dead.clone());
        tokio::spawn(async move {
            let functions = world.functions();
            let payload = world.handed(&function, payload);
            let work = CALLER.scope(caller, functions.invoke(&function, payload));
            let result = tokio::select! {
                biased;
                () = dead.notified() => {
                    // A process that hangs is ended when its time is over.
                    if fault == 5 {
                        sleep(60_000).await;
                    }
                    Err(failure(if fault == 5 { "Sandbox.Timedout" } else { "Runtime.ExitError" }))
                }
                result = work => result,
                () = sleep(60_000) => Err(failure("Sandbox.Timedout")),
            };
            let _ = answer.send(result);
        });
        if fault == 3 {
            sleep(self.number(&format!("{label} loses"), 1, 3_000)).await;
            return Err(failure("Lambda.SdkClientException"));
        }
        answered.await.unwrap_or_else(|_| Err(failure("Lambda.Unknown")))
    }

    /// A payload on its way; deliberate defects change it.
    fn handed(&self, function: &str, mut payload: Value) -> Value {
        match self.defect {
            Some(Defect::JudgesLeniently) if function.ends_with("deploy-request") => {
                payload["release"]["policy"]["destructiveChanges"] = "allow".into();
            }
            Some(Defect::QuotesSecrets) if function == "finish-release" => {
                payload["because"] = stack::CONNECTION_STRING.into();
                payload["outcome"] = "ReleaseError".into();
            }
            Some(Defect::ReportsSuperseded) if function == "finish-release" => {
                payload["outcome"] = "Superseded".into();
            }
            _ => {}
        }
        payload
    }
}

/// An execution and its world.
struct Run {
    world: Arc<World>,
    arn: String,
}

impl Run {
    fn note(&self, state: &str, answer: Option<&Result<Value, Failure>>) {
        let mut cloud = self.world.cloud();
        if !cloud.entered.contains(state) {
            cloud.entered.insert(state.to_owned());
        }
        if let Some(steps) = &mut cloud.steps {
            let (execution, state) = (self.arn.clone(), state.to_owned());
            steps.push(Step { at: time::now(), execution, state, answer: answer.cloned() });
        }
    }
}

impl Surroundings for Run {
    fn record(&self, events: u64, values: &[&Value]) -> bool {
        self.world.cloud().executions.all.get_mut(&self.arn).is_some_and(|found| found.record(events, values))
    }

    fn enter(&self, position: &Position) {
        if let Some(execution) = self.world.cloud().executions.all.get_mut(&self.arn) {
            execution.position = position.clone();
            execution.path.push(position.state.clone());
        }
        self.note(&position.state, None);
    }

    fn context(&self) -> Variables {
        let mut cloud = self.world.cloud();
        let found = cloud.executions.all.get_mut(&self.arn).expect("it runs");
        if found.context.is_empty() {
            let mut execution = json!({"Id": found.arn, "Name": found.name, "Input": found.input,
                "RoleArn": "arn:aws:iam::000000000000:role/release", "RedriveCount": found.redrives,
                "StartTime": rfc3339(found.started_at)});
            if let Some(at) = found.redriven_at {
                execution["RedriveTime"] = rfc3339(at).into();
            }
            let machine = json!({"Id": crate::services::sfn::MACHINE, "Name": "bookings-api-prod-release"});
            found.context.insert("Execution".into(), Arc::new(execution));
            found.context.insert("StateMachine".into(), Arc::new(machine));
        }
        found.context.clone()
    }

    async fn call(&self, state: &str, resource: &str, arguments: Value) -> Result<Value, Failure> {
        let label = self.world.cloud().executions.all[&self.arn].label.clone();
        match resource {
            "arn:aws:states:::lambda:invoke" => {
                let name = arguments["FunctionName"].as_str().unwrap_or_default();
                let payload = arguments["Payload"].clone();
                let result = self.world.invoke(&label, &self.arn, &function(name), payload).await;
                self.note(state, Some(&result));
                let result = result?;
                Ok(json!({"ExecutedVersion": "1", "Payload": result, "StatusCode": 200}))
            }
            "arn:aws:states:::sns:publish" => {
                let text = |name: &str| arguments[name].as_str().unwrap_or_default().to_owned();
                let message = mailed(arguments["MessageStructure"].as_str(), text("Message"));
                let text = format!("{}\n{message}", text("Subject"));
                self.world.cloud().messages.push(Message { at: time::now(), text });
                Ok(json!({"MessageId": "m"}))
            }
            "arn:aws:states:::events:putEvents" => {
                Ok(json!({"Entries": [{"EventId": "e"}], "FailedEntryCount": 0}))
            }
            other => panic!("the simulation does not know the integration {other}"),
        }
    }

    fn jitter(&self, state: &str, milliseconds: u64) -> u64 {
        let label = self.world.cloud().executions.all[&self.arn].label.clone();
        self.world.number(&format!("{label} {state} jitter"), 0, milliseconds)
    }
}

/// What a mail is sent of a message (SNS API reference, `Publish`): with the structure `json`, the default text.
///
/// # Panics
/// When the text for a chat has not its form.
fn mailed(structure: Option<&str>, message: String) -> String {
    if structure != Some("json") {
        return message;
    }
    let texts: Value = serde_json::from_str(&message).expect("JSON");
    // What Amazon Q shows in a chat (its administrator guide, "Custom notifications", "Event schema").
    let chat: Value = serde_json::from_str(texts["https"].as_str().expect("a text for https")).expect("JSON");
    assert_eq!((&chat["version"], &chat["source"]), (&json!("1.0"), &json!("custom")), "{chat}");
    for text in [&chat["content"]["title"], &chat["content"]["description"], &chat["metadata"]["threadId"]] {
        assert!(text.as_str().is_some_and(|text| !text.is_empty()), "{chat}");
    }
    texts["default"].as_str().expect("a default").to_owned()
}

/// The folder of the function that `${AcquireLockFunctionArn}` or the like names.
pub fn function(name: &str) -> String {
    let name = name.trim_start_matches("${").trim_end_matches('}');
    let name =
        ["Arn", "Version", "Function"].iter().fold(name, |name, end| name.strip_suffix(end).unwrap_or(name));
    let mut folder = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !folder.is_empty() {
            folder.push('-');
        }
        folder.push(letter.to_ascii_lowercase());
    }
    folder
}

fn rfc3339(milliseconds: u64) -> String {
    time::date_of(milliseconds).to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

fn kind_text(kind: &Kind) -> String {
    match kind {
        Kind::Lock(_) => "takes the lock".into(),
        Kind::Created(number) => format!("creates deploy request #{number}"),
        Kind::Deployed { number, statements, .. } => format!("deploys #{number}: {}", statements.join("; ")),
        Kind::Request { number, action } => format!("{action} of #{number}"),
        Kind::Containers { .. } => "creates a deployment".into(),
    }
}

impl Asked {
    fn of(request: Request) -> Self {
        let host = request.url().host_str().unwrap_or_default();
        let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok());
        let operation = target.and_then(|target| target.rsplit('.').next()).map(str::to_owned);
        let service = match host.split('.').next().unwrap_or_default() {
            "dynamodb" => "dynamodb",
            "secretsmanager" => "secretsmanager",
            "states" => "states",
            "sns" => "sns",
            "lightsail" => "lightsail",
            "codebuild" => "codebuild",
            // What Lightsail shows as a service's own address.
            _ if host.ends_with(".cs.amazonlightsail.com") => "public",
            "api" if host.contains("ecr") => "ecr",
            "api" if host.contains("planetscale") => "planetscale",
            _ => panic!("the simulation does not know {host}"),
        };
        let operation = operation.unwrap_or_else(|| match service {
            "sns" => "Publish".into(),
            "public" => format!("{} {}", request.method(), request.url().path()),
            _ => {
                let end: Vec<_> = request
                    .url()
                    .path()
                    .split('/')
                    .skip(6)
                    .map(|part| if part.bytes().all(|byte| byte.is_ascii_digit()) { "#" } else { part })
                    .collect();
                format!("{} {}", request.method(), end.join("/"))
            }
        });
        Self { service, operation, request }
    }
}

fn lost(timed_out: bool) -> Lost {
    Lost { timed_out, causes: if timed_out { "operation timed out" } else { "connection reset" }.into() }
}

fn throttled(service: &str) -> Response {
    match service {
        "planetscale" => answer(429, &json!({"code": "rate_limited", "message": "Too many requests"})),
        "sns" => xml(400, query_error("Throttled", "Rate exceeded")),
        "dynamodb" => error("com.amazonaws.dynamodb.v20120810#ThrottlingException", "Rate exceeded"),
        _ => error("ThrottlingException", "Rate exceeded"),
    }
}

fn failed(service: &str) -> Response {
    match service {
        "planetscale" => {
            answer(500, &json!({"code": "internal_server_error", "message": "Internal server error"}))
        }
        "sns" => xml(500, query_error("InternalError", "An error occurred")),
        _ => answer(500, &json!({"__type": "InternalServerError", "message": "An error occurred"})),
    }
}

fn query_error(code: &str, message: &str) -> String {
    format!(
        "<ErrorResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><Error><Type>Sender</Type><Code>{code}</Code>\
         <Message>{message}</Message></Error><RequestId>r</RequestId></ErrorResponse>"
    )
}

/// Hands a request to an emulator as it would arrive.
async fn forward(router: &Router, request: &Request) -> Response {
    let body = request.body().and_then(|body| body.as_bytes()).map(<[u8]>::to_vec).unwrap_or_default();
    let uri = match request.url().query() {
        Some(query) => format!("{}?{query}", request.url().path()),
        None => request.url().path().to_owned(),
    };
    let mut forwarded = http::Request::new(Body::from(body));
    *forwarded.method_mut() = request.method().clone();
    *forwarded.uri_mut() = uri.parse().expect("a path");
    *forwarded.headers_mut() = request.headers().clone();
    let Ok(response) = router.clone().call(forwarded).await;
    let (head, body) = response.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes().to_vec()).unwrap_or_default();
    Response { status: head.status, headers: head.headers, body }
}

async fn control(router: &Router, method: &str, path: &str, body: Value) -> Value {
    let mut request =
        http::Request::new(Body::from(if body.is_null() { String::new() } else { body.to_string() }));
    *request.method_mut() = method.parse().expect("a method");
    *request.uri_mut() = format!("/_control/{path}").parse().expect("a path");
    request.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
    let Ok(response) = router.clone().call(request).await;
    let status = response.status();
    let body = response.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
    if status.is_success() { answer } else { json!({"refused": status.as_u16(), "answer": answer}) }
}
