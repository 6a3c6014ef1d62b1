//! What a release needs of PlanetScale.
//!
//! PlanetScale answers 404 to what is missing and to what a token must not see. Which of the two it is follows from
//! what the other looks saw: any permission for a database shows the database itself, so when that is seen, a list of
//! deploy requests that is not there means a missing permission.

use super::{Check, Status};
use crate::planetscale::{Branch, DatabaseSettings, LintError, OpenRequest, Organization};
use crate::release::{Database, Release};
use crate::schema::{Adoption, adoption};
use crate::{Error, text};

/// The check of the service token.
pub const TOKEN: &str = "PlanetScale token";
/// The check of the organization.
pub const ORGANIZATION: &str = "PlanetScale organization";
/// The check of the database.
pub const DATABASE: &str = "PlanetScale database";
/// The check of the permission to read deploy requests.
pub const READ: &str = "permission read_deploy_request";
/// The check of the permission to create deploy requests.
pub const CREATE: &str = "permission create_deploy_request";
/// The check of the head branch.
pub const HEAD: &str = "head branch";
/// The check of the base branch.
pub const BASE: &str = "base branch";
/// The check of the head branch's tables by PlanetScale's own lint.
pub const LINT: &str = "schema lint";
/// The check of the approval setting.
pub const APPROVALS: &str = "approvals";
/// The check for deploy requests that are open already.
pub const OPEN: &str = "open deploy requests";

/// Every check of this module.
pub const ALL: [&str; 10] = [TOKEN, ORGANIZATION, DATABASE, READ, CREATE, HEAD, BASE, LINT, APPROVALS, OPEN];

/// The answer to one look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look<T> {
    /// It is there.
    Seen(T),
    /// The token is wrong (401).
    Unauthorized,
    /// It is missing, or the token must not see it (404).
    NotFound,
    /// No answer, or one that says nothing of the two.
    Failed(Error),
}

impl<T> Look<T> {
    /// The same answer with something else seen.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Look<U> {
        match self {
            Self::Seen(seen) => Look::Seen(change(seen)),
            Self::Unauthorized => Look::Unauthorized,
            Self::NotFound => Look::NotFound,
            Self::Failed(error) => Look::Failed(error),
        }
    }

    fn seen(&self) -> Option<&T> {
        match self {
            Self::Seen(seen) => Some(seen),
            _ => None,
        }
    }
}

/// The answers to all looks.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The organizations of the token.
    pub organizations: Look<Vec<Organization>>,
    /// The database.
    pub database: Look<DatabaseSettings>,
    /// The branch that changes come from.
    pub head: Look<Branch>,
    /// The branch that they go into.
    pub base: Look<Branch>,
    /// What PlanetScale's lint has against the head branch's tables.
    pub lint: Look<Vec<LintError>>,
    /// The open deploy requests between the two.
    pub open: Look<Vec<OpenRequest>>,
}

/// What is asked for, and what a person is told to do.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The application, as the notes of its deploy requests name it.
    pub application: &'a str,
    /// The environment, as they name it.
    pub environment: &'a str,
    /// The database and its branches.
    pub database: &'a Database,
    /// For how many seconds a release waits for an approval.
    pub approval_deadline: u64,
    /// The command that fills the secret with a token.
    pub fill: &'a str,
}

/// The checks of an environment without a database.
pub fn without_database() -> Vec<Check> {
    let why = "This environment has no PlanetScaleDatabase: its releases make no deploy requests.";
    ALL.map(|name| Check::not_applicable(name, why)).into()
}

/// The checks when there is no token to look with; `token` says why.
pub fn without_token(token: Check) -> Vec<Check> {
    let not_looked = |name| Check::unknown(name, "Not looked at: there is no usable token.");
    [token].into_iter().chain(ALL[1..].iter().copied().map(not_looked)).collect()
}

/// The check of a secret without a value.
pub fn empty_token(fill: &str) -> Check {
    Check::problem(TOKEN, "The secret has no value.", format!("Make a service token, then fill it: {fill}"))
}

