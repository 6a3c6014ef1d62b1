//! Reading the log of a container.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::clock;
use crate::emulator::Emulator;
use crate::error::ApiError;
use crate::requests::GetContainerLog;
use crate::service::LogLine;
use crate::validation::required;

pub fn get(emulator: &Arc<Emulator>, name: &str, request: GetContainerLog) -> Result<Value, ApiError> {
    let container = required("containerName", request.container_name)?;
    let start: usize = match request.page_token {
        Some(token) => token.parse().map_err(|_| ApiError::invalid_input("The page token is not valid."))?,
        None => 0,
    };
    let world = emulator.world();
    let service = world.services.get(name).ok_or_else(|| ApiError::no_service(name))?;
    let settings = &world.settings;
    let filter = request.filter_pattern.unwrap_or_default();
    let is_wanted = |line: &&LogLine| {
        request.start_time.is_none_or(|time| line.created_at >= time)
            && request.end_time.is_none_or(|time| line.created_at <= time)
            && clock::has_passed(line.created_at, settings.log_lag_ms)
            && matches(&filter, &line.message)
    };
    // A container that never was has no lines; whether the real service refuses it is unknown.
    let lines = service.logs.get(&container).into_iter().flatten();
    let lines: Vec<&LogLine> = lines.filter(is_wanted).skip(start).collect();
    let size = settings.log_page_size.max(1);
    let mut answer = json!({"logEvents": &lines[..lines.len().min(size)]});
    if lines.len() > size {
        answer["nextPageToken"] = (start + size).to_string().into();
    }
    Ok(answer)
}

/// Whether a line passes a filter pattern: terms that must be there, `-` before one that must not, and `?`
/// before those of which one suffices (API reference).
fn matches(pattern: &str, line: &str) -> bool {
    let terms: Vec<&str> = pattern.split_whitespace().collect();
    let has = |term: &str| line.contains(term.trim_matches('"'));
    let alternatives: Vec<&str> = terms.iter().filter_map(|term| term.strip_prefix('?')).collect();
    (alternatives.is_empty() || alternatives.iter().any(|term| has(term)))
        && terms.iter().filter(|term| !term.starts_with('?')).all(|term| match term.strip_prefix('-') {
            Some(unwanted) => !has(unwanted),
            None => has(term),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_pattern_wants_excludes_and_offers_terms() {
        for (pattern, expected) in [
            ("", true),
            ("ERROR", true),
            ("-ERROR", false),
            ("ERROR disk", true),
            ("ERROR net", false),
            ("?net ?disk", true),
            ("?net ?cpu", false),
            ("\"disk\"", true),
        ] {
            assert_eq!(matches(pattern, "ERROR: disk full"), expected, "{pattern}");
        }
    }
}
