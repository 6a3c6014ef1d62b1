//! Golden runs: for each outcome one release, as a readable file of what its execution did.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::{fs, io};

use serde_json::{Value, json};
use shared::Outcome;
use shared::release::{DestructiveChanges, OnVerificationFailure, Verification};
use shared::verification::VerifyPath;

use crate::asl::{Definition, Failure};
use crate::choices::Decider;
use crate::story::{Behaviour, Change, DAY, Event, MINUTE, Plan, SECOND, play};
use crate::time;
use crate::world::{Answers, Message, Step, Weather, World};

/// How much of a text is shown.
const LONGEST_TEXT: usize = 240;

/// One release and what it ends as.
pub struct Run {
    pub outcome: Outcome,
    /// What happens, in a sentence or two.
    pub about: &'static str,
    plan: Plan,
}

/// The runs, in the order of the outcomes. Each is told after a release that adds nothing, whose containers serve.
pub fn runs() -> Vec<Run> {
    use Behaviour::{Crashes, Healthy, NeverAnswers, Serves};
    use Change::{Adds, Drops, Nothing};
    let run = |outcome, about, plan| Run { outcome, about, plan };
    vec![
        run(
            Outcome::Released,
            "A column is added; the new image serves.",
            after_a_release(vec![(0, push(Adds, Healthy))]),
        ),
        run(
            Outcome::Superseded,
            "Two images are pushed while a release is under way. The first of the two steps aside for the second.",
            after_a_release(vec![
                (0, push(Adds, Healthy)),
                (20 * SECOND, push(Nothing, Healthy)),
                (40 * SECOND, push(Nothing, Healthy)),
            ]),
        ),
        run(Outcome::Held, "Somebody holds the environment, and an image is pushed.", {
            let hold = json!({"hold": "Black Friday"});
            after_a_release(vec![(0, Event::Asks(hold)), (MINUTE, push(Adds, Healthy))])
        }),
        run(
            Outcome::RollbackRefused,
            "A column is dropped, and then the tag goes back to the image before, which reads it.",
            {
                let back = Event::Retag { push: 0, arrives: vec![SECOND] };
                let mut plan = after_a_release(vec![(0, push(Drops, Healthy)), (20 * MINUTE, back)]);
                plan.stack.policy.destructive_changes = DestructiveChanges::AfterContainers;
                plan
            },
        ),
        run(
            Outcome::SchemaRefused,
            "A column is dropped, which DestructiveChanges=refuse does not allow.",
            after_a_release(vec![(0, push(Drops, Healthy))]),
        ),
        run(Outcome::SchemaRejected, "The database asks for approvals, and a person closes the request.", {
            let events = vec![(0, push(Adds, Healthy)), (4 * MINUTE, Event::Act("close"))];
            Plan { approval: Some(9 * DAY), ..after_a_release(events) }
        }),
        run(Outcome::SchemaFailed, "PlanetScale begins the migration and cannot end it.", {
            let next = json!({"deploy_error": "Error 1062: duplicate entry for key 'guest'"});
            let direct = Event::Direct("PUT", "organizations/acme/databases/shop/next", next);
            after_a_release(vec![(0, direct), (SECOND, push(Adds, Healthy))])
        }),
        run(
            Outcome::ContainersFailed,
            "Nothing changes in the schema; the new image never answers its health check.",
            after_a_release(vec![(0, push(Nothing, NeverAnswers))]),
        ),
        run(
            Outcome::SchemaReverted,
            "A column is added; the new image crashes at its start.",
            after_a_release(vec![(0, push(Adds, Crashes))]),
        ),
        run(
            Outcome::RevertRefused,
            "A column is added; the new image crashes; a person has closed the revert window meanwhile.",
            after_a_release(vec![(0, push(Adds, Crashes)), (2 * MINUTE, Event::Act("skip_revert"))]),
        ),
        run(
            Outcome::Undone,
            "A column is added; the new image becomes healthy, and then answers every request with 500.",
            after_a_release(vec![(0, push(Adds, Serves(Answers::Badly)))]),
        ),
        run(Outcome::TimedOut, "The migration lasts an hour, and SchemaDeadline is set to two minutes.", {
            let mut plan = after_a_release(vec![(0, push(Adds, Healthy))]);
            plan.stack.deadlines.schema = 120;
            Plan { migration: 60 * MINUTE, ..plan }
        }),
        run(Outcome::ReleaseError, "Somebody has deleted the service token at PlanetScale.", {
            let direct = Event::Direct("DELETE", "tokens/pipeline", Value::Null);
            after_a_release(vec![(0, direct), (SECOND, push(Adds, Healthy))])
        }),
    ]
}

fn push(change: Change, image: Behaviour) -> Event {
    Event::Push { change, image, arrives: vec![SECOND] }
}

/// These events 37 minutes, which is between two looks for a lost push, after a release of an image whose containers serve; two minutes are verified.
fn after_a_release(events: Vec<(u64, Event)>) -> Plan {
    let mut plan = Plan::simple(Change::Nothing, Behaviour::Healthy);
    plan.stack.verification = Verification {
        paths: vec![VerifyPath { path: "/hotels".into(), status: 200 }],
        seconds: 120,
        on_failure: OnVerificationFailure::Undo,
    };
    plan.migration = 20 * SECOND;
    plan.events.extend(events.into_iter().map(|(at, event)| (37 * MINUTE + at, event)));
    plan
}

