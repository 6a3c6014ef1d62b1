//! Whether a service serves: what it is asked, and what its answers mean.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::{Error, text};

/// How often each path is asked in one look.
pub const TRIES: u32 = 10;
/// How long one answer may take.
pub const TRY_TIMEOUT: Duration = Duration::from_secs(5);
/// What a look counts for, in seconds: its tries begin a second apart.
const LOOK: u64 = 10;
/// Seconds from the end of a look to the next.
const PAUSE: u64 = 5;
/// Seconds from the beginning of a look to that of the next.
pub const PERIOD: u64 = LOOK + PAUSE;
/// For how many seconds containers are looked at that served before.
const SHORT: u64 = 30;
/// How many seconds of the revert window are left for the way back: to start the containers of the version before, and
/// to look at them.
const WAY_BACK: i64 = 300;
const MOST_PATHS: usize = 10;
const LONGEST_PATH: usize = 200;

/// A path, and the status with which it answers when all is well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyPath {
    /// The path, perhaps with a query.
    pub path: String,
    /// The status that it is to answer. No redirect is followed.
    pub status: u16,
}

/// The paths that the parameter `VerifyPaths` names, such as `/hotels=200,/`: those without a status are to answer 200.
/// Without any it is the path of the health check.
///
/// # Errors
/// [`Error::Misconfigured`] for what is no path, for one that is named twice, and for more than ten.
pub fn paths(parameter: &str, health_check_path: &str) -> Result<Vec<VerifyPath>, Error> {
    let wrong = |why: String| {
        Error::Misconfigured(format!(
            "The parameter VerifyPaths {why}. Give paths with commas between them, such as /hotels=200,/."
        ))
    };
    if parameter.trim().is_empty() {
        return Ok(vec![VerifyPath { path: health_check_path.to_owned(), status: 200 }]);
    }
    let mut paths: Vec<VerifyPath> = Vec::new();
    for part in parameter.split(',').map(str::trim) {
        let named = text::shorten(part, 100);
        let (path, status) = match part.rsplit_once('=') {
            Some((path, status)) if status.len() == 3 && status.bytes().all(|b| b.is_ascii_digit()) => {
                (path, status.parse().unwrap_or_default())
            }
            _ => (part, 200),
        };
        if !path.starts_with('/') || !path.bytes().all(|b| b.is_ascii_graphic() && b != b'#') {
            return Err(wrong(format!("has {named:?}, which is no path")));
        }
        if path.len() > LONGEST_PATH {
            return Err(wrong(format!("has a path of more than {LONGEST_PATH} characters")));
        }
        if !(200..=599).contains(&status) {
            return Err(wrong(format!("has {named:?}, whose status no server answers")));
        }
        if paths.iter().any(|other| other.path == path) {
            return Err(wrong(format!("names {path} twice")));
        }
        paths.push(VerifyPath { path: path.to_owned(), status });
    }
    if paths.len() > MOST_PATHS {
        return Err(wrong(format!("names more than {MOST_PATHS} paths")));
    }
    Ok(paths)
}

/// When a service is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Moment {
    /// Before anything is changed, to know what fails already.
    Baseline,
    /// The containers of before on the new schema.
    OldContainers,
    /// The release's own containers, once they are ACTIVE.
    NewContainers,
    /// The containers of before, once they are ACTIVE again.
    RestoredContainers,
}

/// What was found before anything was changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// The version that served; none when nothing did.
    pub serves: Option<i32>,
    /// The paths that did not answer as they should, which is not held against the release.
    pub failing: BTreeSet<String>,
}

impl Baseline {
    /// What one look tells of a service in which `serves` serves.
    pub fn of(serves: Option<i32>, look: &[PathLook]) -> Self {
        // Where nothing served, nothing can have failed.
        let failing = look.iter().filter(|path| serves.is_some() && !path.is_good());
        Self { serves, failing: failing.map(|path| path.path.clone()).collect() }
    }
}

/// One try of one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Try {
    /// The status; why there was none.
    pub status: Result<u16, String>,
    /// How long it took.
    pub milliseconds: u64,
}

/// What one look found at one path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PathLook {
    /// The path.
    pub path: String,
    /// The status that was wanted.
    pub wanted: u16,
    /// What was answered in the last try that was not answered so, or `wanted` when all were: a status, or why there
    /// was none.
    pub answered: String,
    /// How many tries were answered as wanted.
    pub good: u32,
    /// How many there were.
    pub tries: u32,
    /// The longest that a try took.
    pub milliseconds: u64,
}

