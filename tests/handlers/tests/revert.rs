//! The two ends of the revert window.

use serde_json::json;

use crate::world::{ADD, World};

#[tokio::test]
async fn a_refused_revert_follows_the_one_of_somebody_who_was_faster() {
    let world = World::start().await;
    let number = world.applied(ADD).await;
    world.before("POST revert", move |control| async move { control.act(number, "revert").await });
    assert!(world.revert(number).await.is_ok());
    assert_eq!(world.changes(), ["POST revert"]);
    assert!(world.revert(number).await.is_ok(), "and a later try as well");
    world.control().pass(1).await;
    assert_eq!(world.control().state(number).await, "complete_revert");
    assert!(world.revert(number).await.is_ok());
    assert_eq!(world.changes(), [""; 0]);
}

#[tokio::test]
async fn a_revert_that_is_refused_for_good_says_why() {
    let world = World::start().await;
    let number = world.applied(ADD).await;
    world.control().fault(json!({"kind": "error", "status": 422, "path": "revert", "message": "No."})).await;
    let refused = world.revert(number).await.unwrap_err();
    assert_eq!(refused.name(), "RevertRefused");
    assert!(refused.to_string().ends_with("answered 422: No."), "{refused}");
    world.before("POST revert", move |control| async move { control.act(number, "skip_revert").await });
    assert_eq!(world.revert(number).await.unwrap_err().name(), "RevertRefused");
}

#[tokio::test]
async fn what_a_person_reverted_is_not_released() {
    let world = World::start().await;
    let number = world.applied(ADD).await;
    world.before("POST skip-revert", move |control| async move { control.act(number, "revert").await });
    for expected in [vec!["POST skip-revert"], vec![]] {
        let gone = world.skip_revert(number).await.unwrap();
        assert_eq!(gone["schema"], "Reverted");
        assert!(gone["because"].as_str().unwrap().contains("the new code runs on the old schema"), "{gone}");
        assert_eq!(world.changes(), expected);
        world.control().pass(1).await;
    }
}

#[tokio::test]
async fn a_window_is_closed_once_and_the_head_branch_stays() {
    let world = World::start().await;
    let number = world.applied(ADD).await;
    let path = format!("/deploy-requests/{number}");
    assert_eq!(world.control().state(number).await, "complete_pending_revert", "{path}");
    for _ in 0..2 {
        assert_eq!(world.skip_revert(number).await.unwrap()["schema"], "Permanent");
    }
    assert_eq!(world.changes(), ["POST skip-revert"]);
    world.control().sql("ALTER TABLE hotels ADD town INT").await;
}

#[tokio::test]
async fn a_window_that_a_person_closed_a_moment_before_is_closed() {
    let world = World::start().await;
    let number = world.applied(ADD).await;
    world.before("POST skip-revert", move |control| async move { control.act(number, "skip_revert").await });
    assert_eq!(world.skip_revert(number).await.unwrap()["schema"], "Permanent");
}
