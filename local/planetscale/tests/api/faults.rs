//! Faults on demand, and the rate limit.

use reqwest::Method;
use serde_json::{Value, json};

use crate::lab::{ADD_COLUMN, Lab, PHASE, TOKEN};

async fn fault(lab: &Lab, fault: Value) {
    lab.control(Method::POST, "faults", fault).await;
}

async fn list(lab: &Lab) -> reqwest::Result<reqwest::Response> {
    lab.send(TOKEN, Method::GET, "/deploy-requests", None).await
}

#[tokio::test]
async fn faults_are_played_in_order_and_as_often_as_asked() {
    let lab = Lab::start().await;
    fault(&lab, json!({"kind": "error", "status": 503, "skip": 1, "count": 2})).await;
    fault(&lab, json!({"kind": "error", "status": 429, "retry_after": 7})).await;
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(list(&lab).await.unwrap().status().as_u16());
    }
    assert_eq!(statuses, [200, 503, 503]);
    let limited = list(&lab).await.unwrap();
    assert_eq!((limited.status().as_u16(), &limited.headers()["retry-after"]), (429, &"7".parse().unwrap()));
    assert_eq!(list(&lab).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_fault_is_for_the_requests_it_names() {
    let lab = Lab::start().await;
    let number = lab.ready(ADD_COLUMN).await;
    let deploy = format!("/deploy-requests/{number}/deploy");
    fault(
        &lab,
        json!({"kind": "error", "method": "POST", "path": "deploy-requests/*/deploy", "status": 409,
        "code": "conflict", "message": "busy"}),
    )
    .await;
    assert_eq!(list(&lab).await.unwrap().status(), 200);
    assert_eq!(lab.request(number).await.status, 200);
    let refused = lab.post(&deploy).await;
    assert_eq!((refused.status, refused.body), (409, json!({"code": "conflict", "message": "busy"})));
    lab.assert_states(number, "open", "ready", "ready").await;
    assert_eq!(lab.post(&deploy).await.status, 200);
}

#[tokio::test]
async fn bodies_can_be_html_or_missing() {
    let lab = Lab::start().await;
    fault(&lab, json!({"kind": "html"})).await;
    fault(&lab, json!({"kind": "empty"})).await;
    let html = list(&lab).await.unwrap();
    assert_eq!(html.status(), 502);
    assert!(html.text().await.unwrap().starts_with("<!DOCTYPE html>"));
    let empty = list(&lab).await.unwrap();
    assert_eq!((empty.status().as_u16(), empty.text().await.unwrap().as_str()), (200, ""));
}

#[tokio::test]
async fn a_lost_answer_leaves_the_work_done() {
    let lab = Lab::start().await;
    let body = json!({"branch": "dev", "into_branch": "main"});
    let create = async || lab.send(TOKEN, Method::POST, "/deploy-requests", Some(body.clone())).await;
    let count = async || list(&lab).await.unwrap().json::<Value>().await.unwrap()["total_count"].clone();
    fault(&lab, json!({"kind": "reset", "method": "POST"})).await;
    assert!(create().await.is_err());
    assert_eq!(count().await, 0);
    fault(&lab, json!({"kind": "reset", "method": "POST", "after_work": true})).await;
    assert!(create().await.is_err());
    assert_eq!(count().await, 1);
    fault(&lab, json!({"kind": "error", "method": "POST", "status": 502, "after_work": true})).await;
    assert_eq!(create().await.unwrap().status(), 502);
    assert_eq!(count().await, 2);
    fault(&lab, json!({"kind": "truncate", "method": "POST"})).await;
    let truncated = create().await.unwrap();
    assert_eq!(truncated.status(), 201);
    assert!(truncated.bytes().await.is_err());
    assert_eq!(count().await, 3);
}

#[tokio::test]
async fn faults_can_be_cleared_and_a_delay_does_the_work() {
    let lab = Lab::start().await;
    fault(&lab, json!({"kind": "delay", "delay_ms": 20})).await;
    fault(&lab, json!({"kind": "error", "count": null})).await;
    assert_eq!(list(&lab).await.unwrap().status(), 200);
    assert_eq!(list(&lab).await.unwrap().status(), 500);
    assert_eq!(lab.control(Method::DELETE, "faults", json!({})).await, json!([]));
    assert_eq!(list(&lab).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_fault_that_cannot_be_is_refused() {
    let lab = Lab::start().await;
    for body in [json!({"kind": "flood"}), json!({"kind": "error", "times": 3}), json!({})] {
        let refused = lab.try_control(Method::POST, "faults", body).await;
        assert_eq!(refused.status, 400);
        assert!(refused.text("/error").contains("does not fit"));
    }
}

#[tokio::test]
async fn the_rate_limit_is_per_organization_and_ends_with_the_minute() {
    let lab = Lab::start().await;
    lab.settings(json!({"rate_limit_per_minute": 2, "rate_limit_retry_after": true})).await;
    lab.control(Method::PUT, "tokens/other", json!({"token": "x", "organization": "elsewhere"})).await;
    assert_eq!(list(&lab).await.unwrap().status(), 200);
    assert_eq!(list(&lab).await.unwrap().status(), 200);
    let limited = list(&lab).await.unwrap();
    assert_eq!(limited.status(), 429);
    assert!(limited.headers().contains_key("retry-after"));
    assert_eq!(lab.call_as("other:x", Method::GET, "/deploy-requests", None).await.status, 404);
    lab.control(Method::POST, "clock", json!({"advance_ms": PHASE})).await;
    assert_eq!(list(&lab).await.unwrap().status(), 200);
}

#[tokio::test]
async fn other_states_can_be_shown_from_a_request_on() {
    let lab = Lab::start().await;
    let number = lab.ready(ADD_COLUMN).await;
    let shown = json!({"deployment_state": "queued", "deployment": "in_progress"});
    fault(
        &lab,
        json!({"kind": "show", "method": "GET", "path": "deploy-requests/*", "skip": 1, "shown": shown}),
    )
    .await;
    lab.assert_states(number, "open", "ready", "ready").await;
    lab.assert_states(number, "open", "queued", "in_progress").await;
    lab.assert_states(number, "open", "queued", "in_progress").await;
}
