//! The report of a release: what happened, and what to do next.

pub mod chat;
mod served;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::containers::{DeploymentReport, replaced};
use crate::origin::Origin;
use crate::outcome::Outcome;
use crate::release::{Cause, Execution, OnContainerFailure, Release};
use crate::rollback::{self, Verdict};
use crate::schema::DeployRequestReport;
use crate::text;
use crate::verification::{Baseline, Looks};

/// How the release went, as the state machine hands it to `finish-release`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ending {
    /// The release.
    pub release: Release,
    /// Its execution.
    pub execution: Execution,
    /// How often the execution was redriven.
    pub redrives: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, in one sentence.
    #[serde(default)]
    pub because: String,
    /// The error that ended it, if one did.
    #[serde(default)]
    pub error: Option<CaughtError>,
    /// Its deploy request, if there was one.
    #[serde(default)]
    pub deploy_request: Option<DeployRequestReport>,
    /// In which order schema and containers were to move, and why.
    #[serde(default)]
    pub order: Option<String>,
    /// What became of the schema.
    #[serde(default)]
    pub schema: SchemaChange,
    /// Its deployment, if there was one.
    #[serde(default)]
    pub deployment: Option<DeploymentReport>,
    /// Whether the container service itself is disabled or gone, so that nothing serves.
    #[serde(default)]
    pub service_down: bool,
    /// What the service was found to answer before anything was changed, where it was asked.
    #[serde(default)]
    pub baseline: Option<Baseline>,
    /// The last looks at what it answers, where there were some.
    #[serde(default)]
    pub looks: Option<Looks>,
    /// The deployment of the version before, once it serves again.
    #[serde(default)]
    pub restored: Option<DeploymentReport>,
    /// What was found of a rollback.
    #[serde(default)]
    pub rollback: Option<Verdict>,
}

/// What became of the base branch's schema in a release.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SchemaChange {
    /// It was not changed.
    #[default]
    None,
    /// It was changed and can be reverted.
    Revertible,
    /// It was changed for good.
    Permanent,
    /// It was changed and is back as it was.
    Reverted,
}

/// The error output that a Catch of the state machine hands on.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CaughtError {
    /// The error's name.
    #[serde(default)]
    pub error: String,
    /// Its cause: for a Lambda function, JSON with `errorMessage`.
    #[serde(default)]
    pub cause: String,
    /// The state in which it was caught.
    #[serde(default)]
    pub state: String,
}

impl CaughtError {
    /// The error as a sentence.
    pub fn sentence(&self) -> String {
        let cause: Option<Value> = serde_json::from_str(&self.cause).ok();
        let message = cause.as_ref().and_then(|cause| cause["errorMessage"].as_str()).unwrap_or(&self.cause);
        let message = text::shorten(message.trim(), 4_000);
        let message = if message.is_empty() { "No cause was given.".into() } else { message };
        let name = text::shorten(&self.error, 200);
        format!("{} failed with {name}: {message}", self.state)
    }
}

/// The report: the execution's output, the record, and the body of the notification.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// How the release ended.
    pub outcome: Outcome,
    /// What happened, in one sentence.
    pub what_happened: String,
    /// What to do next, in one sentence.
    pub what_to_do: String,
    /// Whether a person has to look: nothing serves, or the schema may be in a state that no release mends.
    #[serde(default)]
    pub needs_a_person: bool,
    /// The application.
    pub application: String,
    /// The environment.
    pub environment: String,
    /// The immutable tag, which names the commit.
    pub commit: Option<String>,
    /// Where the image came from, if its build is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// The image reference that was deployed, or the repository and moving tag when none was.
    pub image: String,
    /// The image's digest.
    pub digest: String,
    /// The deploy request and its statements.
    pub deploy_request: Option<DeployRequestReport>,
    /// In which order schema and containers moved, and why.
    pub order: Option<String>,
    /// What became of the schema.
    pub schema: SchemaChange,
    /// The container service, the deployment's version and the public URL.
    pub deployment: Option<DeploymentReport>,
    /// What the service answered before anything was changed.
    pub baseline: Option<Baseline>,
    /// What the last looks found.
    pub looks: Option<Looks>,
    /// The deployment with which the version before serves again.
    pub restored: Option<DeploymentReport>,
    /// What was found of a rollback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Verdict>,
    /// Whether one can go back from what was released.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub going_back: Option<String>,
    /// The execution's name.
    pub execution: String,
    /// Its page in the console.
    pub execution_url: String,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: DateTime<Utc>,
}

