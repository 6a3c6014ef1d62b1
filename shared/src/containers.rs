//! What to do with a container service and its deployments.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::poll::{Patience, patience};
use crate::text;

/// The variable that marks a deployment as a release's own, so that it is recognised after a lost answer.
///
/// Lightsail's create call has no client token.
pub const RELEASE_MARKER: &str = "RELEASE_EXECUTION";

/// What a release can do with a container service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// It takes a deployment, or is in a state that Lightsail's model does not list: then Lightsail itself decides.
    Ready,
    /// It takes no deployment for now; its state in Lightsail's words.
    Busy(String),
    /// It runs nothing until a person enables it.
    Disabled,
    /// It is being deleted.
    Deleting,
    /// There is no such service.
    Gone,
}

impl Condition {
    /// The condition of a service in `state`.
    ///
    /// One that is `UPDATING` may be on its way into or out of being disabled, so it counts as busy until it is there.
    pub fn of(state: &str, is_disabled: bool) -> Self {
        match state {
            "DELETING" => Self::Deleting,
            "PENDING" | "UPDATING" | "DEPLOYING" => Self::Busy(state.to_owned()),
            _ if is_disabled || state == "DISABLED" => Self::Disabled,
            _ => Self::Ready,
        }
    }

    /// Why nothing of the service `name` serves, if so, and what to do.
    pub fn down(&self, name: &str) -> Option<String> {
        match self {
            Self::Ready | Self::Busy(_) => None,
            Self::Disabled => {
                Some(format!("The container service {name} is disabled. Enable it, then release again."))
            }
            Self::Deleting => Some(format!(
                "The container service {name} is being deleted. Deploy the stack again, or name an existing service."
            )),
            Self::Gone => Some(format!(
                "The container service {name} does not exist. Deploy the stack again, or name an existing service."
            )),
        }
    }

    /// Whether the service never runs again what it ran.
    pub fn is_for_good(&self) -> bool {
        match self {
            Self::Deleting | Self::Gone => true,
            Self::Ready | Self::Busy(_) | Self::Disabled => false,
        }
    }
}

/// A deployment of a container service, in Lightsail's own terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceDeployment {
    /// Its version number within the service.
    pub version: i32,
    /// Its state.
    pub state: ServiceDeploymentState,
}

/// The states of a deployment, as Lightsail's model lists them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceDeploymentState {
    /// It is being started.
    Activating,
    /// It serves.
    Active,
    /// A later one replaced it.
    Inactive,
    /// It could not be started.
    Failed,
    /// A state that Lightsail's model does not list.
    Unknown(String),
}

/// The answer of `create-container-deployment`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all_fields = "camelCase")]
pub enum Creation {
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
}

/// What a person reads about a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentReport {
    /// The container service.
    pub service: String,
    /// The deployment's version.
    pub version: i32,
    /// The image reference it was given.
    pub image: String,
    /// The service's public URL.
    pub url: String,
    /// Whether nothing served on the service before it.
    #[serde(default)]
    pub is_first: bool,
}

/// The answer of `get-container-deployment`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all_fields = "camelCase")]
pub enum Progress {
    /// It serves.
    Active {
        /// What was found.
        because: String,
    },
    /// It failed; the deployment before it still serves.
    Failed {
        /// What was found.
        because: String,
    },
    /// Another deployment took its place; what runs now is not this release's.
    Replaced {
        /// What was found.
        because: String,
    },
    /// The service was disabled: nothing serves, and what runs when it is enabled again is not known.
    Disabled {
        /// What was found, and what to do.
        because: String,
    },
    /// Look again.
    Wait {
        /// Seconds until the next look.
        seconds: u64,
        /// What is waited for.
        because: String,
    },
    /// The deadline passed; the deployment may still become ACTIVE.
    TimedOut {
        /// What was found.
        because: String,
    },
}

