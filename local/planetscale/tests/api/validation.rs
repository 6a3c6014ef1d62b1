//! Validation, approvals, and who may not deploy what.

use reqwest::Method;
use serde_json::json;

use crate::lab::{ADD_COLUMN, HOTELS, Lab, PHASE, TOKEN, database_server};

#[tokio::test]
async fn lint_errors_make_a_request_undeployable() {
    let foreign = "CREATE TABLE rooms (id INT PRIMARY KEY, hotel INT UNSIGNED, \
                   FOREIGN KEY (hotel) REFERENCES hotels (id))";
    for (sql, code, table) in [
        ("CREATE TABLE notes (text VARCHAR(20))", "NO_UNIQUE_KEY", "notes"),
        ("CREATE TABLE notes (id INT, UNIQUE KEY (id))", "NO_UNIQUE_KEY", "notes"),
        (
            "CREATE TABLE notes (a VARCHAR(20) NOT NULL, UNIQUE KEY (a(5)))",
            "PARTIAL_KEY_IN_UNIQUE_KEY",
            "notes",
        ),
        ("CREATE TABLE notes (a TEXT NOT NULL, UNIQUE KEY (a(5)))", "BLOB_IN_UNIQUE_KEY", "notes"),
        (foreign, "FOREIGN_KEYS_DISALLOWED", "rooms"),
        ("ALTER TABLE hotels ADD town VARCHAR(20) CHARACTER SET sjis", "INVALID_CHARSET", "hotels"),
        ("ALTER TABLE hotels ADD size ENUM('a','b','a')", "DUPLICATE_ENUM_VALUE", "hotels"),
    ] {
        if code == "DUPLICATE_ENUM_VALUE" && database_server().is_some() {
            // A server in strict mode takes no such column.
            continue;
        }
        let lab = Lab::start().await;
        let number = lab.ready(sql).await;
        lab.assert_states(number, "open", "error", "error").await;
        let request = lab.request(number).await;
        assert_eq!(request.body["deployment"]["deployable"], false, "{sql}");
        assert_eq!(request.text("/deployment/lint_errors/0/lint_error"), code, "{sql}");
        assert_eq!(request.text("/deployment/lint_errors/0/table_name"), table, "{sql}");
        assert_eq!(lab.get("/branches/dev/schema/lint").await.text("/data/0/lint_error"), code);
        let refused = lab.post(&format!("/deploy-requests/{number}/deploy")).await;
        assert_eq!(
            (refused.status, refused.text("/message")),
            (422, "This deploy request is not deployable")
        );
    }
}

#[tokio::test]
async fn foreign_keys_are_allowed_where_the_database_allows_them() {
    let lab = Lab::start().await;
    lab.in_database(Method::PUT, "", json!({"foreign_keys_enabled": true})).await;
    let create = "CREATE TABLE rooms (id INT PRIMARY KEY, hotel INT UNSIGNED, FOREIGN KEY (hotel) REFERENCES hotels (id))";
    let number = lab.ready(create).await;
    lab.assert_states(number, "open", "ready", "ready").await;
}

#[tokio::test]
async fn more_than_ten_tables_cannot_be_deployed() {
    let lab = Lab::start().await;
    let create = |count: usize| -> String {
        (0..count).map(|index| format!("CREATE TABLE IF NOT EXISTS t{index} (id INT PRIMARY KEY);")).collect()
    };
    let number = lab.ready(&create(11)).await;
    let request = lab.request(number).await;
    assert_eq!(request.body["deployment"]["deployable"], false);
    assert!(request.text("/deployment/deploy_check_errors").contains("11"));
    assert_eq!(lab.post(&format!("/deploy-requests/{number}/deploy")).await.status, 422);
    lab.sql("dev", "DROP TABLE t0").await;
    lab.pass(1).await;
    assert_eq!(lab.request(number).await.body["deployment"]["deployable"], true);
}

