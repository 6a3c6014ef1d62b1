use serde_json::{Value, json};

use super::*;
use crate::planetscale::{Base, DeploymentState, request as bare_request};
use crate::testing::{digest, release};

/// A request that adds a column, unless `deployment` says otherwise.
fn request(state: &str, deployment: Value) -> DeployRequest {
    let mut body = json!({"deploy_operations": [operation("a", false)]});
    body.as_object_mut().unwrap().extend(deployment.as_object().unwrap().clone());
    bare_request(state, body)
}

fn step(goal: Goal, request: &DeployRequest, waited: u64) -> Step {
    next_step(goal, request, DestructiveChanges::Refuse, waited, &release().deadlines)
}

/// The step's name and outcome, such as `End(TimedOut)`.
fn name(step: &Step) -> String {
    match step {
        Step::Refuse { outcome, .. } => format!("Refuse({outcome})"),
        Step::End { outcome, .. } => format!("End({outcome})"),
        Step::Applied { revertible, .. } => format!("Applied({revertible})"),
        other => format!("{other:?}").split([' ', '{']).next().unwrap_or_default().to_owned(),
    }
}

#[test]
fn every_state_means_one_thing_for_every_goal() {
    // state, and the step while waiting for: validation, approval (not given), schema, revert.
    let table = [
        ("pending", ["Wait", "Wait", "Wait", "End(RevertRefused)"]),
        ("ready", ["SchemaFirst", "Wait", "Wait", "End(RevertRefused)"]),
        ("no_changes", ["NothingToApply", "NothingToApply", "NothingToApply", "End(RevertRefused)"]),
        ("queued", ["Follow", "Follow", "Wait", "End(RevertRefused)"]),
        ("submitting", ["Follow", "Follow", "Wait", "End(RevertRefused)"]),
        ("in_progress", ["Follow", "Follow", "Wait", "End(RevertRefused)"]),
        ("pending_cutover", ["Follow", "Follow", "AwaitCutover", "End(RevertRefused)"]),
        ("in_progress_vschema", ["Follow", "Follow", "Wait", "End(RevertRefused)"]),
        ("in_progress_cancel", ["Wait", "Wait", "Wait", "End(RevertRefused)"]),
        ("in_progress_cutover", ["Follow", "Follow", "Wait", "End(RevertRefused)"]),
        ("complete", ["Applied(false)", "Applied(false)", "Applied(false)", "End(RevertRefused)"]),
        (
            "complete_cancel",
            ["End(SchemaRejected)", "End(SchemaRejected)", "End(SchemaRejected)", "End(RevertRefused)"],
        ),
        (
            "complete_error",
            ["End(SchemaFailed)", "End(SchemaFailed)", "End(SchemaFailed)", "End(RevertRefused)"],
        ),
        ("complete_pending_revert", ["Applied(true)", "Applied(true)", "Applied(true)", "Wait"]),
        ("in_progress_revert", ["Wait", "Wait", "Wait", "Wait"]),
        ("in_progress_revert_vschema", ["Wait", "Wait", "Wait", "Wait"]),
        (
            "complete_revert",
            ["End(SchemaRejected)", "End(SchemaRejected)", "End(SchemaRejected)", "Reverted"],
        ),
        (
            "complete_revert_error",
            ["End(SchemaFailed)", "End(SchemaFailed)", "End(SchemaFailed)", "End(RevertRefused)"],
        ),
        (
            "cancelled",
            ["End(SchemaRejected)", "End(SchemaRejected)", "End(SchemaRejected)", "End(RevertRefused)"],
        ),
        (
            "error",
            ["Refuse(SchemaRefused)", "Refuse(SchemaRefused)", "Refuse(SchemaRefused)", "End(RevertRefused)"],
        ),
        ("in_progress_wormhole", ["Wait", "Wait", "Wait", "Wait"]),
    ];
    for known in DeploymentState::KNOWN {
        assert!(table.iter().any(|(state, _)| *state == known.as_str()), "{known:?} is in the table");
    }
    for (state, expected) in table {
        let goals = [Goal::Validation, Goal::Approval, Goal::Schema, Goal::Revert];
        for (goal, expected) in goals.into_iter().zip(expected) {
            let step = step(goal, &request(state, json!({})), 0);
            assert_eq!(name(&step), expected, "{state} while waiting for {goal:?}: {step:?}");
        }
    }
}

