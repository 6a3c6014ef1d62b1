//! Where an image came from: the build that pushed it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::image::{ImageDigest, ImageTag};
use crate::text;

/// A build of the stack's CodeBuild project, as far as it is read here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Build {
    /// Its number within the project.
    pub number: Option<i64>,
    /// The page of its log.
    pub log_url: Option<String>,
    /// When it started.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended; none while it runs.
    pub ended_at: Option<DateTime<Utc>>,
    /// The commit that it checked out first.
    pub resolved_commit: Option<String>,
    /// The variables that buildspec.yml exports.
    pub exported: BTreeMap<String, String>,
}

/// What a person reads about where an image came from. Everything in it that others wrote is short, without control
/// characters and without marks that turn the direction of writing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Origin {
    /// The commit, 40 hexadecimal digits.
    pub commit: Option<String>,
    /// The first line of its message.
    pub subject: Option<String>,
    /// Who wrote it.
    pub author: Option<String>,
    /// What started the build, such as `pull request #12` or `branch main`.
    pub trigger: Option<String>,
    /// The build's number.
    pub build_number: Option<i64>,
    /// The page of the build's log.
    pub log_url: Option<String>,
    /// How long the build took, in seconds.
    pub build_seconds: Option<u64>,
    /// From the commit until the release ended, in seconds; none unless it serves.
    pub lead_seconds: Option<u64>,
}

/// The build that pushed `digest`, of `builds` with the newest first; else the one of the image's `commit`.
pub fn pushed<'a>(builds: &'a [Build], digest: &ImageDigest, commit: Option<&ImageTag>) -> Option<&'a Build> {
    let exports =
        |build: &Build, name: &str, value: &str| build.exported.get(name).is_some_and(|v| v == value);
    let of_digest = builds.iter().find(|build| exports(build, "IMAGE_DIGEST", digest.as_str()));
    of_digest.or_else(|| {
        let commit = commit?.as_str();
        builds.iter().find(|build| {
            // What a build exports counts for more than what it began with: a merged request is built as merged.
            match build.exported.get("COMMIT") {
                Some(exported) => exported == commit,
                None => build.resolved_commit.as_deref() == Some(commit),
            }
        })
    })
}

impl Origin {
    /// What `build` tells; `served_at` is when its image began to serve, if it does.
    pub fn of(build: &Build, served_at: Option<DateTime<Utc>>) -> Self {
        let told = |name: &str| build.exported.get(name).and_then(|text| legible(text));
        let seconds = |from: DateTime<Utc>, to: DateTime<Utc>| u64::try_from((to - from).num_seconds()).ok();
        let committed_at = told("COMMIT_TIME").and_then(|time| time.parse::<DateTime<Utc>>().ok());
        let commit = told("COMMIT").or_else(|| build.resolved_commit.as_deref().and_then(legible));
        Self {
            commit: commit
                .filter(|commit| commit.len() == 40 && commit.bytes().all(|b| b.is_ascii_hexdigit())),
            subject: told("COMMIT_SUBJECT"),
            author: told("COMMIT_AUTHOR"),
            trigger: told("BUILD_TRIGGER").map(|trigger| readable_trigger(&trigger)),
            build_number: build.number,
            log_url: build.log_url.clone().filter(|url| is_plain_url(url)),
            build_seconds: build.started_at.zip(build.ended_at).and_then(|(from, to)| seconds(from, to)),
            lead_seconds: committed_at.zip(served_at).and_then(|(from, to)| seconds(from, to)),
        }
    }

    /// Lines for a message, each without a line's end.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(subject) = &self.subject {
            lines.push(format!("Change: {subject}"));
        }
        let by: Vec<_> = self.author.iter().chain(&self.trigger).map(String::as_str).collect();
        if !by.is_empty() {
            lines.push(format!("From: {}", by.join(", ")));
        }
        if let Some(number) = self.build_number {
            let took = self.build_seconds.map(|seconds| format!(" ({})", text::duration(seconds)));
            let log = self.log_url.as_ref().map(|url| format!(": {url}"));
            lines.push(format!("Build {number}{}{}", took.unwrap_or_default(), log.unwrap_or_default()));
        }
        if let Some(seconds) = self.lead_seconds {
            lines.push(format!("From commit to serving: {}", text::duration(seconds)));
        }
        lines
    }
}

/// The most characters of a text that a committer wrote.
const LONGEST: usize = 200;

