//! What people and the world do, and how a story is told to its end.

use std::sync::Arc;

use serde_json::{Value, json};
use shared::release::{DestructiveChanges, OnContainerFailure, OnVerificationFailure, Verification};
use shared::verification::VerifyPath;

use crate::asl::Definition;
use crate::choices::{Choices, Decider};
use crate::defects::Defect;
use crate::stack::{self, Pace, Stack};
use crate::time::{self, date_of, sleep};
use crate::world::{Answers, Outage, Weather, World};

pub(crate) const SECOND: u64 = 1_000;
pub(crate) const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
pub(crate) const DAY: u64 = 24 * HOUR;

/// A story before it is told.
#[derive(Debug, Clone)]
pub struct Plan {
    pub stack: Stack,
    pub weather: Weather,
    /// How long a migration runs, in milliseconds.
    pub migration: u64,
    /// After how long a person approves a request, if approval is asked for.
    pub approval: Option<u64>,
    pub events: Vec<(u64, Event)>,
    /// When the story is over, whatever still runs, in milliseconds after the start.
    pub horizon: u64,
}

/// What somebody does, milliseconds after the start.
#[derive(Debug, Clone)]
pub enum Event {
    /// An image is pushed, and with it the schema of the head branch changes; the event arrives after so many
    /// milliseconds, as often as there are numbers.
    Push { change: Change, image: Behaviour, arrives: Vec<u64> },
    /// The tag moves to the image of an earlier push.
    Retag { push: usize, arrives: Vec<u64> },
    /// A person stops the release that began last.
    Stop,
    /// A person redrives the release that began last.
    Redrive,
    /// A person asks for a release.
    ByHand,
    /// A person invokes start-release with this, which asks for no release.
    Asks(Value),
    /// A person does this with the newest deploy request.
    Act(&'static str),
    /// A person disables the service, and enables it again so much later.
    Disable(u64),
    /// A service does not answer for so long.
    Outage(&'static str, u64),
    /// The emulator of PlanetScale is directed so: the method, the path and the body.
    Direct(&'static str, &'static str, Value),
    /// A person updates the stack, whose policy is another one from then on.
    Update(DestructiveChanges),
}

/// What a push changes in the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Nothing,
    Adds,
    Drops,
}

/// What becomes of an image when it is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    Healthy,
    Crashes,
    NeverAnswers,
    /// It becomes healthy, and this is how it answers at the public URL.
    Serves(Answers),
}

impl Plan {
    /// One push in fine weather.
    pub fn simple(change: Change, image: Behaviour) -> Self {
        let push = Event::Push { change, image, arrives: vec![SECOND] };
        let events = vec![(MINUTE, push)];
        Self {
            stack: Stack::default(),
            weather: Weather::Calm,
            migration: 2 * SECOND,
            approval: None,
            events,
            horizon: 3 * HOUR,
        }
    }

