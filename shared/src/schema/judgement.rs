//! What a change may do to the data and to the code that runs, and so in which order it is applied, if at all.

use crate::order::{self, Finding, Verdict};
use crate::planetscale::{Base, DeployOperation, DeployRequest};
use crate::release::DestructiveChanges;
use crate::text;

use super::statement;

/// PlanetScale's limit of tables in one deploy request (its documentation on schema changes).
const MOST_TABLES: usize = 10;

/// What to do with what a deploy request holds now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// The schema, then the containers.
    SchemaFirst {
        /// Why this order is safe.
        because: String,
    },
    /// The containers, then the schema.
    ContainersFirst {
        /// Why this order is safe.
        because: String,
    },
    /// It is not to be applied.
    Refused {
        /// Which statements are in the way, and what to do.
        because: String,
    },
    /// PlanetScale does not say what it would change, or not yet.
    Unknown {
        /// What is missing.
        because: String,
    },
}

/// Judges the operations of `request`: by what may drop data, as `policy` says, and by which code they break. What
/// PlanetScale does not say of them counts as harm.
pub fn judge(request: &DeployRequest, policy: DestructiveChanges) -> Judgement {
    use DestructiveChanges::{AfterContainers, Allow, Refuse};
    let operations = request.operations();
    if operations.is_empty() && policy != Allow {
        return Judgement::Unknown {
            because: format!(
                "PlanetScale names no statement of deploy request #{}, so nothing is known of what it would drop.",
                request.number
            ),
        };
    }
    let dropping: Vec<_> = operations.iter().filter(|operation| operation.may_drop_data()).collect();
    let untold: Vec<_> = dropping.iter().copied().filter(|one| one.can_drop_data.is_none()).collect();
    let in_use: Vec<_> = dropping
        .iter()
        .copied()
        .filter(|one| one.table_recently_used && one.operation_name.eq_ignore_ascii_case("DROP"))
        .collect();
    let refused = |because| Judgement::Refused { because };
    if let Some(because) = no_room(request) {
        return refused(because);
    }
    match policy {
        Refuse | AfterContainers if !untold.is_empty() => {
            return refused(format!(
                "PlanetScale does not say whether these statements can drop data: {}. If they are meant to, deploy the \
                 stack with DestructiveChanges=allow and push again.",
                list(&untold)
            ));
        }
        Refuse if !dropping.is_empty() => {
            return refused(format!(
                "These statements can drop data, and DestructiveChanges is `refuse`: {}.{} If {} is behind {}, refresh it; \
                 if the drop is meant, deploy the stack with DestructiveChanges=after-containers and push again.",
                list(&dropping),
                used(&dropping),
                request.branch,
                request.into_branch
            ));
        }
        AfterContainers if !dropping.is_empty() && request.head_is_stale => {
            return refused(format!(
                "PlanetScale calls the schema of {head} stale, so these statements may only undo what {base} has and {head} \
                 has not yet: {}.{} Bring {head} up to {base} and push again; if the drop is meant, deploy the stack with \
                 DestructiveChanges=allow.",
                list(&dropping),
                used(&dropping),
                head = request.branch,
                base = request.into_branch
            ));
        }
        AfterContainers if !in_use.is_empty() => {
            return refused(format!(
                "These statements drop tables that are in use: {}.{} Release the code that does not read them first, and \
                 the drop when PlanetScale sees no queries any more; or deploy the stack with DestructiveChanges=allow.",
                list(&in_use),
                used(&in_use)
            ));
        }
        Refuse | AfterContainers | Allow => {}
    }
    let found = order(request);
    let told = unseen(request, &found);
    let schema_first = |because: String| Judgement::SchemaFirst { because: because + &told };
    let containers_first = |because: String| Judgement::ContainersFirst { because: because + &told };
    let drops = !dropping.is_empty();
    match (found.old_works(), found.new_works()) {
        // What drops data waits for the new code where it can.
        (true, true) if drops => containers_first(
            "The change breaks neither the code before nor the new code, but can drop data, so it comes last.".into(),
        ),
        (true, _) if !drops || policy == Allow => schema_first(
            "The change breaks nothing of the code before, which can therefore be released again on the new schema.".into(),
        ),
        (false, true) => containers_first(format!(
            "The change breaks the code before and nothing of the new code, so the new code goes first. Once it is \
             applied, the code before cannot serve again. {}",
            reasons_of(found.with(Verdict::Contract))
        )),
        (_, _) if policy == Allow => schema_first(format!(
            "No order is safe for the change, and DestructiveChanges is `allow`: until the new code runs, something of the \
             code before fails, and it cannot serve again. {}",
            reasons_of(found.findings.iter().filter(|finding| !finding.breaks_old.is_empty()))
        )),
        (true, _) => refused(format!(
            "The change can drop data, so it has to wait for the new code, which breaks without it. Split it: {}{told}",
            split(&found)
        )),
        (false, _) => refused(format!("No order of schema and containers is safe for the change. {}{told}", split(&found))),
    }
}

/// That the base branch has no room for the change, if PlanetScale says so.
fn no_room(request: &DeployRequest) -> Option<String> {
    let storage = request.storage.as_ref().filter(|storage| !storage.enough_storage)?;
    let more = if storage.upgradeable {
        "give its cluster more on its page at PlanetScale"
    } else {
        "make room there, as its cluster cannot be given more"
    };
    Some(format!(
        "{} has not enough storage for deploy request #{}, which needs {} bytes more by PlanetScale's estimate: {more}, and \
         push again.",
        request.into_branch, request.number, storage.storage_bytes_needed
    ))
}

