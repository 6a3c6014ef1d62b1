//! What a change may do to the data and to the code that runs, and so in which order it is applied, if at all.

use crate::planetscale::{DeployOperation, DeployRequest};
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

/// Judges the operations of `request`. What PlanetScale does not say of them counts as harm.
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
    let (dropping, keeping): (Vec<_>, Vec<_>) =
        operations.iter().partition(|operation| operation.can_drop_data != Some(false));
    let untold: Vec<_> = dropping.iter().copied().filter(|one| one.can_drop_data.is_none()).collect();
    // PlanetScale writes one statement for each table, which may do both.
    let both: Vec<_> = dropping.iter().copied().filter(|operation| adds_columns(operation)).collect();
    let refused = |because| Judgement::Refused { because };
    match (dropping.is_empty(), keeping.is_empty() && both.is_empty(), policy) {
        (true, _, _) => Judgement::SchemaFirst {
            because: "No statement can drop data, so the old code runs on the new schema.".into(),
        },
        (false, _, Refuse | AfterContainers) if !untold.is_empty() => refused(format!(
            "PlanetScale does not say whether these statements can drop data: {}. If they are meant to, deploy the stack \
             with DestructiveChanges=allow and push again.",
            list(&untold)
        )),
        (false, _, Refuse) => refused(format!(
            "These statements can drop data, and DestructiveChanges is `refuse`: {}.{} If {} is behind {}, refresh it; if \
             the drop is meant, deploy the stack with DestructiveChanges=after-containers and push again.",
            list(&dropping),
            used(&dropping),
            request.branch,
            request.into_branch
        )),
        (false, true, AfterContainers | Allow) => Judgement::ContainersFirst {
            because: "Every statement drops something the old code still reads, so the new code goes first.".into(),
        },
        (false, false, AfterContainers) if !both.is_empty() => refused(format!(
            "The change both adds and drops in one table, and no order is safe for both: {}. Split it: release what is \
             added first, then what is dropped.",
            list(&both)
        )),
        (false, false, AfterContainers) => refused(format!(
            "The change both adds and drops, and no order is safe for both. Split it: release these first: {}. Release \
             these afterwards: {}.",
            list(&keeping),
            list(&dropping)
        )),
        (false, false, Allow) => Judgement::SchemaFirst {
            because: "The change both adds and drops and DestructiveChanges is `allow`: what is dropped is missing to the \
                      old code until the new code runs."
                .into(),
        },
    }
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
        .map(|operation| operation.table_name.as_str())
        .collect();
    if tables.is_empty() {
        return String::new();
    }
    format!(" PlanetScale saw queries of {} lately.", text::shorten(&tables.join(", "), 300))
}

/// Whether `operation` adds what new code may use: a column, or one under another name. Keys and indexes it does not
/// see. Of an ALTER without its statement nothing is known, so it may.
fn adds_columns(operation: &DeployOperation) -> bool {
    if operation.ddl_statement.is_empty() {
        return operation.operation_name.eq_ignore_ascii_case("ALTER");
    }
    text::clauses(&operation.ddl_statement).iter().any(|clause| {
        let mut words = clause.split_whitespace().map(str::to_ascii_uppercase);
        match (words.next().as_deref(), words.next().as_deref()) {
            (Some("ADD"), next) => !matches!(next, Some("KEY" | "INDEX" | "FULLTEXT" | "SPATIAL")),
            (Some("RENAME" | "CHANGE"), _) => true,
            _ => false,
        }
    })
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
