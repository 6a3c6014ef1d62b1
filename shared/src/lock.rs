//! Whose turn it is in an environment.

use std::cmp::Ordering;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::image::ImageDigest;
use crate::poll::{Patience, patience};
use crate::release::{Release, console_url};
use crate::start::HolderState;
use crate::{Error, text};

/// The answer of `acquire-lock`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "turn", rename_all_fields = "camelCase")]
pub enum Turn {
    /// The environment is ours.
    Ours {
        /// What was found.
        because: String,
    },
    /// Another release works on the environment.
    Wait {
        /// Seconds until the next look.
        seconds: u64,
        /// Who holds the lock.
        because: String,
    },
    /// A newer push owns the environment, or this push was released already.
    Superseded {
        /// What was found.
        because: String,
    },
    /// The environment is held, and this release is none that a person asked for.
    Held {
        /// Why, and until when.
        because: String,
    },
    /// The deadline for the lock passed.
    TimedOut {
        /// Who holds the lock.
        because: String,
    },
}

/// The release that holds the environment's lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its execution's ARN.
    pub execution: String,
    /// How often that execution was redriven when it took the lock.
    pub redrives: u64,
    /// The image it releases.
    pub digest: ImageDigest,
    /// When it took the lock.
    pub taken_at: DateTime<Utc>,
    /// From when it may change anything: before that a call of a stopped execution may still be at work.
    pub usable_from: DateTime<Utc>,
}

/// How the lock stands for a call that an execution makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stand<'a> {
    /// Nobody holds it.
    Free,
    /// The execution holds it and may change something.
    Usable,
    /// The execution holds it, and has to wait until then before it changes anything.
    Settling(DateTime<Utc>),
    /// The execution took it before it was redriven: a call that it made then may still be at work.
    Earlier,
    /// The execution took it anew after a redrive that this call does not know of: this call is the late one.
    Later,
    /// Another execution holds it.
    Other(&'a Holder),
}

/// How the lock stands `now` for a call of `execution`, made when that had been redriven `redrives` times.
pub fn stand<'a>(found: Option<&'a Holder>, execution: &str, redrives: u64, now: DateTime<Utc>) -> Stand<'a> {
    match found {
        None => Stand::Free,
        Some(holder) if holder.execution != execution => Stand::Other(holder),
        Some(holder) => match holder.redrives.cmp(&redrives) {
            Ordering::Less => Stand::Earlier,
            Ordering::Greater => Stand::Later,
            Ordering::Equal if holder.usable_from <= now => Stand::Usable,
            Ordering::Equal => Stand::Settling(holder.usable_from),
        },
    }
}

/// How long an execution that Step Functions does not know counts as running. What it shows is behind by seconds, and it
/// forgets an ended execution after 90 days (its API reference, `DescribeExecution`; its quotas).
const UNKNOWN_FOR: TimeDelta = TimeDelta::hours(1);

/// What became of the holder of a lock `taken_at` then, whose execution Step Functions does not know `now`.
pub fn unknown_holder(taken_at: DateTime<Utc>, now: DateTime<Utc>) -> HolderState {
    if now - taken_at < UNKNOWN_FOR { HolderState::Running } else { HolderState::Ended }
}

/// The lock is the execution's, but not to be used before `until`.
pub fn not_usable_yet(until: DateTime<Utc>) -> Error {
    Error::LockNotUsableYet(format!(
        "The lock is this release's. A call of a stopped execution may still be at work, until {}.",
        until.to_rfc3339_opts(SecondsFormat::Secs, true)
    ))
}

/// The call was made before the execution was redriven and took the lock anew.
pub fn stale() -> Error {
    Error::StaleCall("This call was made before its execution was redriven, and comes too late.".into())
}

/// The lock is not the execution's any more; `holder` is the execution whose it is.
pub fn lost(holder: Option<&Holder>) -> Error {
    let by =
        holder.map_or("another release".into(), |holder| format!("the release {}", short(&holder.execution)));
    Error::LockLost(format!(
        "This release lost its lock: {by} took the environment over while this one was stopped."
    ))
}

/// The last release that worked on the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastRelease {
    /// Its image.
    pub digest: ImageDigest,
    /// Its execution's name.
    pub execution: String,
    /// When its execution started.
    pub started_at: DateTime<Utc>,
}

/// Why `release` has nothing to do, if so: the moving tag points elsewhere, or a later release did its work.
///
/// `now` is what the moving tag points at; none when the tag is gone.
pub fn superseded(
    release: &Release,
    now: Option<&ImageDigest>,
    last: Option<&LastRelease>,
) -> Option<String> {
    let (tag, mine) = (&release.image.moving_tag, release.expected_tag());
    match now {
        None => {
            let repository = &release.image.repository;
            return Some(format!(
                "The tag {tag} is gone from {repository}: push an image with it to release."
            ));
        }
        Some(digest) if digest != mine => {
            return Some(format!("The tag {tag} now points at {}, not at {}.", digest.short(), mine.short()));
        }
        Some(_) => {}
    }
    let last = last?;
    let covered =
        last.digest == release.image.digest && last.started_at > release.pushed_at && !release.is_asked_for();
    covered.then(|| format!("This push was already released by {}.", last.execution))
}

/// What to do while the running execution `holder` has the lock.
pub fn wait_for(holder: &str, waited: u64, deadline: u64) -> Turn {
    let because = format!("The release {} holds the environment.", short(holder));
    match patience(waited, deadline) {
        Patience::Wait(seconds) => Turn::Wait { seconds, because },
        Patience::Exhausted => {
            let passed = text::deadline_passed("the lock of the environment", deadline);
            Turn::TimedOut { because: format!("{passed} {because} Its page: {}", console_url(holder)) }
        }
    }
}

