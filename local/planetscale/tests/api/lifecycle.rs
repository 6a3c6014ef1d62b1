//! A deploy request's way.

use reqwest::Method;
use serde_json::{Value, json};

use crate::lab::{ADD_COLUMN, Lab, TOKEN};

#[tokio::test]
async fn a_change_is_validated_deployed_and_kept() {
    let lab = Lab::start().await;
    lab.sql("dev", ADD_COLUMN).await;
    let number = lab.create("dev", json!({"notes": "more stars"})).await;
    lab.assert_states(number, "open", "pending", "pending").await;
    assert_eq!(lab.request(number).await.body["deployment"]["deployable"], false);

    lab.pass(1).await;
    let ready = lab.request(number).await;
    assert_eq!(ready.text("/deployment_state"), "ready");
    assert_eq!(ready.text("/notes"), "more stars");
    assert_eq!(ready.body["deployment"]["deployable"], true);
    assert_eq!(
        ready.text("/deployment/deploy_operations/0/ddl_statement"),
        "ALTER TABLE `hotels` ADD COLUMN `stars` int"
    );

    let before = lab.schema("main").await;
    lab.post(&format!("/deploy-requests/{number}/deploy")).await;
    for state in ["queued", "submitting", "in_progress", "in_progress_cutover"] {
        lab.assert_states(number, "open", state, state).await;
        assert_eq!(lab.schema("main").await, before, "{state}");
        lab.pass(1).await;
    }
    lab.assert_states(number, "open", "complete_pending_revert", "complete_pending_revert").await;
    assert_eq!(lab.schema("main").await, lab.schema("dev").await);

    lab.pass(1).await;
    lab.assert_states(number, "closed", "complete", "complete").await;
    assert_eq!(lab.schema_changes("main").await, [("deploy".to_owned(), number)]);
}

#[tokio::test]
async fn equal_schemas_are_no_changes_and_the_state_stays_when_the_request_is_closed() {
    let lab = Lab::start().await;
    let number = lab.create("dev", json!({})).await;
    lab.pass(1).await;
    lab.assert_states(number, "open", "no_changes", "no_changes").await;
    let refused = lab.post(&format!("/deploy-requests/{number}/deploy")).await;
    assert_eq!((refused.status, refused.text("/message")), (422, "This deploy request is not deployable"));

    let path = format!("/deploy-requests/{number}");
    let closed = lab.call_as(TOKEN, Method::PATCH, &path, Some(json!({"state": "closed"}))).await;
    assert_eq!((closed.status, closed.text("/state")), (200, "closed"));
    assert_eq!(closed.text("/closed_by/id"), "deployer");
    lab.assert_states(number, "closed", "no_changes", "no_changes").await;
}

#[tokio::test]
async fn progress_and_remaining_time_move_while_the_migration_runs() {
    let lab = Lab::start().await;
    let number = lab.deployed(ADD_COLUMN).await;
    let operation =
        async || lab.get(&format!("/deploy-requests/{number}/operations")).await.body["data"][0].clone();
    assert_eq!(operation().await["progress_percentage"], Value::Null);
    lab.pass(2).await;
    lab.control(Method::POST, "clock", json!({"advance_ms": 20_000})).await;
    let early = operation().await;
    lab.control(Method::POST, "clock", json!({"advance_ms": 20_000})).await;
    let late = operation().await;
    let field = |operation: &Value, name: &str| operation[name].as_u64().unwrap();
    assert_eq!(early["state"], "in_progress");
    assert!(field(&early, "progress_percentage") < field(&late, "progress_percentage"));
    assert!(field(&early, "eta_seconds") > field(&late, "eta_seconds"));
    lab.pass(2).await;
    let done = operation().await;
    assert_eq!((field(&done, "progress_percentage"), field(&done, "eta_seconds")), (100, 0));
}

#[tokio::test]
async fn a_gated_request_waits_for_its_cutover() {
    let lab = Lab::start().await;
    lab.sql("dev", ADD_COLUMN).await;
    let number = lab.create("dev", json!({"auto_cutover": false})).await;
    lab.pass(1).await;
    lab.post(&format!("/deploy-requests/{number}/deploy")).await;
    lab.pass(8).await;
    lab.assert_states(number, "open", "pending_cutover", "pending_cutover").await;
    let gated = lab.request(number).await;
    assert_eq!(gated.body["deployment"]["auto_cutover"], false);
    assert!(gated.body["deployment"]["ready_to_cutover_at"].is_string());

    let applied = lab.post(&format!("/deploy-requests/{number}/apply-deploy")).await;
    assert_eq!((applied.status, applied.text("/deployment_state")), (200, "in_progress_cutover"));
    assert_eq!(applied.text("/deployment/cutover_actor/id"), "deployer");
    lab.pass(1).await;
    lab.assert_states(number, "open", "complete_pending_revert", "complete_pending_revert").await;
}

