//! The hold: an environment that keeps what is pushed back, until a person says otherwise.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize;
use serde_json::Value;

use crate::mask::mask_credentials;
use crate::release::Cause;
use crate::text;

/// The longest reason that is kept.
const LONGEST_REASON: usize = 500;

/// Why nothing new is released into the environment, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Why, in the words of who set it.
    pub why: String,
    /// When it was set; with the image it says what was told already.
    pub since: DateTime<Utc>,
    /// When it ends by itself; none when only a person ends it.
    pub until: Option<DateTime<Utc>>,
}

impl Hold {
    /// Whether it holds `now`.
    pub fn is_on(&self, now: DateTime<Utc>) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// The hold as a sentence.
    pub fn sentence(&self) -> String {
        let time = |time: &DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
        let until = self.until.as_ref().map_or(String::new(), |until| format!(" until {}", time(until)));
        format!("The environment is held since {}{until}: {}", time(&self.since), self.why)
    }
}

/// Why a release with this cause is kept back `now`, if it is: pushes and looks are. What a
/// person asks for is not, nor is going back further.
pub fn kept_back(hold: Option<&Hold>, cause: Cause, now: DateTime<Utc>) -> Option<String> {
    let hold = hold.filter(|hold| hold.is_on(now))?;
    match cause {
        Cause::Push | Cause::ScheduledLook => Some(hold.sentence()),
        Cause::ByHand | Cause::Rollback => None,
    }
}

/// What a person asks for with `{"hold": …}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// To hold the environment, for this reason, until then.
    Set(String, Option<DateTime<Utc>>),
    /// To hold it no more.
    Clear,
}

/// The payload; an absent `hold` is another one's.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    hold: Option<String>,
    until: Option<DateTime<Utc>>,
}

/// Reads `{"hold": "why", "until": "…"}` and `{"hold": null}`.
///
/// # Errors
/// What is wrong with it.
pub fn asked(payload: Value) -> Result<Asked, String> {
    let Payload { hold, until } = serde_json::from_value(payload).map_err(|error| error.to_string())?;
    match (hold, until) {
        (None, None) => Ok(Asked::Clear),
        (None, Some(_)) => Err("a hold that is cleared has no `until`".into()),
        (Some(why), _) if why.trim().is_empty() => Err("a hold says why".into()),
        (Some(why), until) => {
            Ok(Asked::Set(text::shorten(&mask_credentials(why.trim()), LONGEST_REASON), until))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    #[test]
    fn a_hold_keeps_pushes_and_looks_back_until_it_ends_and_nobody_who_asks() {
        let hold = |until: Option<i64>| Hold { why: "Sale.".into(), since: at(0), until: until.map(at) };
        for (hold, cause, now, kept, why) in [
            (None, Cause::Push, 5, false, "nobody holds it"),
            (Some(hold(None)), Cause::Push, 5, true, "without an end"),
            (Some(hold(None)), Cause::ScheduledLook, 5, true, "a look"),
            (Some(hold(None)), Cause::ByHand, 5, false, "a person asks for it"),
            (Some(hold(None)), Cause::Rollback, 5, false, "it goes back"),
            (Some(hold(Some(6))), Cause::Push, 5, true, "before its end"),
            (Some(hold(Some(6))), Cause::Push, 6, false, "at its end"),
            (Some(hold(Some(0))), Cause::Push, 0, false, "cleared when it was set"),
        ] {
            let told = kept_back(hold.as_ref(), cause, at(now));
            assert_eq!(told.is_some(), kept, "{why}");
            assert!(told.is_none_or(|told| told.contains("1970-01-01T00:00:00Z") && told.ends_with("Sale.")));
        }
    }

    #[test]
    fn a_hold_is_asked_for_with_a_reason_and_cleared_without_one() {
        let until = "1970-01-01T00:00:07Z";
        for (payload, expected) in [
            (json!({"hold": "Sale."}), Ok(Asked::Set("Sale.".into(), None))),
            (json!({"hold": " Sale. ", "until": until}), Ok(Asked::Set("Sale.".into(), Some(at(7))))),
            (json!({"hold": null}), Ok(Asked::Clear)),
            (json!({"hold": null, "until": null}), Ok(Asked::Clear)),
            (json!({"hold": null, "until": until}), Err("no `until`")),
            (json!({"hold": " "}), Err("says why")),
            (json!({"hold": "Sale.", "until": "tomorrow"}), Err("invalid")),
            (json!({"hold": "Sale.", "til": until}), Err("unknown field")),
            (json!({"hold": true}), Err("invalid type")),
        ] {
            match (asked(payload.clone()), expected) {
                (Ok(asked), Ok(expected)) => assert_eq!(asked, expected, "{payload}"),
                (Err(told), Err(expected)) => assert!(told.contains(expected), "{payload}: {told}"),
                (other, _) => panic!("{payload}: {other:?}"),
            }
        }
        let Ok(Asked::Set(why, _)) = asked(json!({"hold": "é".repeat(2_000)})) else { panic!("not set") };
        assert!(why.chars().count() <= LONGEST_REASON + 1, "{}", why.len());
    }
}
