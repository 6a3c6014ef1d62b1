//! The part of the Amazon States Language that the definition uses, as strict as it is documented.
//!
//! Sources: the Step Functions developer guide ("Transforming data with `JSONata`", "Passing data between states with
//! variables", "Handling errors", "Restarting state machine executions with redrive", "Service quotas") and the
//! specification at states-language.net. Not documented, and assumed: a Wait that is run again begins anew.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::jsonata::{Scope, Variables, evaluate, expression, fill};
use crate::time;

/// The most events of a history.
pub const MOST_EVENTS: u64 = 25_000;
/// The largest input or output of a state, in bytes.
pub const LARGEST_PAYLOAD: usize = 256 * 1024;

/// A definition.
#[derive(Debug, Clone)]
pub struct Definition {
    pub start_at: String,
    pub timeout_seconds: Option<u64>,
    pub states: BTreeMap<String, Value>,
}

/// A failure, by the two names that Catch hands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub error: String,
    pub cause: String,
}

/// Where an execution is: what a redrive goes on with.
#[derive(Debug, Clone)]
pub struct Position {
    pub state: Arc<str>,
    pub input: Arc<Value>,
    pub variables: Arc<Variables>,
}

/// How an execution ended by itself.
#[derive(Debug, Clone, PartialEq)]
pub enum End {
    Succeeded(Value),
    Failed(Failure),
}

/// What an execution needs of the world around it.
pub trait Surroundings {
    /// Whether so many events more fit into the history, which holds these values then.
    fn record(&self, events: u64, values: &[&Value]) -> bool;
    /// The execution is about to run a state.
    fn enter(&self, position: &Position);
    /// The execution's context object, without `State`.
    fn context(&self) -> Variables;
    /// A call of a service.
    fn call(
        &self,
        state: &str,
        resource: &str,
        arguments: Value,
    ) -> impl Future<Output = Result<Value, Failure>> + Send;
    /// A random part of so many milliseconds.
    fn jitter(&self, state: &str, milliseconds: u64) -> u64;
}

impl Definition {
    /// Reads the definition; `${XFunctionArn}` stays as it is.
    ///
    /// # Panics
    /// When it is no definition.
    pub fn parse(text: &str) -> Self {
        let definition: Value = serde_saphyr::from_str(text).expect("the definition is YAML");
        assert_eq!(definition["QueryLanguage"], "JSONata");
        let states = definition["States"].as_object().expect("States").clone().into_iter().collect();
        let definition = Self {
            start_at: text_of(&definition["StartAt"]),
            timeout_seconds: definition["TimeoutSeconds"].as_u64(),
            states,
        };
        definition.check_fields();
        definition
    }

    /// Every field is one that this interpreter knows: what it does not know it must not overlook.
    fn check_fields(&self) {
        for (name, state) in &self.states {
            let known: &[&str] = match state["Type"].as_str().expect("Type") {
                "Pass" => &["Output", "Assign", "Next", "End"],
                "Task" => &[
                    "Resource",
                    "Arguments",
                    "Output",
                    "Assign",
                    "Next",
                    "End",
                    "Retry",
                    "Catch",
                    "TimeoutSeconds",
                ],
                "Choice" => &["Choices", "Default", "Assign", "Output"],
                "Wait" => &["Seconds", "Assign", "Output", "Next", "End"],
                "Succeed" => &["Output"],
                "Fail" => &["Error", "Cause"],
                other => panic!("{name} is a {other}, which the simulation does not know"),
            };
            for field in state.as_object().expect("a state").keys() {
                let common = ["Type", "Comment"].contains(&field.as_str());
                assert!(
                    common || known.contains(&field.as_str()),
                    "the simulation does not know {name}.{field}"
                );
            }
        }
    }

