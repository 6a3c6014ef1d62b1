//! The golden runs are what the releases do.

use std::collections::BTreeSet;
use std::fs;

use shared::Outcome;
use simulation::golden::{path, runs};
use simulation::walk::definition;

#[test]
fn every_outcome_has_a_golden_run() {
    let has: BTreeSet<_> = runs().iter().map(|run| run.outcome.to_string()).collect();
    let without: Vec<_> = Outcome::ALL.iter().filter(|outcome| !has.contains(&outcome.to_string())).collect();
    assert!(without.is_empty(), "add a plan to simulation::golden::runs, and run make golden: {without:?}");
}

#[test]
fn every_golden_run_is_what_the_release_does() {
    let definition = definition();
    for run in runs() {
        let text = run.text(&definition);
        let path = path(run.outcome);
        let golden = fs::read_to_string(&path).unwrap_or_default();
        let differs = golden.lines().zip(text.lines()).find(|(before, now)| before != now);
        assert!(
            golden == text,
            "{}: look at the difference, which make golden writes; it begins at {differs:?}",
            path.display()
        );
    }
}
