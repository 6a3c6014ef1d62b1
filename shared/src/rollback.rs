//! Going back to an image that was released here before: which one, and whether the schema still lets it serve.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::image::{ImageDigest, ImageTag};
use crate::order::{self, Schema};
use crate::outcome::Outcome;
use crate::planetscale::{DeployRequest, DeployRequestNumber, Stage};
use crate::report::{Report, SchemaChange};
use crate::verification::Moment;
use crate::{schema, text};

/// How an image was released here, when that was no rollback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleasedBefore {
    /// The execution's name.
    pub execution: String,
    /// When it started: what was applied later, the image may not know.
    pub started_at: DateTime<Utc>,
    /// Its own deploy request, whose change the image knows.
    pub deploy_request: Option<DeployRequestNumber>,
    /// The commits that the image had then.
    pub commits: Vec<ImageTag>,
}

impl ReleasedBefore {
    /// Whether the image, of these commits now, is the one that was released. One that has got another commit since was
    /// built again, with the same result: a `git revert` asks for a release and not for going back.
    pub fn is_of(&self, commits: &[ImageTag]) -> bool {
        commits.iter().all(|commit| self.commits.contains(commit))
    }

    /// Whether a tag that was moved `at` this time went back to the image. An event of the push that released it in the
    /// first place, which arrives again, is no rollback.
    pub fn is_before(&self, at: DateTime<Utc>) -> bool {
        self.started_at < at
    }
}

/// What a person asks for with `{"rollback": …}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Asked {
    /// To go back to the image that was released before the one that serves.
    Previous,
    /// To go back whatever is in the way: to the older image that the tag points at, or else to the previous one.
    Insist,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    rollback: Asked,
}

/// Reads `{"rollback": "previous"}` and `{"rollback": "insist"}`.
///
/// # Errors
/// What is wrong with it.
pub fn asked(payload: Value) -> Result<Asked, String> {
    let Payload { rollback } = serde_json::from_value(payload).map_err(|error| error.to_string())?;
    Ok(rollback)
}

/// Whether the image of a recorded release served when it had ended, as far as the record tells.
fn served(report: &Report) -> bool {
    let kept = || {
        report.looks.as_ref().is_some_and(|looks| looks.failed && looks.moment == Moment::NewContainers)
            && report.restored.is_none()
    };
    match report.outcome {
        Outcome::Released => true,
        Outcome::SchemaRefused | Outcome::SchemaRejected | Outcome::SchemaFailed | Outcome::ReleaseError => {
            report.deployment.is_some()
        }
        Outcome::ContainersFailed | Outcome::RevertRefused => kept(),
        Outcome::Superseded
        | Outcome::Held
        | Outcome::RollbackRefused
        | Outcome::SchemaReverted
        | Outcome::Undone
        | Outcome::TimedOut => false,
    }
}

/// The images that served one after another, as far as one can go back through them: going back forgets what came after.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// Each image, and whether it was Released.
    images: Vec<(String, bool)>,
}

impl History {
    /// That of the recorded releases, the oldest first.
    pub fn of<'a>(reports: impl IntoIterator<Item = &'a Report>) -> Self {
        let mut images: Vec<(String, bool)> = Vec::new();
        for report in reports.into_iter().filter(|report| served(report)) {
            let released = report.outcome == Outcome::Released;
            match images.iter().position(|(digest, _)| *digest == report.digest) {
                Some(at) => {
                    images.truncate(at + 1);
                    images[at].1 |= released;
                }
                None => images.push((report.digest.clone(), released)),
            }
        }
        Self { images }
    }

    /// The image that serves.
    pub fn current(&self) -> Option<ImageDigest> {
        self.images.last().and_then(|(digest, _)| digest.parse().ok())
    }

    /// The image that was Released before the one that serves.
    pub fn previous(&self) -> Option<ImageDigest> {
        let (_, before) = self.images.split_last()?;
        before.iter().rev().find(|(_, released)| *released).and_then(|(digest, _)| digest.parse().ok())
    }
}

/// A change that was applied, or is on its way, since an image served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Its deploy request.
    pub number: DeployRequestNumber,
    /// The request's page.
    pub url: String,
    /// Each table and statement, as far as they are known.
    pub operations: Vec<Operation>,
    /// When it was applied, if that is told.
    pub at: Option<DateTime<Utc>>,
    /// Until when it can be reverted.
    pub revertible_until: Option<DateTime<Utc>>,
}

