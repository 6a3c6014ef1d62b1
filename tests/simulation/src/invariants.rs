//! What must hold when a story is over.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use shared::Outcome;
use shared::release::DestructiveChanges;

use crate::services::sfn::Execution;
use crate::stack;
use crate::story::requests;
use crate::world::{Answers, Cloud, Kind, World};

/// What is broken; nothing is the usual.
pub async fn broken(world: &Arc<World>) -> Vec<String> {
    let serving = world.serving().await;
    let requests = requests(world).await;
    let cloud = world.cloud();
    let mut wrong = cloud.wrong.clone();
    one_at_a_time(&cloud, &mut wrong);
    judged(&cloud, &mut wrong);
    one_deployment_each(&cloud, &mut wrong);
    for execution in cloud.executions.all.values() {
        ended_with_a_name(execution, &mut wrong);
        refused_touched_nothing(&cloud, execution, &mut wrong);
        told_and_recorded(&cloud, execution, &mut wrong);
        not_without_a_reason(&cloud, execution, &mut wrong);
        serves(&cloud, execution, &mut wrong);
    }
    going_back_changes_no_schema(&cloud, &mut wrong);
    nothing_new_while_held(&cloud, &mut wrong);
    schema_is_told(&cloud, &requests, &mut wrong);
    tag_is_released(&cloud, serving.as_deref(), &mut wrong);
    no_secret(&cloud, &mut wrong);
    wrong
}

/// Nobody changes anything while another release is at work.
fn one_at_a_time(cloud: &Cloud, wrong: &mut Vec<String>) {
    let mut at_work: Option<&str> = None;
    for change in &cloud.mutations {
        let who = label(cloud, &change.execution);
        match &change.kind {
            Kind::Lock(_) => at_work = None,
            _ if change.came_late => {}
            _ if change.holder.as_deref() == Some(&change.execution) => at_work = Some(&change.execution),
            kind => match &change.holder {
                None => wrong.push(format!("{who} did {kind:?} without the lock, which nobody held")),
                Some(holder) if at_work == Some(holder) => {
                    wrong.push(format!("{who} did {kind:?} while {} was at work", label(cloud, holder)));
                }
                Some(_) => {}
            },
        }
    }
}

/// What was deployed was allowed by the policy that was in force when its release began.
fn judged(cloud: &Cloud, wrong: &mut Vec<String>) {
    for change in &cloud.mutations {
        let Kind::Deployed { number, drops: true, statements } = &change.kind else { continue };
        let containers = cloud.mutations.iter().any(|other| {
            other.execution == change.execution
                && matches!(other.kind, Kind::Containers { .. })
                && other.at < change.at
        });
        let input = cloud.executions.all.get(&change.execution).map(|execution| &execution.input);
        let policy = input.map(|input| input["policy"]["destructiveChanges"].clone());
        let allowed = match policy.and_then(|policy| serde_json::from_value(policy).ok()) {
            Some(DestructiveChanges::Allow) => true,
            Some(DestructiveChanges::AfterContainers) => containers,
            Some(DestructiveChanges::Refuse) | None => false,
        };
        if !allowed {
            let who = label(cloud, &change.execution);
            wrong.push(format!("{who} deployed #{number} against the policy: {}", statements.join("; ")));
        }
    }
}

fn one_deployment_each(cloud: &Cloud, wrong: &mut Vec<String>) {
    let mut count: BTreeMap<&str, u32> = BTreeMap::new();
    for change in cloud.mutations.iter().filter(|change| !change.came_late) {
        if let Kind::Containers { marker } = &change.kind {
            *count.entry(marker).or_default() += 1;
        }
    }
    for (marker, count) in count.into_iter().filter(|(_, count)| *count > 1) {
        wrong.push(format!("{marker} has {count} deployments"));
    }
}

/// Every execution ends, in a state that names the outcome, unless a person stopped it.
fn ended_with_a_name(execution: &Execution, wrong: &mut Vec<String>) {
    let label = &execution.label;
    let named = Outcome::ALL.iter().any(|outcome| outcome.to_string() == execution.end_state());
    match execution.status() {
        "ABORTED" => {}
        "SUCCEEDED" if named => {}
        "FAILED"
            if named
                && execution
                    .failure
                    .as_ref()
                    .is_some_and(|failure| failure.error == execution.end_state()) => {}
        status => {
            let failure = &execution.failure;
            wrong.push(format!(
                "{label} is {status} in {} after {} events: {failure:?}",
                execution.end_state(),
                execution.events
            ));
        }
    }
}

