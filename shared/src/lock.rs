//! Whose turn it is in an environment.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::image::ImageDigest;
use crate::poll::{Patience, patience};
use crate::release::{Cause, Release};
use crate::text;

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
