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

/// The states that call a function for another phase than the state of the function's own name.
const OTHER_PHASES: [(&str, &str); 7] = [
    ("FollowRestoredContainers", "GetContainerDeployment"),
    ("FollowRevert", "GetDeployRequest"),
    ("FollowSchemaChange", "GetDeployRequest"),
    ("TakeBaseline", "VerifyService"),
    ("VerifyOldContainers", "VerifyService"),
    ("VerifyRestoredContainers", "VerifyService"),
    ("WithdrawDeployRequest", "CloseDeployRequest"),
];

/// The function that `state` calls, by the name of its own state.
fn function_of(state: &Value) -> &str {
    let arn = state["Arguments"]["FunctionName"].as_str().unwrap();
    arn.strip_prefix("${").and_then(|arn| arn.strip_suffix("FunctionArn}")).unwrap()
}

fn manifest(function: &str) -> String {
    read(&format!("functions/{}/Cargo.toml", kebab_case(function)))
}

/// The functions that change something outside of the table of releases.
const CHANGES: [&str; 7] = [
    "CloseDeployRequest",
    "CreateContainerDeployment",
    "CreateDeployRequest",
    "DeployDeployRequest",
    "RestoreContainers",
    "RevertDeployRequest",
    "SkipRevert",
];

#[test]
fn every_function_state_has_one_name_everywhere() {
    let template = read("template.yaml");
    for (name, state) in function_states() {
        let function = function_of(&state);
        let other = OTHER_PHASES.iter().find(|(other, _)| *other == name);
        assert_eq!(function, other.map_or(name.as_str(), |(_, function)| function));
        let kebab = kebab_case(function);
        assert!(manifest(function).contains(&format!("name = \"{kebab}\"")), "{kebab}");
        assert!(template.contains(&format!("\n  {function}Function:\n")), "{name}");
        assert!(template.contains(&format!("BuildProperties: {{Binary: {kebab}}}")), "{kebab}");
        assert!(
            template.contains(&format!("{function}FunctionArn: !GetAtt {function}Function.Arn")),
            "{name}"
        );
    }
}

#[test]
fn every_function_is_a_state_or_starts_or_installs() {
    let mut known: BTreeSet<_> =
        function_states().values().map(|state| kebab_case(function_of(state))).collect();
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
fn a_last_call_is_waited_for_as_long_as_any_task_can_take() {
    let template = read("template.yaml");
    let line = template.lines().find_map(|line| line.trim().strip_prefix("LAST_CALL: ")).unwrap();
    let last_call = line.trim_matches('\'');
    for (name, state) in function_states() {
        assert_eq!(state["TimeoutSeconds"].to_string(), last_call.trim_matches('\''), "{name}");
    }
}

/// The Retry of `state` that matches `error`.
fn retry<'a>(state: &'a Value, error: &str) -> Option<&'a Value> {
    list(state, "Retry").iter().find(|block| texts(&block["ErrorEquals"]).contains(&error))
}

/// The seconds that pass before each retry of `block` at the most.
fn delays(block: &Value) -> Vec<f64> {
    let number = |field: &str| block[field].as_f64();
    let (first, rate) = (number("IntervalSeconds").unwrap(), number("BackoffRate").unwrap());
    let most = number("MaxDelaySeconds").unwrap_or(f64::INFINITY);
    let tries = block["MaxAttempts"].as_i64().unwrap();
    (0..tries).map(|tried| (first * rate.powi(tried.try_into().unwrap())).min(most)).collect()
}

/// Whether `state` only looks at what is waited for: given up sooner, it is one more wait.
fn is_look(state: &Value) -> bool {
    ["GetDeployRequest", "GetContainerDeployment"].contains(&function_of(state))
}

/// The Retry `block` with so many attempts.
fn few(block: &Value, attempts: u64) -> Value {
    let mut block = block.clone();
    block["MaxAttempts"] = attempts.into();
    block
}

#[test]
fn every_function_state_is_retried_alike_and_catches_everything() {
    let all = function_states();
    let changing = &all["DeployDeployRequest"];
    let [lock, rate, lost, passing] = list(changing, "Retry") else { panic!("{changing}") };
    assert_eq!(lock["ErrorEquals"], serde_json::json!(["LockNotUsableYet"]));
    assert_eq!(rate["ErrorEquals"], serde_json::json!(["RateLimited"]));
    for (name, state) in &all {
        let function = function_of(state);
        let waits_for_the_lock = CHANGES.contains(&function) || function == "AcquireLock";
        let calls_planetscale = manifest(function).contains("\"planetscale\"");
        let (lost, passing) =
            if is_look(state) { (&few(lost, 1), &few(passing, 5)) } else { (lost, passing) };
        let blocks = [(waits_for_the_lock, lock), (calls_planetscale, rate), (true, lost), (true, passing)];
        let expected: Vec<_> =
            blocks.into_iter().filter_map(|(has, block)| has.then_some(block.clone())).collect();
        assert_eq!(list(state, "Retry"), expected, "{name}");
        let last = list(state, "Catch").last().unwrap();
        assert_eq!(last["ErrorEquals"], serde_json::json!(["States.ALL"]), "{name}");
    }
}

