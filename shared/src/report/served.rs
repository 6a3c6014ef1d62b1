//! What is told of a release whose service was asked whether it serves.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use super::{Ending, SchemaChange, revertible_until};
use crate::outcome::Outcome;
use crate::verification::Moment;

/// The moment whose looks said that the service does not serve.
fn failed(ending: &Ending) -> Option<Moment> {
    ending.looks.as_ref().filter(|looks| looks.failed).map(|looks| looks.moment)
}

/// What happened, when containers served badly; none when they did not, or when nothing serves.
pub(super) fn what_happened(ending: &Ending) -> Option<String> {
    let moment = failed(ending).filter(|_| !ending.service_down)?;
    let told = match (moment, ending.outcome, ending.schema) {
        (Moment::OldContainers, Outcome::SchemaReverted, _) => {
            "The old containers did not serve on the new schema, which is back as it was; no new ones were started."
        }
        (Moment::OldContainers, Outcome::RevertRefused, _) => {
            "The old containers do not serve on the new schema, and it could not go back; no new ones were started."
        }
        (Moment::NewContainers, Outcome::ContainersFailed, SchemaChange::None) => {
            "The new containers are ACTIVE and serve badly; they were kept, and the schema was not changed."
        }
        (Moment::NewContainers, Outcome::ContainersFailed, _) => {
            "The new containers are ACTIVE and serve badly; they were kept, and so was the schema change."
        }
        (Moment::NewContainers, Outcome::Undone, SchemaChange::None) => {
            "The new containers served badly; those of the version before serve again, and the schema was not changed."
        }
        (Moment::NewContainers, Outcome::Undone, SchemaChange::Reverted) => {
            "The new containers served badly; those of the version before serve again, and the schema is back as it was."
        }
        (Moment::NewContainers, Outcome::Undone, SchemaChange::Revertible | SchemaChange::Permanent) => {
            "The new containers served badly; those of the version before serve again, and the schema change was kept."
        }
        (Moment::NewContainers, Outcome::RevertRefused, schema) => {
            match (ending.restored.is_some(), schema) {
                (true, SchemaChange::None) => {
                    "The new containers served badly. The version before runs again, on the schema that was not changed."
                }
                (true, SchemaChange::Reverted) => {
                    "The new containers served badly. The version before runs again, on the schema of before."
                }
                (true, SchemaChange::Revertible | SchemaChange::Permanent) => {
                    "The new containers served badly. The version before runs again, but on the new schema."
                }
                (false, SchemaChange::None | SchemaChange::Reverted) => {
                    "The new containers served badly, and the version before could not be brought back."
                }
                (false, SchemaChange::Revertible | SchemaChange::Permanent) => {
                    "The new containers served badly on the new schema, and the version before could not be brought back."
                }
            }
        }
        _ => return None,
    };
    Some(told.into())
}

/// What to do then.
pub(super) fn what_to_do(ending: &Ending) -> Option<String> {
    let moment = failed(ending).filter(|_| !ending.service_down)?;
    match (moment, ending.outcome) {
        (Moment::OldContainers, Outcome::SchemaReverted) => {
            Some("Release containers first that serve on both schemas, then the schema change.".into())
        }
        (_, Outcome::RevertRefused) => {
            let request = ending.deploy_request.as_ref().map_or("the schema", |request| request.url.as_str());
            Some(format!(
                "Look at what serves, and at {request}; deploy a version that serves on that schema, or revert it."
            ))
        }
        _ => None,
    }
}