/// What breaks which code, beside the base branch as far as it was read.
fn order(request: &DeployRequest) -> order::Judgement {
    let none = order::Schema::default();
    let before = match &request.base {
        Base::Read(schema) => schema,
        Base::NotRead | Base::Unreadable(_) => &none,
    };
    let statements: Vec<String> = request.operations().iter().map(known_statement).collect();
    let mut found = order::judge(statements.iter().map(String::as_str), before);
    for finding in &mut found.findings {
        if let Some(operation) =
            request.operations().get(finding.of).filter(|one| one.ddl_statement.is_empty())
        {
            let name = statement(operation);
            finding.statement =
                if name.trim().is_empty() { "a statement without a name".into() } else { name };
        }
    }
    found
}

/// The statement of an operation. Of a table that is created or dropped its name says enough.
pub(crate) fn known_statement(operation: &DeployOperation) -> String {
    if !operation.ddl_statement.is_empty() {
        return operation.ddl_statement.clone();
    }
    let table = operation.table_name.replace('`', "``");
    match operation.operation_name.to_ascii_uppercase().as_str() {
        "CREATE" => format!("CREATE TABLE `{table}` LIKE `{table}`"),
        "DROP" => format!("DROP TABLE `{table}`"),
        _ => String::new(),
    }
}

/// Whether the change of `request` breaks nothing of the old code whatever the tables are that it changes.
pub fn is_safe_anyway(request: &DeployRequest) -> bool {
    let found = order(&DeployRequest { base: Base::NotRead, ..request.clone() });
    found.old_works() && !found.is_guessed()
}

/// That tables were judged without having been seen, as a sentence.
fn unseen(request: &DeployRequest, found: &order::Judgement) -> String {
    match &request.base {
        Base::Unreadable(why) if !found.old_works() || found.is_guessed() => format!(" {why}"),
        _ => String::new(),
    }
}

/// The statements of each release.
fn split(found: &order::Judgement) -> String {
    let mut parts = Vec::new();
    let mut first = found.with(Verdict::Expand).filter(|finding| !finding.breaks_new.is_empty()).peekable();
    let mut afterwards = found.with(Verdict::Contract).peekable();
    let mut stuck = found.with(Verdict::BreaksBothWays).peekable();
    if first.peek().is_some() && (afterwards.peek().is_some() || stuck.peek().is_some()) {
        parts.push(format!("Release these first: {}.", statements_of(first)));
    }
    if afterwards.peek().is_some() {
        parts.push(format!("Release these afterwards: {}", reasons_of(afterwards)));
    }
    for finding in stuck.take(3) {
        parts.push(format!(
            "{} breaks both ways: {}. The way out: {}.",
            text::shorten(&finding.statement, 300),
            text::shorten(&finding.reason(), 600),
            text::shorten(&finding.way_out, 700)
        ));
    }
    text::shorten(&parts.join(" "), 4_000)
}

fn statements_of<'a>(findings: impl Iterator<Item = &'a Finding>) -> String {
    let all: Vec<_> = findings.map(|finding| text::shorten(&finding.statement, 300)).collect();
    text::shorten(&all.join("; "), 2_000)
}

/// Each statement with its reason, as sentences.
fn reasons_of<'a>(findings: impl Iterator<Item = &'a Finding>) -> String {
    let all: Vec<_> = findings
        .map(|finding| {
            let (statement, reason) = (text::shorten(&finding.statement, 300), finding.breaks_old.join("; "));
            let guessed = if finding.guessed { " (how it was before is not known)" } else { "" };
            format!("{statement}: {}{guessed}.", text::shorten(&reason, 400))
        })
        .collect();
    text::shorten(&all.join(" "), 2_000)
}

/// The statements, short enough for a reason.
fn list(operations: &[&DeployOperation]) -> String {
    let all: Vec<_> = operations.iter().map(|operation| text::shorten(&statement(operation), 300)).collect();
    text::shorten(&all.join("; "), 2_000)
}

/// Which of the tables queries used lately, as a sentence.
fn used(operations: &[&DeployOperation]) -> String {
    let tables: Vec<_> = operations
        .iter()
        .filter(|operation| operation.table_recently_used)
        .map(|operation| match &operation.table_recently_used_at {
            Some(at) => format!("{} ({})", operation.table_name, text::shorten(at, 40)),
            None => operation.table_name.clone(),
        })
        .collect();
    if tables.is_empty() {
        return String::new();
    }
    format!(" PlanetScale saw queries of {} lately.", text::shorten(&tables.join(", "), 300))
}

/// What PlanetScale's validation has against `request`.
pub(super) fn reasons(request: &DeployRequest) -> Vec<String> {
    let Some(deployment) = &request.deployment else { return Vec::new() };
    let mut reasons: Vec<String> = deployment
        .lint_errors
        .iter()
        .map(|lint| format!("{} in {}: {}", lint.lint_error, lint.table_name, lint.error_description))
        .collect();
    reasons.extend(deployment.deploy_check_errors.clone().filter(|errors| !errors.is_empty()));
    let mut tables: Vec<_> =
        deployment.deploy_operations.iter().map(|operation| &operation.table_name).collect();
    tables.sort_unstable();
    tables.dedup();
    if tables.len() > MOST_TABLES {
        reasons.push(format!(
            "It changes {} tables, and PlanetScale deploys at most {MOST_TABLES} at once: split the change",
            tables.len()
        ));
    }
    reasons
}

/// Why `request` cannot be deployed, in words.
pub(super) fn not_deployable(request: &DeployRequest) -> String {
    let mut reasons = reasons(request);
    if reasons.is_empty() {
        reasons.push("PlanetScale gives no reason".into());
    }
    let number = request.number;
    text::shorten(&format!("Deploy request #{number} is not deployable. {}.", reasons.join("; ")), 4_000)
}
