//! Whose turn it is in an environment.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::image::ImageDigest;
use crate::poll::{Patience, patience};
use crate::release::{Cause, Release};
use crate::text;

/// How long a call can go on whose execution was stopped, in seconds: a Task's `TimeoutSeconds`, which is above every
/// function's own time-out. The test `state_machine` holds it.
pub const LAST_CALL: u64 = 70;

/// The answer of `acquire-lock`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "turn", rename_all_fields = "camelCase")]
pub enum Turn {
    /// The environment is ours.
    Ours {
        /// What was found.
        because: String,
    },
    /// The environment is ours, but a function may still be at work for an execution that was stopped: wait that long
    /// and ask again before anything is touched.
    Settle {
        /// Seconds until nothing is at work any more.
        seconds: u64,
        /// Whose last call it may be.
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
    /// The release was stopped and redriven, and another release took the environment over in between.
    Lost {
        /// Who took it over.
        because: String,
    },
    /// The deadline for the lock passed.
    TimedOut {
        /// Who holds the lock.
        because: String,
    },
}

/// How the lock stands for an execution that asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tenure {
    /// Nobody holds it.
    Free,
    /// The execution holds it: it asks once more after a lost answer, after a wait, or because it was redriven.
    Own {
        /// Whether it took the lock without having waited for [`LAST_CALL`] since.
        unsettled: bool,
    },
    /// Another one holds it and runs.
    Running,
    /// Another one holds it and does not run any more.
    Ended,
}

/// What to do about the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// Take it, if nobody else did in the meantime.
    Take {
        /// Whether somebody's last call has to be waited for before anything is touched.
        unsettled: bool,
    },
    /// Leave it to its holder.
    Leave,
}

impl Tenure {
    /// What to do for an execution that `resumes` after it was stopped, or that has `settled`: waited for
    /// [`LAST_CALL`] since it was told to.
    ///
    /// A lock that its holder freed needs no wait. One that is taken from a holder without a say does, and its own
    /// too for a release that was stopped: its function may still be at work.
    pub fn claim(self, resumes: bool, settled: bool) -> Claim {
        match self {
            Self::Free => Claim::Take { unsettled: false },
            Self::Own { unsettled } => Claim::Take { unsettled: !settled && (unsettled || resumes) },
            Self::Ended => Claim::Take { unsettled: true },
            Self::Running => Claim::Leave,
        }
    }
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
    let (tag, mine) = (&release.image.moving_tag, &release.image.digest);
    match now {
        None => return Some(format!("The tag {tag} is gone from {}.", release.image.repository)),
        Some(digest) if digest != mine => {
            return Some(format!("The tag {tag} now points at {}, not at {}.", digest.short(), mine.short()));
        }
        Some(_) => {}
    }
    let last = last?;
    let covered =
        last.digest == *mine && last.started_at > release.pushed_at && release.cause != Cause::ByHand;
    covered.then(|| format!("This push was already released by {}.", last.execution))
}

/// What a redriven release finds that does not hold the lock any more; `holder` is the execution that does.
pub fn lost(holder: Option<&str>) -> Turn {
    let by = holder.map_or("Another release".into(), |holder| format!("The release {}", short(holder)));
    Turn::Lost { because: format!("{by} took the environment over while this one was stopped.") }
}

/// The lock is held, and `whose` last call may still be at work.
pub fn settle(whose: &str) -> Turn {
    let because = format!("The last call of {} may still be at work.", short(whose));
    Turn::Settle { seconds: LAST_CALL, because }
}

/// What to do while the running execution `holder` has the lock.
pub fn wait_for(holder: &str, waited: u64, deadline: u64) -> Turn {
    let because = format!("The release {} holds the environment.", short(holder));
    match patience(waited, deadline) {
        Patience::Wait(seconds) => Turn::Wait { seconds, because },
        Patience::Exhausted => {
            let passed = text::deadline_passed("the lock of the environment", deadline);
            Turn::TimedOut { because: format!("{passed} {because}") }
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
    use crate::testing::{digest, release};

    #[test]
    fn a_release_steps_aside_when_its_tag_moved_on_or_is_gone() {
        let mine = release();
        assert_eq!(superseded(&mine, Some(&mine.image.digest), None), None);
        assert!(superseded(&mine, Some(&digest('f')), None).unwrap().contains("now points at ffffffffffff"));
        assert!(superseded(&mine, None, None).unwrap().contains("is gone"));
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

    #[test]
    fn a_lock_that_was_not_freed_is_held_at_once_and_settled_first() {
        use Claim::{Leave, Take};
        let (own, marked) = (Tenure::Own { unsettled: false }, Tenure::Own { unsettled: true });
        let (settled, unsettled) = (Take { unsettled: false }, Take { unsettled: true });
        for (tenure, resumes, has_settled, expected, why) in [
            (Tenure::Free, false, false, settled, "its holder freed it"),
            (Tenure::Free, false, true, settled, "another one took it over and freed it"),
            (Tenure::Ended, false, false, unsettled, "a takeover"),
            (Tenure::Ended, false, true, unsettled, "a takeover from the one that took it over meanwhile"),
            (Tenure::Running, false, false, Leave, "another one works"),
            (Tenure::Running, false, true, Leave, "another one took it over meanwhile"),
            (own, false, false, settled, "the answer that it was free was lost"),
            (marked, false, false, unsettled, "the answer of a takeover was lost"),
            (marked, false, true, settled, "a takeover, after the wait"),
            (own, false, true, settled, "the answer after the wait was lost"),
            (own, true, false, unsettled, "redriven"),
            (marked, true, false, unsettled, "redriven, and the answer was lost"),
            (marked, true, true, settled, "redriven, after the wait"),
            (own, true, true, settled, "redriven, and the answer after the wait was lost"),
        ] {
            assert_eq!(tenure.claim(resumes, has_settled), expected, "{why}");
        }
    }

    #[test]
    fn what_is_waited_for_before_the_first_touch_is_told() {
        let holder = "arn:aws:states:us-east-1:1:execution:app-prod-release:prod-1";
        assert!(
            matches!(settle(holder), Turn::Settle { seconds: LAST_CALL, because } if because.contains("prod-1 "))
        );
    }

    #[test]
    fn waiting_for_a_running_holder_ends_at_the_deadline_only() {
        let holder = "arn:aws:states:us-east-1:1:execution:app-prod-release:prod-1";
        assert!(
            matches!(wait_for(holder, 0, 100), Turn::Wait { seconds: 5, because } if because.contains("prod-1 "))
        );
        assert!(matches!(wait_for(holder, 100, 100), Turn::TimedOut { .. }));
    }

    #[test]
    fn a_redriven_release_is_told_who_took_the_environment_over() {
        let because = |holder| match lost(holder) {
            Turn::Lost { because } => because,
            other => panic!("{other:?}"),
        };
        assert!(
            because(Some("arn:aws:states:us-east-1:1:execution:app:prod-2"))
                .contains("The release prod-2 took")
        );
        assert!(because(None).starts_with("Another release took"));
    }
}