fn refused_touched_nothing(cloud: &Cloud, execution: &Execution, wrong: &mut Vec<String>) {
    if !["Superseded", "Held", "RollbackRefused", "SchemaRefused"].contains(&execution.end_state()) {
        return;
    }
    // Where the containers went first they serve when the change is refused, and the report says so.
    let serves = execution.end_state() == "SchemaRefused"
        && cloud.messages.iter().any(|message| {
            message.text.contains(&execution.name) && message.text.contains("the new containers serve")
        });
    for change in cloud.mutations.iter().filter(|change| change.execution == execution.arn) {
        let touched = match change.kind {
            Kind::Deployed { .. } => true,
            Kind::Containers { .. } => !serves,
            Kind::Lock(_) | Kind::Created(_) | Kind::Request { .. } => false,
        };
        if touched {
            wrong.push(format!("{} is {} and did {:?}", execution.label, execution.end_state(), change.kind));
        }
    }
}

/// A rollback makes, deploys and closes no deploy request.
fn going_back_changes_no_schema(cloud: &Cloud, wrong: &mut Vec<String>) {
    for change in &cloud.mutations {
        let Some(execution) = cloud.executions.all.get(&change.execution) else { continue };
        if execution.input["cause"] == "rollback"
            && matches!(change.kind, Kind::Created(_) | Kind::Deployed { .. } | Kind::Request { .. })
        {
            wrong.push(format!("{} goes back and did {:?}", execution.label, change.kind));
        }
    }
}

/// A hold that a person sets while a release looks at it may come too late for that one, milliseconds.
const TOO_LATE: u64 = 120_000;

/// What was pushed or found takes no turn while the environment is held.
fn nothing_new_while_held(cloud: &Cloud, wrong: &mut Vec<String>) {
    for execution in cloud.executions.all.values() {
        if !["push", "scheduledLook"].iter().any(|cause| execution.input["cause"] == *cause) {
            continue;
        }
        let mut own = cloud.mutations.iter().filter(|change| change.execution == execution.arn);
        let Some(turn) = own.clone().find(|change| matches!(change.kind, Kind::Lock(_))) else { continue };
        let touched = own.any(|change| {
            matches!(change.kind, Kind::Created(_) | Kind::Deployed { .. } | Kind::Containers { .. })
        });
        let hold = cloud.holds.iter().rfind(|hold| hold.at <= turn.at);
        let held = hold.is_some_and(|hold| {
            !hold.clears && turn.at - hold.at >= if hold.by_a_person { TOO_LATE } else { 0 }
        });
        if touched && held {
            wrong.push(format!("{} took its turn in a held environment", execution.label));
        }
    }
}

/// Where the service is asked, an image that answers badly is not released, unless what served before did so too.
fn serves(cloud: &Cloud, execution: &Execution, wrong: &mut Vec<String>) {
    let is_asked = execution.input["verification"]["seconds"].as_u64().is_some_and(|seconds| seconds > 0);
    let failed_before = execution
        .position
        .variables
        .get("baseline")
        .and_then(|baseline| baseline["failing"].as_array())
        .is_none_or(|failing| !failing.is_empty());
    if execution.end_state() == "Released"
        && is_asked
        && !failed_before
        && cloud.answers.get(execution.digest()) == Some(&Answers::Badly)
    {
        wrong.push(format!("{} is Released and answers badly", execution.label));
    }
}

/// A release that ended is recorded and told as it ended.
fn told_and_recorded(cloud: &Cloud, execution: &Execution, wrong: &mut Vec<String>) {
    if execution.is_running() || execution.status() == "ABORTED" || could_not_finish(execution) {
        return;
    }
    let outcome = execution.end_state();
    let record =
        cloud.table.items.iter().find(|((kind, id), _)| kind == "release" && id.ends_with(&execution.name));
    let recorded = record.and_then(|(_, item)| item["outcome"]["S"].as_str());
    if recorded != Some(outcome) {
        wrong.push(format!("{} ended as {outcome} and is recorded as {recorded:?}", execution.label));
    }
    let told = cloud
        .messages
        .iter()
        .any(|message| message.text.contains(outcome) && message.text.contains(&execution.name));
    if !told {
        wrong.push(format!("{} ended as {outcome} and nobody was told", execution.label));
    }
}

/// Whether the last function failed for longer than it is tried, and the end says so.
fn could_not_finish(execution: &Execution) -> bool {
    execution.failure.as_ref().is_some_and(|failure| failure.cause.contains("FinishRelease failed"))
}

/// Whether the release ended while no call of `create-deploy-request` had been answered.
fn never_knew(execution: &Execution) -> bool {
    let known = execution.position.variables.get("deployRequest");
    execution.end_state() == "ReleaseError" && known.is_none_or(|known| known.is_null())
}

