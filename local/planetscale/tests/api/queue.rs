//! The deploy queue.

use reqwest::Method;
use serde_json::{Value, json};

use crate::lab::{ADD_COLUMN, Lab, TOKEN};

/// Two queued requests from different branches; the numbers in the queue's order.
async fn two(lab: &Lab) -> (u64, u64) {
    lab.branch("other", "CREATE TABLE rooms (id INT PRIMARY KEY)").await;
    let second = lab.create("other", json!({})).await;
    let first = lab.deployed(ADD_COLUMN).await;
    assert_eq!(lab.post(&format!("/deploy-requests/{second}/deploy")).await.status, 200);
    (first, second)
}

#[tokio::test]
async fn requests_are_deployed_in_the_order_of_their_deploys() {
    let lab = Lab::start().await;
    let (first, second) = two(&lab).await;
    let ahead = &lab.request(second).await.body["deployment"]["preceding_deployments"];
    assert_eq!(ahead[0]["deploy_request_number"], first);
    let queue = lab.get("/deploy-queue").await;
    let numbers: Vec<&Value> =
        queue.body["data"].as_array().unwrap().iter().map(|entry| &entry["deploy_request_number"]).collect();
    assert_eq!(numbers, [first, second]);

    lab.pass(4).await;
    lab.assert_states(first, "open", "complete_pending_revert", "complete_pending_revert").await;
    lab.assert_states(second, "open", "queued", "queued").await;
}

#[tokio::test]
async fn the_revert_window_holds_the_queue_until_it_is_closed() {
    let lab = Lab::start().await;
    let (first, second) = two(&lab).await;
    lab.pass(4).await;
    lab.post(&format!("/deploy-requests/{first}/skip-revert")).await;
    assert_eq!(lab.request(second).await.body["deployment"]["preceding_deployments"], json!([]));
    lab.pass(4).await;
    lab.assert_states(second, "open", "complete_pending_revert", "complete_pending_revert").await;
    let changes = lab.schema_changes("main").await;
    assert_eq!(changes, [("deploy".to_owned(), first), ("deploy".to_owned(), second)]);
    assert_eq!(lab.schema("main").await.as_object().unwrap().len(), 2);
}

#[tokio::test]
async fn a_gated_request_holds_the_queue() {
    let lab = Lab::start().await;
    let (first, second) = two(&lab).await;
    lab.act(first, "gate").await;
    lab.pass(20).await;
    lab.assert_states(first, "open", "pending_cutover", "pending_cutover").await;
    lab.assert_states(second, "open", "queued", "queued").await;
}

#[tokio::test]
async fn a_failed_request_holds_the_queue_until_it_is_completed() {
    let lab = Lab::start().await;
    lab.in_database(Method::PUT, "/next", json!({"deploy_error": "no"})).await;
    let (first, second) = two(&lab).await;
    lab.pass(20).await;
    lab.assert_states(first, "open", "complete_error", "complete_error").await;
    lab.assert_states(second, "open", "queued", "queued").await;
    assert_eq!(lab.post(&format!("/deploy-requests/{first}/complete-deploy")).await.status, 200);
    lab.assert_states(first, "closed", "complete_error", "complete_error").await;
    lab.pass(4).await;
    lab.assert_states(second, "open", "complete_pending_revert", "complete_pending_revert").await;
}

#[tokio::test]
async fn a_paused_queue_starts_nothing_and_says_why() {
    let lab = Lab::start().await;
    let number = lab.deployed(ADD_COLUMN).await;
    lab.in_database(Method::PUT, "/branches/main", json!({"queue_pause": "maintenance"})).await;
    lab.pass(3).await;
    let paused = lab.request(number).await;
    assert_eq!(paused.text("/deployment_state"), "queued");
    assert_eq!(paused.body["deployment"]["queue_paused"], true);
    assert_eq!(paused.text("/deployment/queue_pause_reason"), "maintenance");
    lab.in_database(Method::PUT, "/branches/main", json!({"queue_pause": ""})).await;
    lab.pass(1).await;
    assert_eq!(lab.request(number).await.text("/deployment_state"), "submitting");
}

#[tokio::test]
async fn a_change_of_the_head_branch_takes_a_queued_request_out() {
    let lab = Lab::start().await;
    let number = lab.deployed(ADD_COLUMN).await;
    lab.sql("dev", "ALTER TABLE hotels ADD town VARCHAR(50)").await;
    lab.assert_states(number, "open", "pending", "pending").await;
    lab.pass(1).await;
    let again = lab.request(number).await;
    assert_eq!(again.text("/deployment_state"), "ready");
    assert!(again.text("/deployment/deploy_operations/0/ddl_statement").contains("`town`"));
    lab.pass(4).await;
    lab.assert_states(number, "open", "ready", "ready").await;
}

#[tokio::test]
async fn the_parallel_lane_does_not_wait_for_the_serial_one() {
    let lab = Lab::start().await;
    lab.branch("other", "CREATE TABLE rooms (id INT PRIMARY KEY)").await;
    let parallel = lab.create("other", json!({})).await;
    let serial = lab.deployed(ADD_COLUMN).await;
    lab.act(serial, "gate").await;
    let path = format!("/deploy-requests/{parallel}/deploy");
    lab.call_as(TOKEN, Method::POST, &path, Some(json!({"strategy": "parallel"}))).await;
    lab.pass(4).await;
    lab.assert_states(parallel, "open", "complete_pending_revert", "complete_pending_revert").await;
    lab.assert_states(serial, "open", "pending_cutover", "pending_cutover").await;
}

#[tokio::test]
async fn a_change_that_no_longer_fits_the_base_branch_ends_in_an_error() {
    let lab = Lab::start().await;
    let first = lab.ready(ADD_COLUMN).await;
    let second = lab.create("dev", json!({})).await;
    lab.pass(1).await;
    for number in [first, second] {
        lab.post(&format!("/deploy-requests/{number}/deploy")).await;
    }
    lab.pass(4).await;
    lab.post(&format!("/deploy-requests/{first}/skip-revert")).await;
    lab.pass(4).await;
    lab.assert_states(second, "open", "complete_error", "complete_error").await;
    assert!(
        lab.request(second).await.text("/deployment/deploy_check_errors").contains("Duplicate column name")
    );
}

#[tokio::test]
async fn a_branch_is_not_deleted_during_its_deployment() {
    let lab = Lab::start().await;
    let permissions = json!(["read_branch", "delete_branch"]);
    let token = json!({"token": "x", "organization": "acme", "permissions": permissions});
    lab.control(Method::PUT, "tokens/janitor", token).await;
    let number = lab.applied(ADD_COLUMN).await;
    let delete = async || lab.call_as("janitor:x", Method::DELETE, "/branches/dev", None).await;
    let refused = delete().await;
    assert_eq!((refused.status, refused.text("/code")), (422, "unprocessable"));
    lab.act(number, "skip_revert").await;
    assert_eq!(delete().await.status, 204);
}
