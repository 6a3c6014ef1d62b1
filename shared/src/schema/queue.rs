//! What a deploy request waits for in PlanetScale's queue, in words.

use crate::planetscale::{DeployRequest, Stage};
use crate::text;

/// The failed deploy request ahead, for which the queue waits until a person unblocks it.
pub(super) fn blocker(request: &DeployRequest) -> Option<String> {
    ahead(request, &[Stage::Failed, Stage::RevertFailed])
}

/// The first one ahead that is in one of `stages`.
fn ahead(request: &DeployRequest, stages: &[Stage]) -> Option<String> {
    let preceding = &request.deployment.as_ref()?.preceding_deployments;
    let found = preceding
        .iter()
        .find(|ahead| ahead.state.as_ref().is_some_and(|state| stages.contains(&state.stage())))?;
    Some(
        found
            .deploy_request_number
            .map_or_else(|| "deploy request".into(), |number| format!("deploy request #{number}")),
    )
}

/// What a queued request waits for.
pub(super) fn queued(request: &DeployRequest) -> String {
    let number = request.number;
    let Some(deployment) = &request.deployment else { return format!("Deploy request #{number} is queued.") };
    if deployment.queue_paused {
        let reason = deployment.queue_pause_reason.as_deref().unwrap_or("no reason given");
        return format!(
            "Deploy request #{number} is queued, and the queue is paused: {}.",
            text::shorten(reason, 300)
        );
    }
    if let Some(first) = ahead(request, &[Stage::AppliedRevertible]) {
        return format!(
            "Deploy request #{number} is queued behind the revert window of {first}, which closes by itself after 30 \
             minutes; close it now with `pscale deploy-request skip-revert` or on its page."
        );
    }
    if let Some(first) = ahead(request, &[Stage::AwaitingCutover]) {
        return format!(
            "Deploy request #{number} is queued behind {first}, which waits for a person to apply its changes: `pscale \
             deploy-request apply` or its page."
        );
    }
    format!("Deploy request #{number} is queued behind {} others.", deployment.preceding_deployments.len())
}

/// How far the migration is.
pub(super) fn progress(request: &DeployRequest) -> String {
    let operations = request.operations();
    let done: f64 = operations.iter().filter_map(|operation| operation.progress_percentage).sum();
    let left = operations.iter().filter_map(|operation| operation.eta_seconds).fold(0.0, f64::max);
    let mut text = format!("The migration of deploy request #{} is running", request.number);
    if !operations.is_empty() {
        text += &format!(", {:.0}% done", done / operations.len() as f64);
    }
    if left > 0.0 {
        text += &format!(", {} left", text::duration(left as u64));
    }
    text += ".";
    if let Some(deployment) = request.deployment.as_ref().filter(|deployment| deployment.table_locked) {
        let table = deployment.locked_table_name.as_deref().unwrap_or("a table");
        // PlanetScale's documentation on deploy requests: it tries for an hour, then forces the cutover.
        text += &format!(
            " Its cutover waits for a lock on {}: end the transactions that hold it, or end them all with `pscale \
             deploy-request force-cutover`, as PlanetScale does by itself after an hour.",
            text::shorten(table, 100)
        );
    }
    text
}
