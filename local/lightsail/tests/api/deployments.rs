use serde_json::json;

use crate::lab::{Lab, image, versions_and_states};

#[tokio::test]
async fn a_deployment_starts_with_its_defaults_filled_in() {
    let lab = Lab::with_service().await;
    lab.verdict("hangs").await;
    let answer = lab.create_deployment("v1").await.expect("a deployment");
    let service = &answer["containerService"];
    assert_eq!(service["state"], "DEPLOYING");
    assert_eq!(service["stateDetail"]["code"], "CREATING_DEPLOYMENT");
    assert_eq!(service.get("currentDeployment"), None);
    let next = &service["nextDeployment"];
    assert_eq!((&next["version"], &next["state"]), (&json!(1), &json!("ACTIVATING")));
    let container = json!({
        "image": image("v1"), "command": [], "environment": {"MARKER": "value"}, "ports": {"8080": "HTTP"},
    });
    assert_eq!(next["containers"], json!({"app": container}));
    let health_check = json!({
        "healthyThreshold": 2, "unhealthyThreshold": 2, "timeoutSeconds": 2, "intervalSeconds": 5,
        "path": "/", "successCodes": "200-499",
    });
    let endpoint = json!({"containerName": "app", "containerPort": 8080, "healthCheck": health_check});
    assert_eq!(next["publicEndpoint"], endpoint);
}

#[tokio::test]
async fn a_deployment_passes_through_its_phases_to_active() {
    let lab = Lab::with_service().await;
    lab.set(json!({
        "creatingDeploymentMs": 500, "evaluatingHealthCheckMs": 500, "activatingDeploymentMs": 500,
    }))
    .await;
    lab.create_deployment("v1").await.expect("a deployment");
    for phase in ["CREATING_DEPLOYMENT", "EVALUATING_HEALTH_CHECK", "ACTIVATING_DEPLOYMENT"] {
        lab.until(phase, |service| service["stateDetail"]["code"] == phase).await;
    }
    let service = lab.until("is RUNNING", |service| service["state"] == "RUNNING").await;
    assert_eq!(service["currentDeployment"]["version"], 1);
    assert_eq!(service.get("nextDeployment"), None);
    assert_eq!(
        lab.log().await,
        ["[deployment:1] Creating your deployment", "[deployment:1] Started 1 new node"]
    );
}

#[tokio::test]
async fn the_newest_deployment_replaces_the_one_before() {
    let lab = Lab::with_service().await;
    assert_eq!(lab.deploy("v1").await, (1, "ACTIVE".into()));
    assert_eq!(lab.deploy("v1").await, (2, "ACTIVE".into()));
    assert_eq!(versions_and_states(&lab.deployments().await), [(2, "ACTIVE"), (1, "INACTIVE")]);
}

#[tokio::test]
async fn a_failed_deployment_keeps_the_old_one_and_its_number() {
    let lab = Lab::with_service().await;
    lab.deploy("v1").await;
    lab.verdict("failsHealthCheck").await;
    assert_eq!(lab.deploy("v1").await, (2, "FAILED".into()));
    let service = lab.service().await;
    assert_eq!(service["state"], "RUNNING");
    assert_eq!(service["currentDeployment"]["version"], 1);
    assert_eq!(service.get("nextDeployment"), None);
    lab.verdict("healthy").await;
    assert_eq!(lab.deploy("v1").await, (3, "ACTIVE".into()));
    let deployments = lab.deployments().await;
    assert_eq!(versions_and_states(&deployments), [(3, "ACTIVE"), (2, "FAILED"), (1, "INACTIVE")]);
    assert_eq!(deployments[1].get("failure"), None);
}

#[tokio::test]
async fn a_failed_first_deployment_leaves_the_service_ready() {
    let lab = Lab::with_service().await;
    lab.verdict("crashes").await;
    assert_eq!(lab.deploy("v1").await, (1, "FAILED".into()));
    let service = lab.service().await;
    assert_eq!(service["state"], "READY");
    assert_eq!((service.get("currentDeployment"), service.get("nextDeployment")), (None, None));
}