#[test]
fn a_lock_that_is_not_usable_yet_is_waited_out_in_place() {
    for (name, state) in function_states() {
        let Some(block) = retry(&state, "LockNotUsableYet") else { continue };
        assert_eq!(block["JitterStrategy"], Value::Null, "{name}");
        assert!(
            delays(block).iter().sum::<f64>() > 2.0 * state["TimeoutSeconds"].as_f64().unwrap(),
            "{name}"
        );
    }
}

#[test]
fn a_call_whose_connection_was_lost_is_over_before_it_is_made_again() {
    for (name, state) in function_states() {
        let errors = [
            "Lambda.SdkClientException",
            "Lambda.ClientExecutionTimeoutException",
            "Lambda.Unknown",
            "States.Timeout",
        ];
        for error in errors {
            let block = retry(&state, error).unwrap();
            assert_eq!(block["JitterStrategy"], Value::Null, "{name}");
            assert!(
                delays(block).iter().all(|delay| *delay >= state["TimeoutSeconds"].as_f64().unwrap()),
                "{name}"
            );
        }
    }
}

#[test]
fn an_error_that_passes_is_tried_again_for_a_quarter_of_an_hour() {
    for (name, state) in function_states().into_iter().filter(|(_, state)| !is_look(state)) {
        for error in ["Retryable", "Lambda.ServiceException", "Lambda.Unknown"] {
            let block = retry(&state, error).unwrap();
            // With FULL jitter each delay is a random part of itself: half of it in the mean.
            let part = if block["JitterStrategy"] == "FULL" { 0.5 } else { 1.0 };
            let mean = delays(block).iter().sum::<f64>() * part;
            assert!(mean >= 900.0, "{name}: {error} is tried again for {mean} s in the mean");
        }
    }
}

#[test]
fn a_look_without_an_answer_is_one_more_wait_until_the_deadline() {
    for (name, state) in function_states().into_iter().filter(|(_, state)| is_look(state)) {
        // Half a day of refused calls ends it: waiting on, with 144 calls a look, would not fit into a history.
        let retried: BTreeSet<_> = list(&state, "Retry")
            .iter()
            .flat_map(|block| texts(&block["ErrorEquals"]))
            .filter(|error| *error != "RateLimited")
            .collect();
        let unanswered = |catch: &&Value| texts(&catch["ErrorEquals"]).contains(&"Retryable");
        let catch = list(&state, "Catch").iter().find(unanswered).unwrap();
        assert_eq!(texts(&catch["ErrorEquals"]).into_iter().collect::<BTreeSet<_>>(), retried, "{name}");
        assert_eq!(catch["Next"], state["Next"], "{name}");
        let deadline = match name.as_str() {
            "GetDeployRequest" => "$lookup($release.deadlines, $lowercase($goal))",
            "FollowSchemaChange" => "$release.deadlines.schema",
            "FollowRevert" => "$release.deadlines.revert",
            _ => "$release.deadlines.containers",
        };
        let step = catch["Assign"]["look"]["step"].as_str().unwrap();
        assert!(step.starts_with(&format!("{{% $waited >= {deadline} ? ")), "{name}: {step}");
        assert_eq!(state["Assign"]["silentSince"], "", "{name}");
    }
}

/// A history may have 25,000 events (Step Functions guide, "Service quotas"): the longest waits and room to spare.
const MOST_EVENTS: u64 = 20_000;
/// What a release makes besides its looks: the way through its states, and tries of calls that fail for a while.
const OTHER_EVENTS: u64 = 1_000;
/// Seconds for which PlanetScale takes an applied change back (its documentation, "Revert a schema change": 30 minutes).
const REVERT_WINDOW: u64 = 1_800;

