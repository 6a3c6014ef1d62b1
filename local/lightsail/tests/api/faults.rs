use http::{Method, StatusCode};
use serde_json::json;

use crate::lab::{Lab, deployment, image, versions_and_states};

#[tokio::test]
async fn refusals_are_played_and_nothing_is_done() {
    let lab = Lab::with_service().await;
    for (kind, status, error) in [
        ("throttling", StatusCode::BAD_REQUEST, "ThrottlingException"),
        ("serviceException", StatusCode::INTERNAL_SERVER_ERROR, "ServiceException"),
        ("accessDenied", StatusCode::BAD_REQUEST, "AccessDeniedException"),
        ("invalidInput", StatusCode::BAD_REQUEST, "InvalidInputException"),
    ] {
        lab.fault(json!({"kind": kind, "operation": "CreateContainerServiceDeployment"})).await;
        let input = deployment(&image("v1"));
        let answer = lab.try_call("CreateContainerServiceDeployment", &input).await.expect("an answer");
        assert_eq!((answer.0, &answer.1["__type"]), (status, &json!(error)));
    }
    lab.fault(json!({"kind": "resetBefore", "operation": "CreateContainerServiceDeployment"})).await;
    let answer = lab.try_call("CreateContainerServiceDeployment", &deployment(&image("v1"))).await;
    assert_eq!(answer, None);
    assert!(lab.deployments().await.is_empty());
}

#[tokio::test]
async fn an_answer_can_be_lost_after_the_work_is_done() {
    let lab = Lab::with_service().await;
    for (version, kind) in (1..).zip(["resetAfter", "truncate", "errorAfter"]) {
        lab.fault(json!({"kind": kind, "operation": "CreateContainerServiceDeployment"})).await;
        let answer = lab.try_call("CreateContainerServiceDeployment", &deployment(&image("v1"))).await;
        assert_ne!(answer.map(|(status, _)| status), Some(StatusCode::OK), "{kind}");
        lab.until("is RUNNING", |service| service["currentDeployment"]["version"] == version).await;
    }
    let states = [(3, "ACTIVE"), (2, "INACTIVE"), (1, "INACTIVE")];
    assert_eq!(versions_and_states(&lab.deployments().await), states);
}

#[tokio::test]
async fn faults_are_counted_and_leave_other_operations_alone() {
    let lab = Lab::with_service().await;
    let fault = json!({"kind": "throttling", "operation": "GetContainerServices", "skip": 1, "count": 2});
    lab.fault(fault).await;
    let name = json!({"serviceName": "api"});
    let mut outcomes = Vec::new();
    for _ in 0..4 {
        outcomes.push(lab.call("GetContainerServices", name.clone()).await.is_ok());
        lab.ok("GetContainerServiceDeployments", name.clone()).await;
    }
    assert_eq!(outcomes, [true, false, false, true]);
    assert_eq!(lab.read("faults").await, json!([]));
}

#[tokio::test]
async fn the_type_of_an_error_is_in_the_header_only_when_the_setting_says_so() {
    let lab = Lab::start().await;
    for (setting, expected) in [(false, None), (true, Some("UnknownOperationException"))] {
        lab.set(json!({"errorTypeHeader": setting})).await;
        let headers = [("x-amz-target", "Lightsail_20161128.Nothing")];
        let answer = lab.send(Method::POST, "/", &headers, "{}".into()).await.expect("an answer");
        let header = answer.headers().get("x-amzn-errortype");
        assert_eq!(header.and_then(|value| value.to_str().ok()), expected);
        assert_eq!(answer.body()["__type"], "UnknownOperationException");
    }
}