    /// The story of a seed.
    pub fn of_seed(seed: u64) -> Self {
        let mut dice = Choices::new(Decider::Seed { seed, muted: Default::default() });
        let policies =
            [DestructiveChanges::Refuse, DestructiveChanges::AfterContainers, DestructiveChanges::Allow];
        let mut stack = Stack { database: dice.choose("database", &[3, 1]) == 0, ..Stack::default() };
        stack.policy.destructive_changes = policies[dice.choose("destructive", &[2, 1, 1])];
        if dice.choose("keep", &[4, 1]) == 1 {
            stack.policy.on_container_failure = OnContainerFailure::KeepSchema;
        }
        let verified = dice.choose("verified", &[4, 1]) == 1;
        if verified {
            let on_failure = [OnVerificationFailure::Undo, OnVerificationFailure::Keep]
                [dice.choose("served badly", &[4, 1])];
            let paths = vec![VerifyPath { path: "/health".into(), status: 200 }];
            stack.verification = Verification { paths, seconds: 120, on_failure };
        }
        stack.pace = [Pace::Quick, Pace::Usual][dice.choose("pace", &[4, 1])];
        let weather = [Weather::Usual, Weather::Rough][dice.choose("weather", &[2, 1])];
        let migration =
            [2 * SECOND, MINUTE, 20 * MINUTE, 6 * HOUR, 9 * DAY][dice.choose("migration", &[12, 6, 4, 2, 1])];
        let approval =
            [None, Some(10 * MINUTE), Some(6 * HOUR), Some(9 * DAY)][dice.choose("approval", &[16, 1, 1, 1])];
        let mut events = Vec::new();
        let pushes = dice.number("pushes", 1, 4);
        let mut at = MINUTE;
        for index in 0..pushes {
            let change = [Change::Adds, Change::Nothing, Change::Drops][dice.choose("change", &[3, 2, 1])];
            let image = if verified {
                let late = dice.number("serves after", SECOND, 2 * MINUTE);
                let flapping = dice.number("flaps", 1, 99);
                [
                    Behaviour::Healthy,
                    Behaviour::Crashes,
                    Behaviour::Serves(Answers::Badly),
                    Behaviour::Serves(Answers::Late(late)),
                    Behaviour::Serves(Answers::Flapping(flapping)),
                ][dice.choose("image", &[6, 1, 3, 1, 1])]
            } else {
                [Behaviour::Healthy, Behaviour::Crashes, Behaviour::NeverAnswers]
                    [dice.choose("image", &[4, 1, 1])]
            };
            let late = dice.number("late", SECOND, 10 * MINUTE);
            let arrives = [vec![SECOND], vec![], vec![SECOND, late], vec![late]]
                [dice.choose("event", &[6, 1, 1, 1])]
            .clone();
            if index > 1 && dice.choose("retag", &[3, 1]) == 1 {
                events.push((at, Event::Retag { push: 0, arrives }));
            } else {
                events.push((at, Event::Push { change, image, arrives }));
            }
            let soon = [30 * SECOND, 3 * MINUTE, 30 * MINUTE, 5 * HOUR][dice.choose("soon", &[2, 3, 3, 1])];
            at += dice.number("next push", SECOND, soon);
        }
        let pushed: Vec<u64> = events.iter().map(|(at, _)| *at).collect();
        for _ in 0..dice.choose("people", &[3, 3, 2, 1]) {
            // Most of what people do meets a release that runs.
            let when = match dice.choose("when", &[2, 1]) {
                0 => {
                    let of = dice.number("meets", 0, pushed.len() as u64 - 1);
                    let push = usize::try_from(of).ok().and_then(|of| pushed.get(of)).copied();
                    push.unwrap_or(at) + dice.number("after the push", SECOND, 2 * MINUTE)
                }
                _ => dice.number("at", MINUTE, at + 20 * MINUTE),
            };
            let act =
                ["approve", "close", "cancel", "revert", "skip_revert"][dice.choose("act", &[1, 1, 1, 1, 1])];
            let event = match dice.choose("person", &[6, 4, 4, 2, 2, 4, 4, 2, 2]) {
                0 => {
                    events.push((when + dice.number("redriven", SECOND, 10 * MINUTE), Event::Redrive));
                    Event::Stop
                }
                1 => Event::Stop,
                2 => Event::Act(act),
                3 => Event::Disable(dice.number("disabled", MINUTE, HOUR)),
                4 => Event::ByHand,
                5 => {
                    let cleared = when + dice.number("held", MINUTE, 4 * HOUR);
                    events.push((cleared, Event::Asks(json!({"hold": null}))));
                    Event::Asks(json!({"hold": "An incident."}))
                }
                6 => Event::Asks(json!({"rollback": "previous"})),
                7 => Event::Asks(json!({"rollback": "insist"})),
                _ => Event::Update(policies[dice.choose("policy", &[1, 1, 1])]),
            };
            events.push((when, event));
        }
        if dice.choose("outage", &[3, 1]) == 1 {
            let services = [
                "planetscale",
                "lightsail",
                "dynamodb",
                "ecr",
                "secretsmanager",
                "states",
                "sns",
                "codebuild",
            ];
            let service = services[dice.choose("service", &[3, 2, 1, 1, 1, 1, 1, 1])];
            let longest = [10 * MINUTE, 4 * HOUR][dice.choose("outage lasts", &[3, 1])];
            events.push((
                dice.number("outage at", MINUTE, at),
                Event::Outage(service, dice.number("outage for", MINUTE, longest)),
            ));
        }
        events.sort_by_key(|(at, _)| *at);
        Self { stack, weather, migration, approval, events, horizon: 60 * DAY }
    }
}

/// A story told to its end.
pub struct Told {
    pub world: Arc<World>,
    /// What is wrong with it.
    pub wrong: Vec<String>,
}

impl Told {
    /// Line by line.
    pub fn story(&self) -> String {
        let cloud = self.world.cloud();
        let lines = cloud
            .story
            .iter()
            .map(|(at, line)| format!("{} {line}\n", date_of(*at).format("%m-%d %H:%M:%S%.3f")));
        lines.collect()
    }