/// Writes the report of a release that ends now.
pub fn report(ending: &Ending, finished_at: DateTime<Utc>) -> Report {
    let Ending { release, execution, deployment, .. } = ending;
    Report {
        outcome: ending.outcome,
        what_happened: what_happened(ending, finished_at),
        what_to_do: what_to_do(ending),
        needs_a_person: needs_a_person(ending),
        application: release.application.clone(),
        environment: release.environment.clone(),
        commit: release.image.commit.as_ref().map(ToString::to_string),
        origin: None,
        image: deployment.as_ref().map_or_else(
            || format!("{}:{}", release.image.uri, release.image.moving_tag),
            |deployment| deployment.image.clone(),
        ),
        digest: release.image.digest.to_string(),
        deploy_request: ending.deploy_request.clone(),
        order: ending.order.clone(),
        schema: ending.schema,
        deployment: deployment.clone(),
        baseline: ending.baseline.clone(),
        looks: ending.looks.clone(),
        restored: ending.restored.clone(),
        rollback: ending.rollback.clone(),
        going_back: going_back(ending, finished_at),
        execution: execution.name.clone(),
        execution_url: execution.console_url(),
        started_at: execution.started_at,
        finished_at,
    }
}

/// Whether one can go back from what was released; after a rollback that is what was judged for it.
fn going_back(ending: &Ending, now: DateTime<Utc>) -> Option<String> {
    if ending.outcome != Outcome::Released || ending.release.cause == Cause::Rollback {
        return None;
    }
    let request = ending.deploy_request.as_ref();
    let statements = request.map_or(&[][..], |request| &request.statements);
    Some(rollback::outlook(ending.schema, statements, revertible_until(ending, now)))
}

/// Until when the schema change can be reverted; none once that has passed.
fn revertible_until(ending: &Ending, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    ending.deploy_request.as_ref()?.revertible_until.filter(|until| *until > now)
}

/// The notification's subject: at most 100 characters of ASCII, as SNS requires.
pub fn subject(report: &Report) -> String {
    let subject = format!("{} {}: {}", report.application, report.environment, report.outcome);
    subject.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(100).collect()
}

/// The notification's text, short enough to read on a phone.
pub fn message(report: &Report) -> String {
    let mut lines = vec![
        format!("{} in {}: {}", report.application, report.environment, report.outcome),
        report.what_happened.clone(),
        report.what_to_do.clone(),
        String::new(),
    ];
    lines.extend(report.going_back.clone());
    // An image that two commits share has the tags of both; its build names the one that was pushed.
    let pushed = report.origin.as_ref().and_then(|origin| origin.commit.as_deref());
    lines.extend([
        format!("Commit: {}", pushed.or(report.commit.as_deref()).unwrap_or("unknown")),
        format!("Image: {}", report.digest),
    ]);
    lines.extend(report.origin.iter().flat_map(Origin::lines));
    if let Some(request) = &report.deploy_request {
        lines.push(format!("Deploy request #{}: {}", request.number, request.url));
    }
    if let Some(deployment) = &report.deployment {
        lines
            .push(format!("Deployment {} of {}: {}", deployment.version, deployment.service, deployment.url));
    }
    if let Some(restored) = &report.restored {
        lines.push(format!(
            "Deployment {} of {} serves again: {}",
            restored.version, restored.service, restored.image
        ));
    }
    lines.push(format!("Execution: {}", report.execution_url));
    lines.join("\n")
}

/// What serves after containers did not start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Serving {
    /// The service is disabled, being deleted or gone.
    Down,
    /// No deployment was created, so whatever served before does.
    Untouched,
    /// The deployment that failed was the service's first.
    Nothing,
    /// A deployment that somebody else made.
    Foreign,
    /// The deployment before.
    Old,
}

fn serving(ending: &Ending) -> Serving {
    match &ending.deployment {
        _ if ending.service_down => Serving::Down,
        None => Serving::Untouched,
        Some(deployment)
            if ending.because.starts_with(&replaced(&deployment.service, deployment.version)) =>
        {
            Serving::Foreign
        }
        Some(deployment) if deployment.is_first => Serving::Nothing,
        Some(_) => Serving::Old,
    }
}

/// Whether a setting, a secret or a permission is wrong, and not the image.
fn is_misconfigured(ending: &Ending) -> bool {
    ending.error.as_ref().is_some_and(|caught| caught.error == "Misconfigured")
}