/// What to do about deployment `version` of `service` after `waited` seconds.
pub fn progress(
    service: &str,
    version: i32,
    deployments: &[ServiceDeployment],
    waited: u64,
    deadline: u64,
) -> Progress {
    use ServiceDeploymentState as State;
    let name = format!("Deployment {version} of {service}");
    let found = deployments.iter().find(|deployment| deployment.version == version);
    let because = match found.map(|deployment| &deployment.state) {
        Some(State::Active) => return Progress::Active { because: format!("{name} is ACTIVE.") },
        Some(State::Failed) => return Progress::Failed { because: format!("{name} FAILED.") },
        Some(State::Inactive) => {
            let by = deployments.iter().find(|deployment| deployment.state == State::Active);
            let by = by.map_or("another one".into(), |deployment| format!("version {}", deployment.version));
            return Progress::Replaced {
                because: format!("{} by {by} from outside this release.", replaced(service, version)),
            };
        }
        Some(State::Activating) => format!("{name} is ACTIVATING."),
        Some(State::Unknown(state)) => {
            format!("{name} is {}, which is not known here.", text::shorten(state, 60))
        }
        None => format!("{name} is not listed yet."),
    };
    match patience(waited, deadline) {
        Patience::Wait(seconds) => Progress::Wait { seconds, because },
        Patience::Exhausted => Progress::TimedOut {
            because: format!("{} {because}", text::deadline_passed("the containers", deadline)),
        },
    }
}

/// How the sentence begins that tells of a replaced deployment.
pub fn replaced(service: &str, version: i32) -> String {
    format!("Deployment {version} of {service} was replaced")
}

/// What `step` comes to when the whole `service` is in `condition`.
///
/// # Errors
/// [`Error::ServiceDown`] when the service never runs again what it ran.
pub fn in_service(step: Progress, condition: &Condition, service: &str) -> Result<Progress, Error> {
    let Some(down) = condition.down(service) else { return Ok(step) };
    if condition.is_for_good() {
        return Err(Error::ServiceDown(down));
    }
    Ok(match step {
        // It does not start, whatever becomes of the service.
        Progress::Failed { because } => Progress::Failed { because: format!("{because} {down}") },
        Progress::Replaced { because } => Progress::Replaced { because: format!("{because} {down}") },
        Progress::Active { .. }
        | Progress::Disabled { .. }
        | Progress::Wait { .. }
        | Progress::TimedOut { .. } => Progress::Disabled { because: down },
    })
}

/// The lines of a container's log from where deployment `version` begins; all of them when that is not seen.
///
/// The log has no filter for the deployment. Lightsail's own lines, such as `[deployment:4] Took too long`, were seen
/// live by others.
pub fn own_lines<'a, 'b>(lines: &'b [&'a str], version: i32) -> &'b [&'a str] {
    let mark = format!("[deployment:{version}]");
    let first = lines.iter().position(|line| line.contains(&mark)).unwrap_or_default();
    &lines[first..]
}

/// Waits for a service that is busy, until the deadline.
pub fn busy(what: &str, waited: u64, deadline: u64) -> Creation {
    let what = text::shorten(what, 1_000);
    match patience(waited, deadline) {
        Patience::Wait(seconds) => Creation::Wait { seconds, because: what },
        Patience::Exhausted => Creation::TimedOut {
            because: format!("{} {what}", text::deadline_passed("the containers", deadline)),
        },
    }
}

/// Whether Lightsail refuses with this message only for now.
///
/// Lightsail has no error type for it: the messages were seen live by others, who match the same words.
pub fn is_busy_message(message: &str) -> bool {
    ["Please wait for it to complete", "Please try again in a few minutes", "transition state"]
        .iter()
        .any(|words| message.contains(words))
}

/// A release's own container in a service that may have others.
#[derive(Debug, Clone, Copy)]
pub struct Own<'a> {
    /// Its name.
    pub container: &'a str,
    /// The repository of its image.
    pub repository_uri: &'a str,
}

impl Own<'_> {
    /// Whether the release replaces the container `name`, which runs `image` and is `marked` with [`RELEASE_MARKER`] or
    /// not. One that an earlier release started under another name is the release's own too.
    pub fn replaces(&self, name: &str, image: &str, marked: bool) -> bool {
        let rest = image.strip_prefix(self.repository_uri);
        name == self.container || (marked && rest.is_some_and(|rest| rest.starts_with([':', '@'])))
    }
}