/// What the looks found that is worth telling: how a release served, what was not held against it, and until when its
/// schema change can go back.
pub(super) fn what_was_seen(ending: &Ending, now: DateTime<Utc>) -> String {
    let failing: BTreeSet<_> =
        ending.baseline.as_ref().map(|baseline| baseline.failing.clone()).unwrap_or_default();
    let mut told = Vec::new();
    if let (Some(looks), Outcome::Released) = (&ending.looks, ending.outcome) {
        told.push(looks.sentence("The new containers", &failing));
    }
    if ending.looks.is_some() && !failing.is_empty() {
        let failing: Vec<_> = failing.into_iter().collect();
        told.push(format!("What failed before the release already: {}.", failing.join(", ")));
    }
    // What was read of the window before PlanetScale refused the revert is not true any more.
    let was_refused = ending.error.as_ref().is_some_and(|error| error.error == "RevertRefused");
    if let (SchemaChange::Revertible, Some(until)) = (ending.schema, revertible_until(ending, now))
        && ending.outcome != Outcome::Released
        && !was_refused
    {
        told.push(format!("The schema change can be reverted until {}.", until.format("%Y-%m-%d %H:%M UTC")));
    }
    told.join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::tests::ending;
    use super::super::{CaughtError, message, report};
    use super::*;
    use crate::containers::DeploymentReport;
    use crate::planetscale::DeployRequestNumber;
    use crate::schema::DeployRequestReport;
    use crate::verification::{Baseline, Looks};

    #[test]
    fn a_release_that_served_badly_tells_what_serves_now_and_on_which_schema() {
        use Moment::{NewContainers, OldContainers};
        use Outcome::{ContainersFailed, RevertRefused, SchemaReverted, Undone};
        use SchemaChange::{None as Unchanged, Permanent, Reverted, Revertible};
        let deployment = DeploymentReport {
            service: "app".into(),
            version: 3,
            image: "host/app:1".into(),
            url: "https://app.example".into(),
            is_first: false,
        };
        for (outcome, moment, schema, is_restored, expected) in [
            (
                SchemaReverted,
                OldContainers,
                Reverted,
                false,
                "did not serve on the new schema, which is back",
            ),
            (
                RevertRefused,
                OldContainers,
                Revertible,
                false,
                "do not serve on the new schema, and it could not",
            ),
            (Undone, NewContainers, Unchanged, true, "serve again, and the schema was not changed"),
            (Undone, NewContainers, Reverted, true, "serve again, and the schema is back as it was"),
            (Undone, NewContainers, Revertible, true, "serve again, and the schema change was kept"),
            (
                RevertRefused,
                NewContainers,
                Unchanged,
                false,
                "served badly, and the version before could not be",
            ),
            (
                RevertRefused,
                NewContainers,
                Permanent,
                false,
                "served badly on the new schema, and the version",
            ),
            (RevertRefused, NewContainers, Revertible, true, "runs again, but on the new schema"),
            (RevertRefused, NewContainers, Reverted, true, "runs again, on the schema of before"),
            (RevertRefused, NewContainers, Unchanged, true, "runs again, on the schema that was not changed"),
            (
                ContainersFailed,
                NewContainers,
                Revertible,
                false,
                "they were kept, and so was the schema change",
            ),
            (
                ContainersFailed,
                NewContainers,
                Unchanged,
                false,
                "they were kept, and the schema was not changed",
            ),
        ] {
            let mut looks = Looks::with(moment, None, Vec::new(), &BTreeSet::new());
            looks.failed = true;
            let ending = Ending {
                schema,
                looks: Some(looks),
                restored: is_restored.then(|| deployment.clone()),
                ..ending(outcome)
            };
            let report = report(&ending, DateTime::UNIX_EPOCH);
            assert!(
                report.what_happened.contains(expected),
                "{outcome} {moment:?}: {}",
                report.what_happened
            );
            assert!(!report.what_happened.contains("old ones still serve"), "{}", report.what_happened);
            assert_eq!(
                message(&report).contains("Deployment 3 of app serves again: host/app:1"),
                is_restored
            );
        }
    }

    #[test]
    fn what_failed_before_and_until_when_the_schema_can_go_back_is_told() {
        let request = DeployRequestReport {
            number: DeployRequestNumber(1),
            url: "https://app.planetscale.com/1".into(),
            state: "complete_pending_revert".into(),
            statements: Vec::new(),
            closed: None,
            revertible_until: DateTime::from_timestamp(1_800, 0),
        };
        let ending = Ending {
            schema: SchemaChange::Revertible,
            deploy_request: Some(request),
            baseline: Some(Baseline { serves: Some(1), failing: BTreeSet::from(["/slow".into()]) }),
            looks: Some(Looks::with(Moment::NewContainers, None, Vec::new(), &BTreeSet::new())),
            ..ending(Outcome::ContainersFailed)
        };
        let told = report(&ending, DateTime::UNIX_EPOCH).what_happened;
        assert!(told.contains("What failed before the release already: /slow."), "{told}");
        assert!(told.ends_with("can be reverted until 1970-01-01 00:30 UTC."), "{told}");
        for (now, is_open) in [(0, true), (1_799, true), (1_800, false), (86_400, false)] {
            for outcome in [Outcome::ContainersFailed, Outcome::Released] {
                let report =
                    report(&Ending { outcome, ..ending.clone() }, DateTime::from_timestamp(now, 0).unwrap());
                let told = format!("{} {}", report.what_happened, report.going_back.unwrap_or_default());
                assert_eq!(told.contains("can be reverted until"), is_open, "{outcome} at {now}: {told}");
            }
        }
        let refused = CaughtError {
            error: "RevertRefused".into(),
            cause: "Its revert window is not open.".into(),
            state: "RevertDeployRequest".into(),
        };
        let refused = Ending { error: Some(refused), outcome: Outcome::RevertRefused, ..ending };
        let told = report(&refused, DateTime::UNIX_EPOCH).what_happened;
        assert!(!told.contains("can be reverted"), "{told}");
    }
}