/// One statement of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The table that it is about, if that is told.
    pub table: Option<String>,
    /// Whether it makes that table.
    pub creates: bool,
    /// The statement.
    pub statement: String,
}

/// The change of a request of the base branch, if it was applied or is on its way after `since`. What PlanetScale does not
/// say counts as applied.
pub fn applied(request: &DeployRequest, since: DateTime<Utc>) -> Option<Applied> {
    let changed = match request.stage() {
        Stage::Validating
        | Stage::Ready
        | Stage::NoChanges
        | Stage::Invalid
        | Stage::Cancelling
        | Stage::Cancelled
        | Stage::Failed
        | Stage::Reverted => false,
        Stage::Queued
        | Stage::Running
        | Stage::AwaitingCutover
        | Stage::Reverting
        | Stage::RevertFailed
        | Stage::Unclear => true,
        Stage::Applied | Stage::AppliedRevertible => request.deployed_at.is_none_or(|at| at > since),
    };
    changed.then(|| Applied {
        number: request.number,
        url: request.html_url.clone(),
        operations: request
            .operations()
            .iter()
            .map(|operation| Operation {
                table: Some(operation.table_name.clone()).filter(|table| !table.is_empty()),
                creates: operation.operation_name.eq_ignore_ascii_case("CREATE"),
                statement: schema::known_statement(operation),
            })
            .collect(),
        at: request.deployed_at,
        revertible_until: request.revertible_until(),
    })
}

/// The changes of recorded releases that `listed`, the requests that PlanetScale lists, has not.
pub fn recorded(reports: &[Report], listed: &HashSet<u64>) -> Vec<Applied> {
    let changed = |report: &&Report| match report.schema {
        SchemaChange::Revertible | SchemaChange::Permanent => true,
        SchemaChange::None | SchemaChange::Reverted => false,
    };
    reports
        .iter()
        .filter(changed)
        .filter_map(|report| {
            let request = report.deploy_request.as_ref().filter(|one| !listed.contains(&one.number.0))?;
            let operation =
                |statement: &String| Operation { table: None, creates: false, statement: statement.clone() };
            Some(Applied {
                number: request.number,
                url: request.url.clone(),
                operations: request.statements.iter().map(operation).collect(),
                at: Some(report.finished_at),
                revertible_until: None,
            })
        })
        .collect()
}

/// A statement that breaks the image to go back to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InTheWay {
    /// The statement.
    pub statement: String,
    /// What it breaks.
    pub because: String,
    /// Its deploy request.
    pub deploy_request: DeployRequestNumber,
    /// The request's page.
    pub url: String,
    /// Until when it can be reverted there.
    pub revertible_until: Option<DateTime<Utc>>,
}

/// Whether the release may go back, and what was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// What to do.
    pub step: Step,
    /// Why.
    pub because: String,
    /// Whether a person insisted.
    pub insisted: bool,
    /// What breaks the image.
    pub in_the_way: Vec<InTheWay>,
}

/// What to do with a rollback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// Start the containers.
    Allowed,
    /// End: a change breaks the image.
    Refused,
    /// End: the moving tag moved on meanwhile.
    Superseded,
}

/// The most statements, and the most characters of each and of each reason, that are told.
const SHOWN: (usize, usize) = (10, 500);

/// Judges the changes that were applied since the image of `before` served: one that its code breaks on is in the way.
pub fn judge(before: &ReleasedBefore, mut changes: Vec<Applied>, insisted: bool) -> Verdict {
    changes.retain(|change| Some(change.number) != before.deploy_request);
    // What has no time is on its way, and comes last.
    changes.sort_by_key(|change| (change.at.is_none(), change.at, change.number.0));
    let mut in_the_way = in_the_way(&changes);
    let since = format!("{} released it", before.execution);
    if in_the_way.is_empty() {
        let because = if changes.is_empty() {
            format!("The schema was not changed since {since}.")
        } else {
            let numbers: Vec<_> = changes.iter().map(|change| format!("#{}", change.number)).collect();
            let numbers = text::shorten(&numbers.join(", "), SHOWN.1);
            format!("No statement that was applied since {since} breaks it (deploy requests {numbers}).")
        };
        return Verdict { step: Step::Allowed, because, insisted, in_the_way };
    }
    let more = in_the_way.len().saturating_sub(SHOWN.0);
    in_the_way.truncate(SHOWN.0);
    let told: Vec<_> = in_the_way
        .iter()
        .map(|one| {
            format!(
                "{} (deploy request #{}, {}: {})",
                one.statement, one.deploy_request, one.url, one.because
            )
        })
        .collect();
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    let found =
        format!("These statements were applied since {since} and break it: {}{more}.", told.join("; "));
    let (step, because) = if insisted {
        (Step::Allowed, format!("A person insists. {found}"))
    } else {
        (Step::Refused, format!("{found} {}", what_brings_it_back(&in_the_way)))
    };
    Verdict { step, because, insisted, in_the_way }
}