/// All checks, from what was seen with the token.
pub fn checks(wanted: &Wanted<'_>, seen: &Seen) -> Vec<Check> {
    let token = token(wanted, seen);
    if token.status == Status::Problem {
        return without_token(token);
    }
    vec![
        token,
        organization(wanted, seen),
        database(wanted, seen),
        reads(wanted, seen),
        creates(wanted, seen),
        head(wanted, seen),
        base(wanted, seen),
        lint(wanted, seen),
        approvals(wanted, seen),
        open(wanted, seen),
    ]
}

fn token(wanted: &Wanted<'_>, seen: &Seen) -> Check {
    let Seen { organizations, database, head, base, lint, open } = seen;
    let refused = [
        matches!(organizations, Look::Unauthorized),
        matches!(database, Look::Unauthorized),
        matches!(head, Look::Unauthorized),
        matches!(base, Look::Unauthorized),
        matches!(lint, Look::Unauthorized),
        matches!(open, Look::Unauthorized),
    ];
    if refused.contains(&true) {
        return Check::problem(
            TOKEN,
            "PlanetScale answers 401: the service token is wrong or revoked.",
            format!("Make a new one, then fill the secret: {}", wanted.fill),
        );
    }
    match organizations {
        Look::Failed(error) if database.seen().is_none() => Check::failed(TOKEN, error),
        Look::NotFound if database.seen().is_none() => {
            Check::unknown(TOKEN, "PlanetScale answers 404 to the token's own organizations.")
        }
        _ => Check::fine(TOKEN, "PlanetScale takes it."),
    }
}

fn organization(wanted: &Wanted<'_>, seen: &Seen) -> Check {
    let Database { organization: name, .. } = wanted.database;
    let fine = || Check::fine(ORGANIZATION, format!("The token belongs to {name}."));
    if seen.database.seen().is_some() {
        return fine();
    }
    match &seen.organizations {
        Look::Seen(own) if own.iter().any(|own| own.name == *name) => fine(),
        Look::Seen(own) if own.is_empty() => {
            Check::unknown(ORGANIZATION, "The token sees no organization, not even its own.")
        }
        Look::Seen(own) => {
            let own: Vec<_> = own.iter().map(|own| own.name.as_str()).collect();
            let own = text::shorten(&own.join(", "), 200);
            Check::problem(
                ORGANIZATION,
                format!("The token belongs to {own}, not to {name}."),
                format!(
                    "Correct PlanetScaleOrganization in samconfig.toml and deploy again, or fill in a token of {name}: {}",
                    wanted.fill
                ),
            )
        }
        Look::Failed(error) => Check::failed(ORGANIZATION, error),
        Look::NotFound | Look::Unauthorized => Check::unknown(ORGANIZATION, "PlanetScale answers 404."),
    }
}

fn database(wanted: &Wanted<'_>, seen: &Seen) -> Check {
    let Database { organization, name, .. } = wanted.database;
    match &seen.database {
        Look::Seen(found) if found.kind == "postgresql" => Check::problem(
            DATABASE,
            format!("{name} is a Postgres database, which has no deploy requests."),
            "Name a Vitess database as PlanetScaleDatabase, or none.",
        ),
        Look::Seen(found) if found.state == "ready" => Check::fine(DATABASE, format!("{name} is ready.")),
        Look::Seen(found) => Check::problem(
            DATABASE,
            format!("{name} is {}.", text::shorten(&found.state, 60)),
            "Wake it, or wait for it, on its page at PlanetScale; then run the preflight again.",
        ),
        Look::NotFound => Check::problem(
            DATABASE,
            format!(
                "PlanetScale answers 404 to {organization}/{name}: it does not exist, or the token has no permission for it."
            ),
            "Correct PlanetScaleDatabase in samconfig.toml and deploy again, or give the token read_deploy_request and \
             create_deploy_request for this database on the service token's page at PlanetScale.",
        ),
        other => not_told(DATABASE, other),
    }
}

