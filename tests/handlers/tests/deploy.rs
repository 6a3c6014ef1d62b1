//! What is deployed is what was judged.

use serde_json::json;
use shared::Error;

use crate::world::{ADD, DROP, World};

/// A judged change, what somebody makes of it afterwards, and the release: its policy, and whether the new containers
/// serve.
const CHANGES: [(&str, &str, &str, bool); 4] = [
    (ADD, DROP, "refuse", false),
    (ADD, DROP, "after-containers", false),
    (DROP, ADD, "after-containers", true),
    (ADD, "ALTER TABLE hotels DROP COLUMN name, ADD COLUMN town INT", "refuse", true),
];

#[tokio::test]
async fn what_changed_after_the_judgement_is_judged_again_and_not_deployed() {
    for (judged, changed, policy, serves) in CHANGES {
        let world = World::start().await;
        let number = world.ready(judged).await;
        let before = world.control().production().await;
        let place = json!({"number": number, "serves": serves});
        assert_ne!(world.get(policy, place.clone()).await.unwrap()["step"], "Refuse");
        world.control().sql(changed).await;
        // While PlanetScale validates the change, and after.
        for _ in 0..2 {
            let answer = world.deploy(policy, place.clone()).await.unwrap();
            assert_eq!(answer["step"], "JudgeAgain", "{changed} {policy}: {answer}");
            world.control().pass(1).await;
        }
        assert_eq!(world.get(policy, place).await.unwrap()["step"], "Refuse", "{changed} {policy}");
        world.control().pass(9).await;
        assert_eq!(world.control().production().await, before);
        assert_eq!(world.changes(), [""; 0]);
    }
}

#[tokio::test]
async fn what_changes_while_the_deploy_is_on_its_way_is_taken_out_of_the_queue() {
    for cancelled in ["cancelled", "ready"] {
        for (judged, changed, policy, serves) in CHANGES {
            let world = World::start().await;
            world.control().settings(json!({"cancel_queued": cancelled})).await;
            let number = world.ready(judged).await;
            let before = world.control().production().await;
            world.before("POST deploy", move |control| async move {
                control.sql(changed).await;
                control.pass(1).await;
            });
            let refused =
                world.deploy(policy, json!({"number": number, "serves": serves})).await.unwrap_err();
            assert!(
                matches!(&refused, Error::SchemaRefused(why) if why.contains("changed after it was judged"))
            );
            assert_eq!(world.changes(), ["POST deploy", "POST cancel"]);
            world.control().pass(9).await;
            assert_eq!(world.control().production().await, before);
        }
    }
}

#[tokio::test]
async fn what_slips_through_with_its_answer_lost_is_found_by_the_next_try() {
    let world = World::start().await;
    let number = world.ready(ADD).await;
    let before = world.control().production().await;
    world
        .control()
        .fault(json!({"kind": "reset", "method": "POST", "path": "deploy", "after_work": true}))
        .await;
    world.before("POST deploy", |control| async move {
        control.sql(DROP).await;
        control.pass(1).await;
    });
    let lost = world.deploy("refuse", json!({"number": number})).await.unwrap_err();
    assert_eq!(lost.name(), "Retryable");
    let refused = world.deploy("refuse", json!({"number": number})).await.unwrap_err();
    assert_eq!(refused.name(), "SchemaRefused", "{refused}");
    assert_eq!(world.changes(), ["POST deploy", "POST cancel"]);
    world.control().pass(9).await;
    assert_eq!(world.control().production().await, before);
}

#[tokio::test]
async fn what_can_no_longer_be_taken_out_is_told() {
    let world = World::start().await;
    let number = world.ready(ADD).await;
    world.control().fault(json!({"kind": "error", "status": 422, "method": "POST", "path": "cancel"})).await;
    world.before("POST deploy", |control| async move {
        control.sql(DROP).await;
        control.pass(1).await;
    });
    let told = world.deploy("refuse", json!({"number": number})).await.unwrap_err();
    assert_eq!(told.name(), "Unexpected");
    for words in ["PlanetScale applies it (queued)", "revert it within 30 minutes", "DROP COLUMN `name`"] {
        assert!(told.to_string().contains(words), "{told}");
    }
}