impl PathLook {
    /// What `tries` of `path` come to.
    pub fn of(path: &VerifyPath, tries: &[Try]) -> Self {
        let is_good = |one: &&Try| one.status == Ok(path.status);
        let bad = tries.iter().rfind(|one| !is_good(one));
        let answered = match bad.map(|one| &one.status) {
            Some(Ok(status)) => status.to_string(),
            Some(Err(why)) => text::shorten(why, 200),
            None => path.status.to_string(),
        };
        let count = |tries: usize| u32::try_from(tries).unwrap_or(u32::MAX);
        Self {
            path: path.path.clone(),
            wanted: path.status,
            answered,
            good: count(tries.iter().filter(is_good).count()),
            tries: count(tries.len()),
            milliseconds: tries.iter().map(|one| one.milliseconds).max().unwrap_or_default(),
        }
    }

    /// Whether the larger part of the tries was answered as wanted.
    pub fn is_good(&self) -> bool {
        self.good * 2 > self.tries
    }
}

/// The looks of one moment so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Looks {
    /// The moment.
    pub moment: Moment,
    /// For how many seconds it lasted, looks and the waits between them.
    pub seconds: u64,
    /// How many looks were good.
    pub good: u32,
    /// How many were bad.
    pub bad: u32,
    /// How many of the last ones were bad, one after the other.
    pub bad_in_a_row: u32,
    /// Whether they say that the service does not serve.
    pub failed: bool,
    /// What the last one found.
    pub paths: Vec<PathLook>,
}

/// What the looks of a moment say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Look again after so many seconds.
    LookAgain(u64),
    /// It serves.
    Good,
    /// It does not.
    Bad,
}

impl Looks {
    /// The looks of `moment` with one more, before which there were `earlier`. A look is bad when a path is that was
    /// not `failing` before.
    pub fn with(
        moment: Moment,
        earlier: Option<Self>,
        look: Vec<PathLook>,
        failing: &BTreeSet<String>,
    ) -> Self {
        let earlier = earlier.filter(|looks| looks.moment == moment);
        let seconds = earlier.as_ref().map_or(0, |looks| looks.seconds + PAUSE) + LOOK;
        let (good, bad, in_a_row) =
            earlier.map_or((0, 0, 0), |looks| (looks.good, looks.bad, looks.bad_in_a_row));
        let is_bad = held_against(&look, failing).next().is_some();
        Self {
            moment,
            seconds,
            good: good + u32::from(!is_bad),
            bad: bad + u32::from(is_bad),
            bad_in_a_row: if is_bad { in_a_row + 1 } else { 0 },
            failed: false,
            paths: look,
        }
    }

    /// What they say when the moment lasts `lasts` seconds: that it does not serve after two bad looks in a row, or
    /// when more were bad than good. A bad look at the end is looked at once more.
    pub fn verdict(&self, lasts: u64) -> Verdict {
        let is_over = self.seconds + PAUSE + LOOK > lasts;
        if self.bad_in_a_row >= 2 || (is_over && self.bad > self.good) {
            Verdict::Bad
        } else if is_over && self.bad_in_a_row == 0 {
            Verdict::Good
        } else {
            Verdict::LookAgain(PAUSE)
        }
    }

    /// What the last look found that is held against the release, as a sentence about `whom`.
    pub fn sentence(&self, whom: &str, failing: &BTreeSet<String>) -> String {
        let bad: Vec<_> = held_against(&self.paths, failing)
            .map(|look| {
                format!(
                    "{} ({} instead of {} in {} of {} tries)",
                    look.path,
                    look.answered,
                    look.wanted,
                    look.tries - look.good,
                    look.tries
                )
            })
            .collect();
        let looks = self.good + self.bad;
        if bad.is_empty() {
            let bad = if self.bad == 0 { "none".into() } else { self.bad.to_string() };
            let time = text::duration(self.seconds);
            let of_how_many = if looks == 1 { "1 look".into() } else { format!("{looks} looks") };
            return format!("{whom} answered for {time}: {of_how_many}, {bad} bad.");
        }
        format!("{whom} no longer answer {}: {} of {looks} looks were bad.", bad.join(", "), self.bad)
    }
}

/// The paths of a look that are bad and were not before.
fn held_against<'a>(
    look: &'a [PathLook],
    failing: &'a BTreeSet<String>,
) -> impl Iterator<Item = &'a PathLook> {
    look.iter().filter(|path| !path.is_good() && !failing.contains(&path.path))
}

