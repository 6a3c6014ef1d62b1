//! Holds the state machine, the functions, the template and the README together.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use shared::{Error, Outcome};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn machine() -> Value {
    serde_saphyr::from_str(&read("statemachine/release.asl.yaml")).unwrap()
}

fn states() -> Map<String, Value> {
    machine()["States"].as_object().unwrap().clone()
}

/// The states that invoke a function.
fn function_states() -> BTreeMap<String, Value> {
    let invokes = |state: &Value| state["Resource"] == "arn:aws:states:::lambda:invoke";
    states().into_iter().filter(|(_, state)| invokes(state)).collect()
}

fn kebab_case(name: &str) -> String {
    let mut text = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !text.is_empty() {
            text.push('-');
        }
        text.extend(c.to_lowercase());
    }
    text
}

fn list<'a>(state: &'a Value, field: &str) -> &'a [Value] {
    state[field].as_array().map_or(&[], Vec::as_slice)
}

/// Every state that `state` can go to.
fn next(state: &Value) -> BTreeSet<&str> {
    let own = [&state["Next"], &state["Default"]];
    let branches = list(state, "Choices").iter().chain(list(state, "Catch")).map(|branch| &branch["Next"]);
    own.into_iter().chain(branches).filter_map(Value::as_str).collect()
}

/// Every text anywhere in `value`.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(values) => values.iter().flat_map(texts).collect(),
        Value::Object(fields) => fields.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn every_function_state_has_one_name_everywhere() {
    let template = read("template.yaml");
    for (name, state) in function_states() {
        let kebab = kebab_case(&name);
        let manifest = read(&format!("functions/{kebab}/Cargo.toml"));
        assert!(manifest.contains(&format!("name = \"{kebab}\"")), "{kebab}");
        assert_eq!(state["Arguments"]["FunctionName"], format!("${{{name}FunctionArn}}"));
        assert!(template.contains(&format!("\n  {name}Function:\n")), "{name}");
        assert!(template.contains(&format!("BuildProperties: {{Binary: {kebab}}}")), "{kebab}");
        assert!(template.contains(&format!("{name}FunctionArn: !GetAtt {name}Function.Arn")), "{name}");
    }
}

#[test]
fn every_function_is_a_state_or_starts_or_installs() {
    let mut known: BTreeSet<_> = function_states().keys().map(|name| kebab_case(name)).collect();
    known.extend(["start-release", "grant-image-pull", "preflight"].map(String::from));
    let folders = fs::read_dir(root().join("functions")).unwrap();
    let folders: BTreeSet<_> =
        folders.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(folders, known);
}

#[test]
fn every_function_has_a_role_of_its_own() {
    let template = read("template.yaml");
    for entry in fs::read_dir(root().join("functions")).unwrap() {
        let kebab = entry.unwrap().file_name().into_string().unwrap();
        let name: String =
            kebab.split('-').map(|word| format!("{}{}", word[..1].to_uppercase(), &word[1..])).collect();
        let function = template.split(&format!("\n  {name}Function:\n")).nth(1).expect(&name);
        let function = function.split("\n\n").next().unwrap();
        assert!(function.contains(&format!("BuildProperties: {{Binary: {kebab}}}")), "{kebab}");
        assert!(function.contains(&format!("Role: !GetAtt {name}Role.Arn")), "{kebab}");
        assert!(function.contains(&format!("-{kebab}'")), "{kebab}");
        assert!(template.contains(&format!("\n  {name}Role:\n")), "{kebab}");
    }
}

#[test]
fn the_documents_tell_every_check_of_the_preflight() {
    use shared::preflight::{containers, image, planetscale, secrets};
    let document = read("docs/preflight.md");
    let others = [
        secrets::CONNECTION_STRING,
        containers::SERVICE,
        containers::PULLER,
        containers::POLICY,
        image::IMAGE,
        containers::NOTIFICATIONS,
    ];
    for check in planetscale::ALL.into_iter().chain(others) {
        assert!(document.contains(&format!("| `{check}` |")), "{check}");
    }
}

#[test]
fn every_state_is_explained_and_every_task_has_a_timeout() {
    for (name, state) in states() {
        assert!(
            state["Comment"].as_str().is_some_and(|comment| comment.ends_with('.')),
            "{name} has a comment"
        );
        if state["Type"] == "Task" {
            assert!(state["TimeoutSeconds"].is_u64(), "{name} has a timeout");
        }
        assert_eq!(name.ends_with('?'), state["Type"] == "Choice", "{name}: a choice is a question");
    }
}

#[test]
fn a_function_is_stopped_by_lambda_before_its_state_times_out() {
    let template = read("template.yaml");
    let timeout = template.lines().find_map(|line| line.trim().strip_prefix("Timeout: ")).unwrap();
    let timeout: u64 = timeout.parse().unwrap();
    for (name, state) in function_states() {
        assert!(state["TimeoutSeconds"].as_u64().unwrap() > timeout, "{name}");
    }
}