#[test]
fn every_wait_ends_at_its_own_deadline_and_says_which() {
    let deadlines = release().deadlines;
    for (goal, state, waited, expected, words) in [
        (
            Goal::Validation,
            "pending",
            deadlines.validation,
            "Refuse(TimedOut)",
            "deadline for validation (30 min)",
        ),
        (
            Goal::Approval,
            "ready",
            deadlines.approval,
            "Refuse(SchemaRejected)",
            "deadline for approval (3 d)",
        ),
        (Goal::Schema, "in_progress", deadlines.schema, "End(TimedOut)", "deadline for the schema (14 d)"),
        (
            Goal::Revert,
            "in_progress_revert",
            deadlines.revert,
            "End(TimedOut)",
            "deadline for the revert (1 h)",
        ),
        (Goal::Schema, "in_progress_wormhole", deadlines.schema, "End(TimedOut)", "in_progress_wormhole"),
    ] {
        let request = request(state, json!({}));
        assert_eq!(name(&step(goal, &request, waited - 1)), "Wait", "{goal:?}");
        let step = step(goal, &request, waited);
        assert_eq!(name(&step), expected, "{goal:?}");
        assert!(format!("{step:?}").contains(words), "{step:?}");
    }
}

#[test]
fn a_request_that_a_person_closed_is_rejected() {
    for state in ["pending", "ready", "no_changes", "error"] {
        let mut request = request(state, json!({}));
        request.state = "closed".into();
        assert_eq!(name(&step(Goal::Validation, &request, 0)), "End(SchemaRejected)", "{state}");
    }
    let mut request = request("ready", json!({}));
    request.state = "closed".into();
    assert_eq!(name(&step(Goal::Schema, &request, 0)), "End(SchemaRejected)");
}

#[test]
fn an_approved_request_goes_on() {
    let mut request = request("ready", json!({}));
    request.approved = true;
    assert_eq!(name(&step(Goal::Approval, &request, 0)), "SchemaFirst");
}

#[test]
fn a_request_that_left_the_queue_by_itself_is_rejected_after_a_while() {
    let request = request("ready", json!({}));
    assert_eq!(name(&step(Goal::Schema, &request, DEQUEUED_AFTER - 1)), "Wait");
    assert_eq!(name(&step(Goal::Schema, &request, DEQUEUED_AFTER)), "Refuse(SchemaRejected)");
}

#[test]
fn a_queue_blocked_by_a_failure_says_which_and_how_to_unblock_it() {
    let ahead = |state: &str| {
        request("queued", json!({"preceding_deployments": [{"state": state, "deploy_request_number": 3}]}))
    };
    let blocked = step(Goal::Schema, &ahead("complete_error"), 0);
    assert_eq!(name(&blocked), "Refuse(SchemaFailed)");
    assert!(format!("{blocked:?}").contains("deploy request #3"), "{blocked:?}");
    assert!(format!("{blocked:?}").contains("unblock"), "{blocked:?}");
    assert_eq!(name(&step(Goal::Schema, &ahead("in_progress"), 0)), "Wait");
    let paused = request("queued", json!({"queue_paused": true, "queue_pause_reason": "maintenance"}));
    assert!(format!("{:?}", step(Goal::Schema, &paused, 0)).contains("paused: maintenance"));
}

#[test]
fn states_that_contradict_each_other_wait() {
    let mut request = request("complete", json!({}));
    request.deployment.as_mut().unwrap().state = DeploymentState::InProgress;
    let step = step(Goal::Schema, &request, 0);
    assert!(matches!(&step, Step::Wait { because, .. } if because.contains("contradict")), "{step:?}");
}

#[test]
fn an_instant_change_cannot_be_reverted() {
    let step = step(Goal::Schema, &request("complete_pending_revert", json!({"instant_ddl": true})), 0);
    assert_eq!(name(&step), "Applied(false)");
}

fn operation(table: &str, drops: bool) -> Value {
    let statement = if drops {
        format!("ALTER TABLE `{table}` DROP COLUMN `a`")
    } else {
        format!("ALTER TABLE `{table}` ADD COLUMN `a` int")
    };
    json!({"table_name": table, "operation_name": "ALTER", "ddl_statement": statement, "can_drop_data": drops})
}