#[tokio::test]
async fn a_deploy_is_refused_while_validation_runs_and_as_often_as_set_after_it() {
    let lab = Lab::start().await;
    lab.sql("dev", ADD_COLUMN).await;
    let number = lab.create("dev", json!({})).await;
    let path = format!("/deploy-requests/{number}/deploy");
    lab.settings(json!({"still_validating": {"count": 2}})).await;
    let words = "We're currently validating that these changes are safe to deploy. Please try again in a few moments.";
    let assert_refused = async |answer: crate::lab::Answer| {
        assert_eq!((answer.status, answer.text("/code")), (422, "invalid_params"));
        assert_eq!(answer.text("/message"), words);
    };
    assert_refused(lab.post(&path).await).await;
    lab.pass(1).await;
    lab.assert_states(number, "open", "ready", "ready").await;
    assert_refused(lab.post(&path).await).await;
    assert_refused(lab.post(&path).await).await;
    lab.settings(json!({"still_validating": {"ms": 3 * PHASE}})).await;
    assert_refused(lab.post(&path).await).await;
    lab.pass(3).await;
    assert_eq!(lab.post(&path).await.status, 200);
}

#[tokio::test]
async fn a_request_needs_an_approval_where_the_database_asks_for_one() {
    let lab = Lab::start().await;
    lab.in_database(Method::PUT, "", json!({"require_approval_for_deploy": true})).await;
    let number = lab.ready(ADD_COLUMN).await;
    let path = format!("/deploy-requests/{number}/deploy");
    let refused = lab.post(&path).await;
    assert_eq!(refused.status, 403);
    assert!(refused.text("/message").contains("approved"));
    lab.act(number, "comment").await;
    assert_eq!(lab.post(&path).await.status, 403);
    lab.act(number, "approve").await;
    assert_eq!(lab.request(number).await.body["approved"], true);
    assert_eq!(lab.post(&path).await.status, 200);
}

#[tokio::test]
async fn a_change_of_the_head_branch_dismisses_approvals() {
    let lab = Lab::start().await;
    lab.in_database(Method::PUT, "", json!({"require_approval_for_deploy": true})).await;
    let number = lab.ready(ADD_COLUMN).await;
    lab.act(number, "approve").await;
    lab.sql("dev", "ALTER TABLE hotels ADD town VARCHAR(50)").await;
    lab.pass(1).await;
    assert_eq!(lab.request(number).await.body["approved"], false);
    assert_eq!(lab.post(&format!("/deploy-requests/{number}/deploy")).await.status, 403);
}

#[tokio::test]
async fn nobody_approves_their_own_request() {
    let lab = Lab::start().await;
    let may_all = json!(["create_deploy_request", "read_deploy_request", "approve_deploy_request"]);
    let token = json!({"token": "x", "organization": "acme", "permissions": may_all});
    lab.control(Method::PUT, "tokens/author", token).await;
    let mut owned = json!({"token": "x", "organization": "acme", "permissions": may_all});
    owned["owner"] = json!("person");
    lab.control(Method::PUT, "tokens/owned", owned).await;

    let body = json!({"branch": "dev", "into_branch": "main"});
    let created = lab.call_as("author:x", Method::POST, "/deploy-requests", Some(body.clone())).await;
    let by_person = lab.in_database(Method::POST, "/deploy-requests", body).await;
    let approve = async |token: &str, number: &serde_json::Value| {
        let review = json!({"state": "approved", "body": "fine"});
        lab.call_as(token, Method::POST, &format!("/deploy-requests/{number}/reviews"), Some(review)).await
    };
    let refused = approve("author:x", &created.body["number"]).await;
    assert_eq!(refused.status, 422);
    assert!(refused.text("/message").contains("own deploy requests"));
    assert_eq!(approve("owned:x", &by_person["number"]).await.status, 422);
    assert_eq!(approve("owned:x", &created.body["number"]).await.status, 201);
    assert_eq!(approve("author:x", &by_person["number"]).await.status, 201);
}

#[tokio::test]
async fn the_target_must_have_safe_migrations() {
    let lab = Lab::start().await;
    let off = lab.call_as(TOKEN, Method::DELETE, "/branches/main/safe-migrations", None).await;
    assert_eq!(off.body["safe_migrations"], false);
    let body = json!({"branch": "dev", "into_branch": "main"});
    let refused = lab.call_as(TOKEN, Method::POST, "/deploy-requests", Some(body.clone())).await;
    assert_eq!(refused.status, 422);
    assert!(refused.text("/message").contains("must be a branch with safe migrations enabled"));
    lab.settings(json!({"safe_migrations_lag": PHASE})).await;
    let on = lab.call_as(TOKEN, Method::POST, "/branches/main/safe-migrations", None).await;
    assert_eq!(on.body["safe_migrations"], false);
    lab.pass(1).await;
    assert_eq!(lab.get("/branches/main").await.body["safe_migrations"], true);
    assert_eq!(lab.call_as(TOKEN, Method::POST, "/deploy-requests", Some(body)).await.status, 201);
}

