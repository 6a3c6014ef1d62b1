//! The deploy request of a release.

use serde_json::json;

use crate::world::{ADD, World};

#[tokio::test]
async fn no_request_of_ours_deletes_the_head_branch() {
    for left_out in ["as_before", "no"] {
        let world = World::start().await;
        world.control().settings(json!({"auto_delete_branch_left_out": left_out})).await;
        let earlier = world.control().open(json!({"auto_delete_branch": true, "auto_cutover": false})).await;
        world.control().act(earlier, "close").await;
        world.control().sql(ADD).await;
        let made = world.create().await.unwrap();
        let request = world.control().request(made["deployRequest"]["number"].as_u64().unwrap()).await;
        assert_eq!(request["deployment"]["auto_delete_branch"], false, "{left_out}");
        assert_eq!(request["deployment"]["auto_cutover"], true);
        assert_eq!(world.changes(), ["POST deploy-requests"]);
    }
}

#[tokio::test]
async fn an_adopted_request_leaves_the_head_branch_where_it_is() {
    let world = World::start().await;
    world.control().sql(ADD).await;
    let number = world.control().open(json!({"auto_delete_branch": true})).await;
    let adopted = world.create().await.unwrap();
    assert_eq!(adopted["deployRequest"]["number"], number);
    assert!(adopted["because"].as_str().unwrap().contains("that is switched off"), "{adopted}");
    assert_eq!(world.control().request(number).await["deployment"]["auto_delete_branch"], false);
    world.create().await.unwrap();
    assert_eq!(world.changes(), ["PUT auto-delete-branch"]);
}

#[tokio::test]
async fn a_revert_window_is_closed_without_losing_the_head_branch() {
    let world = World::start().await;
    world.control().sql(ADD).await;
    let first = world.control().open(json!({"auto_delete_branch": true, "auto_cutover": true})).await;
    world.control().pass(1).await;
    world.control().act(first, "deploy").await;
    world.control().pass(4).await;
    let made = world.create().await.unwrap();
    assert_ne!(made["deployRequest"]["number"], first);
    assert_eq!(world.control().state(first).await, "complete");
    assert_eq!(world.changes(), ["PUT auto-delete-branch", "POST skip-revert", "POST deploy-requests"]);
}

#[tokio::test]
async fn a_refused_create_adopts_what_somebody_opened_a_moment_before() {
    let world = World::start().await;
    world.control().settings(json!({"second_open_request": "refuse_create"})).await;
    world.control().sql(ADD).await;
    world.before("POST deploy-requests", |control| async move {
        control.open(json!({})).await;
    });
    let adopted = world.create().await.unwrap();
    assert_eq!(adopted["deployRequest"]["number"], 1);
    assert!(adopted["because"].as_str().unwrap().contains("adopts it"), "{adopted}");
    assert_eq!(world.changes(), ["POST deploy-requests"]);
}

#[tokio::test]
async fn a_create_that_is_refused_for_good_says_why() {
    let world = World::start().await;
    world.control().fault(json!({"kind": "error", "status": 422, "method": "POST", "message": "No."})).await;
    let refused = world.create().await.unwrap_err();
    assert_eq!(refused.name(), "SchemaRefused");
    assert!(refused.to_string().ends_with("answered 422: No."), "{refused}");
}