    /// How many releases there were.
    pub fn releases(&self) -> usize {
        self.world.cloud().executions.order.len()
    }
}

/// Tells a story.
pub fn tell(plan: &Plan, decider: Decider, defect: Option<Defect>, definition: &Arc<Definition>) -> Told {
    time::run(async {
        let world = World::new(plan.stack.clone(), plan.weather, decider, defect, definition.clone()).await;
        play(&world, plan).await;
        let wrong = crate::invariants::broken(&world).await;
        Told { world, wrong }
    })
}

pub(crate) async fn play(world: &Arc<World>, plan: &Plan) {
    let settings = json!({"durations": {"pending": 5_000, "queued": 1_000, "submitting": 1_000,
        "in_progress": plan.migration, "in_progress_vschema": 0, "in_progress_cutover": 500, "in_progress_cancel": 500,
        "complete_pending_revert": 30 * MINUTE, "in_progress_revert": 2_000, "in_progress_revert_vschema": 0}});
    world.planetscale("PATCH", "settings", settings).await;
    if plan.approval.is_some() {
        let approval = json!({"require_approval_for_deploy": true});
        world.planetscale("PUT", "organizations/acme/databases/shop", approval).await;
    }
    let over = plan.events.iter().map(|(at, event)| {
        at + match event {
            Event::Disable(for_how_long) | Event::Outage(_, for_how_long) => *for_how_long,
            _ => 0,
        }
    });
    let last = over.max().unwrap_or_default() + 30 * MINUTE;
    world.cloud().calm_from = Some(time::START + last);
    let mut tasks = Vec::new();
    for (index, (at, event)) in plan.events.iter().cloned().enumerate() {
        let world = world.clone();
        tasks.push(tokio::spawn(async move {
            sleep(at).await;
            act(&world, index, event).await;
        }));
    }
    if let Some(after) = plan.approval {
        tokio::spawn(approve(Arc::downgrade(world), after));
    }
    look_until_quiet(world, last, plan.horizon).await;
    for task in tasks {
        task.abort();
    }
}

/// The scheduled looks go on until nothing happens any more.
async fn look_until_quiet(world: &Arc<World>, last: u64, horizon: u64) {
    let horizon = time::START + horizon;
    let mut quiet = 0;
    while quiet < 2 && time::now() < horizon {
        let running = world.cloud().executions.all.values().any(|execution| execution.is_running());
        let past = time::now() - time::START;
        // Rarer while a migration of days runs: each look is the same.
        sleep(if past < last || !running { 15 * MINUTE } else { 3 * HOUR }).await;
        look(world).await;
        let running = world.cloud().executions.all.values().any(|execution| execution.is_running());
        quiet = if running || time::now() - time::START < last { 0 } else { quiet + 1 };
    }
}

async fn look(world: &Arc<World>) {
    let event =
        json!({"source": "aws.events", "detail-type": "Scheduled Event", "time": now_text(), "detail": {}});
    deliver(world, "look", event).await;
}

/// An event is tried three times (Lambda developer guide, "Asynchronous invocation").
async fn deliver(world: &Arc<World>, label: &str, event: Value) {
    for pause in [60, 120, 0] {
        match world.invoke(label, "", "start-release", event.clone()).await {
            Ok(_) => return,
            Err(_) => sleep(pause * SECOND).await,
        }
    }
}

async fn act(world: &Arc<World>, index: usize, event: Event) {
    match event {
        Event::Push { change, image, arrives } => push(world, index, change, image, arrives).await,
        Event::Retag { push, arrives } => {
            let digest = world.cloud().repository.tags.get(&commit(push)).cloned();
            if let Some(digest) = digest {
                moved(world, &digest, arrives);
            }
        }
        Event::Stop => {
            let newest = newest(world);
            if let Some(arn) = newest {
                world.stop(&arn);
            }
        }
        Event::Redrive => {
            if let Some(arn) = newest(world) {
                world.redrive(&arn);
            }
        }
        Event::ByHand => {
            world.tell("a person asks for a release");
            let digest = world.cloud().repository.tags.get(stack::MOVING_TAG).cloned().unwrap_or_default();
            world.cloud().asked.push((time::now(), digest));
            deliver(world, "person", json!({})).await;
        }
        Event::Asks(request) => deliver(world, "person", request).await,
        Event::Act(action) => {
            if let Some(number) = requests(world).await.last().and_then(|request| request["number"].as_u64())
            {
                world.tell(format!("a person: {action} of #{number}"));
                act_on(world, number, action).await;
            }
        }
        Event::Disable(for_how_long) => {
            world.tell("a person disables the service");
            let update = |disabled: bool| json!({"serviceName": stack::SERVICE, "isDisabled": disabled});
            world.lightsail("POST", "act/UpdateContainerService", update(true)).await;
            sleep(for_how_long).await;
            world.tell("a person enables the service");
            world.lightsail("POST", "act/UpdateContainerService", update(false)).await;
        }
        Event::Direct(method, path, body) => {
            world.planetscale(method, path, body).await;
        }
        Event::Update(destructive_changes) => {
            world.tell(format!("a person updates the stack: {destructive_changes:?}"));
            let mut stack = world.stack.clone();
            stack.policy.destructive_changes = destructive_changes;
            world.update(&stack);
        }
        Event::Outage(service, for_how_long) => {
            world.tell(format!("{service} does not answer for {} min", for_how_long / MINUTE));
            let from = time::now();
            world.cloud().outages.push(Outage { service, from, until: from + for_how_long });
        }
    }
}

