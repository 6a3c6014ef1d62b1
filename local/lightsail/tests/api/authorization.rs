use std::sync::{Arc, Mutex};

use axum::routing::post;
use axum::{Json, Router};
use http::Method;
use lightsail_emulator::Options;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::lab::{Lab, deployment, image};

const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/us-east-1/lightsail/aws4_request, \
                      SignedHeaders=host, Signature=0";

/// A lab whose calls are decided upon elsewhere: everything is allowed but deleting. Gives the questions too.
async fn guarded() -> (Lab, Arc<Mutex<Vec<Value>>>) {
    let questions = Arc::new(Mutex::new(Vec::new()));
    let asked = questions.clone();
    let decide = move |Json(question): Json<Value>| async move {
        let allowed = question["action"] != "lightsail:DeleteContainerService";
        asked.lock().expect("the questions").push(question);
        Json(json!({"allowed": allowed, "message": "not this one"}))
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = format!("http://{}/", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/", post(decide))).await });
    let options = Options { authorize: Some(address.parse().expect("an address")), ..Options::default() };
    (Lab::start_with(options).await, questions)
}

async fn signed(lab: &Lab, operation: &str, input: Value) -> Value {
    let target = format!("Lightsail_20161128.{operation}");
    let headers =
        [("x-amz-target", target.as_str()), ("authorization", SIGNED), ("x-amz-security-token", "token")];
    lab.send(Method::POST, "/", &headers, input.to_string()).await.expect("an answer").into_body()
}

#[tokio::test]
async fn an_unsigned_call_is_refused() {
    let (lab, questions) = guarded().await;
    let error = lab.call("GetContainerServices", json!({})).await.expect_err("an error");
    assert_eq!(error.0, "UnauthenticatedException");
    assert!(questions.lock().expect("the questions").is_empty());
}

#[tokio::test]
async fn questions_name_the_resource_that_a_permission_must_name() {
    let (lab, questions) = guarded().await;
    let created = signed(&lab, "CreateContainerService", lab.create_request()).await;
    let arn = created["containerService"]["arn"].as_str().expect("an ARN").to_owned();
    signed(&lab, "GetContainerServices", json!({"serviceName": "api"})).await;
    signed(&lab, "CreateContainerServiceDeployment", deployment(&image("v1"))).await;
    let expected = [
        ("lightsail:CreateContainerService", "*"),
        ("lightsail:GetContainerServices", "*"),
        ("lightsail:CreateContainerServiceDeployment", arn.as_str()),
    ];
    let questions = questions.lock().expect("the questions").clone();
    for (question, (action, resource)) in questions.iter().zip(expected) {
        let expected = json!({
            "accessKeyId": "AKIDEXAMPLE", "sessionToken": "token", "action": action, "resource": resource,
        });
        assert_eq!(*question, expected);
    }
    assert_eq!(questions.len(), expected.len());
}

#[tokio::test]
async fn a_caller_that_is_not_allowed_is_told_so_and_nothing_is_done() {
    let (lab, _) = guarded().await;
    signed(&lab, "CreateContainerService", lab.create_request()).await;
    let refusal = signed(&lab, "DeleteContainerService", json!({"serviceName": "api"})).await;
    assert_eq!(
        (&refusal["__type"], &refusal["message"]),
        (&json!("AccessDeniedException"), &json!("not this one"))
    );
    assert_eq!(lab.read("services").await.as_array().map(Vec::len), Some(1));
}