/// For how many seconds `moment` lasts, of which `passed` are over, when new containers are looked at for `verify_for`
/// and the schema can go back `until` then.
pub fn lasts(
    moment: Moment,
    verify_for: u64,
    passed: u64,
    until: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> u64 {
    match moment {
        Moment::Baseline => 0,
        Moment::OldContainers | Moment::RestoredContainers => verify_for.min(SHORT),
        Moment::NewContainers => until.map_or(verify_for, |until| {
            let left = until - now - TimeDelta::seconds(WAY_BACK);
            verify_for.min(passed + u64::try_from(left.num_seconds()).unwrap_or_default())
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(parameter: &str) -> Vec<(String, u16)> {
        let paths = paths(parameter, "/health").unwrap();
        paths.into_iter().map(|path| (path.path, path.status)).collect()
    }

    #[test]
    fn paths_are_read_with_their_statuses_and_the_health_check_is_the_default() {
        for (parameter, expected) in [
            ("", vec![("/health", 200)]),
            (" ", vec![("/health", 200)]),
            ("/", vec![("/", 200)]),
            ("/hotels=200,/", vec![("/hotels", 200), ("/", 200)]),
            ("/old=301 , /x", vec![("/old", 301), ("/x", 200)]),
            ("/hotels?stars=5", vec![("/hotels?stars=5", 200)]),
            ("/hotels?room=204=200", vec![("/hotels?room=204", 200)]),
            ("/missing=404", vec![("/missing", 404)]),
        ] {
            let expected: Vec<_> = expected.into_iter().map(|(path, s)| (path.to_owned(), s)).collect();
            assert_eq!(parsed(parameter), expected, "{parameter}");
        }
    }

    #[test]
    fn what_is_no_list_of_paths_says_why() {
        let many = (0..11).map(|n| format!("/{n}")).collect::<Vec<_>>().join(",");
        for (parameter, why) in [
            ("hotels", "has \"hotels\", which is no path"),
            ("/,", "has \"\", which is no path"),
            ("/a b", "which is no path"),
            ("/a#b", "which is no path"),
            ("https://example.com/", "which is no path"),
            ("/a=999", "whose status no server answers"),
            ("/a=100", "whose status no server answers"),
            ("/a,/a=201", "names /a twice"),
            (&format!("/{}", "a".repeat(200)), "more than 200 characters"),
            (&many, "more than 10 paths"),
        ] {
            let error = paths(parameter, "/").unwrap_err();
            assert!(error.to_string().contains(why), "{parameter}: {error}");
            assert!(error.to_string().contains("such as /hotels=200,/"), "{error}");
        }
    }

    fn look(path: &str, good: u32) -> PathLook {
        let one = |n: u32| Try { status: Ok(if n < good { 200 } else { 500 }), milliseconds: n.into() };
        let tries: Vec<_> = (0..TRIES).map(one).collect();
        PathLook::of(&VerifyPath { path: path.into(), status: 200 }, &tries)
    }

    #[test]
    fn a_look_is_good_when_the_larger_part_of_its_tries_is() {
        for (good, expected) in [(10, true), (6, true), (5, false), (0, false)] {
            assert_eq!(look("/", good).is_good(), expected, "{good}");
        }
        assert_eq!((look("/", 10).answered.as_str(), look("/", 9).answered.as_str()), ("200", "500"));
        let lost = Try { status: Err("timed out".into()), milliseconds: 5_000 };
        let path = VerifyPath { path: "/".into(), status: 404 };
        let found = PathLook::of(&path, &[Try { status: Ok(404), milliseconds: 3 }, lost]);
        assert_eq!((found.answered.as_str(), found.good, found.milliseconds), ("timed out", 1, 5_000));
    }

    /// The verdict on looks of which each letter is one, and how many it took.
    fn verdict(looks: &str, lasts: u64) -> (Verdict, usize) {
        let mut course = None;
        for (n, letter) in looks.chars().enumerate() {
            let found = vec![look("/", 10), look("/hotels", if letter == 'g' { 10 } else { 0 })];
            let next = Looks::with(Moment::NewContainers, course, found, &BTreeSet::new());
            let verdict = next.verdict(lasts);
            if verdict != Verdict::LookAgain(PAUSE) {
                return (verdict, n + 1);
            }
            course = Some(next);
        }
        (Verdict::LookAgain(PAUSE), looks.len())
    }

    #[test]
    fn two_bad_looks_in_a_row_or_more_bad_than_good_ones_are_too_many() {
        for (looks, lasts, expected, after) in [
            ("gggggggg", 120, Verdict::Good, 8),
            ("gggggggbg", 120, Verdict::Good, 9),
            ("gggggggbb", 120, Verdict::Bad, 9),
            ("bb", 120, Verdict::Bad, 2),
            ("gbgbb", 120, Verdict::Bad, 5),
            ("bgbgbgbgg", 120, Verdict::Good, 8),
            ("bgb", 45, Verdict::Bad, 3),
            ("bgg", 45, Verdict::Good, 3),
            ("g", 10, Verdict::Good, 1),
            ("b", 10, Verdict::Bad, 1),
            ("g", 0, Verdict::Good, 1),
            ("bb", 30, Verdict::Bad, 2),
            ("bg", 30, Verdict::Good, 2),
            ("gbb", 30, Verdict::Bad, 3),
            ("ggg", 120, Verdict::LookAgain(PAUSE), 3),
        ] {
            assert_eq!(verdict(looks, lasts), (expected, after), "{looks} in {lasts} s");
        }
    }

    #[test]
    fn the_default_takes_at_most_thirty_state_transitions() {
        let looks = |lasts| verdict(&"g".repeat(200), lasts).1;
        // A task and a choice each, and a wait between two; the baseline is one task.
        let transitions = |lasts| looks(lasts) * 3 - 1;
        assert!(1 + transitions(SHORT) + transitions(120) <= 30);
        // Nine events each.
        assert!(looks(1_500) * 9 < 1_000);
    }

    #[test]
    fn a_bad_image_is_noticed_within_thirty_seconds() {
        let bad = |earlier| Looks::with(Moment::NewContainers, earlier, vec![look("/", 0)], &BTreeSet::new());
        let second = bad(Some(bad(None)));
        assert_eq!(second.verdict(120), Verdict::Bad);
        assert!(second.seconds <= 30, "{}", second.seconds);
    }

    #[test]
    fn what_failed_before_is_not_held_against_the_release() {
        let found = vec![look("/", 10), look("/hotels", 0)];
        let failing = Baseline::of(Some(3), &found).failing;
        assert_eq!(failing, BTreeSet::from(["/hotels".to_owned()]));
        assert_eq!(Baseline::of(None, &found), Baseline::default(), "nothing served");
        let looks = Looks::with(Moment::NewContainers, None, found.clone(), &failing);
        assert_eq!((looks.good, looks.bad), (1, 0));
        let both = vec![look("/", 0), look("/hotels", 0)];
        let looks = Looks::with(Moment::NewContainers, Some(looks), both, &failing);
        assert_eq!((looks.good, looks.bad, looks.bad_in_a_row), (1, 1, 1));
        let told = looks.sentence("The new containers", &failing);
        assert_eq!(
            told,
            "The new containers no longer answer / (500 instead of 200 in 10 of 10 tries): 1 of 2 looks were bad."
        );
    }

    #[test]
    fn each_moment_begins_its_own_looks() {
        let bad = || vec![look("/", 0)];
        let old = Looks::with(Moment::OldContainers, None, bad(), &BTreeSet::new());
        let new = Looks::with(Moment::NewContainers, Some(old), bad(), &BTreeSet::new());
        assert_eq!((new.seconds, new.bad_in_a_row), (LOOK, 1));
        let next = Looks::with(Moment::NewContainers, Some(new), bad(), &BTreeSet::new());
        assert_eq!((next.seconds, next.bad_in_a_row), (2 * LOOK + PAUSE, 2));
    }

    #[test]
    fn a_moment_leaves_time_for_the_way_back() {
        let now = DateTime::UNIX_EPOCH;
        let in_minutes = |minutes| Some(now + TimeDelta::minutes(minutes));
        for (moment, verify_for, passed, until, expected) in [
            (Moment::Baseline, 120, 0, None, 0),
            (Moment::OldContainers, 120, 0, in_minutes(30), 30),
            (Moment::OldContainers, 10, 0, None, 10),
            (Moment::RestoredContainers, 1_500, 0, in_minutes(1), 30),
            (Moment::NewContainers, 120, 0, None, 120),
            (Moment::NewContainers, 1_500, 0, in_minutes(30), 1_500),
            (Moment::NewContainers, 1_500, 0, in_minutes(20), 900),
            (Moment::NewContainers, 1_500, 600, in_minutes(20), 1_500),
            (Moment::NewContainers, 1_500, 60, in_minutes(5), 60),
            (Moment::NewContainers, 1_500, 60, in_minutes(-5), 60),
        ] {
            let found = lasts(moment, verify_for, passed, until, now);
            assert_eq!(found, expected, "{moment:?} for {verify_for} s until {until:?}");
        }
    }
}
