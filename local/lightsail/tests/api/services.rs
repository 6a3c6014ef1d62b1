use serde_json::{Value, json};

use crate::lab::{Lab, deployment, image, puller};

#[tokio::test]
async fn a_new_service_is_pending_and_then_ready() {
    let lab = Lab::start().await;
    lab.set(json!({"serviceCreationMs": 1000})).await;
    let answer = lab.ok("CreateContainerService", lab.create_request()).await;
    let service = &answer["containerService"];
    assert_eq!(service["state"], "PENDING");
    assert_eq!(service["stateDetail"]["code"], "CREATING_SYSTEM_RESOURCES");
    assert_eq!(service["powerId"], "nano-1");
    assert_eq!(service["tags"], json!([]));
    assert_eq!(service["location"], json!({"availabilityZone": "all", "regionName": "us-east-1"}));
    assert_eq!(service["privateDomainName"], "api.service.local");
    let arn = service["arn"].as_str().expect("an ARN");
    assert!(arn.starts_with("arn:aws:lightsail:us-east-1:000000000000:ContainerService/"), "{arn}");

    let busy = lab.create_deployment("v1").await.expect_err("a refusal");
    assert_eq!(busy.0, "InvalidInputException");
    assert!(busy.1.contains("Please try again in a few minutes"), "{}", busy.1);

    let service = lab.until("is READY", |service| service["state"] == "READY").await;
    assert_eq!(service.get("stateDetail"), None);
    assert_eq!(service.get("currentDeployment"), None);
}

#[tokio::test]
async fn a_service_can_be_created_with_its_first_deployment() {
    let lab = Lab::start().await;
    lab.set(json!({"publicImages": true})).await;
    let mut request = lab.create_request();
    request["deployment"] = deployment("nginx:latest");
    let answer = lab.ok("CreateContainerService", request).await;
    assert_eq!(answer["containerService"]["state"], "PENDING");
    let service = lab.until("is RUNNING", |service| service["state"] == "RUNNING").await;
    assert_eq!(service["currentDeployment"]["version"], 1);
}

#[tokio::test]
async fn a_name_is_taken_once() {
    let lab = Lab::with_service().await;
    let refusal = lab.call("CreateContainerService", lab.create_request()).await.expect_err("a refusal");
    assert_eq!(refusal, ("InvalidInputException".into(), "Some names are already in use: api".into()));
}

#[tokio::test]
async fn the_puller_role_appears_later_and_changes_with_every_activation() {
    let lab = Lab::with_service().await;
    let first = puller(&lab.service().await).to_owned();
    let prefix =
        "arn:aws:iam::111122223333:role/amazon/lightsail/us-east-1/containers/api/private-repo-access/";
    assert!(first.starts_with(prefix), "{first}");

    let activate = |is_active: bool| {
        let access = json!({"ecrImagePullerRole": {"isActive": is_active}});
        json!({"serviceName": "api", "privateRegistryAccess": access})
    };
    let access =
        |answer: &Value| answer["containerService"]["privateRegistryAccess"]["ecrImagePullerRole"].clone();
    let again = lab.ok("UpdateContainerService", activate(true)).await;
    assert_eq!(access(&again), json!({"isActive": true, "principalArn": first}));
    let off = lab.ok("UpdateContainerService", activate(false)).await;
    assert_eq!(access(&off), json!({"isActive": false, "principalArn": ""}));
    let on = lab.ok("UpdateContainerService", activate(true)).await;
    assert_eq!(access(&on), json!({"isActive": true, "principalArn": ""}));
    let service = lab.until("has a puller role", |service| !puller(service).is_empty()).await;
    assert_ne!(puller(&service), first);
}

#[tokio::test]
async fn a_change_of_capacity_launches_the_current_deployment_again() {
    let lab = Lab::with_service().await;
    lab.deploy("v1").await;
    let second = lab.registry.push("api", "v1", "amd64", "two");
    lab.set(json!({"updateMs": 1000})).await;

    let answer = lab.ok("UpdateContainerService", json!({"serviceName": "api", "scale": 2})).await;
    let service = &answer["containerService"];
    assert_eq!((&service["state"], &service["scale"]), (&json!("UPDATING"), &json!(2)));
    assert_eq!(service["currentDeployment"]["state"], "ACTIVE");
    let busy = lab.create_deployment("v1").await.expect_err("a refusal");
    assert!(busy.1.contains("Please try again in a few minutes"), "{}", busy.1);

    let service = lab.until("is RUNNING", |service| service["state"] == "RUNNING").await;
    assert_eq!(service["currentDeployment"]["version"], 1);
    assert_eq!(lab.inside(1).await["pulled"]["app"]["digest"], second);
}