/// The environment of the container: the variables of the parameter, the connection string, and the marker.
///
/// # Errors
/// [`Error::Misconfigured`] when the parameter is not a JSON object of strings, or uses a reserved name.
pub fn environment(
    parameter: &str,
    connection_string: Option<(&str, &str)>,
    execution: &str,
) -> Result<BTreeMap<String, String>, Error> {
    let wrong = |why: &str| {
        Error::Misconfigured(format!(
            "The parameter ContainerEnvironment {why}. Give a JSON object of strings, such as {{\"LISTEN\":\"0.0.0.0:80\"}}."
        ))
    };
    let mut variables: BTreeMap<String, String> =
        serde_json::from_str(parameter).map_err(|_| wrong("is not a JSON object of strings"))?;
    if variables.contains_key(RELEASE_MARKER) {
        return Err(wrong(&format!("sets {RELEASE_MARKER}, which the release sets itself")));
    }
    if let Some((name, value)) = connection_string
        && variables.insert(name.into(), value.into()).is_some()
    {
        return Err(wrong(&format!("sets {name}, which carries the connection string")));
    }
    variables.insert(RELEASE_MARKER.into(), execution.into());
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(version: i32, state: ServiceDeploymentState) -> ServiceDeployment {
        ServiceDeployment { version, state }
    }

    #[test]
    fn watches_its_own_version_whatever_the_others_do() {
        use ServiceDeploymentState as S;
        let step = |deployments: &[ServiceDeployment]| progress("app", 7, deployments, 0, 100);
        let others = [deployment(8, S::Active), deployment(6, S::Failed)];
        for (state, expected) in [
            (S::Active, "Active"),
            (S::Failed, "Failed"),
            (S::Activating, "Wait"),
            (S::Inactive, "Replaced"),
            (S::Unknown("NEW".into()), "Wait"),
        ] {
            let mut all = others.to_vec();
            all.push(deployment(7, state.clone()));
            assert!(format!("{:?}", step(&all)).starts_with(expected), "{state:?}: {:?}", step(&all));
        }
        assert!(
            matches!(step(&others), Progress::Wait { because, .. } if because.contains("not listed yet"))
        );
    }

    #[test]
    fn the_deadline_for_the_containers_is_named_when_it_passes() {
        let activating = [deployment(7, ServiceDeploymentState::Activating)];
        match progress("app", 7, &activating, 100, 100) {
            Progress::TimedOut { because } => {
                assert!(because.contains("deadline for the containers (1 min 40 s)"));
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(busy("Busy.", 100, 100), Creation::TimedOut { .. }));
        assert!(matches!(busy("Busy.", 0, 100), Creation::Wait { seconds: 5, .. }));
    }

    #[test]
    fn a_log_is_read_from_where_the_deployment_begins() {
        let log = [
            "[deployment:3] Creating",
            "old",
            "[deployment:4] Creating",
            "new",
            "[deployment:4] Took too long",
        ];
        assert_eq!(own_lines(&log, 4), &log[2..]);
        assert_eq!(own_lines(&log, 5), &log);
        assert_eq!(own_lines(&[], 4), &[] as &[&str]);
    }

    #[test]
    fn tells_a_refusal_for_now_from_one_for_good() {
        for now in [
            "Sorry, deployment 8 is in progress for service \"x\". Please wait for it to complete before trying again.",
            "Please try again in a few minutes",
            "The service is in a transition state",
        ] {
            assert!(is_busy_message(now), "{now}");
        }
        assert!(!is_busy_message("Container name \"a_b\" does not match pattern"));
    }

    #[test]
    fn what_a_deployment_comes_to_depends_on_its_service() {
        let because = || String::from("It is so.");
        let waits = Progress::Wait { seconds: 5, because: because() };
        let failed = Progress::Failed { because: because() };
        for condition in [Condition::Ready, Condition::Busy("UPDATING".into())] {
            assert_eq!(in_service(waits.clone(), &condition, "app"), Ok(waits.clone()));
        }
        let may_start =
            [waits, Progress::Active { because: because() }, Progress::TimedOut { because: because() }];
        for step in may_start {
            let step = in_service(step, &Condition::Disabled, "app");
            assert!(
                matches!(step, Ok(Progress::Disabled { because }) if because.contains("app is disabled"))
            );
        }
        assert!(matches!(
            in_service(failed.clone(), &Condition::Disabled, "app"),
            Ok(Progress::Failed { because }) if because.starts_with("It is so. The container service app is disabled")
        ));
        for condition in [Condition::Deleting, Condition::Gone] {
            let step = in_service(failed.clone(), &condition, "app");
            assert!(matches!(step, Err(Error::ServiceDown(_))));
        }
    }

    #[test]
    fn a_release_replaces_its_own_container_and_no_other() {
        let own = Own { container: "app", repository_uri: "host/bookings-api" };
        for (name, image, marked, expected, why) in [
            ("app", "host/bookings-api:1", true, true, "the release before"),
            ("app", "amazon/hello-world", false, true, "what had the name before the first release"),
            ("web", "host/bookings-api:1", true, true, "the release before the container's name changed"),
            ("web", "host/bookings-api@sha256:0", true, true, "the same, by digest"),
            ("web", "host/bookings-api:1", false, false, "a person's"),
            ("web", "host/bookings-api-admin:1", true, false, "another application's release"),
            ("proxy", "nginx:1", false, false, "a sibling"),
            ("proxy", "", false, false, "a sibling of which Lightsail tells no image"),
        ] {
            assert_eq!(own.replaces(name, image, marked), expected, "{why}");
        }
    }

    #[test]
    fn a_service_in_each_of_lightsails_states_is_ready_busy_or_down() {
        let busy = |state: &str| Condition::Busy(state.into());
        for (state, is_disabled, expected) in [
            ("PENDING", false, busy("PENDING")),
            ("UPDATING", false, busy("UPDATING")),
            ("UPDATING", true, busy("UPDATING")),
            ("DEPLOYING", false, busy("DEPLOYING")),
            ("READY", false, Condition::Ready),
            ("RUNNING", false, Condition::Ready),
            ("RUNNING", true, Condition::Disabled),
            ("DISABLED", true, Condition::Disabled),
            ("DISABLED", false, Condition::Disabled),
            ("DELETING", false, Condition::Deleting),
            ("DELETING", true, Condition::Deleting),
            ("NEW", false, Condition::Ready),
            ("", false, Condition::Ready),
        ] {
            let found = Condition::of(state, is_disabled);
            assert_eq!(found, expected, "{state}, disabled: {is_disabled}");
            let is_down = matches!(expected, Condition::Disabled | Condition::Deleting | Condition::Gone);
            assert_eq!(found.down("app").is_some(), is_down, "{state}");
        }
        assert!(Condition::Gone.down("app").unwrap().contains("app does not exist"));
        assert!(Condition::Gone.is_for_good() && Condition::Deleting.is_for_good());
        assert!(!Condition::Disabled.is_for_good() && !Condition::Ready.is_for_good());
    }

    #[test]
    fn the_environment_carries_parameter_connection_string_and_marker() {
        let variables =
            environment(r#"{"LISTEN":"0.0.0.0:80"}"#, Some(("DSN", "not-a-real-one")), "prod-1").unwrap();
        let expected = [("DSN", "not-a-real-one"), ("LISTEN", "0.0.0.0:80"), (RELEASE_MARKER, "prod-1")];
        assert!(variables.iter().map(|(k, v)| (k.as_str(), v.as_str())).eq(expected));
        for bad in ["", "[]", r#"{"A":1}"#, r#"{"DSN":"x"}"#, r#"{"RELEASE_EXECUTION":"x"}"#] {
            let error = environment(bad, Some(("DSN", "not-a-real-one")), "prod-1").unwrap_err();
            assert!(error.to_string().contains("ContainerEnvironment"), "{error}");
            assert!(!error.to_string().contains("not-a-real-one"));
        }
    }
}
