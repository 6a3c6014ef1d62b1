//! The container service, its way to the repository, and who hears of releases.

use super::{Check, Fact};
use crate::repository_policy::lets_pull;

/// The check of the container service itself.
pub const SERVICE: &str = "container service";
/// The check of the role with which it pulls images.
pub const PULLER: &str = "image puller role";
/// The check of the repository's policy.
pub const POLICY: &str = "repository policy";
/// The check of the topic's subscriptions.
pub const NOTIFICATIONS: &str = "notifications";

/// A container service as Lightsail describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its state, in Lightsail's words.
    pub state: String,
    /// Whether its image puller role is active.
    pub puller_is_active: bool,
    /// The role's ARN; empty until Lightsail has made it.
    pub puller: String,
}

/// A repository that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// Its policy, if it has one.
    pub policy: Option<String>,
}

/// The subscriptions of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscriptions {
    /// How many were confirmed.
    pub confirmed: u64,
    /// How many wait for a confirmation.
    pub pending: u64,
}

/// Whether the container service `name` can take a deployment.
pub fn service(name: &str, found: &Fact<Service>) -> Check {
    let service = match found {
        Err(error) => return Check::failed(SERVICE, error),
        Ok(None) => {
            return Check::problem(
                SERVICE,
                format!("The container service {name} does not exist."),
                "Name an existing one as ExistingContainerServiceName and deploy the stack again; \
                 if the stack's own was deleted, delete the stack and install it anew.",
            );
        }
        Ok(Some(service)) => service,
    };
    let seen = format!("{name} is {}.", service.state);
    match service.state.as_str() {
        "READY" | "RUNNING" => Check::fine(SERVICE, seen),
        "PENDING" | "UPDATING" | "DEPLOYING" => {
            Check::fine(SERVICE, format!("{seen} A release waits for it."))
        }
        "DISABLED" => Check::problem(
            SERVICE,
            seen,
            format!(
                "Enable it: aws lightsail update-container-service --service-name {name} --no-is-disabled"
            ),
        ),
        "DELETING" => Check::problem(SERVICE, seen, "When it is gone, delete the stack and install it anew."),
        _ => Check::unknown(SERVICE, format!("{seen} That state is not known here.")),
    }
}

/// Whether the role with which the container service `name` pulls is active.
pub fn puller(name: &str, found: &Fact<Service>) -> Check {
    match found {
        Err(error) => Check::failed(PULLER, error),
        Ok(None) => Check::unknown(PULLER, "Not looked at: there is no container service."),
        Ok(Some(Service { puller_is_active: false, .. })) => Check::problem(
            PULLER,
            format!("The image puller role of {name} is not active: it cannot pull from ECR."),
            format!(
                "Activate it: aws lightsail update-container-service --service-name {name} \
                 --private-registry-access ecrImagePullerRole={{isActive=true}}; a minute later, run the preflight \
                 again: the role is a new one, and the repository's policy must name it."
            ),
        ),
        Ok(Some(service)) if service.puller.is_empty() => Check::problem(
            PULLER,
            format!("The image puller role of {name} is active, but Lightsail has not made it yet."),
            "Wait a minute, then run the preflight again.",
        ),
        Ok(Some(_)) => Check::fine(PULLER, format!("The image puller role of {name} is active.")),
    }
}

/// Whether the policy of the repository lets the container service `name` pull; `grant` is the command that makes it so.
pub fn policy(name: &str, found: &Fact<Service>, repository: &Fact<Repository>, grant: &str) -> Check {
    let policy = match repository {
        Err(error) => return Check::failed(POLICY, error),
        Ok(None) => {
            return Check::problem(
                POLICY,
                "The repository does not exist.",
                "Deploy the stack that creates it first: the one with CreateRepository=true.",
            );
        }
        Ok(Some(Repository { policy })) => policy.as_deref(),
    };
    let principal = match found {
        Ok(Some(service)) if !service.puller.is_empty() => &service.puller,
        _ => return Check::unknown(POLICY, "Not looked at: there is no image puller role."),
    };
    match policy {
        Some(policy) if lets_pull(policy, principal) => Check::fine(POLICY, format!("It lets {name} pull.")),
        Some(_) => Check::problem(
            POLICY,
            format!("The repository's policy does not let the present role of {name} pull."),
            format!("Grant it: {grant}"),
        ),
        None => Check::problem(POLICY, "The repository has no policy.", format!("Grant it: {grant}")),
    }
}