fn containers_failed(ending: &Ending) -> &'static str {
    match serving(ending) {
        Serving::Down => "The container service is down and nothing serves",
        Serving::Untouched => "No new containers were created; what served before is untouched",
        Serving::Nothing => "The new containers failed; they were the service's first, so nothing serves",
        Serving::Foreign => "The new containers do not serve: another deployment took their place",
        Serving::Old => "The new containers failed; the old ones still serve",
    }
}

/// Whether the deploy request stays open though its change is not to be applied; the reason tells of it.
fn is_left_open(ending: &Ending) -> bool {
    let ends_closed = match ending.outcome {
        Outcome::Released
        | Outcome::SchemaRefused
        | Outcome::SchemaRejected
        | Outcome::ContainersFailed
        | Outcome::Undone
        | Outcome::ReleaseError => ending.schema == SchemaChange::None,
        Outcome::Superseded
        | Outcome::Held
        | Outcome::RollbackRefused
        | Outcome::SchemaFailed
        | Outcome::SchemaReverted
        | Outcome::RevertRefused
        | Outcome::TimedOut => false,
    };
    ends_closed && ending.deploy_request.as_ref().is_some_and(|request| request.closed == Some(false))
}

fn needs_a_person(ending: &Ending) -> bool {
    let did_not_start = match ending.outcome {
        Outcome::ContainersFailed | Outcome::SchemaReverted => true,
        Outcome::Released
        | Outcome::Superseded
        | Outcome::Held
        | Outcome::RollbackRefused
        | Outcome::SchemaRefused
        | Outcome::SchemaRejected
        | Outcome::SchemaFailed
        | Outcome::RevertRefused
        | Outcome::Undone
        | Outcome::TimedOut
        | Outcome::ReleaseError => false,
    };
    let nothing_serves = matches!(serving(ending), Serving::Down | Serving::Nothing);
    ending.outcome.needs_a_person()
        || (did_not_start && (nothing_serves || is_misconfigured(ending)))
        || is_left_open(ending)
}