#[test]
fn a_statement_that_adds_and_drops_in_one_table_has_no_safe_order() {
    use DestructiveChanges::{AfterContainers, Allow, Refuse};
    let altered = |clauses: &str| {
        json!({"table_name": "a", "operation_name": "ALTER", "can_drop_data": true,
            "ddl_statement": if clauses.is_empty() { String::new() } else { format!("ALTER TABLE `a` {clauses}") }})
    };
    for (clauses, after, allow) in [
        ("DROP COLUMN `b`", "ContainersFirst", "ContainersFirst"),
        ("DROP COLUMN `b`, DROP KEY `k`, ADD KEY `k` (`c`)", "ContainersFirst", "ContainersFirst"),
        ("MODIFY COLUMN `b` varchar(3)", "ContainersFirst", "ContainersFirst"),
        ("DROP COLUMN `b`, COMMENT 'x, ADD COLUMN y'", "ContainersFirst", "ContainersFirst"),
        ("DROP COLUMN `b`, ADD COLUMN `c` int", "Refuse(SchemaRefused)", "SchemaFirst"),
        ("ADD COLUMN `c` int, DROP COLUMN `b`", "Refuse(SchemaRefused)", "SchemaFirst"),
        ("RENAME COLUMN `b` TO `c`", "Refuse(SchemaRefused)", "SchemaFirst"),
        ("", "Refuse(SchemaRefused)", "SchemaFirst"),
    ] {
        let request = request("ready", json!({"deploy_operations": [altered(clauses)]}));
        let step = |policy| name(&next_step(Goal::Validation, &request, policy, 0, &release().deadlines));
        assert_eq!(step(AfterContainers), after, "{clauses}");
        assert_eq!(step(Allow), allow, "{clauses}");
        assert_eq!(step(Refuse), "Refuse(SchemaRefused)", "{clauses}");
    }
}

#[test]
fn the_order_follows_from_what_the_statements_can_drop() {
    use DestructiveChanges::{AfterContainers, Allow, Refuse};
    let (adds, drops) = (operation("a", false), operation("d", true));
    for (operations, policy, expected) in [
        (vec![&adds], Refuse, "SchemaFirst"),
        (vec![&adds], AfterContainers, "SchemaFirst"),
        (vec![&adds], Allow, "SchemaFirst"),
        (vec![&drops], Refuse, "Refuse(SchemaRefused)"),
        (vec![&drops], AfterContainers, "ContainersFirst"),
        (vec![&drops], Allow, "ContainersFirst"),
        (vec![&adds, &drops], Refuse, "Refuse(SchemaRefused)"),
        (vec![&adds, &drops], AfterContainers, "Refuse(SchemaRefused)"),
        (vec![&adds, &drops], Allow, "SchemaFirst"),
    ] {
        let request = request("ready", json!({"deploy_operations": operations, "deployable": true}));
        let step = next_step(Goal::Validation, &request, policy, 0, &release().deadlines);
        assert_eq!(name(&step), expected, "{operations:?} {policy:?}");
    }
}