fn commit(index: usize) -> String {
    format!("c0ffee{index:02}")
}

async fn push(world: &Arc<World>, index: usize, change: Change, image: Behaviour, arrives: Vec<u64>) {
    let sql = match change {
        Change::Nothing => None,
        Change::Adds => Some(format!("ALTER TABLE bookings ADD added{index} INT")),
        Change::Drops => Some(format!("ALTER TABLE bookings DROP COLUMN old{}", index % 4 + 1)),
    };
    if let Some(sql) = sql.filter(|_| world.stack.database) {
        world
            .planetscale("POST", "organizations/acme/databases/shop/branches/dev/sql", json!({"sql": sql}))
            .await;
    }
    let digest = world.cloud().repository.push(&commit(index));
    let verdict = match image {
        Behaviour::Healthy | Behaviour::Serves(_) => "healthy",
        Behaviour::Crashes => "crashes",
        Behaviour::NeverAnswers => "failsHealthCheck",
    };
    let rule = json!({"image": {"digest": digest}, "verdict": verdict});
    world.lightsail("PUT", "verdicts", rule).await;
    if let Behaviour::Serves(answers) = image {
        world.cloud().answers.insert(digest.clone(), answers);
    }
    world.tell(format!("push of {} ({change:?}, {image:?})", commit(index)));
    moved(world, &digest, arrives);
}

/// The moving tag points at `digest` from now on, and ECR tells of it.
fn moved(world: &Arc<World>, digest: &str, arrives: Vec<u64>) {
    let mut cloud = world.cloud();
    cloud.repository.tags.insert(stack::MOVING_TAG.into(), digest.to_owned());
    cloud.asked.push((time::now(), digest.to_owned()));
    drop(cloud);
    if arrives.is_empty() {
        world.tell("the event is lost");
    }
    let event = json!({"source": "aws.ecr", "detail-type": "ECR Image Action", "time": now_text(), "detail": {
        "action-type": "PUSH", "result": "SUCCESS", "repository-name": stack::REPOSITORY, "image-digest": digest,
        "image-tag": stack::MOVING_TAG}});
    for after in arrives {
        let (world, event) = (world.clone(), event.clone());
        tokio::spawn(async move {
            sleep(after).await;
            deliver(&world, "event", event).await;
        });
    }
}

async fn approve(world: std::sync::Weak<World>, after: u64) {
    loop {
        sleep(after).await;
        let Some(world) = world.upgrade() else { return };
        for request in requests(&world).await {
            if request["state"] == "open" && request["approved"] != true {
                act_on(&world, request["number"].as_u64().unwrap_or_default(), "approve").await;
            }
        }
    }
}

async fn act_on(world: &Arc<World>, number: u64, action: &str) {
    let path = format!("organizations/acme/databases/shop/deploy-requests/{number}/act");
    world.planetscale("POST", &path, json!({"action": action})).await;
}

/// All deploy requests, the oldest first.
pub async fn requests(world: &Arc<World>) -> Vec<Value> {
    let list =
        world.planetscale("GET", "organizations/acme/databases/shop/deploy-requests", Value::Null).await;
    let mut list = list.as_array().cloned().unwrap_or_default();
    list.sort_by_key(|request| request["number"].as_u64());
    list
}

fn newest(world: &World) -> Option<String> {
    world.cloud().executions.order.last().cloned()
}

fn now_text() -> String {
    time::date().to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}
