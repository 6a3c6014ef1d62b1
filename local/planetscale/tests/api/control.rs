//! The control API.

use reqwest::Method;
use serde_json::{Value, json};

use crate::lab::{ADD_COLUMN, Lab, default_settings};

#[tokio::test]
async fn a_bad_statement_says_what_is_wrong_and_nothing_is_changed() {
    let lab = Lab::start().await;
    let before = lab.schema("dev").await;
    let path = "organizations/acme/databases/shop/branches/dev/sql";
    for (sql, words) in [
        (
            "ALTER TABLE hotels ADD a INT; ALTER TABLE hotels ADD name INT",
            "Duplicate column name 'name' (errno 1060)",
        ),
        ("DROP TABLE hotels; DROP TABLE nothing", "Unknown table 'nothing' (errno 1051)"),
        ("ALTER TABLE nothing ADD a INT", "Table 'nothing' doesn't exist (errno 1146)"),
        ("ALTER TABLE hotels DROP COLUMN nothing", "Can't DROP 'nothing'"),
        ("ALTER TABLE hotels ADD KEY (nothing)", "Key column 'nothing' doesn't exist"),
        ("ALTER TABLE hotels ADD a INT DEFAULT", "expected a literal"),
        ("ALTER TABLE hotels ADD a NUMBER", "expected a data type, found 'NUMBER' at line 1"),
        ("CREATE TABLE t (\n  id INT,\n  id INT)", "Duplicate column name 'id'"),
        ("CREATE TABLE t (id INT AUTO_INCREMENT)", "only one auto column"),
        ("INSERT INTO hotels VALUES (1)", "expected CREATE TABLE"),
        ("CREATE TABLE t (id INT CHECK (id >))", "in an expression"),
        ("CREATE TABLE t (id INT", "expected ')', found the end"),
    ] {
        let refused = lab.try_control(Method::POST, path, json!({"sql": sql})).await;
        assert_eq!(refused.status, 400, "{sql}");
        assert!(refused.text("/error").contains(words), "{sql}: {}", refused.body);
        assert_eq!(lab.schema("dev").await, before, "{sql}");
    }
}

#[tokio::test]
async fn a_protected_branch_takes_no_direct_ddl_unless_it_is_forced() {
    let lab = Lab::start().await;
    let path = "organizations/acme/databases/shop/branches/main/sql";
    let refused = lab.try_control(Method::POST, path, json!({"sql": ADD_COLUMN})).await;
    assert_eq!(refused.status, 400);
    assert!(refused.text("/error").contains("direct DDL is disabled"));
    let forced = lab.control(Method::POST, path, json!({"sql": ADD_COLUMN, "force": true})).await;
    assert!(forced["hotels"].as_str().unwrap().contains("`stars`"));
}

#[tokio::test]
async fn setting_up_twice_changes_nothing() {
    let lab = Lab::start().await;
    lab.sql("dev", ADD_COLUMN).await;
    let before = (lab.schema("main").await, lab.schema("dev").await);
    let again = json!({"schema": "CREATE TABLE other (id INT PRIMARY KEY)", "branches": ["dev"]});
    lab.in_database(Method::PUT, "", again).await;
    assert_eq!((lab.schema("main").await, lab.schema("dev").await), before);
}

#[tokio::test]
async fn a_database_whose_schema_is_wrong_is_not_made() {
    let lab = Lab::start().await;
    let path = "organizations/acme/databases/broken";
    let refused = lab.try_control(Method::PUT, path, json!({"schema": "CREATE TABEL x"})).await;
    assert_eq!(refused.status, 400);
    let missing = lab.try_control(Method::GET, path, json!({})).await;
    assert_eq!(
        (missing.status, missing.text("/error")),
        (404, "There is no database broken in organization acme.")
    );
}

#[tokio::test]
async fn requests_are_recorded_without_tokens() {
    let lab = Lab::start().await;
    let number = lab.ready(ADD_COLUMN).await;
    lab.post(&format!("/deploy-requests/{number}/deploy")).await;
    lab.post(&format!("/deploy-requests/{number}/deploy")).await;
    lab.call_as("stranger:password", Method::GET, "/deploy-requests?state=open", None).await;
    let counts = lab.control(Method::GET, "counts", json!({})).await;
    assert_eq!(counts["POST deploy-requests"], 1);
    assert_eq!(counts["POST deploy-requests/{number}/deploy"], 2);
    let requests = lab.control(Method::GET, "requests", json!({})).await;
    assert!(!requests.to_string().contains("secret") && !requests.to_string().contains("password"));
    let last = requests.as_array().unwrap().last().unwrap();
    assert_eq!((&last["token_id"], &last["status"]), (&json!("stranger"), &json!(401)));
    assert_eq!(last["path"], "/v1/organizations/acme/databases/shop/deploy-requests?state=open");
}

#[tokio::test]
async fn effects_tell_every_state_in_order() {
    let lab = Lab::start().await;
    let number = lab.applied(ADD_COLUMN).await;
    lab.act(number, "skip_revert").await;
    let effects = lab.control(Method::GET, "effects", json!({})).await;
    let states: Vec<&Value> = effects
        .as_array()
        .unwrap()
        .iter()
        .filter(|effect| effect["kind"] == "state_changed")
        .map(|effect| &effect["to"])
        .collect();
    let expected = [
        "ready",
        "queued",
        "submitting",
        "in_progress",
        "in_progress_cutover",
        "complete_pending_revert",
        "complete",
    ];
    assert_eq!(states, expected);
}

#[tokio::test]
async fn settings_are_merged_and_wrong_ones_refused() {
    let lab = Lab::start().await;
    for wrong in
        [json!({"durations": {"pending": -1}}), json!({"duration": {}}), json!({"close_closed": "maybe"})]
    {
        let refused = lab.try_control(Method::PATCH, "settings", wrong).await;
        assert_eq!(refused.status, 400);
        assert!(refused.text("/error").contains("do not fit"));
    }
    let changed = lab.control(Method::PATCH, "settings", json!({"durations": {"pending": 5}})).await;
    assert_eq!(
        (&changed["durations"]["pending"], &changed["durations"]["queued"]),
        (&json!(5), &json!(60_000))
    );
}

#[tokio::test]
async fn a_reset_leaves_nothing() {
    let lab = Lab::start().await;
    lab.control(Method::POST, "faults", json!({"kind": "html"})).await;
    lab.control(Method::POST, "reset", json!({})).await;
    assert_eq!(lab.get("/deploy-requests").await.status, 401);
    assert_eq!(lab.control(Method::GET, "faults", json!({})).await, json!([]));
    assert_eq!(lab.control(Method::GET, "settings", json!({})).await, default_settings());
}

#[tokio::test]
async fn a_person_can_close_what_the_pipeline_opened() {
    let lab = Lab::start().await;
    let number = lab.ready(ADD_COLUMN).await;
    let path = format!("/deploy-requests/{number}/act");
    let closed = lab.in_database(Method::POST, &path, json!({"action": "close", "person": "ada"})).await;
    assert_eq!((&closed["state"], &closed["closed_by"]["display_name"]), (&json!("closed"), &json!("ada")));
    let path = format!("organizations/acme/databases/shop{path}");
    let refused = lab.try_control(Method::POST, &path, json!({"action": "close"})).await;
    assert_eq!(refused.status, 422);
    assert!(refused.text("/error").contains("ready and closed"));
}
