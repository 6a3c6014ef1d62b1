use serde_json::{Value, json};

use crate::lab::{Lab, deployment, image};

/// Changes one place of a request, given by its path; `null` removes it.
fn with(mut request: Value, pointer: &str, value: Value) -> Value {
    let (parent, member) = pointer.rsplit_once('/').expect("a path");
    let parent = request.pointer_mut(parent).and_then(Value::as_object_mut).expect("the place");
    match value {
        Value::Null => parent.remove(member),
        value => parent.insert(member.into(), value),
    };
    request
}

async fn refusal(lab: &Lab, operation: &str, request: Value) -> String {
    let error = lab.call(operation, request.clone()).await.expect_err(&request.to_string());
    assert_eq!(error.0, "InvalidInputException", "{request}");
    error.1
}

#[tokio::test]
async fn a_deployment_that_cannot_be_is_refused_with_the_reason() {
    let lab = Lab::with_service().await;
    let app = json!({"image": image("v1")});
    let check = |member: &str| format!("/publicEndpoint/healthCheck/{member}");
    let many: Value = (0..11).map(|number| (format!("app{number}"), app.clone())).collect();
    for (pointer, value, expected) in [
        ("/serviceName", Value::Null, "serviceName is required"),
        ("/containers", json!({}), "1 to 10 containers"),
        ("/containers", many, "1 to 10 containers"),
        (
            "/containers/backend_api",
            app.clone(),
            "Container name \"backend_api\" does not match pattern: ^(?:",
        ),
        (&format!("/containers/{}", "a".repeat(54)), app, "more than 53"),
        ("/containers/app/image", Value::Null, "image is required"),
        ("/containers/app/image", json!(""), "invalid image \"\""),
        ("/containers/app/image", json!(":api.app.LATEST"), "Example of valid image: \":api.app.123\"."),
        ("/containers/app/image", json!(":other.app.1"), "invalid image"),
        ("/containers/app/ports/0", json!("HTTP"), "invalid port \"0\""),
        ("/containers/app/ports/65536", json!("HTTP"), "invalid port \"65536\""),
        ("/containers/app/ports/http", json!("HTTP"), "invalid port \"http\""),
        ("/containers/app/ports/9090", json!("SCTP"), "HTTP, HTTPS, TCP, UDP"),
        ("/containers/app/environment", json!({"": "x"}), "without a name"),
        ("/publicEndpoint/containerName", json!("web"), "names container \"web\""),
        ("/publicEndpoint/containerName", Value::Null, "containerName is required"),
        ("/publicEndpoint/containerPort", Value::Null, "containerPort is required"),
        ("/publicEndpoint/containerPort", json!(8081), "does not open the public endpoint's port 8081"),
        ("/publicEndpoint/containerPort", json!(0), "1 to 65535"),
        ("/containers/app/ports/8080", json!("UDP"), "is UDP, not HTTP or HTTPS"),
        (&check("timeoutSeconds"), json!(1), "2 to 60"),
        (&check("timeoutSeconds"), json!(61), "2 to 60"),
        (&check("intervalSeconds"), json!(4), "5 to 300"),
        (&check("intervalSeconds"), json!(301), "5 to 300"),
        (&check("healthyThreshold"), json!(0), "at least 1"),
        (&check("path"), json!("health"), "does not start with a slash"),
        (&check("successCodes"), json!("500"), "200 to 499"),
    ] {
        let request = with(deployment(&image("v1")), "/publicEndpoint/healthCheck", json!({}));
        let message = refusal(&lab, "CreateContainerServiceDeployment", with(request, pointer, value)).await;
        assert!(message.contains(expected), "{pointer}: {message}");
    }
    assert!(lab.deployments().await.is_empty());
}

#[tokio::test]
async fn a_service_that_cannot_be_is_refused_with_the_reason() {
    let lab = Lab::start().await;
    let tag = json!({"key": "a"});
    for (pointer, value, expected) in [
        ("/serviceName", Value::Null, "serviceName is required"),
        ("/serviceName", json!("My_Api"), "does not match pattern"),
        ("/serviceName", json!("a".repeat(64)), "more than 63"),
        ("/power", Value::Null, "power is required"),
        ("/power", json!("huge"), "nano, micro, small, medium, large, xlarge"),
        ("/scale", Value::Null, "scale is required"),
        ("/scale", json!(0), "1 to 20"),
        ("/scale", json!(21), "1 to 20"),
        ("/tags", json!([tag, tag]), "unique"),
        ("/tags", json!([{"key": "a".repeat(129)}]), "128"),
        ("/publicDomainNames", json!({"c": ["a", "b", "c", "d", "e"]}), "at most 4"),
    ] {
        let message =
            refusal(&lab, "CreateContainerService", with(lab.create_request(), pointer, value)).await;
        assert!(message.contains(expected), "{pointer}: {message}");
    }
    let list = lab.ok("GetContainerServices", json!({})).await;
    assert_eq!(list["containerServices"], json!([]));
}

#[tokio::test]
async fn a_value_of_a_wrong_type_is_not_read() {
    let lab = Lab::with_service().await;
    for (pointer, value) in [
        ("/containers/app/environment", json!({"PORT": 8080})),
        ("/publicEndpoint/containerPort", json!("8080")),
        ("/serviceName", json!(5)),
        ("/containers", json!([])),
    ] {
        let request = with(deployment(&image("v1")), pointer, value);
        let error = lab.call("CreateContainerServiceDeployment", request).await.expect_err("an error");
        assert_eq!(error.0, "SerializationException", "{pointer}");
    }
}

#[tokio::test]
async fn the_environment_has_a_limit_when_the_setting_says_so() {
    let lab = Lab::with_service().await;
    lab.set(json!({"environmentMaxBytes": 10})).await;
    let message = refusal(&lab, "CreateContainerServiceDeployment", deployment(&image("v1"))).await;
    assert!(message.contains("11 bytes"), "{message}");
    assert!(!message.contains("value"));
}