#[test]
fn the_order_follows_from_what_the_statements_break() {
    use DestructiveChanges::{AfterContainers, Allow, Refuse};
    let table = "CREATE TABLE `a` (`id` int NOT NULL, `n` varchar(20) NOT NULL, `m` int DEFAULT NULL, PRIMARY KEY (`id`))";
    // What can drop data, and the step under each policy.
    for (clause, drops, [refuse, after, allow]) in [
        ("ADD COLUMN `x` int", false, ["SchemaFirst"; 3]),
        ("MODIFY `n` varchar(30) NOT NULL", false, ["SchemaFirst"; 3]),
        ("MODIFY `n` varchar(10) NOT NULL", false, ["ContainersFirst"; 3]),
        ("ADD UNIQUE KEY `k` (`m`)", false, ["ContainersFirst"; 3]),
        (
            "ADD COLUMN `x` int NOT NULL",
            false,
            ["Refuse(SchemaRefused)", "Refuse(SchemaRefused)", "SchemaFirst"],
        ),
        (
            "RENAME COLUMN `m` TO `x`",
            false,
            ["Refuse(SchemaRefused)", "Refuse(SchemaRefused)", "SchemaFirst"],
        ),
        (
            "ADD COLUMN `x` int, ADD UNIQUE KEY `k` (`m`)",
            false,
            ["Refuse(SchemaRefused)", "Refuse(SchemaRefused)", "SchemaFirst"],
        ),
        ("DROP COLUMN `m`", true, ["Refuse(SchemaRefused)", "ContainersFirst", "ContainersFirst"]),
        ("DROP COLUMN `n`", true, ["Refuse(SchemaRefused)", "Refuse(SchemaRefused)", "SchemaFirst"]),
        (
            "DROP COLUMN `m`, ADD COLUMN `m` int",
            true,
            ["Refuse(SchemaRefused)", "ContainersFirst", "ContainersFirst"],
        ),
        (
            "MODIFY `n` varchar(30) NOT NULL",
            true,
            ["Refuse(SchemaRefused)", "Refuse(SchemaRefused)", "SchemaFirst"],
        ),
    ] {
        let operation = json!({"table_name": "a", "operation_name": "ALTER", "can_drop_data": drops,
            "ddl_statement": format!("ALTER TABLE `a` {clause}")});
        let mut request = request("ready", json!({"deploy_operations": [operation]}));
        request.base = Base::Read(crate::order::Schema::read([table]));
        for (policy, expected) in [(Refuse, refuse), (AfterContainers, after), (Allow, allow)] {
            let step = next_step(Goal::Validation, &request, policy, 0, &release().deadlines);
            assert_eq!(name(&step), expected, "{clause} {policy:?}: {step:?}");
            assert!(!format!("{step:?}").contains("not known"), "{step:?}");
        }
    }
}

#[test]
fn a_table_in_use_is_dropped_only_if_a_person_allows_it() {
    use DestructiveChanges::{AfterContainers, Allow};
    for (used, after) in [(false, "ContainersFirst"), (true, "Refuse(SchemaRefused)")] {
        let drops = json!({"table_name": "t", "operation_name": "DROP", "ddl_statement": "DROP TABLE `t`",
            "can_drop_data": true, "table_recently_used": used, "table_recently_used_at": "2026-11-25T01:00:00Z"});
        let request = request("ready", json!({"deploy_operations": [drops]}));
        let step = |policy| next_step(Goal::Validation, &request, policy, 0, &release().deadlines);
        assert_eq!(name(&step(AfterContainers)), after);
        assert_eq!(name(&step(Allow)), "ContainersFirst");
        assert_eq!(format!("{:?}", step(AfterContainers)).contains("t (2026-11-25T01:00:00Z)"), used);
    }
}