#[tokio::test]
async fn the_gate_is_taken_over_from_the_last_request_when_nothing_is_said() {
    let lab = Lab::start().await;
    lab.create("dev", json!({"auto_cutover": false})).await;
    let body = json!({"branch": "dev", "into_branch": "main"});
    let second = lab.call_as(TOKEN, Method::POST, "/deploy-requests", Some(body)).await;
    assert_eq!(second.body["deployment"]["auto_cutover"], false);
}

#[tokio::test]
async fn a_gate_can_be_opened_by_turning_auto_apply_on() {
    let lab = Lab::start().await;
    let number = lab.deployed(ADD_COLUMN).await;
    lab.act(number, "gate").await;
    lab.pass(8).await;
    lab.assert_states(number, "open", "pending_cutover", "pending_cutover").await;
    let path = format!("/deploy-requests/{number}/auto-apply");
    lab.call_as(TOKEN, Method::PUT, &path, Some(json!({"enable": true}))).await;
    lab.pass(1).await;
    lab.assert_states(number, "open", "complete_pending_revert", "complete_pending_revert").await;
}

#[tokio::test]
async fn a_revert_puts_the_touched_tables_back() {
    let lab = Lab::start().await;
    let before = lab.schema("main").await;
    let number = lab
        .applied(
            "ALTER TABLE hotels ADD stars INT, DROP COLUMN name, ADD KEY (stars); \
             CREATE TABLE rooms (id INT PRIMARY KEY)",
        )
        .await;
    assert_ne!(lab.schema("main").await, before);
    let reverting = lab.post(&format!("/deploy-requests/{number}/revert")).await;
    assert_eq!((reverting.status, reverting.text("/deployment_state")), (200, "in_progress_revert"));
    lab.pass(1).await;
    lab.assert_states(number, "closed", "complete_revert", "complete_revert").await;
    assert_eq!(lab.schema("main").await, before);
    let causes = lab.schema_changes("main").await;
    assert_eq!(causes, [("deploy".to_owned(), number), ("revert".to_owned(), number)]);
    let revert = &lab.request(number).await.body["deployment"]["deployment_revert_request"];
    assert!(revert["finished_at"].is_string());
    assert_eq!(revert["deploy_revert_operations"][0]["state"], "complete");
}

#[tokio::test]
async fn a_closed_revert_window_does_not_open_again() {
    let lab = Lab::start().await;
    let number = lab.applied(ADD_COLUMN).await;
    let skipped = lab.post(&format!("/deploy-requests/{number}/skip-revert")).await;
    assert_eq!((skipped.text("/state"), skipped.text("/deployment_state")), ("closed", "complete"));
    for action in ["revert", "skip-revert"] {
        assert_eq!(lab.post(&format!("/deploy-requests/{number}/{action}")).await.status, 422);
    }
    assert_eq!(lab.schema("main").await, lab.schema("dev").await);
}

#[tokio::test]
async fn a_revert_can_be_refused_or_fail() {
    let lab = Lab::start().await;
    let number = lab.applied(ADD_COLUMN).await;
    lab.in_database(Method::PUT, "/next", json!({"revert_refused": "rows no longer fit"})).await;
    let refused = lab.post(&format!("/deploy-requests/{number}/revert")).await;
    assert_eq!((refused.status, refused.text("/message")), (422, "rows no longer fit"));
    lab.assert_states(number, "open", "complete_pending_revert", "complete_pending_revert").await;

    lab.in_database(Method::PUT, "/next", json!({"revert_error": "rows no longer fit"})).await;
    lab.post(&format!("/deploy-requests/{number}/revert")).await;
    lab.pass(1).await;
    lab.assert_states(number, "open", "complete_revert_error", "complete_revert_error").await;
    assert_eq!(lab.schema("main").await, lab.schema("dev").await);
}