#[test]
fn the_longest_waits_that_the_parameters_allow_fit_into_a_history() {
    let template = read("template.yaml");
    let most = |parameter: &str| -> u64 {
        let block = template.split(&format!("\n  {parameter}:\n")).nth(1).unwrap();
        block.lines().find_map(|line| line.trim().strip_prefix("MaxValue: ")).unwrap().parse().unwrap()
    };
    let states = states();
    let events = |state: &Value| match state["Type"].as_str().unwrap() {
        // Entered, scheduled, started, succeeded, exited; the others only entered and exited.
        "Task" => 5,
        _ => 2,
    };
    let ring = |wait: &str| -> u64 {
        let look = states[wait]["Next"].as_str().unwrap();
        let question = states[look]["Next"].as_str().unwrap();
        assert!(next(&states[question]).contains(wait), "{wait} is waited for in a ring of three states");
        [wait, look, question].iter().map(|name| events(&states[*name])).sum()
    };
    let within = |wait: &str, deadline: u64| -> u64 {
        let (mut waited, mut looks) = (0, 0);
        while let shared::poll::Patience::Wait(seconds) = shared::poll::patience(waited, deadline) {
            let for_a_person = ["WaitForApproval", "WaitForCutover"].contains(&wait);
            waited += if for_a_person { shared::poll::for_a_person(seconds, waited) } else { seconds };
            looks += 1;
        }
        looks * ring(wait)
    };
    let asked = |wait: &str, seconds: u64| (seconds / shared::verification::PERIOD + 1) * ring(wait);
    let before = OTHER_EVENTS
        + within("WaitForTurn", most("TurnDeadline"))
        + within("WaitForValidation", most("ValidationDeadline"))
        + within("WaitForApproval", most("ApprovalDeadline"))
        // A person is looked for more often than a migration, under the same deadline.
        + within("WaitForCutover", most("SchemaDeadline"))
        + asked("WaitForOldContainers", 30);
    let containers = most("ContainersDeadline");
    let without_revert = within("WaitForContainers", containers)
        + asked("WaitForVerification", most("VerifyFor"))
        + within("WaitForVersionBefore", containers)
        + asked("WaitForRestoredContainers", 30);
    // A change goes back only while its window is open, so all that is between fits into it.
    let minutes = REVERT_WINDOW / 60;
    let splits = (0..=minutes).flat_map(|first| (0..=minutes - first).map(move |second| (first, second)));
    let in_the_window = splits.map(|(first, second)| {
        let left = REVERT_WINDOW - 60 * (first + second);
        within("WaitForContainers", 60 * first)
            + within("WaitForVersionBefore", 60 * second)
            + asked("WaitForVerification", left)
            + asked("WaitForRestoredContainers", 30)
    });
    let with_revert = in_the_window.max().unwrap() + within("WaitForRevert", most("RevertDeadline"));
    let all = before + without_revert.max(with_revert);
    assert!(all <= MOST_EVENTS, "{all} events");
}

#[test]
fn a_function_that_changes_something_says_for_whom_and_a_release_that_lost_its_lock_ends() {
    for (name, state) in function_states() {
        let function = function_of(&state);
        if CHANGES.contains(&function) {
            assert!(manifest(function).contains("\"records\""), "{function} cannot see the lock");
            let catches = list(&state, "Catch");
            for error in ["LockLost", "StaleCall"] {
                let matches = |catch: &&Value| {
                    texts(&catch["ErrorEquals"]).iter().any(|name| [error, "States.ALL"].contains(name))
                };
                let caught = catches.iter().find(matches).unwrap();
                assert_eq!(caught["Next"], "FinishRelease", "{name}");
                assert_eq!(caught["Assign"]["outcome"], "ReleaseError", "{name}");
            }
        }
        if CHANGES.contains(&function) || ["AcquireLock", "FinishRelease"].contains(&function) {
            let payload = &state["Arguments"]["Payload"];
            assert_eq!(payload["execution"], "{% $execution %}", "{name}");
            assert_eq!(payload["redrives"], "{% $states.context.Execution.RedriveCount %}", "{name}");
        }
    }
}

#[test]
fn every_failure_is_told_by_the_same_line() {
    let line = "{% $merge([$states.errorOutput, {'State': $states.context.State.Name}]) %}";
    let mut told = 0;
    for (name, state) in states() {
        for catch in list(&state, "Catch") {
            if catch["Assign"].get("failure").is_some() {
                assert_eq!(catch["Assign"]["failure"], line, "{name}");
                told += 1;
            }
        }
    }
    assert!(told > 0);
}

/// The phase of each state, counted from the first.
fn phases() -> BTreeMap<String, usize> {
    let (mut phase, mut found) = (0, BTreeMap::new());
    for line in read("statemachine/release.asl.yaml").lines() {
        if line.starts_with("  # ---- ") {
            phase += 1;
        } else if let Some(name) = line.strip_prefix("  ").and_then(|line| line.strip_suffix(':'))
            && !name.starts_with([' ', '#'])
        {
            found.insert(name.to_owned(), phase);
        }
    }
    found
}

#[test]
fn no_edge_skips_more_than_one_phase_but_those_to_the_end() {
    let phases = phases();
    assert_eq!(
        phases.keys().cloned().collect::<Vec<_>>(),
        states().keys().cloned().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>()
    );
    let end = phases["FinishRelease"];
    assert_eq!(phases["BeginRelease"], 1);
    for (name, state) in states() {
        for next in next(&state) {
            let (from, to) = (phases[&name], phases[next]);
            assert!(
                to == end || from.abs_diff(to) <= 2,
                "{name} of phase {from} goes to {next} of phase {to}"
            );
        }
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
    let template = read("template.yaml");
    assert_eq!(ends, Outcome::ALL.iter().map(Outcome::to_string).collect());
    for outcome in Outcome::ALL {
        let state = &states[&outcome.to_string()];
        assert_eq!(state["Type"], if outcome.is_success() { "Succeed" } else { "Fail" }, "{outcome}");
        if !outcome.is_success() {
            assert_eq!(state["Error"], outcome.to_string());
            // It told its own end: the rule for executions that were cut short leaves it out.
            assert!(template.contains(&format!("                    - {outcome}\n")), "{outcome}");
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
