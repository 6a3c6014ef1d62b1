use serde_json::json;

use crate::lab::{ACCOUNT, Lab, image, puller};

/// Deploys an image that cannot be pulled; gives the reason.
async fn reason(lab: &Lab, image: &str) -> String {
    let (version, state) = lab.deploy_image(image).await;
    assert_eq!(state, "FAILED");
    lab.inside(version).await["failure"].as_str().expect("a reason").to_owned()
}

#[tokio::test]
async fn what_was_really_pulled_can_be_seen() {
    let lab = Lab::with_service().await;
    let first = lab.registry.push("api", "moving", "amd64", "one");
    lab.deploy("moving").await;
    let second = lab.registry.push("api", "moving", "amd64", "two");
    lab.deploy("moving").await;
    assert_ne!(first, second);
    for (version, digest) in [(1, first), (2, second)] {
        let pulled = &lab.inside(version).await["pulled"]["app"];
        assert_eq!((&pulled["digest"], &pulled["image"]), (&json!(digest), &json!(image("moving"))));
    }
}

#[tokio::test]
async fn a_pull_needs_the_policy_the_repository_and_the_image() {
    let lab = Lab::with_service().await;
    assert!(reason(&lab, &image("v2")).await.contains("has no image v2"));
    assert!(reason(&lab, &image("v1").replace("/api:", "/other:")).await.contains("does not exist"));
    lab.registry.push("open", "v1", "amd64", "one");
    assert!(reason(&lab, &image("v1").replace("/api:", "/open:")).await.contains("has no policy"));
    let role = puller(&lab.service().await).to_owned();
    lab.registry.allow("api", &[&format!("{role}x"), "arn:aws:iam::111122223333:root"]);
    assert!(reason(&lab, &image("v1")).await.contains("does not allow ecr:BatchGetImage"));
    lab.registry.allow("api", &["*"]);
    assert_eq!(lab.deploy("v1").await.1, "ACTIVE");
}

#[tokio::test]
async fn a_failed_pull_leaves_no_line_of_the_application() {
    let lab = Lab::with_service().await;
    lab.control(http::Method::PUT, "verdicts", json!({"verdict": "healthy", "log": ["listening"]})).await;
    lab.deploy("v2").await;
    let start = "Started 1 new node";
    let expected = ["Creating your deployment", start, start, start, "Canceled"];
    assert_eq!(lab.log().await, expected.map(|message| format!("[deployment:1] {message}")));
}

#[tokio::test]
async fn a_policy_for_a_former_puller_role_is_of_no_use() {
    let lab = Lab::with_service().await;
    for is_active in [false, true] {
        let access = json!({"ecrImagePullerRole": {"isActive": is_active}});
        lab.ok("UpdateContainerService", json!({"serviceName": "api", "privateRegistryAccess": access}))
            .await;
        if !is_active {
            assert!(reason(&lab, &image("v1")).await.contains("not active"));
        }
    }
    let service = lab.until("has a puller role", |service| !puller(service).is_empty()).await;
    assert!(reason(&lab, &image("v1")).await.contains("does not allow"));
    lab.registry.allow("api", &[puller(&service)]);
    assert_eq!(lab.deploy("v1").await.1, "ACTIVE");
}

#[tokio::test]
async fn an_image_for_arm64_starts_and_fails() {
    let lab = Lab::with_service().await;
    lab.registry.push("api", "arm", "arm64", "one");
    assert!(reason(&lab, &image("arm")).await.contains("linux/arm64"));
    assert!(lab.log().await.contains(&"exec format error".to_owned()));
}

#[tokio::test]
async fn an_index_is_searched_for_the_right_platform() {
    let lab = Lab::with_service().await;
    let intel = lab.registry.push("api", "intel", "amd64", "one");
    let arm = lab.registry.push("api", "arm", "arm64", "two");
    let both = lab.registry.push_index("api", "both", &[(&arm, "arm64"), (&intel, "amd64")]);
    assert_eq!(lab.deploy("both").await, (1, "ACTIVE".into()));
    assert_eq!(lab.inside(1).await["pulled"]["app"]["digest"], both);
    lab.registry.push_index("api", "arm-only", &[(&arm, "arm64")]);
    assert!(reason(&lab, &image("arm-only")).await.contains("no manifest for linux/amd64"));
}

#[tokio::test]
async fn the_repository_must_be_in_the_region_of_the_service() {
    let lab = Lab::with_service().await;
    assert!(reason(&lab, &image("v1").replace("us-east-1", "eu-west-1")).await.contains("eu-west-1"));
}

#[tokio::test]
async fn references_by_digest_do_as_the_setting_says() {
    let lab = Lab::with_service().await;
    let digest = lab.registry.push("api", "v2", "amd64", "two");
    let by_digest = format!("{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/api@{digest}");
    assert!(reason(&lab, &by_digest).await.contains("by digest"));
    lab.set(json!({"digestReferences": "accept"})).await;
    assert_eq!(lab.deploy_image(&by_digest).await.1, "ACTIVE");
    lab.set(json!({"digestReferences": "refuse"})).await;
    let request = crate::lab::deployment(&by_digest);
    let refusal = lab.call("CreateContainerServiceDeployment", request).await.expect_err("a refusal");
    assert!(refusal.1.contains("invalid image"), "{}", refusal.1);
}

#[tokio::test]
async fn public_images_exist_when_the_setting_says_so() {
    let lab = Lab::with_service().await;
    assert!(reason(&lab, "nginx:latest").await.contains("publicImages"));
    lab.set(json!({"publicImages": true})).await;
    assert_eq!(lab.deploy_image("nginx:latest").await.1, "ACTIVE");
}

#[tokio::test]
async fn verdicts_can_be_about_a_digest() {
    let lab = Lab::with_service().await;
    let good = lab.registry.push("api", "good", "amd64", "good");
    let bad = lab.registry.push("api", "bad", "amd64", "bad");
    let rule = json!({"image": {"repository": "api", "digest": bad}, "verdict": "crashes"});
    lab.control(http::Method::PUT, "verdicts", rule).await;
    assert_ne!(good, bad);
    assert_eq!(lab.deploy("good").await.1, "ACTIVE");
    assert_eq!(lab.deploy("bad").await.1, "FAILED");
}