fn what_happened(ending: &Ending, now: DateTime<Utc>) -> String {
    let because = text::shorten(&ending.because, 8_000);
    let error = ending.error.as_ref().map(CaughtError::sentence).unwrap_or_default();
    // Where the containers went first, they serve already when the schema is refused.
    let serves = ending.deployment.is_some();
    let start = match ending.outcome {
        Outcome::Released if ending.release.cause == Cause::Rollback => {
            let judged = ending.rollback.as_ref().map_or("", |verdict| verdict.because.as_str());
            let start = "The containers of the older image serve again; the schema was not changed, and the environment is held.";
            format!("{start} {judged}").trim().into()
        }
        Outcome::Released => match ending.schema {
            SchemaChange::None => "The containers are released; the schema was not changed.".into(),
            _ => "Schema and containers are released.".into(),
        },
        Outcome::Superseded => "The release stepped aside; nothing was touched.".into(),
        Outcome::Held => {
            "The image was not released, because the environment is held; nothing was touched.".into()
        }
        Outcome::RollbackRefused => "The environment did not go back; nothing was touched.".into(),
        Outcome::SchemaRefused if serves => "The schema change was refused; the new containers serve.".into(),
        Outcome::SchemaRefused => "The schema change was refused; nothing was touched.".into(),
        Outcome::SchemaRejected if serves => {
            "The schema change was rejected; the new containers serve.".into()
        }
        Outcome::SchemaRejected => "The schema change was rejected; the containers were not touched.".into(),
        Outcome::SchemaFailed if serves => {
            "PlanetScale could not apply the schema change; the new containers serve.".into()
        }
        Outcome::SchemaFailed => {
            "PlanetScale could not apply the schema change; the containers were not touched.".into()
        }
        Outcome::ContainersFailed => {
            let schema = match ending.schema {
                SchemaChange::None => "the schema was not changed",
                _ => "the schema change was kept",
            };
            format!("{}, and {schema}.", containers_failed(ending))
        }
        Outcome::SchemaReverted => {
            format!("{}, and the schema is back as it was.", containers_failed(ending))
        }
        Outcome::Undone => "The release served badly and was undone.".into(),
        Outcome::RevertRefused => {
            format!("{}, and the schema could not go back.", containers_failed(ending))
        }
        Outcome::TimedOut => "A deadline passed.".into(),
        Outcome::ReleaseError => "Something unforeseen ended the release.".into(),
    };
    let schema = match (ending.outcome, ending.schema) {
        (Outcome::TimedOut | Outcome::ReleaseError, SchemaChange::Revertible | SchemaChange::Permanent) => {
            "The schema change is applied."
        }
        _ => "",
    };
    let served = served::what_happened(ending);
    let start = served.as_deref().unwrap_or(&start);
    let looked = served::what_was_seen(ending, now);
    let parts = [start, because.trim(), error.trim(), schema, &looked];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

fn what_to_do(ending: &Ending) -> String {
    let request = ending.deploy_request.as_ref().map_or("the deploy request", |request| request.url.as_str());
    if let Some(served) = served::what_to_do(ending) {
        return served;
    }
    let serving = serving(ending);
    match ending.outcome {
        Outcome::Released if ending.release.cause == Cause::Rollback => {
            "Mend the code and push; what is pushed is kept back until somebody clears the hold with the command in the \
             stack's output ClearHold."
                .into()
        }
        Outcome::Undone if ending.release.cause == Cause::Rollback => {
            "Both versions have to be looked at: the older one serves badly, and the one that was to be left serves again."
                .into()
        }
        Outcome::Released => "Nothing.".into(),
        Outcome::Superseded => "Nothing: the reason says what owns the environment.".into(),
        Outcome::RollbackRefused => {
            "Do what the reason says; or invoke start-release with {\"rollback\":\"insist\"} to go back all the same, which is \
             recorded."
                .into()
        }
        Outcome::Held => "Nothing, or clear the hold with the command in the stack's output ClearHold: then what the \
            moving tag points at is released. Released by hand it is at once."
            .into(),
        Outcome::SchemaRefused => {
            "Change the head branch's schema as the reason says, then push again.".into()
        }
        Outcome::SchemaRejected if ending.schema == SchemaChange::Reverted => {
            "The new code needs the change: release an image that works without it, or apply the change again with \
             the command in the stack's output ReleaseByHand."
                .into()
        }
        Outcome::SchemaRejected => {
            "If it was not meant, release the same image again with the command in the stack's output ReleaseByHand.".into()
        }
        Outcome::SchemaFailed => {
            format!(
                "Look at {request}, clear the failure there so that the deploy queue is free, then release again."
            )
        }
        Outcome::ContainersFailed | Outcome::SchemaReverted | Outcome::RevertRefused
            if serving == Serving::Down =>
        {
            "Bring the container service back as the reason says, then release the same image again with the command in the stack's output ReleaseByHand."
                .into()
        }
        Outcome::ContainersFailed | Outcome::SchemaReverted if is_misconfigured(ending) => {
            "Mend what the reason names, then release the same image again with the command in the stack's output ReleaseByHand."
                .into()
        }
        Outcome::ContainersFailed => match (ending.schema, ending.release.policy.on_container_failure) {
            (SchemaChange::Revertible, OnContainerFailure::KeepSchema) => {
                format!(
                    "Mend the image and push again. The schema can be reverted by hand for a while: {request}"
                )
            }
            _ => "Mend the image and push again.".into(),
        },
        Outcome::Undone => "Mend the image and push again; a schema change that went back comes with it.".into(),
        Outcome::SchemaReverted => "Mend the image and push again; the schema change comes with it.".into(),
        Outcome::RevertRefused if serving == Serving::Nothing => {
            format!("Mend the image and push again. The schema is changed already, by {request}")
        }
        Outcome::RevertRefused => {
            format!(
                "Check that the old containers work with the new schema, at {request}; then mend the image and push again."
            )
        }
        Outcome::TimedOut => {
            "Look at what was waited for; when it is done, release again with the command in the stack's output ReleaseByHand."
                .into()
        }
        Outcome::ReleaseError => {
            "Mend what the reason names, then release the same image again with the command in the stack's output ReleaseByHand."
                .into()
        }
    }
}

#[cfg(test)]
pub(crate) use tests::ending as ending_for_tests;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::release;

    pub(crate) fn ending(outcome: Outcome) -> Ending {
        Ending {
            release: release(),
            execution: Execution {
                arn: "arn:aws:states:us-east-1:1:execution:app-prod-release:prod-1".into(),
                name: "prod-1".into(),
                started_at: DateTime::UNIX_EPOCH,
            },
            redrives: 0,
            outcome,
            because: "Because of this.".into(),
            error: None,
            deploy_request: None,
            order: None,
            schema: SchemaChange::None,
            deployment: None,
            service_down: false,
            baseline: None,
            looks: None,
            restored: None,
            rollback: None,
        }
    }

    #[test]
    fn every_outcome_says_what_happened_and_what_to_do() {
        for outcome in Outcome::ALL {
            let report = report(&ending(outcome), DateTime::UNIX_EPOCH);
            assert!(report.what_happened.contains("Because of this."), "{outcome}");
            assert!(
                report.what_to_do.ends_with(['.', '}']) || report.what_to_do.contains("http"),
                "{outcome}"
            );
            assert!(message(&report).contains(&format!("bookings-api in prod: {outcome}")));
            assert!(subject(&report).len() <= 100);
        }
    }

    #[test]
    fn a_message_tells_where_the_image_came_from() {
        let mut report = report(&ending(Outcome::Released), DateTime::UNIX_EPOCH);
        let before = message(&report);
        report.origin = Some(Origin {
            subject: Some("Show the stars".into()),
            author: Some("Zoë".into()),
            build_number: Some(7),
            ..Origin::default()
        });
        let told = message(&report);
        for line in ["Change: Show the stars", "From: Zoë", "Build 7"] {
            assert!(told.lines().any(|told| told == line), "{told}");
            assert!(!before.contains(line));
        }
        let merged = "f".repeat(40);
        report.origin.as_mut().unwrap().commit = Some(merged.clone());
        assert!(message(&report).contains(&format!("Commit: {merged}\n")), "the commit that was pushed");
    }

    #[test]
    fn what_serves_and_what_is_applied_is_told() {
        let told = |ending: &Ending| report(ending, DateTime::UNIX_EPOCH).what_happened;
        let deployment = DeploymentReport {
            service: "app".into(),
            version: 2,
            image: "host/app:1".into(),
            url: "https://app.example".into(),
            is_first: false,
        };
        for outcome in [Outcome::SchemaRefused, Outcome::SchemaRejected, Outcome::SchemaFailed] {
            assert!(!told(&ending(outcome)).contains("the new containers serve"), "{outcome}");
            let after = Ending { deployment: Some(deployment.clone()), ..ending(outcome) };
            assert!(told(&after).contains("the new containers serve"), "{outcome}");
        }
        for outcome in [Outcome::TimedOut, Outcome::ReleaseError] {
            let applied = Ending { schema: SchemaChange::Revertible, ..ending(outcome) };
            assert!(told(&applied).ends_with("The schema change is applied."), "{outcome}");
            assert!(!told(&ending(outcome)).contains("applied"), "{outcome}");
        }
    }

    #[test]
    fn what_serves_when_containers_do_not_start_is_told_as_it_is() {
        let deployment = |is_first| {
            Some(DeploymentReport {
                service: "app".into(),
                version: 1,
                image: "host/app:1".into(),
                url: "https://app.example".into(),
                is_first,
            })
        };
        for outcome in [Outcome::ContainersFailed, Outcome::SchemaReverted, Outcome::RevertRefused] {
            for schema in [SchemaChange::None, SchemaChange::Revertible, SchemaChange::Permanent] {
                for (service_down, deployment, told, needs_a_person) in [
                    (false, deployment(false), "the old ones still serve", false),
                    (false, deployment(true), "nothing serves", true),
                    (false, None, "No new containers were created; what served before is untouched", false),
                    (true, deployment(false), "The container service is down and nothing serves", true),
                    (true, deployment(true), "The container service is down and nothing serves", true),
                    (true, None, "The container service is down and nothing serves", true),
                ] {
                    let ending = Ending { service_down, schema, deployment, ..ending(outcome) };
                    let report = report(&ending, DateTime::UNIX_EPOCH);
                    let what = format!("{outcome}, {:?}: {}", ending.deployment, report.what_happened);
                    assert!(report.what_happened.contains(told), "{what}");
                    let old = report.what_happened.contains("still serve");
                    assert_eq!(old, told.contains("still serve"), "{what}");
                    let back = report.what_to_do.contains("Bring the container service back");
                    assert_eq!(back, service_down, "{what}");
                    let needed = needs_a_person || outcome.needs_a_person();
                    assert_eq!(report.needs_a_person, needed, "{what}");
                }
            }
        }
    }

    #[test]
    fn a_deployment_that_another_one_replaced_is_not_told_as_one_that_failed() {
        use crate::containers::{Progress, ServiceDeployment, ServiceDeploymentState, progress};
        let inactive = ServiceDeployment { version: 7, state: ServiceDeploymentState::Inactive };
        let Progress::Replaced { because } = progress("app", 7, &[inactive], 0, 100) else {
            panic!("not replaced")
        };
        let deployment = Some(DeploymentReport {
            service: "app".into(),
            version: 7,
            image: "host/app:1".into(),
            url: "https://app.example".into(),
            is_first: true,
        });
        let ending = Ending { because, deployment, ..ending(Outcome::ContainersFailed) };
        let told = report(&ending, DateTime::UNIX_EPOCH).what_happened;
        assert!(
            told.starts_with("The new containers do not serve: another deployment took their place"),
            "{told}"
        );
        assert!(!told.contains("failed") && !told.contains("nothing serves"), "{told}");
    }

    #[test]
    fn a_wrong_setting_is_not_told_as_an_image_that_failed() {
        for outcome in [Outcome::ContainersFailed, Outcome::SchemaReverted] {
            let error = CaughtError {
                error: "Misconfigured".into(),
                cause: r#"{"errorMessage":"The secret connection-string has no value."}"#.into(),
                state: "CreateContainerDeployment".into(),
            };
            let report = report(&Ending { error: Some(error), ..ending(outcome) }, DateTime::UNIX_EPOCH);
            assert!(!report.what_happened.contains("containers failed"), "{}", report.what_happened);
            assert!(report.what_happened.contains("has no value"));
            assert!(report.what_to_do.starts_with("Mend what the reason names"), "{}", report.what_to_do);
            assert!(report.needs_a_person, "{outcome}");
        }
    }

    #[test]
    fn a_request_that_stayed_open_needs_a_person() {
        let request = |closed| {
            Some(DeployRequestReport {
                number: serde_json::from_str("7").unwrap(),
                url: "https://app.planetscale.com/acme/bookings/deploy-requests/7".into(),
                state: "in_progress".into(),
                statements: Vec::new(),
                closed,
                revertible_until: None,
            })
        };
        for outcome in Outcome::ALL {
            for (closed, schema) in [
                (Some(false), SchemaChange::None),
                (Some(true), SchemaChange::None),
                (None, SchemaChange::None),
                (Some(false), SchemaChange::Permanent),
            ] {
                let deploy_request = request(closed);
                let report =
                    report(&Ending { deploy_request, schema, ..ending(outcome) }, DateTime::UNIX_EPOCH);
                let expected = closed == Some(false)
                    && schema == SchemaChange::None
                    && matches!(
                        outcome,
                        Outcome::Released
                            | Outcome::SchemaRefused
                            | Outcome::SchemaRejected
                            | Outcome::ContainersFailed
                            | Outcome::Undone
                            | Outcome::ReleaseError
                    );
                let needed = expected || outcome.needs_a_person();
                assert_eq!(report.needs_a_person, needed, "{outcome}, {closed:?}, {schema:?}");
            }
        }
    }

    #[test]
    fn a_deleted_tag_is_not_told_as_a_newer_push() {
        let release = release();
        let because = crate::lock::superseded(&release, None, None).unwrap();
        let report = report(&Ending { because, ..ending(Outcome::Superseded) }, DateTime::UNIX_EPOCH);
        assert!(report.what_happened.contains("The tag prod is gone"), "{}", report.what_happened);
        assert!(!report.what_happened.contains("newer") && !report.what_to_do.contains("newer"));
    }

    #[test]
    fn an_error_is_told_with_the_state_its_name_and_its_message() {
        let cause = r#"{"errorType":"Misconfigured","errorMessage":"The secret is empty."}"#;
        let mut ending = ending(Outcome::ReleaseError);
        ending.error = Some(CaughtError {
            error: "Misconfigured".into(),
            cause: cause.into(),
            state: "GetDeployRequest".into(),
        });
        let told = report(&ending, DateTime::UNIX_EPOCH).what_happened;
        assert!(told.ends_with("GetDeployRequest failed with Misconfigured: The secret is empty."), "{told}");
    }

    #[test]
    fn a_cause_that_is_not_json_or_far_too_long_is_still_told() {
        for (cause, told) in
            [("Task timed out", "Task timed out"), ("", "No cause was given."), ("{\"x\":1}", "{\"x\":1}")]
        {
            let error =
                CaughtError { error: "States.Timeout".into(), cause: cause.into(), state: "X".into() };
            assert_eq!(error.sentence(), format!("X failed with States.Timeout: {told}"));
        }
        let error = CaughtError { error: "E".into(), cause: "x".repeat(200_000), state: "X".into() };
        assert!(error.sentence().len() < 5_000);
    }
}