#[tokio::test]
async fn instant_ddl_completes_without_gate_and_window() {
    let lab = Lab::start().await;
    let number = lab.ready(ADD_COLUMN).await;
    assert_eq!(lab.request(number).await.body["deployment"]["instant_ddl_eligible"], true);
    let path = format!("/deploy-requests/{number}/deploy");
    lab.call_as(TOKEN, Method::POST, &path, Some(json!({"instant_ddl": true}))).await;
    lab.act(number, "gate").await;
    lab.pass(3).await;
    lab.assert_states(number, "closed", "complete", "complete").await;
    assert_eq!(lab.post(&format!("/deploy-requests/{number}/revert")).await.status, 422);
    assert_eq!(lab.schema("main").await, lab.schema("dev").await);
}

#[tokio::test]
async fn a_running_migration_that_is_cancelled_changes_nothing() {
    let lab = Lab::start().await;
    let before = lab.schema("main").await;
    let number = lab.deployed(ADD_COLUMN).await;
    lab.pass(2).await;
    let cancelling = lab.post(&format!("/deploy-requests/{number}/cancel")).await;
    assert_eq!(cancelling.text("/deployment_state"), "in_progress_cancel");
    assert_eq!(cancelling.text("/deployment/cancelled_actor/id"), "deployer");
    lab.pass(3).await;
    lab.assert_states(number, "closed", "complete_cancel", "complete_cancel").await;
    assert_eq!(lab.schema("main").await, before);
}

#[tokio::test]
async fn what_cancelling_a_queued_request_means_is_a_setting() {
    let lab = Lab::start().await;
    let number = lab.deployed(ADD_COLUMN).await;
    lab.settings(json!({"cancel_queued": "ready"})).await;
    lab.post(&format!("/deploy-requests/{number}/cancel")).await;
    lab.assert_states(number, "open", "ready", "ready").await;
    lab.post(&format!("/deploy-requests/{number}/deploy")).await;
    lab.settings(json!({"cancel_queued": "cancelled"})).await;
    lab.post(&format!("/deploy-requests/{number}/cancel")).await;
    lab.assert_states(number, "closed", "cancelled", "cancelled").await;
}

#[tokio::test]
async fn a_failed_deployment_names_its_error_and_changes_nothing() {
    let lab = Lab::start().await;
    let before = lab.schema("main").await;
    lab.in_database(Method::PUT, "/next", json!({"deploy_error": "the disk is full"})).await;
    let number = lab.deployed(ADD_COLUMN).await;
    lab.pass(4).await;
    lab.assert_states(number, "open", "complete_error", "complete_error").await;
    let failed = lab.request(number).await;
    assert_eq!(failed.text("/deployment/deploy_operations/0/state"), "error");
    assert_eq!(failed.text("/deployment/deploy_operations/0/deploy_errors"), "the disk is full");
    assert_eq!(lab.schema("main").await, before);
}

#[tokio::test]
async fn a_locked_table_holds_the_cutover_until_it_is_forced_once() {
    let lab = Lab::start().await;
    let number = lab.deployed(ADD_COLUMN).await;
    lab.act(number, "lock_table").await;
    lab.pass(8).await;
    let locked = lab.request(number).await;
    assert_eq!(locked.text("/deployment_state"), "in_progress_cutover");
    assert_eq!(locked.text("/deployment/locked_table_name"), "hotels");
    let path = format!("/deploy-requests/{number}/force-cutover");
    lab.settings(json!({"durations": {"in_progress_cutover": 100 * crate::lab::PHASE}})).await;
    assert_eq!(lab.post(&path).await.status, 200);
    assert_eq!(lab.post(&path).await.status, 422);
    lab.settings(json!({"durations": {"in_progress_cutover": 0}})).await;
    lab.assert_states(number, "open", "complete_pending_revert", "complete_pending_revert").await;
}

#[tokio::test]
async fn the_head_branch_is_deleted_at_the_end_if_that_was_asked_for() {
    let lab = Lab::start().await;
    let number = lab.applied(ADD_COLUMN).await;
    let path = format!("/deploy-requests/{number}/auto-delete-branch");
    lab.call_as(TOKEN, Method::PUT, &path, Some(json!({"enable": true}))).await;
    assert_eq!(lab.get("/branches/dev").await.status, 200);
    lab.post(&format!("/deploy-requests/{number}/skip-revert")).await;
    assert_eq!(lab.get("/branches/dev").await.status, 404);
    assert_eq!(lab.request(number).await.body["branch_deleted"], true);
}

