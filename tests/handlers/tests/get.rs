//! A look at the deploy request.

use serde_json::json;

use crate::world::{ADD, DIGEST, DROP, NEWER, World};

#[tokio::test]
async fn a_newer_push_overtakes_a_release_that_waits_and_has_changed_nothing() {
    let world = World::start().await;
    world.control().sql(ADD).await;
    let number = world.control().open(json!({})).await;
    let look = async |more: serde_json::Value| {
        let mut place = json!({"number": number});
        place.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        world.get("refuse", place).await.unwrap()
    };
    assert_eq!(look(json!({})).await["step"], "Wait");
    assert_eq!(world.asked(), ["GetSecretValue", "DescribeImages"]);
    world.tag(None);
    assert_eq!(look(json!({})).await["step"], "Wait", "the next look asks ECR again");
    world.tag(Some(NEWER));
    for goal in ["Validation", "Approval"] {
        let overtaken = look(json!({"goal": goal})).await;
        assert_eq!((&overtaken["step"], &overtaken["outcome"]), (&json!("Refuse"), &json!("Superseded")));
    }
    world.asked();
    assert_eq!(look(json!({"serves": true})).await["step"], "Wait", "its containers serve already");
    assert_eq!(look(json!({"goal": "Schema"})).await["step"], "Wait", "its change is on its way");
    assert_eq!(world.asked(), ["GetSecretValue"; 2]);
    world.tag(Some(DIGEST));
    assert_eq!(look(json!({})).await["step"], "Wait");
}

#[tokio::test]
async fn a_gate_is_seen_whatever_its_deployment_shows() {
    for shown in ["pending_cutover", "in_progress"] {
        let world = World::start().await;
        world.control().settings(json!({"gated_deployment": shown})).await;
        let number = world.ready(ADD).await;
        world.control().act(number, "gate").await;
        world.control().act(number, "deploy").await;
        world.control().pass(4).await;
        let look =
            world.get("refuse", json!({"number": number, "goal": "Schema", "waited": 80_000})).await.unwrap();
        assert!(look["because"].as_str().unwrap().contains("a person has to apply"), "{shown}: {look}");
        assert_eq!(look["seconds"], 300);
    }
}

#[tokio::test]
async fn a_queue_is_followed_whatever_its_entries_say() {
    for (bare, words) in [(false, "behind the revert window of deploy request #1"), (true, "behind 1 others")]
    {
        let world = World::start().await;
        world.control().settings(json!({"bare_preceding_deployments": bare})).await;
        world.applied(ADD).await;
        let number = world.ready("ALTER TABLE hotels ADD town INT").await;
        assert_eq!(world.deploy("refuse", json!({"number": number})).await.unwrap()["step"], "Queued");
        let look = world.get("refuse", json!({"number": number, "goal": "Schema"})).await.unwrap();
        assert!(look["because"].as_str().unwrap().contains(words), "{look}");
    }
}

#[tokio::test]
async fn a_changed_column_is_judged_beside_the_column_as_it_was_if_the_token_may_read_it() {
    for (change, step, blind) in [
        ("ALTER TABLE hotels MODIFY name VARCHAR(80)", "SchemaFirst", "ContainersFirst"),
        ("ALTER TABLE hotels MODIFY name VARCHAR(20)", "ContainersFirst", "ContainersFirst"),
        ("ALTER TABLE hotels MODIFY name VARCHAR(50) NOT NULL", "ContainersFirst", "ContainersFirst"),
        ("ALTER TABLE hotels ADD town VARCHAR(20) NOT NULL", "Refuse", "Refuse"),
    ] {
        let world = World::start().await;
        let token = ["read_deploy_request", "create_deploy_request", "read_branch"];
        world.control().token(json!(token)).await;
        let number = world.ready(change).await;
        let look = world.get("after-containers", json!({"number": number})).await.unwrap();
        assert_eq!(look["step"], step, "{change}: {look}");
        assert!(!look["because"].as_str().unwrap().contains("read_branch"), "{look}");
        let serves = json!({"number": number, "serves": true});

        world.control().token(json!(token[..2])).await;
        let look = world.get("after-containers", json!({"number": number})).await.unwrap();
        assert_eq!(look["step"], blind, "{change}: {look}");
        let is_told = look["because"].as_str().unwrap().contains("the token needs read_branch");
        assert_eq!(is_told, blind != "SchemaFirst", "{look}");

        let deployed = world.deploy("after-containers", serves).await.unwrap();
        assert_eq!(deployed["step"] == "Queued", blind == "ContainersFirst", "{change}: {deployed}");
    }
}

