//! Simple stories, and what they end in.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use simulation::choices::Decider;
use simulation::story::{Behaviour, Change, Plan, tell};
use simulation::walk::{cores, definition, on_threads, story};

/// How many releases are made.
const RELEASES: usize = 1_000;
/// The states that so few stories do not come to. The golden runs come to the first two, `tests/releases/test_judgement.py`
/// to the others.
const ELSEWHERE: [&str; 4] = ["RollbackRefused", "SchemaFailed", "AskForCutover", "WaitForCutover"];

fn outcome(plan: &Plan) -> (String, Vec<String>, String) {
    let told = tell(plan, Decider::Script(BTreeMap::new()), None, &definition());
    let cloud = told.world.cloud();
    let outcome = cloud.executions.all.values().next().unwrap().end_state().to_owned();
    drop(cloud);
    (outcome, told.wrong.clone(), told.story())
}

#[test]
fn releases_in_fine_weather_end_as_documented() {
    for (change, image, expected) in [
        (Change::Nothing, Behaviour::Healthy, "Released"),
        (Change::Adds, Behaviour::Healthy, "Released"),
        (Change::Drops, Behaviour::Healthy, "SchemaRefused"),
        (Change::Adds, Behaviour::Crashes, "SchemaReverted"),
        (Change::Nothing, Behaviour::NeverAnswers, "ContainersFailed"),
    ] {
        let (outcome, wrong, story) = outcome(&Plan::simple(change, image));
        assert_eq!(outcome, expected, "{story}");
        assert!(wrong.is_empty(), "{wrong:?}\n{story}");
    }
}

#[test]
fn the_same_seed_tells_the_same_story() {
    let definition = definition();
    for seed in 5..7 {
        assert_eq!(story(seed, None, &definition).story(), story(seed, None, &definition).story());
    }
}

#[test]
fn a_story_is_told_again_with_its_turns_taken_back() {
    let definition = definition();
    let seed = 3;
    let told = story(seed, None, &definition);
    let muted: BTreeSet<_> = told.world.choices().unusual().into_iter().map(|turn| turn.key).collect();
    let calm = tell(&Plan::of_seed(seed), Decider::Seed { seed, muted: muted.clone() }, None, &definition);
    assert!(calm.world.choices().unusual().iter().all(|turn| !muted.contains(&turn.key)));
}

#[test]
fn seeds_break_no_promise() {
    let definition = definition();
    let (next, releases, released) = (AtomicU64::new(1), AtomicUsize::new(0), AtomicUsize::new(0));
    let entered = Mutex::new(BTreeSet::new());
    on_threads(cores(), || {
        while releases.load(Ordering::Relaxed) < RELEASES {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            let told = story(seed, None, &definition);
            assert!(told.wrong.is_empty(), "seed {seed}: {:#?}\n{}", told.wrong, told.story());
            releases.fetch_add(told.releases(), Ordering::Relaxed);
            let cloud = told.world.cloud();
            let well = cloud.executions.all.values().filter(|one| one.end_state() == "Released").count();
            released.fetch_add(well, Ordering::Relaxed);
            entered.lock().unwrap().extend(cloud.entered.iter().cloned());
        }
    });
    let released = released.into_inner();
    assert!(released > RELEASES / 4, "a world in which nothing goes well tells nothing: {released}");
    // Each state's payload was read by its function, and each of its ways out was at least near.
    let entered = entered.into_inner().unwrap();
    let never: Vec<_> = definition
        .names()
        .filter(|name| !entered.contains(*name) && !ELSEWHERE.contains(&name.as_str()))
        .collect();
    assert!(never.is_empty(), "the stories never came to {never:?}");
}
