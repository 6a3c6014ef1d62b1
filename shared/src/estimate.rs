//! When to look next at a migration whose end PlanetScale estimates.

use serde::{Deserialize, Serialize};

use crate::planetscale::{DeployRequest, Stage};
use crate::poll::{SHORTEST_WAIT, next_wait};
use crate::schema::Step;

/// The longest wait that an estimate leads to, in seconds.
pub const LONGEST_ESTIMATED_WAIT: u64 = 3_600;

/// What PlanetScale says about how long a migration still takes, and when it said so.
///
/// The API gives `eta_seconds` and `progress_percentage` of each table's change, both optional, and does not say how they
/// come about (PlanetScale's API reference, "Get a deployment"). So neither is taken at its word: see [`seconds_left`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The seconds that were waited until it was given.
    pub waited: u64,
    /// Seconds until the migration is done.
    pub seconds: Option<f64>,
    /// The part that is still to be done, in percent.
    pub percent: Option<f64>,
}

/// How much faster or slower than the clock an estimate may run and still be followed.
const MOST_WRONG: f64 = 4.0;
/// An estimate is believed for this many times as long as it was watched.
const FAR_AHEAD: f64 = 5.0;

/// Seconds until the migration is done, as far as two estimates agree on it.
///
/// What counts is how fast an estimate went down between the two looks, not what it says: one that says half or double
/// goes down at half or double the speed of the clock, and so tells when it comes to nothing all the same. One that does
/// not go down, or jumps, tells nothing. Of two the nearer end counts.
pub fn seconds_left(before: &Estimate, now: &Estimate) -> Option<f64> {
    let watched = now.waited.checked_sub(before.waited).filter(|seconds| *seconds > 0)? as f64;
    let left = |before: Option<f64>, now: Option<f64>, is_believed: fn(f64) -> bool| {
        let (before, now) = (before?, now?);
        let speed = (before - now) / watched;
        (now >= 0.0 && speed > 0.0 && speed.is_finite() && is_believed(speed)).then(|| now / speed)
    };
    let by_time = left(before.seconds, now.seconds, |speed| (1.0 / MOST_WRONG..=MOST_WRONG).contains(&speed));
    let by_part = left(before.percent, now.percent, |_| true);
    let seconds = [by_time, by_part].into_iter().flatten().reduce(f64::min)?;
    // What was watched for a short time says little about what is far.
    Some(seconds.min(FAR_AHEAD * watched))
}

/// Seconds until the next look at a migration after `waited` seconds.
///
/// It comes when the migration should be over: after a sixtieth of the time waited at the earliest, so that the end is
/// noticed within 2 %, and after an hour at the latest. Without two estimates that agree, it is [`next_wait`].
pub fn next_look(waited: u64, before: Option<&Estimate>, now: Option<&Estimate>) -> u64 {
    let Some(seconds) = before.zip(now).and_then(|(before, now)| seconds_left(before, now)) else {
        return next_wait(waited);
    };
    let earliest = (waited / 60).clamp(SHORTEST_WAIT, LONGEST_ESTIMATED_WAIT);
    // A float becomes an integer within the integer's bounds.
    (seconds.ceil() as u64).clamp(earliest, LONGEST_ESTIMATED_WAIT)
}

impl Estimate {
    /// What the running migration of `request` says after `waited` seconds: the table that takes longest, and the
    /// mean part of all.
    pub fn of(request: &DeployRequest, waited: u64) -> Option<Self> {
        if request.stage() != Stage::Running {
            return None;
        }
        let operations = request.operations();
        let done: Vec<f64> = operations.iter().filter_map(|each| each.progress_percentage).collect();
        Some(Self {
            waited,
            seconds: operations.iter().filter_map(|each| each.eta_seconds).reduce(f64::max),
            percent: (!done.is_empty()).then(|| 100.0 - done.iter().sum::<f64>() / done.len() as f64),
        })
    }
}

