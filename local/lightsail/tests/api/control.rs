use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::lab::Lab;

fn kinds(effects: &Value) -> Vec<&str> {
    let effects = effects.as_array().expect("effects");
    effects.iter().map(|effect| effect["kind"].as_str().expect("a kind")).collect()
}

#[tokio::test]
async fn environment_values_are_hidden_unless_asked_for() {
    let lab = Lab::with_service().await;
    lab.deploy("v1").await;
    let environment =
        |services: Value| services[0]["deployments"][0]["containers"]["app"]["environment"].clone();
    assert_eq!(environment(lab.read("services").await), json!({"MARKER": "(hidden)"}));
    assert!(!lab.read("services").await.to_string().contains("\"value\""));
    assert_eq!(environment(lab.read("services?environment=true").await), json!({"MARKER": "value"}));
    assert_eq!(
        lab.service().await["currentDeployment"]["containers"]["app"]["environment"]["MARKER"],
        "value"
    );
}

#[tokio::test]
async fn effects_tell_what_happened_to_a_service() {
    let lab = Lab::with_service().await;
    lab.deploy("v1").await;
    lab.deploy("v2").await;
    lab.deploy("v1").await;
    let effects = lab.read("effects").await;
    let mut kinds = kinds(&effects);
    let after_creation = kinds.split_off(3);
    kinds.sort_unstable();
    assert_eq!(kinds, ["pullerActivated", "serviceCreated", "serviceReady"]);
    let expected = [
        "deploymentStarted",
        "deploymentActive",
        "deploymentStarted",
        "deploymentFailed",
        "deploymentStarted",
        "deploymentInactive",
        "deploymentActive",
    ];
    assert_eq!(after_creation, expected);
    assert_eq!(effects[7]["version"], json!(3));
    assert!(effects[6]["detail"].as_str().is_some_and(|detail| detail.contains("no image v2")));
}

#[tokio::test]
async fn requests_are_kept_and_counted_without_what_they_carried() {
    let lab = Lab::with_service().await;
    lab.deploy("v1").await;
    lab.call("DeleteContainerService", json!({"serviceName": "other"})).await.expect_err("an error");
    let requests = lab.read("requests").await;
    assert!(!requests.to_string().contains("MARKER"));
    let last = requests.as_array().and_then(|requests| requests.last()).expect("a request");
    assert_eq!((&last["operation"], &last["service"]), (&json!("DeleteContainerService"), &json!("other")));
    assert_eq!((&last["status"], &last["error"]), (&json!(400), &json!("NotFoundException")));
    let counts = lab.read("counts").await;
    assert_eq!(counts["CreateContainerServiceDeployment"], json!({"total": 1, "succeeded": 1, "failed": 0}));
    assert_eq!(counts["DeleteContainerService"], json!({"total": 1, "succeeded": 0, "failed": 1}));
}

#[tokio::test]
async fn a_person_can_act_beside_faults() {
    let lab = Lab::with_service().await;
    lab.fault(json!({"kind": "throttling", "count": null})).await;
    let disable = json!({"serviceName": "api", "isDisabled": true});
    let (status, answer) = lab.control(Method::POST, "act/UpdateContainerService", disable).await;
    assert_eq!((status, &answer["containerService"]["state"]), (StatusCode::OK, &json!("UPDATING")));
    let requests = lab.read("requests").await;
    let last = requests.as_array().and_then(|requests| requests.last()).expect("a request");
    assert_eq!(last["person"], true);
    lab.control(Method::DELETE, "faults", Value::Null).await;
    lab.until("is DISABLED", |service| service["state"] == "DISABLED").await;
}

#[tokio::test]
async fn a_reset_forgets_everything() {
    let lab = Lab::with_service().await;
    lab.verdict("hangs").await;
    lab.create_deployment("v1").await.expect("a deployment");
    lab.fault(json!({"kind": "throttling", "count": null})).await;
    lab.control(Method::POST, "reset", Value::Null).await;
    assert_eq!(lab.read("services").await, json!([]));
    assert_eq!(lab.read("requests").await, json!([]));
    assert_eq!(lab.read("effects").await, json!([]));
    assert_eq!(lab.read("verdicts").await, json!([]));
    assert_eq!(lab.ok("GetContainerServices", json!({})).await["containerServices"], json!([]));
}

#[tokio::test]
async fn a_wrong_request_is_told_what_is_wrong() {
    let lab = Lab::start().await;
    for (method, path, body, expected) in [
        (Method::POST, "settings", json!({"updateMS": 1}), "updateMS"),
        (Method::POST, "settings", json!([]), "object"),
        (Method::PUT, "verdicts", json!({"verdict": "sick"}), "sick"),
        (Method::POST, "faults", json!({"kind": "throttle"}), "throttle"),
        (Method::POST, "faults", json!({"kind": "throttling", "times": 1}), "times"),
    ] {
        let (status, answer) = lab.control(method, path, body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(answer["error"].as_str().is_some_and(|error| error.contains(expected)), "{answer}");
    }
}