    /// The names of all states.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        self.states.keys()
    }

    /// Every `JSONata` expression of the definition, with where it is.
    pub fn expressions(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for (name, state) in &self.states {
            collect(name, state, &mut found);
        }
        found
    }

    /// Runs an execution to its end, from its start or from where it stopped.
    pub async fn run(&self, around: &impl Surroundings, from: Position, redriven: bool) -> End {
        let mut position = from;
        let mut entered = redriven;
        if !redriven && !around.record(0, &[&position.input]) {
            return history_is_full();
        }
        loop {
            let state = &self.states[&*position.state];
            around.enter(&position);
            // What goes in came out of the state before.
            if !entered && !around.record(1, &[]) {
                return history_is_full();
            }
            entered = false;
            match self.step(around, state, &position).await {
                Ok(Step::Next { state, output, assigned }) => {
                    if !around.record(1, &[&output, &assigned]) {
                        return history_is_full();
                    }
                    if let Value::Object(assigned) = assigned
                        && !assigned.is_empty()
                    {
                        let assigned =
                            assigned.into_iter().map(|(name, value)| (name.into(), Arc::new(value)));
                        Arc::make_mut(&mut position.variables).extend(assigned);
                    }
                    (position.state, position.input) = (state.into(), Arc::new(output));
                }
                Ok(Step::Succeed(output)) => {
                    around.record(0, &[&output]);
                    return End::Succeeded(output);
                }
                Err(failure) => {
                    around.record(1, &[&json!({"error": failure.error, "cause": failure.cause})]);
                    return End::Failed(failure);
                }
            }
        }
    }

    async fn step(&self, around: &impl Surroundings, state: &Value, at: &Position) -> Result<Step, Failure> {
        let mut scope = Scope { variables: at.variables.clone(), ..Scope::default() };
        scope.states.insert("input".into(), at.input.clone());
        scope.context = around.context();
        enter(&mut scope, &at.state);
        match state["Type"].as_str().unwrap_or_default() {
            "Pass" => leave(state, state, at, &scope, usual(at)),
            "Succeed" => Ok(Step::Succeed(output(state, &scope, usual(at))?)),
            "Fail" => {
                let text = |field: &str| match state.get(field) {
                    None => Ok(String::new()),
                    Some(template) => string(&filled(template, &scope)?),
                };
                Err(Failure { error: text("Error")?, cause: text("Cause")? })
            }
            "Wait" => {
                let seconds = filled(&state["Seconds"], &scope)?;
                let seconds = whole(&seconds)
                    .filter(|seconds| *seconds <= 99_999_999)
                    .ok_or_else(|| evaluation(format!("{}.Seconds is {seconds}", at.state)))?;
                time::sleep(seconds * 1_000).await;
                leave(state, state, at, &scope, usual(at))
            }
            "Choice" => {
                for rule in state["Choices"].as_array().into_iter().flatten() {
                    match filled(&rule["Condition"], &scope)? {
                        Value::Bool(true) => return leave(rule, state, at, &scope, usual(at)),
                        Value::Bool(false) => {}
                        other => return Err(evaluation(format!("{}: a Condition is {other}", at.state))),
                    }
                }
                match state.get("Default") {
                    Some(_) => leave(state, state, at, &scope, usual(at)),
                    None => {
                        Err(Failure { error: "States.NoChoiceMatched".into(), cause: at.state.to_string() })
                    }
                }
            }
            _ => task(around, state, at, &mut scope).await,
        }
    }
}

enum Step {
    /// `assigned` is what the state assigns.
    Next {
        state: String,
        output: Value,
        assigned: Value,
    },
    Succeed(Value),
}

/// Calls, tries again, catches.
async fn task(
    around: &impl Surroundings,
    state: &Value,
    at: &Position,
    scope: &mut Scope,
) -> Result<Step, Failure> {
    let mut used: BTreeMap<usize, u32> = BTreeMap::new();
    let mut retries = 0;
    loop {
        if let Some(state) = scope.context.get_mut("State").filter(|_| retries > 0) {
            Arc::make_mut(state)["RetryCount"] = retries.into();
        }
        let failure = match attempt(around, state, at, scope).await {
            Ok(step) => return Ok(step),
            Err(failure) => failure,
        };
        // No Retry and no Catch sees it (developer guide, "Error names").
        if failure.error == "States.Runtime" {
            return Err(failure);
        }
        let retriers = state["Retry"].as_array().map(Vec::as_slice).unwrap_or_default();
        let retrier = retriers.iter().enumerate().find(|(_, retrier)| matches(retrier, &failure.error));
        if let Some((index, retrier)) = retrier {
            let number = |field: &str, usual: f64| retrier[field].as_f64().unwrap_or(usual);
            let before = used.entry(index).or_default();
            if f64::from(*before) < number("MaxAttempts", 3.0) {
                let exponent = i32::try_from(*before).unwrap_or(i32::MAX);
                let longest = number("MaxDelaySeconds", 31_622_400.0);
                let delay =
                    (number("IntervalSeconds", 1.0) * number("BackoffRate", 2.0).powi(exponent)).min(longest);
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most a year")]
                let delay = (delay * 1_000.0) as u64;
                *before += 1;
                retries += 1;
                let full = retrier["JitterStrategy"] == "FULL";
                time::sleep(if full { around.jitter(&at.state, delay) } else { delay }).await;
                continue;
            }
        }
        let catchers = state["Catch"].as_array().map(Vec::as_slice).unwrap_or_default();
        let Some(catcher) = catchers.iter().find(|catcher| matches(catcher, &failure.error)) else {
            return Err(failure);
        };
        let error = json!({"Error": failure.error, "Cause": failure.cause});
        scope.states.remove("result");
        scope.states.insert("errorOutput".into(), Arc::new(error.clone()));
        return leave(catcher, catcher, at, scope, || error);
    }
}

