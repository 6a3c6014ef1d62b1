//! Every invariant finds a deliberate defect.

use std::collections::BTreeMap;

use simulation::choices::Decider;
use simulation::defects::Defect;
use simulation::story::{Behaviour, Change, Event, Plan, tell};
use simulation::walk::definition;
use simulation::world::Weather;

/// Tells the story with the defect, and once more without it.
fn finds(plan: &Plan, script: &[(&str, usize)], defect: Defect, expected: &str) {
    let script: BTreeMap<_, _> = script.iter().map(|(key, taken)| ((*key).to_owned(), *taken)).collect();
    let told = tell(plan, Decider::Script(script.clone()), Some(defect), &definition());
    let found = told.wrong.iter().any(|wrong| wrong.contains(expected));
    assert!(found, "{defect:?} is not found by {expected:?}: {:#?}\n{}", told.wrong, told.story());
    let told = tell(plan, Decider::Script(script), None, &definition());
    assert!(told.wrong.is_empty(), "{:#?}\n{}", told.wrong, told.story());
}

fn healthy(change: Change) -> Plan {
    Plan::simple(change, Behaviour::Healthy)
}

/// Two images, the second while the first starts.
fn two() -> Plan {
    let mut plan = healthy(Change::Adds);
    plan.events.push((100_000, plan.events[0].1.clone()));
    plan
}

#[test]
fn a_lock_that_everybody_holds() {
    finds(&two(), &[], Defect::EverybodyHoldsTheLock, "was at work");
}

#[test]
fn records_that_are_not_kept() {
    finds(&healthy(Change::Nothing), &[], Defect::ForgetsRecords, "is recorded as None");
}

#[test]
fn notifications_that_reach_nobody() {
    finds(&healthy(Change::Adds), &[], Defect::TellsNobody, "ended as Released and nobody was told");
    finds(&healthy(Change::Adds), &[], Defect::TellsNobody, "#1 was deployed and nobody was told");
}

#[test]
fn a_second_deployment_of_one_release() {
    let mut plan = healthy(Change::Nothing);
    plan.weather = Weather::Usual;
    let lost = "r1 create-container-deployment lightsail.CreateContainerServiceDeployment call/1";
    finds(&plan, &[(lost, 2)], Defect::BlindToItsOwn, "has 2 deployments");
}

#[test]
fn a_change_that_the_policy_refuses() {
    finds(&healthy(Change::Drops), &[], Defect::JudgesLeniently, "against the policy");
}

#[test]
fn a_secret_in_a_message() {
    finds(&healthy(Change::Nothing), &[], Defect::QuotesSecrets, "a secret is in a message");
}

#[test]
fn a_push_that_is_forgotten() {
    finds(&healthy(Change::Nothing), &[], Defect::StartsNothing, "serves, and nobody was told");
}

#[test]
fn a_release_that_a_person_stopped_and_that_starts_again() {
    let mut plan = healthy(Change::Nothing);
    plan.events.push((61_500 + 500, Event::Stop));
    finds(&plan, &[], Defect::ForgetsWhoStopped, "starts anew what a person had stopped");
}

#[test]
fn a_release_that_is_made_again_and_again() {
    finds(&healthy(Change::Nothing), &[], Defect::ForgetsTheLast, "releases again what r1 released");
}

#[test]
fn a_release_that_is_called_superseded_and_is_not() {
    finds(&healthy(Change::Nothing), &[], Defect::ReportsSuperseded, "is Superseded and did");
}

/// One image, then a second, and back to the first; each after the one before.
fn back() -> Plan {
    let mut plan = healthy(Change::Nothing);
    plan.events.push((
        1_800_000,
        Event::Push { change: Change::Adds, image: Behaviour::Healthy, arrives: vec![1_000] },
    ));
    plan.events.push((3_600_000, Event::Retag { push: 0, arrives: vec![1_000] }));
    plan
}

#[test]
fn a_rollback_that_moves_the_schema() {
    let mut plan = back();
    plan.events.push((3_000_000, plan.events[1].1.clone()));
    plan.events.sort_by_key(|(at, _)| *at);
    let mut definition = (*definition()).clone();
    let moves = definition.states.get_mut("HasDatabase?").and_then(|state| state["Choices"].as_array_mut());
    let removed = moves.map(|choices| choices.remove(0));
    assert!(removed.is_some_and(|choice| choice["Next"] == "JudgeRollback"));
    let told = tell(&plan, Decider::Script(BTreeMap::new()), None, &std::sync::Arc::new(definition));
    let found = told.wrong.iter().any(|wrong| wrong.contains("goes back and did Created"));
    assert!(found, "{:#?}\n{}", told.wrong, told.story());
}

#[test]
fn a_push_that_is_released_after_a_rollback() {
    let mut plan = back();
    let push = Event::Push { change: Change::Nothing, image: Behaviour::Healthy, arrives: vec![1_000] };
    plan.events.push((5_400_000, push));
    finds(&plan, &[], Defect::ForgetsTheHold, "took its turn in a held environment");
}

#[test]
fn an_execution_whose_history_is_full() {
    let mut plan = healthy(Change::Adds);
    plan.migration = 86_400_000;
    plan.horizon = 86_400_000;
    let mut definition = (*definition()).clone();
    let wait = definition.states.get_mut("WaitForSchema");
    assert!(wait.is_some());
    if let Some(wait) = wait {
        wait["Seconds"] = 1.into();
        wait["Assign"]["waited"] = "{% $waited + 1 %}".into();
        wait["Next"] = "WaitForSchema".into();
    }
    let told = tell(&plan, Decider::Script(BTreeMap::new()), None, &std::sync::Arc::new(definition));
    assert!(told.wrong.iter().any(|wrong| wrong.contains("after 24999 events")), "{:#?}", told.wrong);
}