/// The execution's name in its ARN.
fn short(execution: &str) -> &str {
    execution.rsplit(':').next().unwrap_or(execution)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::{Cause, Rollback};
    use crate::testing::{digest, release};

    #[test]
    fn a_release_steps_aside_when_its_tag_moved_on_or_is_gone() {
        let mine = release();
        assert_eq!(superseded(&mine, Some(&mine.image.digest), None), None);
        assert!(superseded(&mine, Some(&digest('f')), None).unwrap().contains("now points at ffffffffffff"));
        assert!(superseded(&mine, None, None).unwrap().contains("is gone"));
    }

    #[test]
    fn a_rollback_that_a_person_asked_for_is_overtaken_when_the_tag_leaves_what_it_pointed_at() {
        let rollback = Some(Rollback { insist: false, tag_points_at: digest('b') });
        let back = Release { cause: Cause::Rollback, rollback, ..release() };
        assert_eq!(superseded(&back, Some(&digest('b')), None), None, "nobody moved it");
        assert!(superseded(&back, Some(&digest('c')), None).unwrap().contains("now points at cccccccccccc"));
        let last = LastRelease {
            digest: digest('a'),
            execution: "prod-2".into(),
            started_at: back.pushed_at + chrono::TimeDelta::seconds(9),
        };
        assert_eq!(superseded(&back, Some(&digest('b')), Some(&last)), None, "a person asked for it");
        let moved = Some(Rollback { insist: false, tag_points_at: digest('a') });
        let event = Release { rollback: moved, ..back };
        assert!(
            superseded(&event, Some(&digest('a')), Some(&last)).is_some(),
            "an event of what was done since"
        );
    }

    #[test]
    fn a_push_that_a_later_release_already_covered_is_not_released_again() {
        let mine = release();
        let last = |fill, seconds| LastRelease {
            digest: digest(fill),
            execution: "prod-look".into(),
            started_at: mine.pushed_at + chrono::TimeDelta::seconds(seconds),
        };
        let now = Some(&mine.image.digest);
        assert!(superseded(&mine, now, Some(&last('a', 60))).unwrap().contains("prod-look"));
        assert_eq!(
            superseded(&mine, now, Some(&last('a', -60))),
            None,
            "an earlier release of the same image"
        );
        assert_eq!(superseded(&mine, now, Some(&last('b', 60))), None, "a release of another image");
        let by_hand = Release { cause: Cause::ByHand, ..release() };
        assert_eq!(superseded(&by_hand, now, Some(&last('a', 60))), None, "a person asked for it");
    }

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    fn holder(execution: &str, redrives: u64, usable_from: i64) -> Holder {
        Holder {
            execution: execution.into(),
            redrives,
            digest: digest('a'),
            taken_at: at(0),
            usable_from: at(usable_from),
        }
    }

    #[test]
    fn the_lock_stands_for_a_call_by_its_execution_its_life_and_the_time() {
        let other = holder("other", 0, 0);
        for (found, redrives, now, expected, why) in [
            (None, 0, 0, Stand::Free, "nobody holds it"),
            (None, 3, 0, Stand::Free, "it was freed"),
            (Some(&other), 0, 99, Stand::Other(&other), "another release works"),
            (Some(&other), 1, 99, Stand::Other(&other), "another release took it over from a stopped one"),
            (Some(&holder("me", 0, 0)), 0, 0, Stand::Usable, "it was free"),
            (Some(&holder("me", 0, 70)), 0, 69, Stand::Settling(at(70)), "taken over a moment ago"),
            (Some(&holder("me", 0, 70)), 0, 70, Stand::Usable, "taken over, and the last call is over"),
            (Some(&holder("me", 0, 0)), 1, 99, Stand::Earlier, "redriven"),
            (Some(&holder("me", 1, 70)), 3, 99, Stand::Earlier, "redriven twice"),
            (Some(&holder("me", 1, 70)), 0, 99, Stand::Later, "a dead call, the lock in use"),
            (Some(&holder("me", 1, 70)), 0, 1, Stand::Later, "a dead call, the lock not to be used yet"),
        ] {
            assert_eq!(stand(found, "me", redrives, at(now)), expected, "{why}");
        }
    }

    #[test]
    fn an_execution_that_is_not_known_counts_as_running_for_an_hour() {
        for (age, expected) in [
            (0, HolderState::Running),
            (10, HolderState::Running),
            (3_599, HolderState::Running),
            (3_600, HolderState::Ended),
        ] {
            assert_eq!(unknown_holder(at(0), at(age)), expected, "after {age} s");
        }
    }

    #[test]
    fn what_the_lock_refuses_is_told() {
        assert!(not_usable_yet(at(70)).to_string().ends_with("until 1970-01-01T00:01:10Z."));
        let by = holder("arn:aws:states:us-east-1:1:execution:app-prod-release:prod-2", 0, 0);
        assert!(lost(Some(&by)).to_string().contains("the release prod-2 took the environment over"));
        assert!(lost(None).to_string().contains("another release took the environment over"));
        assert_eq!(
            [lost(None).name(), stale().name(), not_usable_yet(at(0)).name()],
            ["LockLost", "StaleCall", "LockNotUsableYet"]
        );
    }

    #[test]
    fn waiting_for_a_running_holder_ends_at_the_deadline_only() {
        let holder = "arn:aws:states:us-east-1:1:execution:app-prod-release:prod-1";
        assert!(
            matches!(wait_for(holder, 0, 100), Turn::Wait { seconds: 5, because } if because.contains("prod-1 "))
        );
        assert!(matches!(
            wait_for(holder, 100, 100),
            Turn::TimedOut { because } if because.contains("The release prod-1 holds") && because.ends_with(holder)
        ));
    }
}