fn reads(wanted: &Wanted<'_>, seen: &Seen) -> Check {
    match (&seen.open, &seen.database) {
        (Look::Seen(_), _) => Check::fine(READ, "The token has it."),
        (Look::NotFound, Look::Seen(_)) => Check::problem(
            READ,
            format!("The token sees {}, but not its deploy requests.", wanted.database.name),
            "Give the token read_deploy_request for this database on the service token's page at PlanetScale.",
        ),
        (Look::NotFound, _) => Check::unknown(READ, "Not told apart from a missing database."),
        (other, _) => not_told(READ, other),
    }
}

fn creates(wanted: &Wanted<'_>, seen: &Seen) -> Check {
    match &seen.database {
        Look::Seen(_) => Check::unknown(CREATE, "No call that only reads can tell.").to_do(format!(
            "Look on the service token's page at PlanetScale that it has create_deploy_request for {}.",
            wanted.database.name
        )),
        Look::NotFound => Check::unknown(CREATE, "Not told apart from a missing database."),
        other => not_told(CREATE, other),
    }
}

fn head(wanted: &Wanted<'_>, seen: &Seen) -> Check {
    let Database { head_branch: head, base_branch: base, .. } = wanted.database;
    let check = branch(HEAD, head, wanted, seen, &seen.head);
    if check.status != Status::Fine || !seen.head.seen().is_some_and(|found| found.stale_schema) {
        return check;
    }
    Check::unknown(
        HEAD,
        format!("{head} is ready, but PlanetScale calls its schema stale: its change may undo what {base} has since."),
    )
    .to_do(format!(
        "Bring {head} up to {base}. Until then a release drops nothing unless DestructiveChanges is `allow`."
    ))
}

fn lint(wanted: &Wanted<'_>, seen: &Seen) -> Check {
    let head = &wanted.database.head_branch;
    match &seen.lint {
        Look::Seen(found) if found.is_empty() => {
            Check::fine(LINT, format!("PlanetScale has nothing against {head}."))
        }
        Look::Seen(found) => {
            let of_table = |lint: &LintError| {
                format!("{} in {}: {}", lint.lint_error, lint.table_name, lint.error_description)
            };
            let all: Vec<_> = found.iter().map(of_table).collect();
            Check::problem(
                LINT,
                format!(
                    "PlanetScale would refuse a change from {head}: {}",
                    text::shorten(&all.join("; "), 1_000)
                ),
                format!("Correct these tables of {head}, then run the preflight again."),
            )
        }
        Look::NotFound => {
            Check::unknown(LINT, "PlanetScale answers 404: the branch or read_branch is missing.")
        }
        other => not_told(LINT, other),
    }
}

fn base(wanted: &Wanted<'_>, seen: &Seen) -> Check {
    let name = &wanted.database.base_branch;
    match &seen.base {
        Look::Seen(found) if !found.production => Check::problem(
            BASE,
            format!("{name} is not a production branch: deploy requests cannot go into it."),
            format!(
                "Promote {name} to production on its page at PlanetScale, and enable safe migrations there."
            ),
        ),
        Look::Seen(found) if !found.safe_migrations => Check::problem(
            BASE,
            format!("{name} has no safe migrations: deploy requests cannot go into it."),
            format!(
                "Enable safe migrations on the page of {name} at PlanetScale; it takes about two minutes to hold."
            ),
        ),
        found => branch(BASE, name, wanted, seen, found),
    }
}