/// What a committer wrote, fit to stand in a line; none when nothing is left of it.
fn legible(text: &str) -> Option<String> {
    // They hide or turn around what stands beside them (Unicode, "Bidirectional Character Types").
    let turns = |c: char| matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    let visible: String = text.chars().filter(|c| !turns(*c)).take(LONGEST * 4).collect();
    let short = text::shorten(visible.trim(), LONGEST);
    let words: Vec<_> = short.split_whitespace().collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// `CODEBUILD_WEBHOOK_TRIGGER` in words (CodeBuild guide, "Environment variables in build environments": `pr/12`,
/// `branch/main`, `tag/v1`).
fn readable_trigger(trigger: &str) -> String {
    match trigger.split_once('/') {
        Some(("pr", number)) => format!("pull request #{number}"),
        Some(("branch", name)) => format!("branch {name}"),
        Some(("tag", name)) => format!("tag {name}"),
        _ => trigger.to_owned(),
    }
}

fn is_plain_url(url: &str) -> bool {
    url.starts_with("https://")
        && url.len() <= 1_000
        && url.bytes().all(|b| b.is_ascii_graphic() && b != b'"')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::digest;

    const COMMIT: &str = "3f2a9c1d3f2a9c1d3f2a9c1d3f2a9c1d3f2a9c1d";

    fn at(text: &str) -> Option<DateTime<Utc>> {
        Some(text.parse().unwrap())
    }

    fn build(number: i64, exported: &[(&str, &str)]) -> Build {
        Build {
            number: Some(number),
            exported: exported.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            ..Build::default()
        }
    }

    #[test]
    fn the_newest_build_that_pushed_the_digest_is_found_else_the_one_of_its_commit() {
        let (mine, other) = (digest('a'), digest('b'));
        let commit: ImageTag = COMMIT.parse().unwrap();
        let of = |number, digest: &ImageDigest, commit| {
            build(number, &[("IMAGE_DIGEST", digest.as_str()), ("COMMIT", commit)])
        };
        let unexported =
            |number| Build { resolved_commit: Some(COMMIT.into()), ..build(number, &[("OTHER", "x")]) };
        let merged = Build { resolved_commit: Some(COMMIT.into()), ..of(7, &other, "0000000") };
        for (builds, expected, why) in [
            (vec![], None, "no build"),
            (vec![of(3, &mine, COMMIT), of(2, &mine, COMMIT)], Some(3), "built again: the newest"),
            (vec![of(3, &other, COMMIT), of(2, &mine, COMMIT)], Some(2), "the digest before the commit"),
            (vec![of(3, &other, "0000000"), of(2, &other, COMMIT)], Some(2), "the commit"),
            (vec![unexported(4)], Some(4), "a build that exported nothing, or runs still"),
            (vec![merged], None, "a build that went on to another commit"),
            (vec![of(3, &other, "0000000")], None, "a build of something else"),
            (vec![build(1, &[("IMAGE_DIGEST", "")])], None, "a build that pushed nothing"),
        ] {
            let found = pushed(&builds, &mine, Some(&commit)).and_then(|build| build.number);
            assert_eq!(found, expected, "{why}");
        }
        assert_eq!(pushed(&[of(3, &other, COMMIT)], &mine, None), None, "an image without a commit");
    }

    #[test]
    fn an_origin_reads_like_a_report() {
        let build = Build {
            log_url: Some("https://console.aws.amazon.com/cloudwatch/home#logEvent:group=x".into()),
            started_at: at("2026-11-23T10:00:00Z"),
            ended_at: at("2026-11-23T10:03:04Z"),
            ..build(
                7,
                &[
                    ("COMMIT", COMMIT),
                    ("COMMIT_SUBJECT", "Show the stars of a hotel      "),
                    ("COMMIT_AUTHOR", "Zoë Example"),
                    ("COMMIT_TIME", "2026-11-23T10:55:00+01:00"),
                    ("BUILD_TRIGGER", "pr/12"),
                ],
            )
        };
        let origin = Origin::of(&build, at("2026-11-23T10:09:00Z"));
        assert_eq!(origin.commit.as_deref(), Some(COMMIT));
        assert_eq!(
            origin.lines(),
            [
                "Change: Show the stars of a hotel",
                "From: Zoë Example, pull request #12",
                "Build 7 (3 min 4 s): https://console.aws.amazon.com/cloudwatch/home#logEvent:group=x",
                "From commit to serving: 14 min",
            ]
        );
        assert_eq!(Origin::of(&build, None).lead_seconds, None, "it does not serve");
        assert_eq!(Origin::of(&Build::default(), None), Origin::default());
        assert!(Origin::default().lines().is_empty());
    }

    #[test]
    fn triggers_are_told_in_words() {
        for (trigger, words) in [
            ("pr/12", "pull request #12"),
            ("branch/a/b", "branch a/b"),
            ("tag/v1", "tag v1"),
            ("odd", "odd"),
        ] {
            let origin = Origin::of(&build(1, &[("BUILD_TRIGGER", trigger)]), None);
            assert_eq!(origin.trigger.as_deref(), Some(words));
        }
    }

    #[test]
    fn what_a_committer_wrote_is_harmless() {
        for (subject, expected) in [
            ("a\u{1b}[31mred\u{7}", Some("a [31mred")),
            ("line\r\nSubject: other", Some("line Subject: other")),
            ("\u{202e}egnahc\u{2066}\u{feff}", Some("egnahc")),
            ("\u{200b}\u{2028} ", None),
            ("", None),
            ("token=hush", Some("token=***")),
        ] {
            let origin = Origin::of(&build(1, &[("COMMIT_SUBJECT", subject)]), None);
            assert_eq!(origin.subject.as_deref(), expected, "{subject:?}");
        }
        let origin = Origin::of(&build(1, &[("COMMIT_SUBJECT", &"é".repeat(100_000))]), None);
        assert_eq!(origin.subject.unwrap().chars().count(), LONGEST + 1);
        for url in
            ["http://example.com", "javascript:alert(1)", "https://a b", "https://a\u{202e}", "https://a\"b"]
        {
            let build = Build { log_url: Some(url.into()), ..Build::default() };
            assert_eq!(Origin::of(&build, None).log_url, None, "{url}");
        }
        for commit in ["HEAD", "-x", "3f2a9c1d"] {
            assert_eq!(Origin::of(&build(1, &[("COMMIT", commit)]), None).commit, None, "{commit}");
        }
    }
}
