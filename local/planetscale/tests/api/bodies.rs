//! What bodies hold.

use reqwest::Method;
use serde_json::{Value, json};

use crate::lab::{ADD_COLUMN, Answer, Lab, TOKEN};

/// The fields that PlanetScale's API description requires, by body.
fn required() -> Value {
    serde_json::from_str(include_str!("required_fields.json")).unwrap()
}

/// The required fields that a body lacks. A name in place of fields stands for another body.
fn missing(all: &Value, expected: &Value, body: &Value, place: &str, found: &mut Vec<String>) {
    match expected {
        Value::String(name) => missing(all, &all[name], body, place, found),
        Value::Array(item) => match body.as_array() {
            Some(items) => {
                for (index, body) in items.iter().enumerate() {
                    missing(all, &item[0], body, &format!("{place}[{index}]"), found);
                }
            }
            None => found.push(format!("{place} is no list")),
        },
        _ if body.is_null() => {}
        _ => {
            for field in expected["fields"].as_array().into_iter().flatten() {
                let name = field.as_str().unwrap();
                if body.get(name).is_none() {
                    found.push(format!("{place}.{name}"));
                }
            }
            for (name, inside) in expected["inside"].as_object().into_iter().flatten() {
                match body.get(name) {
                    Some(inner) => missing(all, inside, inner, &format!("{place}.{name}"), found),
                    None => found.push(format!("{place}.{name}")),
                }
            }
        }
    }
}

fn assert_complete(name: &str, body: &Value) {
    let all = required();
    let mut found = Vec::new();
    missing(&all, &all[name], body, name, &mut found);
    assert!(found.is_empty(), "{found:?}");
}

#[tokio::test]
async fn every_body_has_every_required_field_in_every_state() {
    let lab = Lab::start().await;
    let number = lab.ready(ADD_COLUMN).await;
    let one = format!("/deploy-requests/{number}");
    lab.act(number, "comment").await;
    lab.post(&format!("{one}/deploy")).await;
    for _ in 0..7 {
        for (name, path) in [
            ("database", String::new()),
            ("branch", "/branches/main".into()),
            ("deploy_request", one.clone()),
            ("deployment", format!("{one}/deployment")),
            ("operations", format!("{one}/operations")),
            ("reviews", format!("{one}/reviews")),
            ("storage_check", format!("{one}/storage-check")),
            ("throttler", format!("{one}/throttler")),
            ("deploy_request_list", "/deploy-requests".into()),
            ("deploy_queue", "/deploy-queue".into()),
        ] {
            let answer = lab.get(&path).await;
            assert_eq!(answer.status, 200, "{path}");
            assert_complete(name, &answer.body);
        }
        lab.pass(1).await;
    }
}

#[tokio::test]
async fn the_times_of_a_deployment_are_in_order() {
    let lab = Lab::start().await;
    let number = lab.applied(ADD_COLUMN).await;
    let body = lab.request(number).await.body;
    let deployment = &body["deployment"];
    let order =
        ["created_at", "queued_at", "submitted_at", "started_at", "ready_to_cutover_at", "finished_at"];
    for pair in order.windows(2) {
        assert!(deployment[pair[0]].as_str().unwrap() < deployment[pair[1]].as_str().unwrap(), "{pair:?}");
    }
    assert_eq!(body["deployed_at"], deployment["cutover_at"]);
    assert_eq!(body["closed_at"], Value::Null);
}

