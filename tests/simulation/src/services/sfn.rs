//! Step Functions: executions, their histories, and what its API shows of them, seconds late.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use shared::http::Response;

use super::{answer, error};
use crate::asl::{End, Failure, MOST_EVENTS, Position};
use crate::jsonata::Variables;
use crate::{stack, time};

/// The ARN of the state machine.
pub const MACHINE: &str = "arn:aws:states:us-east-1:000000000000:stateMachine:bookings-api-prod-release";

/// All executions, in order of their start.
#[derive(Debug, Default)]
pub struct Executions {
    pub all: BTreeMap<String, Execution>,
    pub order: Vec<String>,
}

/// One execution.
#[derive(Debug)]
pub struct Execution {
    pub arn: String,
    pub name: String,
    /// What stories call it: `r1`, `r2` and so on.
    pub label: String,
    pub input: Value,
    pub started_at: u64,
    pub redrives: u64,
    pub redriven_at: Option<u64>,
    pub events: u64,
    /// Whether a secret is in its history.
    pub tells_a_secret: bool,
    /// Its context object, as it was when this life of it began.
    pub context: Variables,
    pub position: Position,
    /// Its states in time.
    pub statuses: Vec<(u64, &'static str)>,
    pub output: Value,
    pub failure: Option<Failure>,
    pub task: Option<tokio::task::AbortHandle>,
    /// Its states, the last ones last.
    pub path: Vec<Arc<str>>,
}

impl Execution {
    pub fn status(&self) -> &'static str {
        self.statuses.last().map_or("RUNNING", |(_, status)| status)
    }

    pub fn is_running(&self) -> bool {
        self.status() == "RUNNING"
    }

    pub fn digest(&self) -> &str {
        self.input["image"]["digest"].as_str().unwrap_or_default()
    }

    /// The state it ended in, which carries the outcome's name.
    pub fn end_state(&self) -> &str {
        &self.position.state
    }

    pub fn ended_at(&self) -> u64 {
        self.statuses.last().map_or(self.started_at, |(at, _)| *at)
    }

    pub fn set_status(&mut self, status: &'static str) {
        self.statuses.push((time::now(), status));
    }

    pub fn end(&mut self, end: End) {
        match end {
            End::Succeeded(output) => {
                self.output = output;
                self.set_status("SUCCEEDED");
            }
            End::Failed(failure) => {
                self.failure = Some(failure);
                self.set_status("FAILED");
            }
        }
        self.task = None;
    }

    /// Notes what is written into the history; false when it is full.
    pub fn record(&mut self, events: u64, values: &[&Value]) -> bool {
        // The last event says that the execution ended.
        if self.events + events >= MOST_EVENTS {
            return false;
        }
        self.events += events;
        self.tells_a_secret |= values.iter().any(|value| stack::tells_a_secret(value));
        true
    }

    fn seen_at(&self, at: u64) -> Option<&'static str> {
        self.statuses.iter().rev().find(|(since, _)| *since <= at).map(|(_, status)| *status)
    }
}

impl Executions {
    /// Starts one; gives its ARN unless it was started before.
    pub fn start(&mut self, input: &Value, start_at: &str) -> (Response, Option<String>) {
        let name = input["name"].as_str().unwrap_or_default();
        let arn = format!("{}:{name}", MACHINE.replace(":stateMachine:", ":execution:"));
        let given: Value =
            input["input"].as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        if let Some(found) = self.all.get(&arn) {
            // The same name and input as one that runs is the same call (API reference, StartExecution).
            if !found.is_running() || found.input != given {
                return (
                    error("ExecutionAlreadyExists", &format!("Execution Already Exists: '{arn}'")),
                    None,
                );
            }
            return (started(&arn, found.started_at), None);
        }
        let now = time::now();
        let position =
            Position { state: start_at.into(), input: Arc::new(given.clone()), variables: Arc::default() };
        let execution = Execution {
            arn: arn.clone(),
            name: name.to_owned(),
            label: format!("r{}", self.order.len() + 1),
            input: given,
            started_at: now,
            redrives: 0,
            redriven_at: None,
            events: 1,
            tells_a_secret: false,
            context: Variables::new(),
            position,
            statuses: vec![(now, "RUNNING")],
            output: Value::Null,
            failure: None,
            task: None,
            path: Vec::new(),
        };
        self.order.push(arn.clone());
        self.all.insert(arn.clone(), execution);
        (started(&arn, now), Some(arn))
    }

    /// Answers what was so `lag` milliseconds ago.
    pub fn describe(&self, input: &Value, lag: u64) -> Response {
        let arn = input["executionArn"].as_str().unwrap_or_default();
        let found = self.all.get(arn);
        match found.and_then(|found| Some((found, found.seen_at(time::now().saturating_sub(lag))?))) {
            Some((found, status)) => answer(
                200,
                &json!({"executionArn": arn, "name": found.name, "stateMachineArn": MACHINE, "status": status,
                    "startDate": seconds(found.started_at), "redriveCount": found.redrives}),
            ),
            None => error("ExecutionDoesNotExist", &format!("Execution Does Not Exist: '{arn}'")),
        }
    }

    /// Lists what was so `lag` milliseconds ago.
    pub fn list(&self, input: &Value, lag: u64) -> Response {
        let at = time::now().saturating_sub(lag);
        let wanted = input["statusFilter"].as_str();
        let listed: Vec<_> = self
            .order
            .iter()
            .rev()
            .map(|arn| &self.all[arn])
            .filter_map(|execution| Some((execution, execution.seen_at(at)?)))
            .filter(|(_, status)| wanted.is_none_or(|wanted| wanted == *status))
            .map(|(execution, status)| {
                json!({"executionArn": execution.arn, "name": execution.name, "stateMachineArn": MACHINE,
                    "status": status, "startDate": seconds(execution.started_at)})
            })
            .collect();
        answer(200, &json!({"executions": listed}))
    }
}

fn started(arn: &str, at: u64) -> Response {
    answer(200, &json!({"executionArn": arn, "startDate": seconds(at)}))
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of this century are exact")]
fn seconds(milliseconds: u64) -> f64 {
    milliseconds as f64 / 1_000.0
}