#[test]
fn a_refused_change_names_the_statements_to_split() {
    let request =
        request("ready", json!({"deploy_operations": [operation("a", false), operation("d", true)]}));
    match next_step(Goal::Validation, &request, DestructiveChanges::AfterContainers, 0, &release().deadlines)
    {
        Step::Refuse { because, .. } => {
            let (first, afterwards) = because.split_once("afterwards").unwrap();
            assert!(first.contains("ALTER TABLE `a`"), "{because}");
            assert!(afterwards.contains("ALTER TABLE `d`"), "{because}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_request_that_is_not_deployable_is_refused_with_every_reason_there_is() {
    let lint = json!({"lint_errors": [{"lint_error": "NO_UNIQUE_KEY", "table_name": "t", "error_description": "needs one"}]});
    let eleven: Vec<_> = (0..11).map(|n| operation(&format!("t{n}"), false)).collect();
    for (state, deployment, words) in [
        ("error", lint.clone(), "NO_UNIQUE_KEY in t: needs one"),
        (
            "ready",
            json!({"deployable": false, "deploy_check_errors": "not enough storage"}),
            "not enough storage",
        ),
        ("ready", json!({"deployable": false, "deploy_operations": eleven}), "11 tables"),
        ("error", json!({}), "gives no reason"),
    ] {
        let step = step(Goal::Validation, &request(state, deployment), 0);
        assert_eq!(name(&step), "Refuse(SchemaRefused)");
        assert!(format!("{step:?}").contains(words), "{step:?}");
    }
}

#[test]
fn an_open_request_is_adopted_unless_it_is_done_or_going_back() {
    for state in DeploymentState::KNOWN {
        let expected = match state.as_str() {
            "complete_pending_revert" => Adoption::CloseWindow,
            "in_progress_revert" | "in_progress_revert_vschema" | "in_progress_cancel" => Adoption::Busy,
            _ => Adoption::Adopt,
        };
        assert_eq!(adoption(&request(state.as_str(), json!({}))), expected, "{state:?}");
    }
}

#[test]
fn progress_and_statements_read_like_a_report_whatever_their_size() {
    let mut operations: Vec<_> = (0..30).map(|n| operation(&format!("t{n}"), false)).collect();
    operations[0]["ddl_statement"] = "x".repeat(100_000).into();
    operations[0]["progress_percentage"] = 40.into();
    operations[0]["eta_seconds"] = 4_299.into();
    let running = request("in_progress", json!({"deploy_operations": operations[..1]}));
    match step(Goal::Schema, &running, 0) {
        Step::Wait { because, .. } => assert!(because.contains("40% done, 1 h 11 min left"), "{because}"),
        other => panic!("{other:?}"),
    }
    let report = DeployRequestReport::from(&request("ready", json!({"deploy_operations": operations})));
    assert_eq!(report.statements.len(), 21);
    assert!(serde_json::to_string(&report).unwrap().len() < 30_000);
}

#[test]
fn a_refused_deploy_is_waited_out_approved_or_final() {
    let validating = "We're currently validating that these changes are safe to deploy. Please try again in a few moments.";
    let approval = "Deploy request must be approved before deploying.";
    let not_deployable = "This deploy request is not deployable";
    // message, approved, needs an approval, waited of 100 s, and what it means.
    for (message, approved, needs_approval, waited, expected) in [
        (validating, false, false, 0, "JudgeAgain"),
        (validating, false, true, 0, "JudgeAgain"),
        (validating, true, true, 99, "JudgeAgain"),
        (validating, false, false, 100, "TimedOut"),
        (approval, false, false, 0, "NeedsApproval"),
        (approval, false, true, 0, "NeedsApproval"),
        (approval, true, true, 0, "SchemaRefused"),
        (not_deployable, false, true, 0, "NeedsApproval"),
        (not_deployable, false, false, 0, "SchemaRefused"),
        (not_deployable, true, true, 0, "SchemaRefused"),
        ("This deploy request cannot be deployed", false, false, 0, "SchemaRefused"),
    ] {
        let sentence = format!("POST … answered 422: {message}");
        let refusal = Refusal { message, sentence: &sentence, approved, needs_approval };
        let found = match refused_deploy(refusal, waited, 100) {
            Ok(step) => serde_json::to_value(step).unwrap()["step"].as_str().unwrap().to_owned(),
            Err(error) => {
                assert_eq!(error.to_string(), sentence);
                error.name().to_owned()
            }
        };
        assert_eq!(found, expected, "{message} approved: {approved} needed: {needs_approval}");
    }
}

#[test]
fn a_refused_deploy_is_looked_at_again_when_the_request_itself_says_why() {
    for state in DeploymentState::KNOWN {
        let decided = is_decided(&request(state.as_str(), json!({})));
        assert_eq!(decided, !matches!(state, DeploymentState::Pending | DeploymentState::Ready), "{state:?}");
    }
    assert!(!is_decided(&request("in_progress_wormhole", json!({}))));
    let mut closed = request("ready", json!({}));
    closed.state = "closed".into();
    assert!(is_decided(&closed));
}

#[test]
fn only_a_request_that_is_not_deployed_is_closed() {
    for state in DeploymentState::KNOWN {
        let expected = match state.as_str() {
            "pending" | "ready" | "no_changes" | "error" | "cancelled" | "complete_cancel" => Closing::Close,
            "queued" | "submitting" => Closing::Dequeue,
            _ => Closing::Leave,
        };
        let mut request = request(state.as_str(), json!({}));
        assert_eq!(closing(&request), expected, "{state:?}");
        request.state = "closed".into();
        assert_eq!(closing(&request), Closing::Leave, "{state:?}");
    }
}

#[test]
fn what_planetscale_does_not_say_counts_as_harm() {
    use DestructiveChanges::{AfterContainers, Allow, Refuse};
    let mut untold = operation("a", false);
    untold.as_object_mut().unwrap().remove("can_drop_data");
    let mut unsaid = operation("a", false);
    unsaid["can_drop_data"] = Value::Null;
    for (operations, expected) in [
        (json!([untold]), ["Refuse(SchemaRefused)", "Refuse(SchemaRefused)", "SchemaFirst"]),
        (json!([unsaid]), ["Refuse(SchemaRefused)", "Refuse(SchemaRefused)", "SchemaFirst"]),
        (
            json!([operation("b", false), unsaid]),
            ["Refuse(SchemaRefused)", "Refuse(SchemaRefused)", "SchemaFirst"],
        ),
        (
            json!([unsaid, operation("d", true)]),
            ["Refuse(SchemaRefused)", "Refuse(SchemaRefused)", "SchemaFirst"],
        ),
        (json!([{}]), ["Refuse(SchemaRefused)", "Refuse(SchemaRefused)", "SchemaFirst"]),
        (json!([{}, 7]), ["Refuse(SchemaRefused)", "Refuse(SchemaRefused)", "SchemaFirst"]),
        (json!([]), ["Wait", "Wait", "SchemaFirst"]),
        (Value::Null, ["Wait", "Wait", "SchemaFirst"]),
    ] {
        let request = request("ready", json!({"deploy_operations": operations}));
        for (policy, expected) in [Refuse, AfterContainers, Allow].into_iter().zip(expected) {
            let step = next_step(Goal::Validation, &request, policy, 0, &release().deadlines);
            assert_eq!(name(&step), expected, "{operations} {policy:?}: {step:?}");
        }
    }
    let empty = request("ready", json!({"deploy_operations": []}));
    assert_eq!(name(&step(Goal::Validation, &empty, release().deadlines.validation)), "Refuse(TimedOut)");
}

#[test]
fn a_request_that_is_not_deployable_without_a_reason_is_asked_for() {
    let request = request("ready", json!({"deployable": false}));
    assert_eq!(name(&step(Goal::Validation, &request, 0)), "SchemaFirst");
    let checked = self::request("ready", json!({"deployable": false, "deploy_check_errors": ""}));
    assert_eq!(name(&step(Goal::Validation, &checked, 0)), "SchemaFirst");
    assert_eq!(name(&step(Goal::Approval, &request, 0)), "Wait");
}

#[test]
fn only_what_may_be_applied_at_this_place_has_clearance() {
    use DestructiveChanges::{AfterContainers, Allow, Refuse};
    let given = |operations: &Value, policy, serves| {
        let request = request("ready", json!({"deploy_operations": operations}));
        clearance(&request, policy, serves) == Clearance::Given
    };
    let (adds, drops) = (json!([operation("a", false)]), json!([operation("d", true)]));
    let both = json!([operation("a", false), operation("d", true)]);
    // The change, and the policies and places in which it goes: before the containers, and after them.
    for (operations, policy, before, after) in [
        (&adds, Refuse, true, true),
        (&adds, AfterContainers, true, true),
        (&adds, Allow, true, true),
        (&drops, Refuse, false, false),
        (&drops, AfterContainers, false, true),
        (&drops, Allow, false, true),
        (&both, Refuse, false, false),
        (&both, AfterContainers, false, false),
        (&both, Allow, true, true),
        (&json!([]), Refuse, false, false),
        (&json!([null]), AfterContainers, false, false),
    ] {
        assert_eq!(given(operations, policy, false), before, "{operations} {policy:?} before");
        assert_eq!(given(operations, policy, true), after, "{operations} {policy:?} after");
    }
}

#[test]
fn the_last_judgement_never_contradicts_the_first() {
    // Else a release would go to and fro between the two.
    use DestructiveChanges::{AfterContainers, Allow, Refuse};
    let kinds = [operation("a", false), operation("d", true), json!({}), json!({"can_drop_data": true})];
    for first in &kinds {
        for second in kinds.iter().map(Some).chain([None]) {
            let operations: Vec<_> = [Some(first), second].into_iter().flatten().collect();
            let request = request("ready", json!({"deploy_operations": operations}));
            for policy in [Refuse, AfterContainers, Allow] {
                let step = next_step(Goal::Validation, &request, policy, 0, &release().deadlines);
                let goes = |serves| clearance(&request, policy, serves) == Clearance::Given;
                assert_eq!(
                    goes(false),
                    matches!(step, Step::SchemaFirst { .. }),
                    "{operations:?} {policy:?}"
                );
                let after = matches!(step, Step::SchemaFirst { .. } | Step::ContainersFirst { .. });
                assert_eq!(goes(true), after, "{operations:?} {policy:?}");
            }
        }
    }
}

#[test]
fn what_slipped_through_is_told_by_where_it_is() {
    for state in DeploymentState::KNOWN {
        let error = taken_out(&request(state.as_str(), json!({})), "It drops `a`.");
        let applied = is_on_its_way(state.stage());
        assert_eq!(error.name(), if applied { "Unexpected" } else { "SchemaRefused" }, "{state:?}");
        assert!(error.to_string().contains("It drops `a`."), "{error}");
    }
}

#[test]
fn what_a_person_has_to_do_is_looked_at_every_five_minutes() {
    let within_a_day = 86_399;
    for (goal, request) in [
        (Goal::Approval, request("ready", json!({}))),
        (Goal::Schema, request("pending_cutover", json!({"auto_cutover": false}))),
        (Goal::Schema, request("pending_cutover", json!({}))),
    ] {
        match step(goal, &request, within_a_day) {
            Step::Wait { seconds, .. } if goal == Goal::Approval => assert_eq!(seconds, 300),
            Step::AwaitCutover { seconds, .. } if goal == Goal::Schema => assert_eq!(seconds, 300),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_gate_that_opens_by_itself_waits_for_nobody() {
    let told = |deployment| format!("{:?}", step(Goal::Schema, &request("pending_cutover", deployment), 0));
    assert!(told(json!({"auto_cutover": false})).contains("a person has to apply"));
    assert!(told(json!({})).contains("a person has to apply"));
    assert!(told(json!({"auto_cutover": true})).starts_with("Wait"));
}

#[test]
fn a_newer_push_overtakes_a_release_that_waits_and_has_changed_nothing() {
    let image = release().image;
    let waits = || step(Goal::Validation, &request("pending", json!({})), 0);
    let goes = || step(Goal::Validation, &request("ready", json!({})), 0);
    let newer = digest('b');
    assert_eq!(name(&unless_overtaken(waits(), &image, Some(&image.digest))), "Wait");
    assert_eq!(name(&unless_overtaken(waits(), &image, None)), "Wait", "a deleted tag is no newer push");
    assert_eq!(name(&unless_overtaken(waits(), &image, Some(&newer))), "Refuse(Superseded)");
    assert_eq!(name(&unless_overtaken(goes(), &image, Some(&newer))), "SchemaFirst");
}

#[test]
fn what_holds_the_queue_is_named_with_the_way_out() {
    let queued = |ahead: Value| format!("{:?}", step(Goal::Schema, &request("queued", ahead), 0));
    let behind = |state: &str| {
        queued(json!({"preceding_deployments": [{}, {"state": state, "deploy_request_number": 3}]}))
    };
    for words in ["behind the revert window of deploy request #3", "skip-revert"] {
        assert!(behind("complete_pending_revert").contains(words), "{words}");
    }
    assert!(behind("pending_cutover").contains("deploy request #3, which waits for a person"));
    assert!(behind("in_progress").contains("behind 2 others"));
    assert!(behind("complete_error").contains("a pscale made after August 2026"));
    let locked = json!({"table_locked": true, "locked_table_name": "hotels"});
    let locked = format!("{:?}", step(Goal::Schema, &request("in_progress_cutover", locked), 0));
    for words in ["a lock on hotels", "force-cutover"] {
        assert!(locked.contains(words), "{locked}");
    }
}

#[test]
fn a_drop_from_a_table_that_is_in_use_says_so() {
    let mut drops = operation("d", true);
    drops["table_recently_used"] = true.into();
    let step = step(Goal::Validation, &request("ready", json!({"deploy_operations": [drops]})), 0);
    assert!(format!("{step:?}").contains("saw queries of d lately"), "{step:?}");
}

#[test]
fn a_release_is_good_only_if_its_change_stays() {
    for state in DeploymentState::KNOWN {
        let (schema, _) = stays(&request(state.as_str(), json!({}))).unwrap();
        let expected = match state.as_str() {
            "complete_pending_revert" => SchemaChange::Revertible,
            "in_progress_revert"
            | "in_progress_revert_vschema"
            | "complete_revert"
            | "complete_revert_error" => SchemaChange::Reverted,
            _ => SchemaChange::Permanent,
        };
        assert_eq!(schema, expected, "{state:?}");
    }
    assert!(matches!(stays(&request("in_progress_wormhole", json!({}))), Err(Error::Retryable(_))));
}
