use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::lab::Lab;

async fn status(lab: &Lab, path: &str) -> u16 {
    let service = lab.service().await;
    let url = format!("{}{path}", service["url"].as_str().expect("a URL").trim_end_matches('/'));
    let answer = lab.fetch(Method::GET, &url, &[], String::new()).await.expect("an answer");
    answer.status().as_u16()
}

#[tokio::test]
async fn the_public_url_answers_for_the_image_that_serves() {
    let lab = Lab::with_service().await;
    assert_eq!(status(&lab, "/").await, 503, "nothing serves");
    lab.deploy("v1").await;
    assert_eq!(status(&lab, "/hotels?stars=5").await, 200);
    lab.registry.push("api", "v2", "amd64", "two");
    let rule = json!({"image": {"tag": "v2"}, "path": "/hotels", "status": 500});
    lab.control(Method::PUT, "answers", rule).await;
    assert_eq!(status(&lab, "/hotels").await, 200, "the rule is for another image");
    lab.deploy("v2").await;
    assert_eq!((status(&lab, "/").await, status(&lab, "/hotels?stars=5").await), (200, 500));
    lab.ok("UpdateContainerService", json!({"serviceName": "api", "isDisabled": true})).await;
    lab.until("is DISABLED", |service| service["state"] == "DISABLED").await;
    assert_eq!(status(&lab, "/").await, 503);
    lab.ok("UpdateContainerService", json!({"serviceName": "api", "isDisabled": false})).await;
    lab.until("is RUNNING", |service| service["state"] == "RUNNING").await;
    assert_eq!(status(&lab, "/hotels").await, 500);
}

#[tokio::test]
async fn an_answer_that_no_server_gives_is_refused() {
    let lab = Lab::start().await;
    for rule in [json!({"status": 100}), json!({"status": 1000}), json!({"status": 500, "pth": "/"})] {
        let (status, answer) = lab.control(Method::PUT, "answers", rule).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
    }
    assert_eq!(lab.read("answers").await, json!([]));
    lab.control(Method::PUT, "answers", json!({"delayMs": 5})).await;
    assert_eq!(lab.control(Method::DELETE, "answers", Value::Null).await.1, json!([]));
    assert_eq!(lab.read("answers").await, json!([]));
}
