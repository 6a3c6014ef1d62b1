//! The way back from a release that served badly: the containers of the version before.

use serde::{Deserialize, Serialize};

use crate::containers::{DeploymentReport, ServiceDeployment, ServiceDeploymentState};
use crate::poll::{Patience, patience};
use crate::text;

/// The variable that marks a deployment as the undo of the release that it names, so that it is recognised after a lost
/// answer: Lightsail's create call has no client token.
pub const UNDO_MARKER: &str = "RELEASE_UNDONE";

/// The answer of `restore-containers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all_fields = "camelCase")]
pub enum Restoration {
    /// The deployment exists.
    Created {
        /// The deployment.
        deployment: DeploymentReport,
    },
    /// The service is busy with something else.
    Wait {
        /// Seconds until the next try.
        seconds: u64,
        /// What it is busy with.
        because: String,
    },
    /// The deadline passed while the service was busy.
    TimedOut {
        /// What it is busy with.
        because: String,
    },
    /// No version served before the release.
    NothingBefore {
        /// What was found.
        because: String,
    },
    /// What serves is not the release's own version any more.
    Replaced {
        /// What was found.
        because: String,
    },
}

/// Which version to go back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Before {
    /// This one served before.
    Version(i32),
    /// None did.
    Nothing,
    /// The release's own version does not serve: there is nothing of it to take back.
    Replaced,
}

/// Which version served before `ours`, by the `deployments` that the service holds.
///
/// One that is INACTIVE "was previously successfully created" (Lightsail's guide, "Container service deployments"), so
/// the last one before ours is the one that ours replaced. A failed one never served.
pub fn before(ours: i32, deployments: &[ServiceDeployment]) -> Before {
    use ServiceDeploymentState as State;
    let serves =
        |deployment: &&ServiceDeployment| deployment.version == ours && deployment.state == State::Active;
    if !deployments.iter().any(|deployment| serves(&deployment)) {
        return Before::Replaced;
    }
    let earlier = deployments
        .iter()
        .filter(|deployment| deployment.version < ours && deployment.state == State::Inactive);
    earlier.map(|deployment| deployment.version).max().map_or(Before::Nothing, Before::Version)
}

/// Waits for a service that is busy, until the deadline.
pub fn busy(what: &str, waited: u64, deadline: u64) -> Restoration {
    let because = text::shorten(what, 1_000);
    match patience(waited, deadline) {
        Patience::Wait(seconds) => Restoration::Wait { seconds, because },
        Patience::Exhausted => Restoration::TimedOut {
            because: format!("{} {because}", text::deadline_passed("the containers", deadline)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_before_is_the_last_one_that_served() {
        use ServiceDeploymentState::{Activating, Active, Failed, Inactive};
        for (deployments, expected, why) in [
            (vec![(7, Active), (6, Inactive), (5, Inactive)], Before::Version(6), "the last one"),
            (vec![(7, Active), (6, Failed), (5, Inactive)], Before::Version(5), "a failed one never served"),
            (vec![(7, Active)], Before::Nothing, "the first one"),
            (vec![(7, Active), (6, Failed)], Before::Nothing, "the first one that did not fail"),
            (vec![(8, Active), (7, Inactive), (6, Inactive)], Before::Replaced, "a person deployed"),
            (
                vec![(8, Failed), (7, Active), (6, Inactive)],
                Before::Version(6),
                "a person's deployment failed",
            ),
            (vec![(7, Activating), (6, Active)], Before::Replaced, "ours does not serve yet"),
            (vec![], Before::Replaced, "nothing is listed"),
        ] {
            let all: Vec<_> = deployments
                .into_iter()
                .map(|(version, state)| ServiceDeployment { version, state })
                .collect();
            assert_eq!(before(7, &all), expected, "{why}");
        }
    }

    #[test]
    fn a_busy_service_is_waited_for_until_the_deadline() {
        assert!(matches!(busy("It is UPDATING.", 0, 100), Restoration::Wait { seconds: 5, .. }));
        match busy("It is UPDATING.", 100, 100) {
            Restoration::TimedOut { because } => {
                assert!(because.contains("deadline for the containers (1 min 40 s)"), "{because}");
            }
            other => panic!("{other:?}"),
        }
    }
}
