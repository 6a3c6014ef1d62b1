use serde_json::{Value, json};

use super::super::Status::{Fine, Problem, Unknown};
use super::*;
use crate::testing::release;

fn database() -> DatabaseSettings {
    DatabaseSettings {
        state: "ready".into(),
        kind: "mysql".into(),
        default_branch: "main".into(),
        require_approval_for_deploy: false,
    }
}

fn branch() -> Branch {
    Branch {
        ready: true,
        state: "ready".into(),
        production: true,
        safe_migrations: true,
        stale_schema: false,
    }
}

fn request(changes: &Value) -> OpenRequest {
    let mut body = json!({"number": 7, "branch": "dev", "into_branch": "main", "state": "open",
        "deployment_state": "ready", "html_url": "https://example.com/7", "notes": null,
        "actor": {"display_name": "Ada"}, "deployment": {"state": "ready"}});
    body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    serde_json::from_value(body).unwrap()
}

fn all_fine() -> Seen {
    Seen {
        organizations: Look::Seen(vec![Organization { name: "acme".into() }]),
        database: Look::Seen(database()),
        head: Look::Seen(Branch { production: false, safe_migrations: false, ..branch() }),
        base: Look::Seen(branch()),
        lint: Look::Seen(Vec::new()),
        open: Look::Seen(Vec::new()),
    }
}

fn lost<T>() -> Look<T> {
    Look::Failed(Error::Retryable("No answer.".into()))
}

fn look(seen: &Seen) -> Vec<Check> {
    let database = release().database.unwrap();
    let wanted = Wanted {
        application: "bookings-api",
        environment: "prod",
        database: &database,
        approval_deadline: 259_200,
        fill: "aws fill",
    };
    checks(&wanted, seen)
}

/// What differs from a wholly fine database, and the one check that it changes.
fn changed(change: impl FnOnce(&mut Seen), check: &str) -> Check {
    let mut seen = all_fine();
    change(&mut seen);
    let checks = look(&seen);
    assert_eq!(checks.iter().map(|check| check.check).collect::<Vec<_>>(), ALL);
    checks.into_iter().find(|found| found.check == check).unwrap()
}

#[test]
fn all_is_fine_but_what_cannot_be_told() {
    for check in look(&all_fine()) {
        assert_eq!(check.status, if check.check == CREATE { Unknown } else { Fine }, "{check:?}");
    }
}

#[test]
fn a_refused_token_is_the_only_problem_and_the_rest_was_not_looked_at() {
    let mut seen = all_fine();
    seen.head = Look::Unauthorized;
    let checks = look(&seen);
    assert_eq!((checks[0].status, checks[0].check), (Problem, TOKEN));
    assert!(checks[0].to_do.as_ref().unwrap().contains("aws fill"));
    assert!(checks[1..].iter().all(|check| check.status == Unknown));
}

#[test]
fn a_database_in_another_state_or_of_another_kind_is_a_problem() {
    let with =
        |state: &str, kind: &str| DatabaseSettings { state: state.into(), kind: kind.into(), ..database() };
    for (found, status, words) in [
        (Look::Seen(with("ready", "mysql")), Fine, "is ready"),
        (Look::Seen(with("sleeping", "mysql")), Problem, "is sleeping"),
        (Look::Seen(with("ready", "postgresql")), Problem, "Postgres"),
        (Look::NotFound, Problem, "or the token has no permission"),
        (lost(), Unknown, "No answer"),
    ] {
        let check = changed(|seen| seen.database = found.clone(), DATABASE);
        assert_eq!(check.status, status, "{found:?}");
        assert!(check.seen.contains(words), "{}", check.seen);
    }
}

#[test]
fn a_missing_permission_is_told_from_a_missing_database() {
    let check = changed(|seen| seen.open = Look::NotFound, READ);
    assert_eq!(check.status, Problem);
    assert!(check.to_do.unwrap().contains("read_deploy_request"));
    let both = |seen: &mut Seen| {
        seen.database = Look::NotFound;
        seen.open = Look::NotFound;
    };
    assert_eq!(changed(both, READ).status, Unknown);
    assert_eq!(changed(|seen| seen.open = lost(), READ).status, Unknown);
}

#[test]
fn another_organization_is_named() {
    let elsewhere = |seen: &mut Seen| {
        seen.organizations = Look::Seen(vec![Organization { name: "other".into() }]);
        seen.database = Look::NotFound;
    };
    let check = changed(elsewhere, ORGANIZATION);
    assert_eq!((check.status, check.seen.as_str()), (Problem, "The token belongs to other, not to acme."));
    let unseen = |seen: &mut Seen| seen.organizations = lost();
    assert_eq!(changed(unseen, ORGANIZATION).status, Fine, "the database was seen");
    assert_eq!(changed(unseen, TOKEN).status, Fine, "the database was seen");
}