#[tokio::test]
async fn a_change_that_does_not_fit_into_the_storage_is_refused_and_one_on_its_way_is_not() {
    let world = World::start().await;
    let number = world.ready(ADD).await;
    let deployed = world.deploy("refuse", json!({"number": number})).await.unwrap();
    assert_eq!(deployed["step"], "Queued");
    world.control().settings(json!({"storage_used_bytes": 90, "storage_capacity_bytes": 100})).await;
    let again = world.deploy("refuse", json!({"number": number})).await.unwrap();
    assert_eq!(again["step"], "Queued", "it is on its way: {again}");

    let world = World::start().await;
    let number = world.ready(ADD).await;
    world.control().settings(json!({"storage_used_bytes": 90, "storage_capacity_bytes": 100})).await;
    let look = world.get("allow", json!({"number": number})).await.unwrap();
    assert_eq!((&look["step"], &look["outcome"]), (&json!("Refuse"), &json!("SchemaRefused")));
    assert!(look["because"].as_str().unwrap().contains("needs 90 bytes more"), "{look}");
    let deployed = world.deploy("allow", json!({"number": number})).await.unwrap();
    assert_eq!(deployed["step"], "JudgeAgain", "{deployed}");
    assert_eq!(world.changes(), ["POST deploy"; 0]);

    let world = World::start().await;
    let number = world.ready("CREATE TABLE rooms (id INT PRIMARY KEY)").await;
    world.control().settings(json!({"storage_used_bytes": 99, "storage_capacity_bytes": 100})).await;
    let look = world.get("refuse", json!({"number": number})).await.unwrap();
    assert_eq!(look["step"], "SchemaFirst", "a new table copies nothing: {look}");
}

#[tokio::test]
async fn a_drop_of_a_stale_head_branch_is_refused_unless_it_is_allowed() {
    for (token, policy, step) in [
        (["read_deploy_request", "create_deploy_request", "read_branch"], "after-containers", "Refuse"),
        (["read_deploy_request", "create_deploy_request", "read_branch"], "allow", "ContainersFirst"),
        (
            ["read_deploy_request", "create_deploy_request", "read_database"],
            "after-containers",
            "ContainersFirst",
        ),
    ] {
        let world = World::start().await;
        world.control().token(json!(token)).await;
        // Somebody deploys past the head branch, which then lacks what production has.
        world.control().database(json!({"branches": ["hotfix"]})).await;
        world.control().sql_of("hotfix", ADD).await;
        let other = world.control().open(json!({"branch": "hotfix"})).await;
        world.control().pass(1).await;
        world.control().act(other, "deploy").await;
        world.control().pass(4).await;
        world.control().act(other, "skip_revert").await;
        assert!(world.control().production().await.contains("stars"));
        let number = world.control().open(json!({"auto_cutover": true})).await;
        world.control().pass(1).await;
        let look = world.get(policy, json!({"number": number})).await.unwrap();
        assert_eq!(look["step"], step, "{policy}: {look}");
        assert_eq!(look["because"].as_str().unwrap().contains("stale"), step == "Refuse", "{look}");
    }
}

#[tokio::test]
async fn a_drop_after_a_revert_is_no_drop_of_a_stale_branch() {
    let world = World::start().await;
    let token = json!(["read_deploy_request", "create_deploy_request", "read_branch"]);
    world.control().token(token).await;
    let number = world.applied(ADD).await;
    world.control().act(number, "revert").await;
    world.control().pass(2).await;
    assert_eq!(world.control().state(number).await, "complete_revert");
    world.control().sql("ALTER TABLE hotels DROP COLUMN stars").await;
    let number = world.ready(DROP).await;
    let look = world.get("after-containers", json!({"number": number})).await.unwrap();
    assert_eq!(look["step"], "ContainersFirst", "{look}");
}