#[tokio::test]
async fn vschema_states_come_only_when_they_last() {
    let lab = Lab::start().await;
    let number = lab.deployed(ADD_COLUMN).await;
    lab.settings(json!({"durations": {"in_progress_vschema": 60_000, "in_progress_revert_vschema": 60_000}}))
        .await;
    lab.pass(3).await;
    lab.assert_states(number, "open", "in_progress_vschema", "in_progress_vschema").await;
    lab.pass(2).await;
    lab.post(&format!("/deploy-requests/{number}/revert")).await;
    lab.pass(1).await;
    lab.assert_states(number, "open", "in_progress_revert_vschema", "in_progress_revert_vschema").await;
    lab.pass(1).await;
    lab.assert_states(number, "closed", "complete_revert", "complete_revert").await;
}

#[tokio::test]
async fn actions_in_a_state_that_does_not_allow_them_are_refused_with_the_status_that_is_set() {
    let lab = Lab::start().await;
    let number = lab.ready(ADD_COLUMN).await;
    let actions = ["cancel", "apply-deploy", "revert", "skip-revert", "complete-deploy", "force-cutover"];
    for (status, action) in actions.iter().enumerate().map(|(index, action)| (400 + index as u16, action)) {
        lab.settings(json!({"statuses": {"wrong_state": status}})).await;
        let refused = lab.post(&format!("/deploy-requests/{number}/{action}")).await;
        assert_eq!(refused.status, status, "{action}");
        assert!(refused.text("/message").contains("ready"), "{action}");
    }
    lab.assert_states(number, "open", "ready", "ready").await;
}

#[tokio::test]
async fn a_request_is_deployed_once_however_often_that_is_asked_at_once() {
    let lab = Lab::start().await;
    let number = lab.ready(ADD_COLUMN).await;
    let path = format!("/deploy-requests/{number}/deploy");
    let tries = tokio::join!(lab.post(&path), lab.post(&path), lab.post(&path), lab.post(&path));
    let mut statuses = [tries.0.status, tries.1.status, tries.2.status, tries.3.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 422, 422, 422]);
    lab.pass(8).await;
    assert_eq!(lab.schema_changes("main").await.len(), 1);
}

#[tokio::test]
async fn what_is_not_known_of_approvals_gates_and_branches_is_a_setting() {
    let lab = Lab::start().await;
    lab.in_database(Method::PUT, "", json!({"require_approval_for_deploy": true})).await;
    let number = lab.ready(ADD_COLUMN).await;
    let deployable = async || lab.request(number).await.body["deployment"]["deployable"].clone();
    assert_eq!(deployable().await, false);
    lab.settings(json!({"unapproved_is_deployable": true, "approval_refusal": "No.", "statuses": {"approval_required": 422}}))
        .await;
    assert_eq!(deployable().await, true);
    let refused = lab.post(&format!("/deploy-requests/{number}/deploy")).await;
    assert_eq!((refused.status, refused.text("/message")), (422, "No."));
    lab.settings(json!({"unapproved_is_deployable": false})).await;
    lab.act(number, "approve").await;
    assert_eq!(deployable().await, true);

    lab.act(number, "gate").await;
    assert_eq!(lab.post(&format!("/deploy-requests/{number}/deploy")).await.status, 200);
    lab.pass(3).await;
    lab.assert_states(number, "open", "pending_cutover", "pending_cutover").await;
    lab.settings(json!({"gated_deployment": "in_progress"})).await;
    lab.assert_states(number, "open", "pending_cutover", "in_progress").await;

    let deletes = async |lab: &Lab, more| {
        let number = lab.create("dev", more).await;
        let body = lab.request(number).await.body;
        body["deployment"]["auto_delete_branch"].clone()
    };
    assert_eq!(deletes(&lab, json!({"auto_delete_branch": true})).await, true);
    assert_eq!(deletes(&lab, json!({})).await, true);
    assert_eq!(deletes(&lab, json!({"auto_delete_branch": false})).await, false);
    assert_eq!(deletes(&lab, json!({"auto_delete_branch": true})).await, true);
    lab.settings(json!({"auto_delete_branch_left_out": "no"})).await;
    assert_eq!(deletes(&lab, json!({})).await, false);
}