#[tokio::test]
async fn a_deploy_whose_answer_was_lost_is_followed() {
    let world = World::start().await;
    let number = world.ready(ADD).await;
    world
        .control()
        .fault(json!({"kind": "reset", "method": "POST", "path": "deploy", "after_work": true}))
        .await;
    assert_eq!(world.deploy("refuse", json!({"number": number})).await.unwrap_err().name(), "Retryable");
    for _ in 0..3 {
        assert_eq!(world.deploy("refuse", json!({"number": number})).await.unwrap()["step"], "Queued");
        world.control().pass(2).await;
    }
    assert_eq!(world.changes(), ["POST deploy"]);
}

#[tokio::test]
async fn a_deploy_that_somebody_else_asked_for_a_moment_before_is_followed() {
    let world = World::start().await;
    let number = world.ready(ADD).await;
    world.before("POST deploy", move |control| async move { control.act(number, "deploy").await });
    assert_eq!(world.deploy("refuse", json!({"number": number})).await.unwrap()["step"], "Queued");
    assert_eq!(world.changes(), ["POST deploy"]);
}

#[tokio::test]
async fn an_approval_is_asked_for_however_planetscale_refuses() {
    let words =
        ["Deploy request must be approved before deploying.", "This deploy request is not deployable"];
    for deployable in [true, false] {
        for (status, words) in [(403, words[0]), (422, words[0]), (403, words[1]), (422, words[1])] {
            let world = World::start().await;
            let settings = json!({"unapproved_is_deployable": deployable, "approval_refusal": words,
                "statuses": {"approval_required": status}});
            world.control().settings(settings).await;
            world.control().database(json!({"require_approval_for_deploy": true})).await;
            let number = world.ready(ADD).await;
            let place = json!({"number": number});
            assert_eq!(world.get("refuse", place.clone()).await.unwrap()["step"], "SchemaFirst");
            let asked = world.deploy("refuse", place.clone()).await.unwrap();
            assert_eq!(asked["step"], "NeedsApproval", "{status} {words}: {asked}");
            let waits = json!({"number": number, "goal": "Approval", "waited": 80_000});
            let look = world.get("refuse", waits.clone()).await.unwrap();
            assert_eq!((look["step"].as_str(), look["seconds"].as_u64()), (Some("Wait"), Some(300)));
            world.control().act(number, "approve").await;
            assert_eq!(world.get("refuse", waits).await.unwrap()["step"], "SchemaFirst");
            assert_eq!(world.deploy("refuse", place).await.unwrap()["step"], "Queued");
        }
    }
}

#[tokio::test]
async fn a_refusal_that_is_not_about_an_approval_is_final() {
    let world = World::start().await;
    let number = world.ready(ADD).await;
    world.control().fault(json!({"kind": "error", "status": 422, "path": "deploy", "message": "No."})).await;
    let refused = world.deploy("refuse", json!({"number": number})).await.unwrap_err();
    assert_eq!(refused.name(), "SchemaRefused");
    assert!(refused.to_string().ends_with("answered 422: No."), "{refused}");
}

#[tokio::test]
async fn a_request_that_is_still_validated_is_judged_again_until_the_deadline() {
    let world = World::start().await;
    world.control().settings(json!({"still_validating": {"count": 2}})).await;
    let number = world.ready(ADD).await;
    let deploy = async |waited: u64| {
        world.deploy("refuse", json!({"number": number, "waited": waited})).await.unwrap()["step"].clone()
    };
    assert_eq!(deploy(0).await, "JudgeAgain");
    assert_eq!(deploy(1_800).await, "TimedOut");
    assert_eq!(deploy(0).await, "Queued");
}

#[tokio::test]
async fn a_missing_permission_is_not_a_refused_schema() {
    for status in [403, 404] {
        let world = World::start().await;
        let number = world.ready(ADD).await;
        world.control().settings(json!({"statuses": {"missing_permission": status}})).await;
        world.control().token(json!(["read_deploy_request"])).await;
        let refused = world.deploy("refuse", json!({"number": number})).await.unwrap_err();
        assert_eq!(refused.name(), "Misconfigured", "{refused}");
        assert!(refused.to_string().contains("permission"), "{refused}");
    }
}
