//! What starts a release, and what it is called.

use aws_lambda_events::eventbridge::EventBridgeEvent;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use crate::Error;
use crate::hold;
use crate::image::{ImageDigest, ImageTag};
use crate::lock::LastRelease;
use crate::release::Cause;
use crate::rollback;
use crate::text;

/// What an invocation of `start-release` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Release the digest that was pushed at this time.
    Release(ImageDigest, DateTime<Utc>),
    /// Look whether the moving tag points at an image that was not released.
    Look(DateTime<Utc>),
    /// Release what the moving tag points at, because a person asks for it.
    ByHand,
    /// Go back to an older image, because a person asks for it.
    Rollback(rollback::Asked),
    /// Hold the environment, or hold it no more.
    Hold(hold::Asked),
    /// Nothing to do; the reason says why.
    Ignore(String),
}

/// The `detail` of an `ECR Image Action` event.
///
/// Source: the ECR user guide's event reference. `aws_lambda_events` has no type for it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct ImageAction {
    action_type: String,
    result: String,
    repository_name: String,
    image_digest: String,
    /// Empty for the child manifests of an index.
    #[serde(default)]
    image_tag: String,
}

/// Reads the payload of an invocation: an ECR event, a scheduled event, `{}` by hand, a rollback, or a hold.
///
/// # Errors
/// [`Error::Misconfigured`] when the payload is none of them.
pub fn request(payload: Value, repository: &str, moving_tag: &ImageTag) -> Result<Request, Error> {
    if payload.as_object().is_some_and(|object| object.is_empty()) {
        return Ok(Request::ByHand);
    }
    if payload.get("rollback").is_some() {
        return rollback::asked(payload).map(Request::Rollback).map_err(malformed);
    }
    if payload.get("hold").is_some() {
        return hold::asked(payload).map(Request::Hold).map_err(malformed);
    }
    let event: EventBridgeEvent = serde_json::from_value(payload).map_err(malformed)?;
    let time = event.time.ok_or_else(|| malformed("it has no time"))?;
    match (event.source.as_str(), event.detail_type.as_str()) {
        ("aws.events" | "aws.scheduler", "Scheduled Event") => Ok(Request::Look(time)),
        ("aws.ecr", "ECR Image Action") => {
            let action: ImageAction = serde_json::from_value(event.detail).map_err(malformed)?;
            pushed(&action, time, repository, moving_tag)
        }
        (source, detail_type) => Err(Error::Misconfigured(format!(
            "The event {:?} from {:?} starts no release. {}",
            text::shorten(detail_type, 200),
            text::shorten(source, 200),
            what_it_takes()
        ))),
    }
}

fn pushed(
    action: &ImageAction,
    at: DateTime<Utc>,
    repository: &str,
    moving_tag: &ImageTag,
) -> Result<Request, Error> {
    let ignore = |reason: String| Ok(Request::Ignore(text::shorten(&reason, 500)));
    if action.repository_name != repository {
        return ignore(format!(
            "The event is about the repository {:?}, not {repository}.",
            action.repository_name
        ));
    }
    if action.action_type != "PUSH" {
        return ignore(format!("The event's action is {:?}, not PUSH.", action.action_type));
    }
    if action.result != "SUCCESS" {
        return ignore(format!("The push ended as {:?}, not SUCCESS.", action.result));
    }
    if action.image_tag != moving_tag.as_str() {
        return ignore(format!("The push moved the tag {:?}, not {moving_tag}.", action.image_tag));
    }
    let digest = action.image_digest.parse().map_err(malformed)?;
    Ok(Request::Release(digest, at))
}

fn malformed(error: impl std::fmt::Display) -> Error {
    let error = text::shorten(&error.to_string(), 500);
    Error::Misconfigured(format!(
        "The payload is not an event that starts a release: {error}. {}",
        what_it_takes()
    ))
}