fn branch(check: &'static str, name: &str, wanted: &Wanted<'_>, seen: &Seen, found: &Look<Branch>) -> Check {
    let exists = seen.database.seen().is_some_and(|database| database.default_branch == name);
    let reads_branches = seen.head.seen().or(seen.base.seen()).is_some();
    match found {
        Look::Seen(found) if found.ready && found.state == "ready" => {
            let production = if found.production { ", for production, with safe migrations" } else { "" };
            let production = if check == BASE { production } else { "" };
            Check::fine(check, format!("{name} is ready{production}."))
        }
        Look::Seen(found) => Check::problem(
            check,
            format!("{name} is not ready ({}).", text::shorten(&found.state, 60)),
            "Wake it, or wait for it, on its page at PlanetScale; then run the preflight again.",
        ),
        Look::NotFound if reads_branches => Check::problem(
            check,
            format!("{} has no branch {name}.", wanted.database.name),
            format!(
                "Create it on the database's page at PlanetScale, or correct the parameter that names {name} and deploy again."
            ),
        ),
        Look::NotFound if exists => {
            Check::unknown(check, "The token lacks read_branch, without which changes of columns are judged by their statements alone.")
                .to_do(format!("Give the token read_branch for {}, or look yourself.", wanted.database.name))
        }
        Look::NotFound => Check::unknown(
            check,
            format!("PlanetScale answers 404: there is no {name}, or the token lacks read_branch."),
        )
        .to_do(format!("Give the token read_branch for {}, or look yourself.", wanted.database.name)),
        other => not_told(check, other),
    }
}

fn approvals(wanted: &Wanted<'_>, seen: &Seen) -> Check {
    match &seen.database {
        Look::Seen(found) if found.require_approval_for_deploy => Check::fine(
            APPROVALS,
            format!(
                "Deploy requests need an approval: a release with a schema change waits up to {} for a person, \
                 as a token cannot approve its own requests.",
                text::duration(wanted.approval_deadline)
            ),
        )
        .to_do("Approve each request on its page, or switch the setting off in the database's settings at PlanetScale."),
        Look::Seen(_) => Check::fine(APPROVALS, "Deploy requests need none."),
        other => not_told(APPROVALS, other),
    }
}

fn open(wanted: &Wanted<'_>, seen: &Seen) -> Check {
    let requests = match &seen.open {
        Look::Seen(requests) => requests,
        other => return not_told(OPEN, other),
    };
    let Database { head_branch, base_branch, .. } = wanted.database;
    let title = Release::notes_title(wanted.application, wanted.environment);
    if let Some(OpenRequest { request, .. }) = requests.iter().find(|open| open.request.deletes_branch()) {
        return Check::problem(
            OPEN,
            format!(
                "Deploy request #{} is set to delete {head_branch} when it is complete; the next release switches that \
                 off.",
                request.number
            ),
            format!("Switch it off on its page, or close it: {}", text::shorten(&request.html_url, 200)),
        );
    }
    match requests.iter().find(|open| open.notes.lines().next() != Some(title.as_str())) {
        Some(OpenRequest { request, actor, .. }) => {
            let by = actor.as_ref().map_or("somebody", |actor| actor.display_name.as_str());
            let then = match adoption(request) {
                Adoption::Adopt => "the first release adopts it and deploys what it holds",
                Adoption::CloseWindow => "the first release closes its revert window",
                Adoption::Busy => "the first release waits for it",
            };
            Check::problem(
                OPEN,
                format!(
                    "Deploy request #{} from {head_branch} into {base_branch}, made by {}, is open ({}): {then}.",
                    request.number,
                    text::shorten(by, 60),
                    request.states()
                ),
                format!("If that is not meant, close it: {}", text::shorten(&request.html_url, 200)),
            )
        }
        None if requests.is_empty() => {
            Check::fine(OPEN, format!("None from {head_branch} into {base_branch}."))
        }
        None => {
            let numbers: Vec<_> = requests.iter().map(|open| format!("#{}", open.request.number)).collect();
            Check::fine(OPEN, format!("Only our own: {}.", text::shorten(&numbers.join(", "), 200)))
        }
    }
}

fn not_told<T>(check: &'static str, look: &Look<T>) -> Check {
    match look {
        Look::Failed(error) => Check::failed(check, error),
        Look::Seen(_) | Look::NotFound | Look::Unauthorized => {
            Check::unknown(check, "PlanetScale answers 404: the database or a permission is missing.")
        }
    }
}

#[cfg(test)]
mod tests;