#[tokio::test]
async fn what_a_second_open_request_of_a_branch_means_is_a_setting() {
    let lab = Lab::start().await;
    let first = lab.deployed(ADD_COLUMN).await;
    let second = lab.create("dev", json!({})).await;
    lab.settings(json!({"second_open_request": "refuse_deploy", "durations": {"queued": 100 * PHASE}})).await;
    lab.pass(1).await;
    let refused = lab.post(&format!("/deploy-requests/{second}/deploy")).await;
    assert_eq!(refused.text("/message"), format!("deploy request {first} is still active"));
    lab.settings(json!({"second_open_request": "refuse_create"})).await;
    let body = json!({"branch": "dev", "into_branch": "main"});
    assert_eq!(lab.call_as(TOKEN, Method::POST, "/deploy-requests", Some(body)).await.status, 422);
}

#[tokio::test]
async fn a_deployed_base_branch_is_compared_again_unless_set_otherwise() {
    for (setting, state) in [("revalidate", "no_changes"), ("keep", "ready")] {
        let lab = Lab::start().await;
        lab.settings(json!({"base_change": setting})).await;
        lab.branch("other", ADD_COLUMN).await;
        let other = lab.create("other", json!({})).await;
        lab.applied(ADD_COLUMN).await;
        lab.pass(1).await;
        lab.assert_states(other, "open", state, state).await;
    }
}

#[tokio::test]
async fn a_branch_behind_its_parent_is_stale_and_would_undo_the_change() {
    let lab = Lab::start().await;
    lab.branch("other", "ALTER TABLE hotels ADD town VARCHAR(50)").await;
    assert_eq!(lab.get("/branches/other").await.body["stale_schema"], false);
    lab.applied(ADD_COLUMN).await;
    assert_eq!(lab.get("/branches/other").await.body["stale_schema"], true);
    assert_eq!(lab.get("/branches/dev").await.body["stale_schema"], false);
    let number = lab.create("other", json!({})).await;
    lab.pass(1).await;
    let operation = &lab.request(number).await.body["deployment"]["deploy_operations"][0];
    assert_eq!(
        operation["ddl_statement"],
        "ALTER TABLE `hotels` DROP COLUMN `stars`, ADD COLUMN `town` varchar(50)"
    );
    assert_eq!(operation["can_drop_data"], true);
}

#[tokio::test]
async fn a_sleeping_database_takes_no_requests_unless_set_otherwise() {
    let lab = Lab::start().await;
    lab.in_database(Method::PUT, "", json!({"state": "sleeping"})).await;
    assert_eq!(lab.get("").await.body["state"], "sleeping");
    let body = json!({"branch": "dev", "into_branch": "main"});
    let create =
        async || lab.call_as(TOKEN, Method::POST, "/deploy-requests", Some(body.clone())).await.status;
    assert_eq!(create().await, 422);
    lab.settings(json!({"sleeping_database": "accept"})).await;
    assert_eq!(create().await, 201);
}

#[tokio::test]
async fn dropped_tables_that_are_in_use_are_marked() {
    let lab = Lab::start().await;
    lab.in_database(Method::PUT, "", json!({"recently_used_tables": ["hotels"]})).await;
    let number = lab.ready("DROP TABLE hotels").await;
    let operation = lab.get(&format!("/deploy-requests/{number}/operations")).await.body["data"][0].clone();
    assert_eq!(operation["operation_name"], "DROP");
    assert_eq!(operation["ddl_statement"], "DROP TABLE `hotels`");
    assert_eq!(
        (&operation["can_drop_data"], &operation["table_recently_used"]),
        (&json!(true), &json!(true))
    );
    lab.post(&format!("/deploy-requests/{number}/deploy")).await;
    lab.pass(4).await;
    assert_eq!(lab.schema("main").await, json!({}));
    lab.act(number, "revert").await;
    lab.pass(1).await;
    assert!(lab.schema("main").await["hotels"].is_string(), "{HOTELS}");
}