fn in_the_way(changes: &[Applied]) -> Vec<InTheWay> {
    let mut found = Vec::new();
    let mut statements = Vec::new();
    // The code before knows nothing of a table that was made since.
    let mut made: HashSet<&str> = HashSet::new();
    for change in changes {
        if change.operations.is_empty() {
            let nothing = "PlanetScale names no statement of it, so nothing is known of it";
            found.push(InTheWay::of(change, "a change without a statement", nothing));
        }
        for operation in &change.operations {
            let table = operation.table.as_deref();
            if table.is_some_and(|table| made.contains(table)) {
                continue;
            }
            made.extend(table.filter(|_| operation.creates));
            statements.push((change, operation.statement.as_str()));
        }
    }
    let judged = order::judge(statements.iter().map(|(_, statement)| *statement), &Schema::default());
    for finding in judged.findings.iter().filter(|finding| !finding.breaks_old.is_empty()) {
        if let Some((change, _)) = statements.get(finding.of) {
            let because = finding.breaks_old.join("; ");
            let guessed = if finding.guessed { "; how it was before is not known" } else { "" };
            found.push(InTheWay::of(change, &finding.statement, &(because + guessed)));
        }
    }
    found
}

impl InTheWay {
    fn of(change: &Applied, statement: &str, because: &str) -> Self {
        let statement = if statement.trim().is_empty() { "a statement without a text" } else { statement };
        Self {
            statement: text::shorten(statement, SHOWN.1),
            because: text::shorten(because, SHOWN.1),
            deploy_request: change.number,
            url: change.url.clone(),
            revertible_until: change.revertible_until,
        }
    }
}

fn what_brings_it_back(in_the_way: &[InTheWay]) -> String {
    let all = in_the_way.iter().map(|one| one.revertible_until).collect::<Option<Vec<_>>>();
    match all.and_then(|all| all.into_iter().min()) {
        Some(until) => format!(
            "To bring back what it needs, revert them on their pages until {}, then roll back again.",
            until.format("%Y-%m-%d %H:%M UTC")
        ),
        None => "To bring back what it needs, release a change that makes the schema as it was, then roll back again: what \
                 was dropped comes back without its data."
            .into(),
    }
}

/// What a release that was just made says of going back from it: the sentence, for the report and the message.
pub fn outlook(
    changed: SchemaChange,
    statements: &[String],
    revertible_until: Option<DateTime<Utc>>,
) -> String {
    match changed {
        SchemaChange::None | SchemaChange::Reverted => {
            return "Going back is safe: the schema was not changed.".into();
        }
        SchemaChange::Revertible | SchemaChange::Permanent => {}
    }
    let judged = order::judge(statements.iter().map(String::as_str), &Schema::default());
    let until = match (changed, revertible_until) {
        (SchemaChange::Revertible, Some(until)) => {
            format!(" The schema can be reverted until {}.", until.format("%Y-%m-%d %H:%M UTC"))
        }
        _ => String::new(),
    };
    let breaking = judged.findings.iter().find(|finding| !finding.breaks_old.is_empty());
    match breaking {
        _ if statements.is_empty() => {
            format!("Whether going back is safe is not known: no statement was named.{until}")
        }
        None => format!("Going back is safe: the version before works on the new schema.{until}"),
        Some(finding) => format!(
            "Going back is refused while this is applied: {}{until}",
            text::shorten(&finding.statement, 200)
        ),
    }
}

#[cfg(test)]
mod tests;
