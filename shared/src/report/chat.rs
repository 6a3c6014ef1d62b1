//! A message in the form that each receiver of the topic shows.
//!
//! Amazon Q Developer in chat applications, which subscribes by `https`, shows in Slack and Teams what has the form of its
//! custom notifications, and drops other text (its administrator guide, "Custom notifications", "Event schema"). What is
//! told in it is kept short; `summary` and `title` are one line. A mail, and everything else, gets the plain text.

use serde::Serialize;

use super::{Report, message, subject};
use crate::text;

/// The most characters of what happened: the whole of it is in the mail and in the execution.
const LONGEST: usize = 2_000;
/// The most characters of what to do.
const LONGEST_STEP: usize = 300;

/// What SNS takes with `MessageStructure=json` (SNS API reference, `Publish`): a text for each protocol, or the default.
#[derive(Serialize)]
struct ByProtocol {
    default: String,
    https: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Notification<'a> {
    version: &'a str,
    source: &'a str,
    id: &'a str,
    content: Content,
    metadata: Metadata<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Content {
    text_type: &'static str,
    title: String,
    description: String,
    next_steps: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    /// What belongs to one release stands in one thread, if the channel's preferences allow threads.
    thread_id: &'a str,
    summary: String,
}

/// The notification for SNS with `MessageStructure=json`.
pub fn by_protocol(report: &Report) -> serde_json::Result<String> {
    let https = serde_json::to_string(&notification(report))?;
    serde_json::to_string(&ByProtocol { default: message(report), https })
}

fn notification(report: &Report) -> Notification<'_> {
    let mut lines = vec![report.what_happened.clone()];
    lines.extend(report.origin.iter().flat_map(|origin| origin.lines()));
    if let Some(request) = &report.deploy_request {
        lines.push(format!("Deploy request #{}: {}", request.number, request.url));
    }
    lines.push(format!("Execution: {}", report.execution_url));
    let lines: Vec<_> = lines.iter().map(|line| harmless(line, LONGEST)).collect();
    let title = subject(report);
    Notification {
        version: "1.0",
        source: "custom",
        id: &report.execution,
        content: Content {
            text_type: "client-markdown",
            title: title.clone(),
            description: lines.join("\n"),
            next_steps: vec![harmless(&report.what_to_do, LONGEST_STEP)],
        },
        metadata: Metadata { thread_id: &report.execution, summary: title },
    }
}

/// A line in which nothing calls people or hides where a link leads: Slack reads `<!here>` and `<url|text>` so, and takes
/// `&`, `<` and `>` escaped (Slack's documents, "Formatting text for app surfaces"); Markdown reads `[text](url)` so.
fn harmless(line: &str, longest: usize) -> String {
    text::shorten(line, longest)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace("](", "] (")
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::Value;

    use super::super::tests::ending;
    use super::super::{Ending, report};
    use super::*;
    use crate::origin::Origin;
    use crate::outcome::Outcome;

    fn told(report: &Report) -> (String, Value) {
        let both: Value = serde_json::from_str(&by_protocol(report).unwrap()).unwrap();
        let https = serde_json::from_str(both["https"].as_str().unwrap()).unwrap();
        (both["default"].as_str().unwrap().to_owned(), https)
    }

    /// The fields of the guide's "Event schema", and no others.
    fn assert_documented(https: &Value) {
        let fields = |value: &Value, known: &[&str]| {
            for name in value.as_object().unwrap().keys() {
                assert!(known.contains(&name.as_str()), "{name}");
            }
        };
        fields(https, &["version", "source", "id", "content", "metadata"]);
        fields(&https["content"], &["textType", "title", "description", "nextSteps", "keywords"]);
        fields(&https["metadata"], &["threadId", "summary"]);
        assert_eq!((&https["version"], &https["source"]), (&"1.0".into(), &"custom".into()));
        assert_eq!(https["content"]["textType"], "client-markdown");
        for text in [
            &https["id"],
            &https["content"]["title"],
            &https["content"]["description"],
            &https["content"]["nextSteps"][0],
            &https["metadata"]["threadId"],
            &https["metadata"]["summary"],
        ] {
            assert!(text.as_str().is_some_and(|text| !text.is_empty()), "{https}");
        }
    }

    #[test]
    fn every_outcome_is_told_to_a_chat_in_the_thread_of_its_release_and_as_text_to_others() {
        for outcome in Outcome::ALL {
            let report = report(&ending(outcome), DateTime::UNIX_EPOCH);
            let (text, https) = told(&report);
            assert_eq!(text, message(&report));
            assert_documented(&https);
            assert_eq!(https["metadata"]["threadId"], "prod-1");
            assert_eq!(https["content"]["title"], format!("bookings-api prod: {outcome}"));
            let description = https["content"]["description"].as_str().unwrap();
            assert!(description.contains("Because of this."), "{description}");
            assert!(description.contains(&report.execution_url), "{description}");
        }
    }

    #[test]
    fn what_others_wrote_calls_nobody_and_hides_no_link() {
        let because = format!("<!here> [nothing](https://evil.example) \u{1b}[31m & {}", "x".repeat(100_000));
        let mut report = report(&Ending { because, ..ending(Outcome::ReleaseError) }, DateTime::UNIX_EPOCH);
        report.origin =
            Some(Origin { subject: Some("<https://evil.example|Pay>".into()), ..Origin::default() });
        let (_, https) = told(&report);
        assert_documented(&https);
        let description = https["content"]["description"].as_str().unwrap();
        assert!(!description.contains(['<', '>', '\u{1b}']) && !description.contains("]("), "{description}");
        assert!(description.contains("&lt;!here&gt;"), "{description}");
        assert!(description.chars().count() < 3_000);
    }
}