#[tokio::test]
async fn lists_come_in_pages_and_narrow_down() {
    let lab = Lab::start().await;
    lab.branch("other", ADD_COLUMN).await;
    for branch in ["dev", "other", "dev", "other", "dev"] {
        lab.create(branch, json!({})).await;
    }
    lab.act(1, "close").await;

    let first = lab.get("/deploy-requests?per_page=2&state=open").await;
    let numbers = |answer: &Answer| -> Vec<u64> {
        answer.body["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["number"].as_u64().unwrap())
            .collect()
    };
    assert_eq!(numbers(&first), [5, 4]);
    assert_eq!((&first.body["next_page"], &first.body["prev_page"]), (&json!(2), &Value::Null));
    assert_eq!((&first.body["total_count"], &first.body["total_pages"]), (&json!(4), &json!(2)));
    let url = first.text("/next_page_url").to_owned();
    let second = Answer::of(lab.send_to(TOKEN, Method::GET, &url, None).await.unwrap()).await;
    assert_eq!(numbers(&second), [3, 2]);
    assert_eq!((&second.body["next_page"], &second.body["prev_page"]), (&Value::Null, &json!(1)));

    assert_eq!(numbers(&lab.get("/deploy-requests?state=closed").await), [1]);
    assert_eq!(numbers(&lab.get("/deploy-requests?branch=other&into_branch=main").await), [4, 2]);
    assert_eq!(numbers(&lab.get("/deploy-requests?into_branch=dev").await), [0_u64; 0]);
    assert_eq!(numbers(&lab.get("/deploy-requests?per_page=1000&page=2").await), [0_u64; 0]);
    assert_eq!(lab.get("/deploy-requests?per_page=1000").await.body["per_page"], 100);
}

#[tokio::test]
async fn deployed_requests_are_found_by_their_state_and_time() {
    let lab = Lab::start().await;
    lab.applied(ADD_COLUMN).await;
    lab.create("dev", json!({})).await;
    let count =
        async |query: &str| lab.get(&format!("/deploy-requests?{query}")).await.body["total_count"].clone();
    assert_eq!(count("state=deployed").await, 1);
    assert_eq!(count("deployed_at=2000-01-01T00:00:00Z..2001-01-01T00:00:00Z").await, 0);
    assert_eq!(count("deployed_at=2000-01-01T00:00:00Z..2999-01-01T00:00:00Z").await, 1);
    assert_eq!(count("running_at=2000-01-01T00:00:00Z..2999-01-01T00:00:00Z").await, 1);
}

#[tokio::test]
async fn schemas_and_diffs_come_as_statements() {
    let lab = Lab::start().await;
    let number = lab.ready(ADD_COLUMN).await;
    let schema = lab.get("/branches/main/schema").await;
    assert_eq!(schema.text("/data/0/name"), "hotels");
    assert!(schema.text("/data/0/raw").starts_with("CREATE TABLE `hotels` (\n  `id` int unsigned NOT NULL"));
    let diff = lab.get(&format!("/deploy-requests/{number}/diff")).await;
    assert_eq!(diff.text("/data/0/raw"), "ALTER TABLE `hotels` ADD COLUMN `stars` int");
    assert!(diff.text("/data/0/html").starts_with("<div class=\"line line-1\">"));
}

#[tokio::test]
async fn the_throttler_keeps_ratios_between_0_and_95() {
    let lab = Lab::start().await;
    let number = lab.create("dev", json!({})).await;
    let path = format!("/deploy-requests/{number}/throttler");
    let patch = async |body: Value| lab.call_as(TOKEN, Method::PATCH, &path, Some(body)).await;
    assert_eq!(patch(json!({"ratio": 30})).await.body["configurations"][0]["ratio"], 30.0);
    let by_keyspace = json!({"configurations": [{"keyspace_name": "shop", "ratio": 40}]});
    assert_eq!(patch(by_keyspace).await.body["configurations"][0]["ratio"], 40.0);
    for wrong in [json!({"ratio": 96}), json!({"configurations": [{"keyspace_name": "other", "ratio": 1}]})] {
        assert_eq!(patch(wrong).await.status, 422);
    }
    assert_eq!(lab.get(&path).await.body["configurations"][0]["ratio"], 40.0);
}

#[tokio::test]
async fn storage_runs_out_where_altered_tables_do_not_fit() {
    let lab = Lab::start().await;
    let number = lab.ready(ADD_COLUMN).await;
    let path = format!("/deploy-requests/{number}/storage-check");
    assert_eq!(lab.get(&path).await.body["enough_storage"], true);
    lab.settings(json!({"storage_used_bytes": 90, "storage_capacity_bytes": 100})).await;
    let full = lab.get(&path).await.body;
    assert_eq!((&full["enough_storage"], &full["storage_bytes_needed"]), (&json!(false), &json!(90)));
    assert_eq!(full["storage_report"]["shop"]["-"]["remaining"], 10);
}

#[tokio::test]
async fn states_can_be_shown_that_are_not_there() {
    let lab = Lab::start().await;
    let number = lab.ready(ADD_COLUMN).await;
    let path = format!("/deploy-requests/{number}/shown");
    lab.in_database(Method::PUT, &path, json!({"deployment_state": "in_progress_wormhole"})).await;
    lab.assert_states(number, "open", "in_progress_wormhole", "ready").await;
    lab.in_database(Method::PUT, &path, json!({"deployment": "complete_error", "state": "closed"})).await;
    lab.assert_states(number, "closed", "ready", "complete_error").await;
    lab.in_database(Method::DELETE, &path, json!({})).await;
    lab.assert_states(number, "open", "ready", "ready").await;
}

#[tokio::test]
async fn the_parent_is_the_target_when_none_is_named() {
    let lab = Lab::start().await;
    lab.in_database(Method::PUT, "/branches/staging", json!({"safe_migrations": true})).await;
    lab.in_database(Method::PUT, "/branches/feature", json!({"parent": "staging"})).await;
    let created =
        lab.call_as(TOKEN, Method::POST, "/deploy-requests", Some(json!({"branch": "feature"}))).await;
    assert_eq!(created.text("/into_branch"), "staging");
}