/// A look starts nothing that a person stopped, and nothing that was released last.
fn not_without_a_reason(cloud: &Cloud, execution: &Execution, wrong: &mut Vec<String>) {
    // By the name, as what a look finds may be a rollback.
    if !execution.name.ends_with("-look") {
        return;
    }
    let (digest, at) = (execution.digest(), execution.started_at);
    // What is shown late, is known late.
    let known = at.saturating_sub(10_000);
    let asked =
        cloud.asked.iter().filter(|(when, of)| of == digest && *when <= at).map(|(when, _)| *when).max();
    for (when, of) in &cloud.stopped {
        if of == digest && *when < known && asked.is_none_or(|asked| asked < *when) {
            wrong.push(format!("{} starts anew what a person had stopped", execution.label));
        }
    }
    let before = cloud.executions.all.values().filter(|other| {
        other.ended_at() < known
            && !other.is_running()
            && other.status() != "ABORTED"
            && !["Superseded", "Held"].contains(&other.end_state())
    });
    if let Some(before) = before.max_by_key(|other| other.ended_at())
        && before.digest() == digest
        && before.end_state() == "Released"
        // It read the tag just before that moved on, and what was seen just after.
        && execution.end_state() != "Superseded"
        && asked.is_none_or(|asked| asked < before.started_at)
    {
        wrong.push(format!("{} releases again what {} released", execution.label, before.label));
    }
}

/// Nothing was done with the schema, or is left open, that nobody was told of.
fn schema_is_told(cloud: &Cloud, requests: &[Value], wrong: &mut Vec<String>) {
    let told = |number: u64| cloud.messages.iter().any(|message| mentions(&message.text, number));
    let excused = |number: u64| {
        cloud.mutations.iter().any(|change| {
            let of = match &change.kind {
                Kind::Created(of) | Kind::Deployed { number: of, .. } | Kind::Request { number: of, .. } => {
                    *of
                }
                Kind::Lock(_) | Kind::Containers { .. } => return false,
            };
            let execution = cloud.executions.all.get(&change.execution);
            of == number
                && execution.is_some_and(|found| {
                    found.status() == "ABORTED" || could_not_finish(found) || never_knew(found)
                })
        })
    };
    for change in &cloud.mutations {
        let (number, did) = match &change.kind {
            Kind::Deployed { number, .. } => (*number, "deployed"),
            Kind::Request { number, action } if action == "revert" => (*number, "reverted"),
            _ => continue,
        };
        if !told(number) && !excused(number) {
            wrong.push(format!("#{number} was {did} and nobody was told"));
        }
    }
    for request in requests.iter().filter(|request| request["state"] == "open") {
        let number = request["number"].as_u64().unwrap_or_default();
        // The next release adopts one that came late.
        let created =
            cloud.mutations.iter().any(|change| change.kind == Kind::Created(number) && !change.came_late);
        if created && !told(number) && !excused(number) {
            wrong.push(format!("#{number} is left open and nobody was told"));
        }
    }
}

fn mentions(text: &str, number: u64) -> bool {
    let number = number.to_string();
    text.match_indices(&format!("#{number}"))
        .any(|(at, found)| !text[at + found.len()..].starts_with(|next: char| next.is_ascii_digit()))
}

/// The environment runs the image that its tag names, or somebody was told why not.
fn tag_is_released(cloud: &Cloud, serving: Option<&str>, wrong: &mut Vec<String>) {
    let Some(digest) = cloud.repository.tags.get(stack::MOVING_TAG) else { return };
    let serves = serving.and_then(|tag| cloud.repository.tags.get(tag));
    if serves == Some(digest) {
        return;
    }
    let told = cloud.executions.all.values().any(|execution| {
        execution.digest() == digest
            && (execution.status() == "ABORTED"
                || !["Released", "Superseded"].contains(&execution.end_state()))
    });
    // A person went back and left the tag where it is.
    let was_left = cloud.executions.all.values().any(|execution| {
        execution.input["rollback"]["tagPointsAt"] == digest.as_str() && execution.digest() != digest
    });
    if !told && !was_left {
        wrong.push(format!("the tag names {digest}, {serving:?} serves, and nobody was told"));
    }
}

fn no_secret(cloud: &Cloud, wrong: &mut Vec<String>) {
    for execution in cloud.executions.all.values().filter(|execution| execution.tells_a_secret) {
        wrong.push(format!("a secret is in the history of {}", execution.label));
    }
    if cloud.messages.iter().any(|message| stack::is_secret(&message.text)) {
        wrong.push("a secret is in a message".into());
    }
    for ((kind, id), item) in &cloud.table.items {
        if item.values().any(stack::tells_a_secret) {
            wrong.push(format!("a secret is in the record {kind} {id}"));
        }
    }
}

fn label(cloud: &Cloud, arn: &str) -> String {
    cloud.executions.all.get(arn).map_or_else(|| "nobody".into(), |execution| execution.label.clone())
}
