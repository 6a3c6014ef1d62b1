//! Tokens and what they may see.

use reqwest::Method;
use serde_json::json;

use crate::lab::{Answer, Lab, TOKEN};

async fn put_token(lab: &Lab, id: &str, token: serde_json::Value) {
    let mut body = json!({"token": "x", "organization": "acme"});
    body.as_object_mut().unwrap().extend(token.as_object().unwrap().clone());
    lab.control(Method::PUT, &format!("tokens/{id}"), body).await;
}

#[tokio::test]
async fn a_wrong_token_is_unauthorized_everywhere() {
    let lab = Lab::start().await;
    for token in ["deployer:wrong", "nobody:secret", "secret", "Bearer wrong", ""] {
        let refused = lab.call_as(token, Method::GET, "/deploy-requests", None).await;
        assert_eq!((refused.status, refused.text("/code")), (401, "unauthorized"), "{token}");
    }
    assert_eq!(lab.call_as("Bearer secret", Method::GET, "/deploy-requests", None).await.status, 200);
}

#[tokio::test]
async fn a_missing_permission_looks_like_a_missing_thing() {
    let lab = Lab::start().await;
    let number = lab.create("dev", json!({})).await;
    put_token(&lab, "reader", json!({"permissions": ["read_deploy_request"]})).await;
    let one = format!("/deploy-requests/{number}");
    assert_eq!(lab.call_as("reader:x", Method::GET, &one, None).await.status, 200);
    let body = json!({"branch": "dev", "into_branch": "main"});
    let missing = lab.call_as(TOKEN, Method::GET, "/deploy-requests/99", None).await;
    for refused in [
        lab.call_as("reader:x", Method::POST, "/deploy-requests", Some(body)).await,
        lab.call_as("reader:x", Method::POST, &format!("{one}/deploy"), None).await,
        lab.call_as("reader:x", Method::GET, "/branches/dev", None).await,
        lab.call_as("reader:x", Method::POST, &format!("{one}/reviews"), Some(json!({"state": "approved"})))
            .await,
        lab.call_as(TOKEN, Method::GET, "/deploy-requests/x", None).await,
        lab.call_as(TOKEN, Method::GET, "/no-such-endpoint", None).await,
    ] {
        assert_eq!((refused.status, &refused.body), (404, &missing.body));
    }
    assert_eq!(missing.body, json!({"code": "not_found", "message": "Not Found"}));
}

#[tokio::test]
async fn permissions_can_be_for_one_database() {
    let lab = Lab::start().await;
    lab.control(Method::PUT, "organizations/acme/databases/other", json!({})).await;
    put_token(
        &lab,
        "scoped",
        json!({"permissions": [], "database_permissions": {"other": ["read_deploy_request"]}}),
    )
    .await;
    assert_eq!(lab.call_as("scoped:x", Method::GET, "/deploy-requests", None).await.status, 404);
    let url = format!("{}/v1/organizations/acme/databases/other/deploy-requests", lab.origin);
    assert_eq!(lab.send_to("scoped:x", Method::GET, &url, None).await.unwrap().status(), 200);
    let url = format!("{}/v1/organizations/acme/databases", lab.origin);
    let list = Answer::of(lab.send_to("scoped:x", Method::GET, &url, None).await.unwrap()).await;
    assert_eq!(list.body["data"].as_array().unwrap().len(), 1);
    assert_eq!(list.text("/data/0/name"), "other");
}

#[tokio::test]
async fn a_token_sees_its_own_organization_only() {
    let lab = Lab::start().await;
    lab.control(Method::PUT, "organizations/elsewhere/databases/shop", json!({})).await;
    let organizations = format!("{}/v1/organizations", lab.origin);
    let list = Answer::of(lab.send_to(TOKEN, Method::GET, &organizations, None).await.unwrap()).await;
    assert_eq!(list.text("/data/0/name"), "acme");
    assert_eq!(list.body["data"].as_array().unwrap().len(), 1);
    let url = format!("{organizations}/elsewhere/databases/shop");
    assert_eq!(lab.send_to(TOKEN, Method::GET, &url, None).await.unwrap().status(), 404);
    put_token(&lab, "reader", json!({"permissions": ["read_organization"]})).await;
    let url = format!("{organizations}/acme");
    assert_eq!(lab.send_to(TOKEN, Method::GET, &url, None).await.unwrap().status(), 404);
    assert_eq!(lab.send_to("reader:x", Method::GET, &url, None).await.unwrap().status(), 200);
}

#[tokio::test]
async fn the_permission_for_undocumented_endpoints_is_a_setting() {
    let lab = Lab::start().await;
    put_token(&lab, "bare", json!({"permissions": ["read_comment"]})).await;
    let queue = async || lab.call_as("bare:x", Method::GET, "/deploy-queue", None).await.status;
    assert_eq!(queue().await, 200);
    lab.settings(json!({"undocumented_access": "read_deploy_request"})).await;
    assert_eq!(queue().await, 404);
}

#[tokio::test]
async fn a_missing_permission_may_also_be_forbidden() {
    let lab = Lab::start().await;
    put_token(&lab, "reader", json!({"permissions": ["read_deploy_request"]})).await;
    lab.settings(json!({"statuses": {"missing_permission": 403}})).await;
    let number = lab.create("dev", json!({})).await;
    let path = format!("/deploy-requests/{number}/deploy");
    assert_eq!(lab.call_as("reader:x", Method::POST, &path, None).await.status, 403);
    assert_eq!(lab.call_as("reader:x", Method::GET, "/deploy-requests/99", None).await.status, 404);
}