#[test]
fn the_base_branch_must_be_for_production_with_safe_migrations() {
    for (found, status, words) in [
        (Look::Seen(branch()), Fine, "for production, with safe migrations"),
        (Look::Seen(Branch { production: false, ..branch() }), Problem, "not a production branch"),
        (Look::Seen(Branch { safe_migrations: false, ..branch() }), Problem, "no safe migrations"),
        (
            Look::Seen(Branch { ready: false, state: "pending".into(), ..branch() }),
            Problem,
            "not ready (pending)",
        ),
        (Look::NotFound, Problem, "has no branch main"),
        (lost(), Unknown, "No answer"),
    ] {
        let check = changed(|seen| seen.base = found.clone(), BASE);
        assert_eq!(check.status, status, "{found:?}");
        assert!(check.seen.contains(words), "{}", check.seen);
    }
}

#[test]
fn a_branch_that_is_not_seen_is_missing_only_if_another_one_is_seen() {
    assert_eq!(changed(|seen| seen.head = Look::NotFound, HEAD).status, Problem);
    let none = |seen: &mut Seen| {
        seen.head = Look::NotFound;
        seen.base = Look::NotFound;
    };
    let base = changed(none, BASE);
    assert_eq!(
        (base.status, base.seen.contains("lacks read_branch")),
        (Unknown, true),
        "the default branch exists"
    );
    let head = changed(none, HEAD);
    assert_eq!((head.status, head.seen.contains("there is no dev, or")), (Unknown, true));
}

#[test]
fn an_approval_that_is_needed_is_told_with_what_it_means() {
    let needed = DatabaseSettings { require_approval_for_deploy: true, ..database() };
    let check = changed(|seen| seen.database = Look::Seen(needed), APPROVALS);
    assert_eq!(check.status, Fine);
    assert!(check.seen.contains("waits up to 3 d for a person"), "{}", check.seen);
    assert!(check.to_do.is_some());
}

#[test]
fn an_open_request_is_a_problem_unless_it_is_our_own() {
    let notes = |text: &str| json!({"notes": text});
    for (changes, status, words) in [
        (
            json!({}),
            Problem,
            "#7 from dev into main, made by Ada, is open (ready): the first release adopts it",
        ),
        (json!({"actor": null}), Problem, "made by somebody"),
        (
            json!({"notes": "Release of bookings-api into prod", "deployment": {"state": "ready", "auto_delete_branch": true}}),
            Problem,
            "is set to delete dev when it is complete; the next release switches that off",
        ),
        (notes("Release of bookings-api into qa\n"), Problem, "made by Ada"),
        (notes("Release of bookings-api into prod\n\nCommit: x"), Fine, "Only our own: #7"),
        (
            json!({"deployment_state": "complete_pending_revert", "deployment": null}),
            Problem,
            "closes its revert window",
        ),
        (json!({"deployment_state": "in_progress_cancel", "deployment": null}), Problem, "waits for it"),
    ] {
        let check = changed(|seen| seen.open = Look::Seen(vec![request(&changes)]), OPEN);
        assert_eq!(check.status, status, "{changes}");
        assert!(check.seen.contains(words), "{}", check.seen);
    }
}

#[test]
fn without_a_database_nothing_is_needed() {
    let checks = without_database();
    assert!(checks.iter().all(|check| check.status == Status::NotApplicable));
    assert_eq!(checks.len(), ALL.len());
}

#[test]
fn without_a_token_each_check_says_so() {
    let checks = without_token(empty_token("aws fill"));
    assert_eq!(checks.iter().map(|check| check.check).collect::<Vec<_>>(), ALL);
    assert_eq!((checks[0].status, checks[1].status), (Problem, Unknown));
}

#[test]
fn a_stale_head_branch_is_told_and_a_stale_base_branch_means_nothing() {
    let stale = || Look::Seen(Branch { stale_schema: true, ..branch() });
    let check = changed(|seen| seen.head = stale(), HEAD);
    assert_eq!(check.status, Unknown);
    assert!(check.seen.contains("stale") && check.to_do.unwrap().contains("Bring dev up to main"));
    assert_eq!(changed(|seen| seen.base = stale(), BASE).status, Fine);
    let asleep = Look::Seen(Branch { ready: false, stale_schema: true, ..branch() });
    assert_eq!(changed(|seen| seen.head = asleep, HEAD).status, Problem, "that comes first");
}

#[test]
fn what_planetscale_has_against_the_head_branch_is_told_before_a_release() {
    let lint = LintError {
        lint_error: "NO_UNIQUE_KEY".into(),
        table_name: "hotels".into(),
        error_description: "The table has no unique key.".into(),
    };
    for (found, status, words) in [
        (Look::Seen(Vec::new()), Fine, "nothing against dev"),
        (Look::Seen(vec![lint]), Problem, "NO_UNIQUE_KEY in hotels: The table has no unique key."),
        (Look::NotFound, Unknown, "read_branch"),
        (lost(), Unknown, "No answer"),
    ] {
        let check = changed(|seen| seen.lint = found, LINT);
        assert_eq!(check.status, status);
        assert!(check.seen.contains(words), "{}", check.seen);
    }
}