#[tokio::test]
async fn one_deployment_at_a_time() {
    let lab = Lab::with_service().await;
    lab.verdict("hangs").await;
    lab.create_deployment("v1").await.expect("a deployment");
    let expected = "Sorry, deployment 1 is in progress for service \"api\". \
                    Please wait for it to complete before trying again.";
    let refusal = lab.create_deployment("v1").await.expect_err("a refusal");
    assert_eq!(refusal, ("InvalidInputException".into(), expected.into()));
    let update = json!({"serviceName": "api", "scale": 2});
    assert_eq!(lab.call("UpdateContainerService", update).await.expect_err("a refusal").1, expected);
    assert_eq!(lab.service().await["scale"], 1);
}

#[tokio::test]
async fn a_deployment_that_hangs_goes_on_when_the_verdict_changes() {
    let lab = Lab::with_service().await;
    lab.verdict("hangs").await;
    lab.create_deployment("v1").await.expect("a deployment");
    lab.until("is evaluated", |service| service["stateDetail"]["code"] == "EVALUATING_HEALTH_CHECK").await;
    lab.verdict("failsHealthCheck").await;
    lab.until("is READY", |service| service["state"] == "READY").await;
    assert_eq!(versions_and_states(&lab.deployments().await), [(1, "FAILED")]);
}

#[tokio::test]
async fn fifty_deployments_are_kept_and_the_active_one_is() {
    let lab = Lab::with_service().await;
    lab.set(json!({
        "creatingDeploymentMs": 0, "evaluatingHealthCheckMs": 0, "activatingDeploymentMs": 0, "failureMs": 0,
    }))
    .await;
    lab.deploy("v1").await;
    lab.verdict("failsHealthCheck").await;
    for _ in 0..52 {
        lab.deploy("v1").await;
    }
    let deployments = lab.deployments().await;
    let versions: Vec<u64> = versions_and_states(&deployments).iter().map(|(version, _)| *version).collect();
    let expected: Vec<u64> = (5..=53).rev().chain([1]).collect();
    assert_eq!(versions, expected);
}

#[tokio::test]
async fn reads_can_lag_behind_a_new_deployment() {
    let lab = Lab::with_service().await;
    lab.set(json!({"readLagMs": 60_000})).await;
    lab.verdict("hangs").await;
    lab.create_deployment("v1").await.expect("a deployment");
    let service = lab.service().await;
    assert_eq!((&service["state"], service.get("nextDeployment")), (&json!("READY"), None));
    assert!(lab.deployments().await.is_empty());
    lab.set(json!({"readLagMs": 0})).await;
    assert_eq!(lab.service().await["state"], "DEPLOYING");
    assert_eq!(versions_and_states(&lab.deployments().await), [(1, "ACTIVATING")]);
}

#[tokio::test]
async fn the_log_tells_why_as_little_as_the_real_one() {
    let lab = Lab::with_service().await;
    let rule = json!({"verdict": "failsHealthCheck", "log": ["listening"]});
    lab.control(http::Method::PUT, "verdicts", rule).await;
    lab.deploy("v1").await;
    let expected = ["Creating your deployment", "Started 1 new node", "Took too long"];
    let expected = expected.map(|message| format!("[deployment:1] {message}"));
    assert_eq!(lab.log().await, [&expected[0], &expected[1], "listening", &expected[2]]);

    let filtered = json!({"serviceName": "api", "containerName": "app", "filterPattern": "-deployment"});
    let answer = lab.ok("GetContainerLog", filtered).await;
    assert_eq!(answer["logEvents"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn the_log_comes_in_pages() {
    let lab = Lab::with_service().await;
    lab.set(json!({"logPageSize": 1})).await;
    lab.deploy("v1").await;
    let mut request = json!({"serviceName": "api", "containerName": "app"});
    let first = lab.ok("GetContainerLog", request.clone()).await;
    assert_eq!(first["logEvents"][0]["message"], "[deployment:1] Creating your deployment");
    request["pageToken"] = first["nextPageToken"].clone();
    let second = lab.ok("GetContainerLog", request).await;
    assert_eq!(second["logEvents"][0]["message"], "[deployment:1] Started 1 new node");
    assert_eq!(second.get("nextPageToken"), None);
}