async fn attempt(
    around: &impl Surroundings,
    state: &Value,
    at: &Position,
    scope: &mut Scope,
) -> Result<Step, Failure> {
    let arguments = filled(&state["Arguments"], scope)?;
    // TaskScheduled, TaskStarted, and TaskSucceeded or TaskFailed.
    if !around.record(3, &[&arguments]) {
        return Err(full());
    }
    let resource = state["Resource"].as_str().unwrap_or_default();
    let limit = state["TimeoutSeconds"].as_u64().unwrap_or(99_999_999);
    let result = tokio::select! {
        biased;
        result = around.call(&at.state, resource, arguments) => result?,
        () = time::sleep(limit * 1_000) => {
            return Err(Failure { error: "States.Timeout".into(), cause: String::new() });
        }
    };
    if size(&result) > LARGEST_PAYLOAD {
        let cause = format!("The result of {} is larger than a state's may be.", at.state);
        return Err(Failure { error: "States.DataLimitExceeded".into(), cause });
    }
    let result = Arc::new(result);
    scope.states.insert("result".into(), result.clone());
    leave(state, state, at, scope, || (*result).clone())
}

/// Leaves a state by `way`, which says where to, what with and what is assigned; `of` is the state, whose Output a
/// rule may not have.
fn leave(
    way: &Value,
    of: &Value,
    at: &Position,
    scope: &Scope,
    usual: impl FnOnce() -> Value,
) -> Result<Step, Failure> {
    let output = output(if way.get("Output").is_some() { way } else { of }, scope, usual)?;
    // All expressions see the variables as they were when the state was entered.
    let assigned = way.get("Assign").map(|assign| filled(assign, scope)).transpose()?.unwrap_or_default();
    if !assigned.is_object() && !assigned.is_null() {
        return Err(evaluation(format!("{}.Assign is no object", at.state)));
    }
    match way.get("Next").or_else(|| way.get("Default")) {
        Some(next) => Ok(Step::Next { state: text_of(next), output, assigned }),
        None => Ok(Step::Succeed(output)),
    }
}

fn output(way: &Value, scope: &Scope, usual: impl FnOnce() -> Value) -> Result<Value, Failure> {
    let output = match way.get("Output") {
        Some(template) => filled(template, scope)?,
        None => usual(),
    };
    if size(&output) > LARGEST_PAYLOAD {
        return Err(Failure {
            error: "States.DataLimitExceeded".into(),
            cause: "An output is too large.".into(),
        });
    }
    Ok(output)
}

/// What a state hands on that has no Output.
fn usual(at: &Position) -> impl FnOnce() -> Value {
    let input = at.input.clone();
    move || (*input).clone()
}

/// How many bytes `value` is as text.
fn size(value: &Value) -> usize {
    struct Counted(usize);
    impl io::Write for Counted {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            self.0 += text.len();
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut counted = Counted(0);
    serde_json::to_writer(&mut counted, value).map_or(usize::MAX, |()| counted.0)
}

/// Adds `$states.context.State` (developer guide, "Accessing the Context object").
fn enter(scope: &mut Scope, state: &str) {
    let at = time::date().to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    let state = json!({"EnteredTime": at, "Name": state, "RetryCount": 0});
    scope.context.insert("State".into(), Arc::new(state));
}

fn filled(template: &Value, scope: &Scope) -> Result<Value, Failure> {
    fill(template, scope).map_err(evaluation)
}

fn evaluation(cause: String) -> Failure {
    Failure { error: "States.QueryEvaluationError".into(), cause }
}

fn matches(handler: &Value, error: &str) -> bool {
    handler["ErrorEquals"].as_array().into_iter().flatten().filter_map(Value::as_str).any(|name| match name {
        "States.ALL" => error != "States.DataLimitExceeded",
        "States.TaskFailed" => error != "States.Timeout",
        name => name == error,
    })
}

fn full() -> Failure {
    let cause = format!("The execution reached the maximum number of history events ({MOST_EVENTS}).");
    Failure { error: "States.Runtime".into(), cause }
}

fn history_is_full() -> End {
    End::Failed(full())
}

fn whole(value: &Value) -> Option<u64> {
    let number = value.as_f64()?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked beside")]
    (number >= 0.0 && number.fract() == 0.0).then_some(number as u64)
}

fn string(value: &Value) -> Result<String, Failure> {
    value.as_str().map(str::to_owned).ok_or_else(|| evaluation(format!("{value} is no string")))
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn collect(path: &str, value: &Value, found: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) => {
            if let Some(expression) = expression(text) {
                found.push((path.to_owned(), expression.to_owned()));
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                collect(&format!("{path}[{index}]"), item, found);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                collect(&format!("{path}.{name}"), field, found);
            }
        }
        _ => {}
    }
}

/// The value of one expression, for the comparison with the reference implementation.
///
/// # Errors
/// A sentence.
pub fn value_of(expression: &str, scope: &Scope) -> Result<Option<Value>, String> {
    evaluate(expression, scope)
}