/// What a person can ask for: the payload, and what it does.
const REQUESTS: [(&str, &str); 6] = [
    ("{}", "to release by hand what the moving tag points at"),
    (r#"{"rollback":"previous"}"#, "to go back to the image that was released before"),
    (r#"{"rollback":"insist"}"#, "to go back whatever is in the way"),
    (r#"{"hold":"The sale."}"#, "to hold the environment for this reason"),
    (r#"{"hold":"The sale.","until":"2026-11-30T08:00:00Z"}"#, "to hold it until then"),
    (r#"{"hold":null}"#, "to hold it no more"),
];

/// Every request that `start-release` takes, with an example of each that a person makes.
fn what_it_takes() -> String {
    let asked: Vec<_> = REQUESTS.iter().map(|(payload, what)| format!("{payload} {what}")).collect();
    format!("Send {}. EventBridge sends an ECR Image Action event or a scheduled event.", asked.join(", or "))
}

/// The longest execution name that Step Functions takes, in characters.
const LONGEST_NAME: usize = 80;

/// The execution's name: moving tag, short digest, time, and what started it unless it was a push. A rollback that a push
/// started is named as any push, because the same event may come when its image was not Released yet, and again when it was.
///
/// It is a pure function of the event, so that an event that is delivered twice starts one release. Step Functions
/// takes 80 characters; with logging only letters, digits, `-` and `_`.
pub fn execution_name(tag: &ImageTag, digest: &ImageDigest, at: DateTime<Utc>, cause: Cause) -> String {
    let suffix = match cause {
        Cause::Push => "",
        Cause::ScheduledLook => "-look",
        Cause::ByHand => "-by-hand",
        Cause::Rollback => "-rollback",
    };
    let rest = format!("-{}-{}{suffix}", digest.short(), at.format("%Y%m%dT%H%M%SZ"));
    let tag: String = tag
        .as_str()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' })
        .take(LONGEST_NAME - rest.len())
        .collect();
    tag + &rest
}

/// What the moving tag pointed at when the environment was installed, or when a release was last started.
///
/// A look starts nothing that was seen: an install releases nothing, and what failed or was stopped is not tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The image.
    pub digest: ImageDigest,
    /// When it was pushed, or when somebody looked.
    pub at: DateTime<Utc>,
}

/// Why an image counts as seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// The environment was installed.
    Installed,
    /// Its release was started.
    Started,
}

/// What the environment's records say when the scheduled look is made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// What was seen last.
    pub seen: Option<Seen>,
    /// The last recorded release.
    pub last: Option<LastRelease>,
    /// The digest and the state of the release that holds the lock, if one does.
    pub holder: Option<(ImageDigest, HolderState)>,
    /// Why the image is kept back, if the environment is held and people were told so of this image.
    pub kept_back: Option<String>,
    /// The names of the executions that run or wait now.
    pub running: Vec<String>,
}

/// What became of the execution that holds a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HolderState {
    /// It runs.
    Running,
    /// A person stopped it.
    Stopped,
    /// It ended, or is not known any more.
    Ended,
}

/// Whether the scheduled look starts a release of `digest`; if not, why.
///
/// # Errors
/// The reason why nothing is started.
pub fn is_lost(tag: &ImageTag, digest: &ImageDigest, known: &Known) -> Result<(), String> {
    if let Some(because) = &known.kept_back {
        return Err(format!("The image {} is kept back, as was told. {because}", digest.short()));
    }
    let seen = known.seen.as_ref();
    if seen.is_some_and(|seen| seen.digest == *digest) {
        return Err(format!(
            "The tag {tag} points at {}, which was seen before. Release it with the command in the stack's output ReleaseByHand.",
            digest.short()
        ));
    }
    // A tag that was moved back points at the last release too, and something else was seen since.
    let is_current = |last: &LastRelease| seen.is_none_or(|seen| last.started_at >= seen.at);
    if known.last.as_ref().is_some_and(|last| last.digest == *digest && is_current(last)) {
        return Err(format!("The tag {tag} points at {}, which is the last release.", digest.short()));
    }
    if let Some(name) = known.running.iter().find(|name| name.contains(digest.short())) {
        return Err(format!("The release {name} of {} is running.", digest.short()));
    }
    match &known.holder {
        Some((held, HolderState::Running)) if held == digest => {
            Err(format!("A release of {} is running.", digest.short()))
        }
        Some((held, HolderState::Stopped)) if held == digest => Err(format!(
            "A person stopped the release of {}. Release it with the command in the stack's output ReleaseByHand.",
            digest.short()
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use serde_json::json;

    use super::*;

    fn digest(fill: char) -> ImageDigest {
        format!("sha256:{}", fill.to_string().repeat(64)).parse().unwrap()
    }

    fn at() -> DateTime<Utc> {
        "2026-11-23T03:46:53Z".parse().unwrap()
    }

    fn tag(text: &str) -> ImageTag {
        text.parse().unwrap()
    }

    fn push() -> Value {
        json!({"version": "0", "id": "x", "detail-type": "ECR Image Action", "source": "aws.ecr", "account": "1",
            "time": "2026-11-23T03:46:53Z", "region": "us-east-1", "resources": [],
            "detail": {"result": "SUCCESS", "repository-name": "bookings-api", "image-digest": digest('a'),
                "action-type": "PUSH", "image-tag": "prod"}})
    }

    #[test]
    fn a_push_of_the_moving_tag_asks_for_a_release() {
        let asked = request(push(), "bookings-api", &tag("prod"));
        assert_eq!(asked, Ok(Request::Release(digest('a'), at())));
    }

    #[test]
    fn other_actions_tags_and_repositories_are_ignored_with_a_reason() {
        for (field, value, reason) in [
            ("action-type", "DELETE", "not PUSH"),
            ("action-type", "UPDATE_STORAGE_CLASS", "not PUSH"),
            ("result", "FAILURE", "not SUCCESS"),
            ("image-tag", "", "not prod"),
            ("image-tag", "qa", "not prod"),
            ("repository-name", "other", "not bookings-api"),
        ] {
            let mut event = push();
            event["detail"][field] = value.into();
            match request(event, "bookings-api", &tag("prod")) {
                Ok(Request::Ignore(why)) => assert!(why.contains(reason), "{why}"),
                other => panic!("{field}={value}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_schedule_asks_for_a_look_and_an_empty_object_for_a_release_by_hand() {
        let schedule = json!({"source": "aws.events", "detail-type": "Scheduled Event", "time": "2026-11-23T03:46:53Z",
            "detail": {}});
        assert_eq!(request(schedule, "bookings-api", &tag("prod")), Ok(Request::Look(at())));
        assert_eq!(request(json!({}), "bookings-api", &tag("prod")), Ok(Request::ByHand));
        let clear = request(json!({"hold": null}), "bookings-api", &tag("prod"));
        assert_eq!(clear, Ok(Request::Hold(hold::Asked::Clear)));
    }

    #[test]
    fn a_malformed_event_is_refused_with_what_to_send() {
        let mut without_digest = push();
        without_digest["detail"].as_object_mut().unwrap().remove("image-digest");
        let mut bad_digest = push();
        bad_digest["detail"]["image-digest"] = "latest".into();
        let mut bad_time = push();
        bad_time["time"] = "yesterday".into();
        let mut foreign = push();
        foreign["source"] = "aws.s3".into();
        for payload in [
            without_digest,
            bad_digest,
            bad_time,
            foreign,
            json!([]),
            json!("x"),
            json!({"tag": "prod"}),
            json!({"hold": 1}),
            json!({"rollback": "x"}),
        ] {
            let error = request(payload.clone(), "bookings-api", &tag("prod")).unwrap_err();
            assert_eq!(error.name(), "Misconfigured", "{payload}");
            assert!(error.to_string().contains("to release by hand"), "{error}");
        }
    }

    #[test]
    fn what_a_person_can_ask_for_is_told_with_examples_that_are_understood() {
        let told = request(json!({"help": true}), "bookings-api", &tag("prod")).unwrap_err().to_string();
        let mut people = Vec::new();
        for (payload, what) in REQUESTS {
            assert!(told.contains(&format!("{payload} {what}")), "{told}");
            let asked =
                request(serde_json::from_str(payload).unwrap(), "bookings-api", &tag("prod")).unwrap();
            // A request that a person makes has its example; a new kind of request has to be decided here.
            people.push(match asked {
                Request::ByHand => "release",
                Request::Rollback(rollback::Asked::Previous) => "previous",
                Request::Rollback(rollback::Asked::Insist) => "insist",
                Request::Hold(hold::Asked::Set(_, None)) => "hold",
                Request::Hold(hold::Asked::Set(_, Some(_))) => "hold until",
                Request::Hold(hold::Asked::Clear) => "clear",
                Request::Release(..) | Request::Look(_) | Request::Ignore(_) => panic!("{payload}"),
            });
        }
        assert_eq!(people, ["release", "previous", "insist", "hold", "hold until", "clear"]);
        let long = request(json!({"help": "x".repeat(100_000)}), "r", &tag("prod")).unwrap_err();
        assert!(long.to_string().len() < 2_000);
    }

    #[test]
    fn a_name_reads_well_and_fits_step_functions_whatever_the_tag() {
        let name = execution_name(&tag("prod"), &digest('a'), at(), Cause::Push);
        assert_eq!(name, "prod-aaaaaaaaaaaa-20261123T034653Z");
        let by_hand = execution_name(&tag("v1.2"), &digest('b'), at(), Cause::ByHand);
        assert_eq!(by_hand, "v1-2-bbbbbbbbbbbb-20261123T034653Z-by-hand");
        for cause in [Cause::Push, Cause::ScheduledLook, Cause::ByHand, Cause::Rollback] {
            let name = execution_name(&tag(&"x.".repeat(64)), &digest('c'), at(), cause);
            assert!(name.len() <= LONGEST_NAME && name.contains("cccccccccccc-20261123T034653Z"), "{name}");
            assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)), "{name}");
        }
    }

    #[test]
    fn what_failed_or_was_stopped_stays_so_and_a_tag_that_was_moved_back_is_found() {
        let (a, b) = (digest('a'), digest('b'));
        let seen = |digest: &ImageDigest, second: i64| {
            Some(Seen { digest: digest.clone(), at: at() + TimeDelta::seconds(second) })
        };
        let last = |digest: &ImageDigest, second: i64| {
            Some(LastRelease {
                digest: digest.clone(),
                execution: "prod-1".into(),
                started_at: at() + TimeDelta::seconds(second),
            })
        };
        let held = |digest: &ImageDigest, state| Some((digest.clone(), state));
        for (now, known, lost, why) in [
            (
                &a,
                Known { seen: seen(&a, 10), last: last(&b, 0), ..Known::default() },
                false,
                "stopped while it waited for its turn, before it held the lock",
            ),
            (
                &a,
                Known {
                    seen: seen(&a, 10),
                    last: last(&b, 0),
                    holder: held(&b, HolderState::Running),
                    ..Known::default()
                },
                false,
                "the same, and the release before it is still at work",
            ),
            (
                &a,
                Known {
                    seen: seen(&a, 10),
                    last: last(&b, 0),
                    holder: held(&a, HolderState::Ended),
                    ..Known::default()
                },
                false,
                "failed in finish-release, its lock not freed and no record written",
            ),
            (
                &a,
                Known { seen: seen(&a, 10), ..Known::default() },
                false,
                "the first release, failed before it held the lock",
            ),
            (
                &b,
                Known {
                    seen: seen(&a, 10),
                    last: last(&b, 0),
                    holder: held(&a, HolderState::Ended),
                    ..Known::default()
                },
                true,
                "moved back to the last recorded image after a release that failed in finish-release",
            ),
            (
                &b,
                Known { seen: seen(&a, 10), last: last(&b, 0), ..Known::default() },
                true,
                "moved back to the last recorded image after a release that was stopped while it waited",
            ),
            (
                &b,
                Known { seen: seen(&a, 0), last: last(&b, 10), ..Known::default() },
                false,
                "its release was started without being noted as seen, and is the last",
            ),
        ] {
            let found = is_lost(&tag("prod"), now, &known);
            assert_eq!(found.is_ok(), lost, "{why}: {found:?}");
        }
    }

    #[test]
    fn the_scheduled_look_starts_only_what_nobody_released_runs_or_stopped() {
        let (new, old) = (digest('a'), digest('b'));
        let lost = |known: Known| is_lost(&tag("prod"), &new, &known).is_ok();
        assert!(lost(Known::default()));
        let last = |digest: &ImageDigest, started_at| {
            let last = LastRelease { digest: digest.clone(), execution: "e".into(), started_at };
            Known { last: Some(last), ..Known::default() }
        };
        assert!(lost(last(&old, at())));
        assert!(!lost(last(&new, at())));
        let seen = |digest: &ImageDigest, known: Known| Known {
            seen: Some(Seen { digest: digest.clone(), at: at() }),
            ..known
        };
        let (before, after) = (at() - TimeDelta::seconds(1), at() + TimeDelta::seconds(1));
        for (known, expected) in [
            (seen(&new, Known::default()), false),
            (seen(&new, last(&old, after)), false),
            (seen(&old, Known::default()), true),
            // The tag was moved back to what had been released before something else was seen.
            (seen(&old, last(&new, before)), true),
            (seen(&old, last(&new, at())), false),
            (seen(&old, last(&new, after)), false),
        ] {
            assert_eq!(lost(known.clone()), expected, "{known:?}");
        }
        assert!(!lost(Known {
            running: vec![execution_name(&tag("prod"), &new, at(), Cause::Push)],
            ..Known::default()
        }));
        assert!(!lost(Known { kept_back: Some("The environment is held.".into()), ..Known::default() }));
        for (held, state, expected) in [
            (&new, HolderState::Running, false),
            (&new, HolderState::Stopped, false),
            (&new, HolderState::Ended, true),
            (&old, HolderState::Running, true),
            (&old, HolderState::Stopped, true),
        ] {
            let known = Known { holder: Some((held.clone(), state)), ..Known::default() };
            assert_eq!(lost(known), expected, "{state:?}");
        }
    }
}