impl Run {
    /// Makes the release, and gives its file.
    ///
    /// # Panics
    /// When no release ends as the outcome.
    pub fn text(&self, definition: &Arc<Definition>) -> String {
        time::run(async {
            // Fine weather and a fast network, so that one call more moves no other time.
            let decider = Decider::Script(BTreeMap::new());
            let world =
                World::new(self.plan.stack.clone(), Weather::Calm, decider, None, definition.clone()).await;
            world.cloud().steps = Some(Vec::new());
            play(&world, &self.plan).await;
            let wrong = crate::invariants::broken(&world).await;
            assert!(wrong.is_empty(), "{}: {wrong:#?}", self.outcome);
            let cloud = world.cloud();
            let outcome = self.outcome.to_string();
            let found = cloud.executions.all.values().rfind(|execution| execution.end_state() == outcome);
            let execution = found.unwrap_or_else(|| {
                let ends: Vec<_> =
                    cloud.executions.all.values().map(|one| one.end_state().to_owned()).collect();
                panic!("no release ends as {outcome}, but as {ends:?}")
            });
            let steps: Vec<_> =
                cloud.steps.iter().flatten().filter(|step| step.execution == execution.arn).collect();
            let messages: Vec<_> =
                cloud.messages.iter().filter(|message| message.text.contains(&execution.name)).collect();
            self.file(&steps, execution.started_at, &messages)
        })
    }

    fn file(&self, steps: &[&Step], started_at: u64, messages: &[&Message]) -> String {
        let mut text = format!("{}\n\n{}\n", self.outcome, self.about);
        for step in steps {
            // Whole seconds, which one call more moves the least.
            let seconds = (step.at - started_at) / 1_000;
            let found = step.answer.as_ref().map(|answer| answer.as_ref().map_or_else(failed, short));
            match found {
                None => {
                    let _ = write!(text, "\n{seconds:6} s  {}", step.state);
                }
                // Beside its state; where that was tried again, the next ones below.
                Some(found) if text.ends_with(&step.state) => {
                    let room = " ".repeat(26_usize.saturating_sub(step.state.len()));
                    let _ = write!(text, "{room}{found}");
                }
                Some(found) => {
                    let _ = write!(text, "\n{:36}{found}", "");
                }
            }
        }
        text.push('\n');
        for message in messages {
            text += "\nA mail:\n\n";
            for line in message.text.trim_end().lines() {
                let _ = writeln!(text, "{}", format!("  {line}").trim_end());
            }
        }
        text
    }
}

/// The files with their runs: writes each.
///
/// # Errors
/// When a file cannot be written.
pub fn refresh(definition: &Arc<Definition>) -> io::Result<()> {
    for run in runs() {
        fs::write(path(run.outcome), run.text(definition))?;
    }
    Ok(())
}

/// Where the run of an outcome is written.
pub fn path(outcome: Outcome) -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../golden");
    PathBuf::from(folder).join(format!("{outcome}.txt"))
}

/// What the report repeats, and what the reason beside it says in words.
const SAID_ELSEWHERE: [&str; 8] =
    ["baseline", "estimate", "isFirst", "image", "log", "looks", "service", "url"];
/// What is said of a report, which the mail tells whole.
const OF_A_REPORT: [&str; 3] = ["needsAPerson", "outcome", "schema"];

/// What a function found, in a line: every member that says something.
fn short(answer: &Value) -> String {
    let mut members = BTreeMap::new();
    flatten("", answer, &mut members);
    if answer["outcome"].is_string() && answer["whatToDo"].is_string() {
        members.retain(|name, _| OF_A_REPORT.contains(&name.as_str()));
    }
    if !["SchemaFirst", "ContainersFirst", "Refuse"].contains(&answer["step"].as_str().unwrap_or_default()) {
        members.remove("deployRequest.statements");
    }
    let mut words: Vec<_> = ["turn", "step"].iter().filter_map(|name| members.remove(*name)).collect();
    if let (Some(number), Some(state)) =
        (members.remove("deployRequest.number"), members.remove("deployRequest.state"))
    {
        words.push(format!("#{number} {state}"));
    }
    words.extend(members.remove("deployment.version").map(|version| format!("version {version}")));
    let because = members.remove("because");
    words.extend(
        members
            .into_iter()
            .map(|(name, value)| format!("{}={value}", name.rsplit('.').next().unwrap_or_default())),
    );
    words.dedup();
    let words = words.join(" ");
    match because {
        Some(because) if words.is_empty() => because,
        Some(because) => format!("{words}: {because}"),
        None => words,
    }
}

fn flatten(name: &str, value: &Value, members: &mut BTreeMap<String, String>) {
    match value {
        Value::Null | Value::Bool(false) => {}
        Value::Object(fields) => {
            for (field, value) in fields.iter().filter(|(field, _)| !SAID_ELSEWHERE.contains(&field.as_str()))
            {
                let name = if name.is_empty() { field.clone() } else { format!("{name}.{field}") };
                flatten(&name, value, members);
            }
        }
        Value::Array(items) if items.is_empty() => {}
        Value::String(text) if text.is_empty() => {}
        Value::String(text) => {
            members.insert(name.into(), shared::text::shorten(text, LONGEST_TEXT));
        }
        other => {
            members.insert(name.into(), shared::text::shorten(&other.to_string(), LONGEST_TEXT));
        }
    }
}

fn failed(failure: &Failure) -> String {
    let cause: Value = serde_json::from_str(&failure.cause).unwrap_or_default();
    let message = cause["errorMessage"].as_str().unwrap_or(&failure.cause);
    format!("fails with {}: {}", failure.error, shared::text::shorten(message, LONGEST_TEXT))
}