/// `step`, with its wait until the migration should be over, of at most `deadline` seconds in all.
pub fn until_it_should_be_over(
    step: Step,
    deadline: u64,
    before: Option<&Estimate>,
    now: Option<&Estimate>,
) -> Step {
    match (step, now) {
        (Step::Wait { because, .. }, Some(now)) => {
            let left = deadline.saturating_sub(now.waited);
            Step::Wait { seconds: next_look(now.waited, before, Some(now)).min(left), because }
        }
        (step, _) => step,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::planetscale::request;

    const HOUR: u64 = 3_600;
    const DAY: u64 = 86_400;

    /// What an estimate says when `left` seconds are left of a migration of `all`, at the `look`th look.
    type Says = fn(left: f64, all: f64, look: usize) -> (Option<f64>, Option<f64>);

    /// How many looks a migration of `all` seconds takes, and how many seconds after its end the last of them comes.
    fn follow(all: u64, says: Says) -> (u64, u64) {
        let (mut waited, mut before, mut looks) = (0, None, 1);
        while waited < all {
            let (seconds, percent) = says((all - waited) as f64, all as f64, looks as usize);
            let now = Estimate { waited, seconds, percent };
            waited += next_look(waited, before.as_ref(), Some(&now));
            before = Some(now);
            looks += 1;
        }
        (looks, waited - all)
    }

    const NOTHING: Says = |_, _, _| (None, None);
    const DURATIONS: [u64; 13] =
        [3, 17, 60, 61, 299, 300, 301, 1_799, HOUR, 9_999, 5 * HOUR, 3 * DAY + 1_234, 14 * DAY];

    #[test]
    fn the_end_of_a_migration_with_an_estimate_is_noticed_within_two_percent_or_five_seconds() {
        let whole: [(&str, Says); 3] = [
            ("seconds", |left, _, _| (Some(left.round()), None)),
            ("percent", |left, all, _| (None, Some(100.0 * left / all))),
            ("both", |left, all, _| (Some(left.floor()), Some((100.0 * left / all).ceil()))),
        ];
        for (what, says) in whole {
            for all in DURATIONS {
                let (_, late) = follow(all, says);
                assert!(late <= (all / 50).max(SHORTEST_WAIT), "{what}: {late} s after {all} s");
            }
        }
    }

    #[test]
    fn few_looks_are_enough() {
        let says: Says = |left, _, _| (Some(left.round()), None);
        for (all, most) in [(300, 7), (HOUR, 10), (14 * DAY, 350)] {
            let (looks, _) = follow(all, says);
            assert!(looks <= most, "{looks} looks in {all} s");
        }
    }

    #[test]
    fn an_estimate_that_lies_makes_nothing_worse() {
        let lies: [(&str, Says); 10] = [
            ("half", |left, _, _| (Some(left / 2.0), None)),
            ("double", |left, _, _| (Some(left * 2.0), None)),
            ("frozen low", |_, _, _| (Some(1.0), Some(1.0))),
            ("frozen high", |_, _, _| (Some(1e9), Some(100.0))),
            ("frozen at nothing", |_, _, _| (Some(0.0), Some(0.0))),
            ("missing", |left, _, look| ((look % 3 == 0).then_some(left), None)),
            ("jumping", |left, _, look| (Some(left * [1.0, 20.0, 0.05][look % 3]), None)),
            ("noisy", |left, _, look| (Some(left * [0.98, 1.0, 1.02, 1.01][look % 4]), None)),
            ("in minutes", |left, _, _| (Some((left / 60.0).ceil() * 60.0), None)),
            ("nonsense", |_, _, look| (Some([f64::NAN, -1.0, f64::INFINITY][look % 3]), Some(f64::NAN))),
        ];
        for (what, says) in lies {
            for all in DURATIONS {
                let ((looks, late), (usual_looks, usual_late)) = (follow(all, says), follow(all, NOTHING));
                let allowed = usual_late.max(all / 50).max(SHORTEST_WAIT);
                assert!(
                    late <= allowed,
                    "{what}: {late} s after {all} s, and {usual_late} s without an estimate"
                );
                assert!(
                    looks <= usual_looks + 1,
                    "{what}: {looks} looks in {all} s, and {usual_looks} without"
                );
            }
        }
    }

    #[test]
    fn no_estimate_leads_to_a_wait_that_never_ends() {
        let say = |waited, seconds| Estimate { waited, seconds: Some(seconds), percent: None };
        assert_eq!(next_look(100, Some(&say(90, 1e300)), Some(&say(100, 1e299))), 10, "not believed");
        assert_eq!(next_look(DAY, Some(&say(0, 2e6)), Some(&say(DAY, 1.9e6))), LONGEST_ESTIMATED_WAIT);
        assert_eq!(
            next_look(300, Some(&say(300, 20.0)), Some(&say(300, 10.0))),
            30,
            "nothing was waited between"
        );
        assert_eq!(next_look(10, Some(&say(300, 20.0)), Some(&say(10, 10.0))), 5, "of another wait");
    }

    #[test]
    fn a_running_migration_is_as_slow_as_its_slowest_table() {
        let operations = json!({"deploy_operations": [
            {"eta_seconds": 30, "progress_percentage": 80},
            {"eta_seconds": 90, "progress_percentage": 40},
            {"eta_seconds": null},
        ]});
        let estimate = Estimate { waited: 12, seconds: Some(90.0), percent: Some(40.0) };
        assert_eq!(Estimate::of(&request("in_progress", operations.clone()), 12), Some(estimate));
        assert_eq!(Estimate::of(&request("queued", operations), 12), None);
        let silent = Estimate { waited: 12, seconds: None, percent: None };
        assert_eq!(Estimate::of(&request("in_progress", json!({})), 12), Some(silent));
    }

    #[test]
    fn an_estimate_changes_only_a_wait_and_never_past_the_deadline() {
        let say = |waited, seconds| Estimate { waited, seconds: Some(seconds), percent: None };
        let (before, now) = (say(100, 300.0), say(200, 200.0));
        let wait = |seconds| Step::Wait { seconds, because: String::new() };
        let next = |deadline, before, now| until_it_should_be_over(wait(30), deadline, before, now);
        assert_eq!(next(DAY, Some(&before), Some(&now)), wait(200));
        assert_eq!(next(250, Some(&before), Some(&now)), wait(50));
        assert_eq!(next(DAY, None, None), wait(30), "no migration is running");
        assert_eq!(next(DAY, None, Some(&now)), wait(20), "the first look");
        let follow = Step::Follow { because: String::new() };
        assert_eq!(until_it_should_be_over(follow.clone(), DAY, Some(&before), Some(&now)), follow);
    }
}