#[test]
fn every_function_state_is_retried_alike_and_catches_everything() {
    let all = function_states();
    let retry = list(&all["AcquireLock"], "Retry");
    let patient = list(&all["GetDeployRequest"], "Retry");
    assert_eq!(patient[0]["ErrorEquals"], serde_json::json!(["RateLimited"]));
    for (name, state) in &all {
        let calls_planetscale =
            read(&format!("functions/{}/Cargo.toml", kebab_case(name))).contains("\"planetscale\"");
        assert_eq!(list(state, "Retry"), if calls_planetscale { patient } else { retry }, "{name}");
        assert!(list(state, "Retry").iter().all(|retry| retry["JitterStrategy"] == "FULL"));
        assert_eq!(list(state, "Retry").last(), retry.first(), "{name}");
        let last = list(state, "Catch").last().unwrap();
        assert_eq!(last["ErrorEquals"], serde_json::json!(["States.ALL"]), "{name}");
    }
}

#[test]
fn every_error_name_that_is_matched_is_one_that_functions_return() {
    let service = ["Lambda.", "States.", "Sandbox.", "Runtime."];
    let mut matched = BTreeSet::new();
    for (state_name, state) in states() {
        for block in list(&state, "Retry").iter().chain(list(&state, "Catch")) {
            for name in texts(&block["ErrorEquals"]) {
                if !service.iter().any(|prefix| name.starts_with(prefix)) {
                    assert!(Error::NAMES.contains(&name), "{state_name} matches {name}");
                    matched.insert(name.to_owned());
                }
            }
        }
    }
    let only_told = ["Unexpected"];
    for name in Error::NAMES {
        let known = matched.contains(name) || only_told.contains(&name) || name == "RevertRefused";
        assert!(known, "{name} is matched by no state");
    }
}

#[test]
fn every_state_can_be_reached_and_every_way_goes_through_finish_release() {
    let states = states();
    let reachable = |start: &str, without: &str| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![start.to_owned()]);
        while let Some(name) = open.pop() {
            if name != without && seen.insert(name.clone()) {
                open.extend(next(&states[&name]).into_iter().map(String::from));
            }
        }
        seen
    };
    let start = machine()["StartAt"].as_str().unwrap().to_owned();
    assert_eq!(reachable(&start, ""), states.keys().cloned().collect());
    for name in reachable(&start, "FinishRelease") {
        assert!(
            !["Succeed", "Fail"].contains(&states[&name]["Type"].as_str().unwrap()),
            "{name} skips FinishRelease"
        );
    }
}

#[test]
fn every_outcome_is_an_end_state_of_its_kind() {
    let states = states();
    let ends: BTreeSet<_> = states
        .iter()
        .filter(|(_, state)| ["Succeed", "Fail"].contains(&state["Type"].as_str().unwrap()))
        .map(|(name, _)| name.clone())
        .collect();
    assert_eq!(ends, Outcome::ALL.iter().map(Outcome::to_string).collect());
    for outcome in Outcome::ALL {
        let state = &states[&outcome.to_string()];
        assert_eq!(state["Type"], if outcome.is_success() { "Succeed" } else { "Fail" }, "{outcome}");
        if !outcome.is_success() {
            assert_eq!(state["Error"], outcome.to_string());
        }
    }
}

#[test]
fn every_variable_is_set_before_it_is_read() {
    let states = states();
    let first: BTreeSet<_> = states["BeginRelease"]["Assign"].as_object().unwrap().keys().cloned().collect();
    for (name, state) in &states {
        for text in texts(state).into_iter().filter(|text| text.starts_with("{%")) {
            for word in text.split('$').skip(1) {
                let word: String = word.chars().take_while(|c| c.is_alphanumeric()).collect();
                let function = text.contains(&format!("${word}("));
                let known = function || word == "states" || word == "report" || first.contains(&word);
                assert!(known, "{name} reads ${word}");
            }
        }
    }
}

#[test]
fn the_readme_tells_every_outcome_and_every_parameter() {
    let readme = read("README.md");
    for outcome in Outcome::ALL {
        assert!(readme.contains(&format!("| `{outcome}` |")), "{outcome}");
    }
    let template = read("template.yaml");
    let parameters =
        template.split("\nParameters:\n").nth(1).unwrap().split("\nConditions:\n").next().unwrap();
    for line in parameters.lines() {
        if let Some(name) = line.strip_prefix("  ").filter(|name| !name.starts_with([' ', '#'])) {
            let name = name.trim_end_matches(':');
            assert!(readme.contains(&format!("| `{name}` |")), "the README's parameters lack {name}");
        }
    }
}

#[test]
fn the_changelog_has_the_present_version() {
    assert!(read("CHANGELOG.md").contains(&format!("## {}", env!("CARGO_PKG_VERSION"))));
}
