//! A request that will not be deployed.

use serde_json::json;

use crate::world::{ADD, World};

#[tokio::test]
async fn a_request_is_closed_once() {
    let world = World::start().await;
    let number = world.ready(ADD).await;
    for _ in 0..2 {
        let closed = world.close(number).await.unwrap();
        assert_eq!((&closed["closed"], &closed["because"]), (&json!(true), &json!("")));
    }
    assert_eq!(world.changes().len(), 1);
}

#[tokio::test]
async fn a_queued_request_is_taken_out_and_closed() {
    for (becomes, changes) in [("cancelled", 1), ("ready", 2)] {
        let world = World::start().await;
        world.control().settings(json!({"cancel_queued": becomes})).await;
        let number = world.ready(ADD).await;
        world.control().act(number, "deploy").await;
        assert_eq!(world.close(number).await.unwrap()["closed"], true, "{becomes}");
        assert_eq!(world.changes().len(), changes, "{becomes}");
    }
}

#[tokio::test]
async fn a_request_that_cannot_be_closed_is_told_to_be_open() {
    let world = World::start().await;
    let number = world.ready(ADD).await;
    world.before("PATCH 1", move |control| async move { control.act(number, "deploy").await });
    let left = world.close(number).await.unwrap();
    assert_eq!(left["closed"], false);
    assert!(left["because"].as_str().unwrap().contains("left open (queued)"), "{left}");
    assert_eq!(world.changes(), ["PATCH 1"]);
}

#[tokio::test]
async fn a_request_that_somebody_closed_a_moment_before_is_closed() {
    for reaction in ["accept", "refuse"] {
        let world = World::start().await;
        world.control().settings(json!({"close_closed": reaction})).await;
        let number = world.ready(ADD).await;
        world.before("PATCH 1", move |control| async move { control.act(number, "close").await });
        assert_eq!(world.close(number).await.unwrap()["closed"], true, "{reaction}");
    }
}