/// Whether somebody hears of releases.
pub fn notifications(topic: &str, found: &Fact<Subscriptions>) -> Check {
    let name = NOTIFICATIONS;
    let subscribe = format!(
        "aws sns subscribe --topic-arn {topic} --protocol email --notification-endpoint <address>, then confirm the mail"
    );
    match found {
        Err(error) => Check::failed(name, error),
        Ok(None) => Check::problem(name, "The topic does not exist.", "Deploy the stack again."),
        Ok(Some(Subscriptions { confirmed: 0, pending: 0 })) => {
            Check::problem(name, "Nobody is subscribed to the topic.", format!("Subscribe: {subscribe}"))
        }
        Ok(Some(Subscriptions { confirmed: 0, pending })) => Check::problem(
            name,
            format!("{pending} subscribed to the topic, but nobody confirmed it."),
            "Follow the link in the mail from AWS Notifications.",
        ),
        Ok(Some(Subscriptions { confirmed, .. })) => {
            Check::fine(name, format!("{confirmed} confirmed to be subscribed to the topic."))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Status::{self, Fine, Problem, Unknown};
    use super::*;
    use crate::Error;

    const ROLE: &str = "arn:aws:iam::1:role/amazon/lightsail/x";

    fn running() -> Service {
        Service { state: "RUNNING".into(), puller_is_active: true, puller: ROLE.into() }
    }

    fn failed<T>() -> Fact<T> {
        Err(Error::Retryable("No answer.".into()))
    }

    #[test]
    fn every_state_of_a_service_has_its_meaning() {
        for (state, status) in [
            ("PENDING", Fine),
            ("READY", Fine),
            ("RUNNING", Fine),
            ("UPDATING", Fine),
            ("DEPLOYING", Fine),
            ("DISABLED", Problem),
            ("DELETING", Problem),
            ("NEW", Unknown),
        ] {
            let found = Ok(Some(Service { state: state.into(), ..running() }));
            assert_eq!(service("app", &found).status, status, "{state}");
        }
        assert_eq!(service("app", &Ok(None)).status, Problem);
        assert_eq!(service("app", &failed()).status, Unknown);
    }

    #[test]
    fn a_puller_role_is_needed_and_takes_a_while() {
        let with = |puller_is_active, puller: &str| {
            Ok(Some(Service { puller_is_active, puller: puller.into(), ..running() }))
        };
        for (found, status) in [
            (with(true, ROLE), Fine),
            (with(true, ""), Problem),
            (with(false, ""), Problem),
            (Ok(None), Unknown),
            (failed(), Unknown),
        ] {
            assert_eq!(puller("app", &found).status, status, "{found:?}");
        }
        let to_do = puller("app", &with(false, "")).to_do.unwrap();
        assert!(
            to_do.contains("--service-name app --private-registry-access ecrImagePullerRole={isActive=true}")
        );
    }

    #[test]
    fn the_policy_must_name_the_present_role() {
        let good = crate::repository_policy::grant(None, "app", ROLE).unwrap();
        let stale = crate::repository_policy::grant(None, "app", "arn:former").unwrap();
        let service = || Ok(Some(running()));
        let with = |text: &str| Ok(Some(Repository { policy: Some(text.into()) }));
        let without = || Ok(Some(Repository { policy: None }));
        let table: [(Fact<Service>, Fact<Repository>, Status, bool); 7] = [
            (service(), with(&good), Fine, false),
            (service(), with(&stale), Problem, true),
            (service(), with("{"), Problem, true),
            (service(), without(), Problem, true),
            (service(), Ok(None), Problem, false),
            (service(), failed(), Unknown, false),
            (Ok(None), without(), Unknown, false),
        ];
        for (found, repository, status, granting) in table {
            let check = policy("app", &found, &repository, "aws lambda invoke …");
            assert_eq!(check.status, status, "{repository:?}");
            assert_eq!(check.to_do.is_some_and(|to_do| to_do.contains("aws lambda invoke")), granting);
        }
    }

    #[test]
    fn somebody_must_have_confirmed() {
        for (confirmed, pending, status) in [(0, 0, Problem), (0, 1, Problem), (1, 0, Fine), (1, 1, Fine)] {
            let check = notifications("arn:topic", &Ok(Some(Subscriptions { confirmed, pending })));
            assert_eq!(check.status, status, "{confirmed} {pending}");
        }
        assert_eq!(notifications("arn:topic", &failed()).status, Unknown);
    }
}
