//! What would make the first release fail: one check for each thing that a release needs.
//!
//! Each check is a pure function of what was seen. A look that failed makes its check unknown, never a problem.

pub mod containers;
pub mod image;
pub mod planetscale;
pub mod secrets;

use std::fmt;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::{Error, text};

/// The longest text of the stack's output. Custom resources answer at most 4,096 bytes in all.
const LONGEST_BRIEF: usize = 1_000;

/// What was looked for: there, not there, or the look failed.
pub type Fact<T> = Result<Option<T>, Error>;

/// One thing that a release needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// The check's name.
    pub check: &'static str,
    /// Whether it holds.
    pub status: Status,
    /// What was seen.
    pub seen: String,
    /// What to do, with the command where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_do: Option<String>,
}

/// Whether a check holds. The order is that of the list a person reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// A release would fail, or nobody would hear of it.
    Problem,
    /// It could not be told.
    Unknown,
    /// It holds.
    Fine,
    /// This environment does not need it, or not yet.
    #[serde(rename = "not applicable")]
    NotApplicable,
}

impl Check {
    fn new(check: &'static str, status: Status, seen: impl Into<String>) -> Self {
        Self { check, status, seen: seen.into(), to_do: None }
    }

    /// A check that holds.
    pub fn fine(check: &'static str, seen: impl Into<String>) -> Self {
        Self::new(check, Status::Fine, seen)
    }

    /// A check that does not hold, and what to do about it.
    pub fn problem(check: &'static str, seen: impl Into<String>, to_do: impl Into<String>) -> Self {
        Self::new(check, Status::Problem, seen).to_do(to_do)
    }

    /// A check whose answer could not be told.
    pub fn unknown(check: &'static str, seen: impl Into<String>) -> Self {
        Self::new(check, Status::Unknown, seen)
    }

    /// A check whose look failed.
    pub fn failed(check: &'static str, error: &Error) -> Self {
        let failed = Self::unknown(check, format!("{}: {error}", error.name()));
        match error {
            Error::Retryable(_) | Error::RateLimited(_) => failed.to_do("Run the preflight again."),
            _ => failed,
        }
    }

    /// A check that this environment does not need.
    pub fn not_applicable(check: &'static str, seen: impl Into<String>) -> Self {
        Self::new(check, Status::NotApplicable, seen)
    }

    /// The same with what a person should do or know.
    #[must_use]
    pub fn to_do(mut self, to_do: impl Into<String>) -> Self {
        self.to_do = Some(to_do.into());
        self
    }
}

/// The list that a person reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Whether no problem was found.
    pub ready: bool,
    /// The counts in one sentence.
    pub summary: String,
    /// Every check, problems first.
    pub checks: Vec<Check>,
}

impl Report {
    /// The report of `checks` on `environment` of `application`, looked at `now`.
    pub fn new(application: &str, environment: &str, now: DateTime<Utc>, mut checks: Vec<Check>) -> Self {
        checks.sort_by_key(|check| check.status);
        let count = |status| checks.iter().filter(|check| check.status == status).count();
        let (problems, unknown) = (count(Status::Problem), count(Status::Unknown));
        let found = match problems {
            0 => "ready".into(),
            1 => "1 problem".into(),
            _ => format!("{problems} problems"),
        };
        let rest = if unknown == 0 { String::new() } else { format!(", {unknown} could not be told") };
        let when = now.format("%Y-%m-%d %H:%M UTC");
        let summary = format!("{application} in {environment}: {found}{rest} ({when}).");
        Self { ready: problems == 0, summary, checks }
    }

    /// The summary and the problems, short enough for an output of the stack.
    pub fn brief(&self) -> String {
        text::shorten(&self.to_string(), LONGEST_BRIEF)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.summary)?;
        let problems = self.checks.iter().filter(|check| check.status == Status::Problem);
        for (number, Check { check, seen, .. }) in problems.enumerate() {
            write!(formatter, " {}. {check}: {seen}", number + 1)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(checks: Vec<Check>) -> Report {
        Report::new("bookings-api", "prod", DateTime::from_timestamp(1_795_405_613, 0).unwrap(), checks)
    }

    #[test]
    fn problems_come_first_and_the_rest_keeps_its_order() {
        let report = report(vec![
            Check::not_applicable("a", "x"),
            Check::fine("b", "x"),
            Check::unknown("c", "x"),
            Check::problem("d", "No.", "Do."),
            Check::fine("e", "x"),
        ]);
        let names: Vec<_> = report.checks.iter().map(|check| check.check).collect();
        assert_eq!(names, ["d", "c", "b", "e", "a"]);
        assert_eq!(
            report.to_string(),
            "bookings-api in prod: 1 problem, 1 could not be told (2026-11-23 03:46 UTC). 1. d: No."
        );
        assert!(!report.ready);
    }

    #[test]
    fn what_could_not_be_told_does_not_count_as_a_problem() {
        let report = report(vec![Check::unknown("c", "x")]);
        assert!(report.ready);
        assert!(report.summary.starts_with("bookings-api in prod: ready, 1 could not be told"));
    }

    #[test]
    fn the_brief_fits_into_an_output_of_the_stack_in_bytes_too() {
        let report = report(vec![Check::problem("a", "é".repeat(3_000), "Do."); 3]);
        assert!(report.brief().chars().count() <= LONGEST_BRIEF + 1);
        assert!(report.brief().len() < 3_000);
    }

    #[test]
    fn a_failed_look_names_its_error_and_is_only_tried_again_where_that_may_help() {
        let lost = Check::failed("a", &Error::Retryable("No answer.".into()));
        assert_eq!((lost.status, lost.seen.as_str()), (Status::Unknown, "Retryable: No answer."));
        assert!(lost.to_do.is_some());
        assert_eq!(Check::failed("a", &Error::Misconfigured("x".into())).to_do, None);
    }

    #[test]
    fn the_answer_has_the_words_of_the_readme() {
        let json = serde_json::to_value(report(vec![Check::not_applicable("a", "x")])).unwrap();
        let expected = serde_json::json!({"check": "a", "status": "not applicable", "seen": "x"});
        assert_eq!(json["checks"][0], expected);
    }
}