#[tokio::test]
async fn an_update_that_changes_nothing_leaves_the_service_alone() {
    let lab = Lab::with_service().await;
    let answer =
        lab.ok("UpdateContainerService", json!({"serviceName": "api", "power": "nano", "scale": 1})).await;
    assert_eq!(answer["containerService"]["state"], "READY");
}

#[tokio::test]
async fn a_disabled_service_takes_no_deployment_until_it_is_enabled() {
    let lab = Lab::with_service().await;
    lab.deploy("v1").await;
    lab.ok("UpdateContainerService", json!({"serviceName": "api", "isDisabled": true})).await;
    let service = lab.until("is DISABLED", |service| service["state"] == "DISABLED").await;
    assert_eq!(service["isDisabled"], true);
    let refusal = lab.create_deployment("v1").await.expect_err("a refusal");
    assert!(refusal.1.contains("disabled"), "{}", refusal.1);

    lab.ok("UpdateContainerService", json!({"serviceName": "api", "isDisabled": false})).await;
    lab.until("is RUNNING", |service| service["state"] == "RUNNING").await;
}

#[tokio::test]
async fn a_service_is_not_deleted_in_a_transition_and_is_gone_afterwards() {
    let lab = Lab::with_service().await;
    lab.verdict("hangs").await;
    lab.create_deployment("v1").await.expect("a deployment");
    let name = json!({"serviceName": "api"});
    let refusal = lab.call("DeleteContainerService", name.clone()).await.expect_err("a refusal");
    assert!(refusal.1.contains("transition state"), "{}", refusal.1);

    lab.verdict("healthy").await;
    lab.until("is RUNNING", |service| service["state"] == "RUNNING").await;
    lab.set(json!({"deletionMs": 1000})).await;
    lab.ok("DeleteContainerService", name.clone()).await;
    assert_eq!(lab.service().await["state"], "DELETING");
    let gone = loop {
        match lab.call("GetContainerServices", name.clone()).await {
            Ok(_) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
            Err(error) => break error,
        }
    };
    assert_eq!(gone.0, "NotFoundException");
    lab.add_service(&lab.create_request()).await;
    assert_eq!(lab.deploy("v1").await, (1, "ACTIVE".into()));
}

#[tokio::test]
async fn tags_are_added_replaced_and_removed() {
    let lab = Lab::with_service().await;
    let tags = |tags: Value| json!({"resourceName": "api", "tags": tags});
    lab.ok("TagResource", tags(json!([{"key": "a", "value": "1"}, {"key": "b"}]))).await;
    let answer = lab.ok("TagResource", tags(json!([{"key": "a", "value": "2"}]))).await;
    assert_eq!(answer["operations"][0]["status"], "Succeeded");
    lab.ok("UntagResource", json!({"resourceName": "api", "tagKeys": ["b"]})).await;
    assert_eq!(lab.service().await["tags"], json!([{"key": "a", "value": "2"}]));
}

#[tokio::test]
async fn an_image_registered_on_the_service_can_be_deployed() {
    let lab = Lab::with_service().await;
    let request = json!({"serviceName": "api", "label": "web", "digest": "sha256:1"});
    let answer = lab.ok("RegisterContainerImage", request).await;
    assert_eq!(answer["containerImage"]["image"], ":api.web.1");
    let images = lab.ok("GetContainerImages", json!({"serviceName": "api"})).await;
    assert_eq!(images["containerImages"][0]["digest"], "sha256:1");
    assert_eq!(lab.deploy_image(":api.web.1").await.1, "ACTIVE");
    assert_eq!(lab.deploy_image(":api.web.2").await.1, "FAILED");
}

#[tokio::test]
async fn unknown_names_and_operations_are_told() {
    let lab = Lab::start().await;
    for operation in [
        "GetContainerServices",
        "UpdateContainerService",
        "DeleteContainerService",
        "GetContainerServiceDeployments",
        "GetContainerImages",
    ] {
        let error = lab.call(operation, json!({"serviceName": "api"})).await.expect_err("an error");
        assert_eq!(error.0, "NotFoundException", "{operation}");
    }
    let mut request = deployment(&image("v1"));
    request["serviceName"] = json!("other");
    let error = lab.call("CreateContainerServiceDeployment", request).await.expect_err("an error");
    assert_eq!(error.0, "NotFoundException");
    let error = lab.call("GetInstances", json!({})).await.expect_err("an error");
    assert_eq!(error.0, "UnknownOperationException");
    let list = lab.ok("GetContainerServices", json!({})).await;
    assert_eq!(list["containerServices"], json!([]));
}
