//! What others write is read without a panic, and what goes to others stays within their limits.
//!
//! Each property is tried with as many inputs as `PROPTEST_CASES` says, 512 unless given, and the inputs of a failure
//! are kept beside this file, in `properties.proptest-regressions`.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use chrono::{DateTime, Utc};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use shared::containers::{RELEASE_MARKER, busy, environment, own_lines};
use shared::image::{ImageDigest, ImageTag, ReferenceStyle, TagList, immutable_tag};
use shared::mask::{Mask, mask_credentials};
use shared::order::{Schema, Verdict, judge};
use shared::planetscale::{DeployRequest, DeploymentState};
use shared::release::{Cause, DestructiveChanges, Release};
use shared::report::{Ending, message, report, subject};
use shared::schema::{
    DeployRequestReport, Goal, Refusal, adoption, closing, is_on_its_way, next_step, refused_deploy,
};
use shared::start::{Request, execution_name, request};
use shared::{Outcome, repository_policy, text};

/// Step Functions' limit of a state's input, its output and its variables; SNS's of a message is the same.
const PAYLOAD: usize = 256 * 1024;

/// Text as people and programs would not write it: quotes, controls, JSON, `JSONata`, shell, other scripts, long runs.
fn hostile() -> impl Strategy<Value = String> {
    let pieces = prop_oneof![
        4 => any::<String>(),
        2 => "[\\x00-\\x1f\\x7f\"'\\\\`${}<>%]{0,40}",
        1 => Just("{% $states.input %}".to_owned()),
        1 => Just("\"}],\"x\":[{\"".to_owned()),
        1 => Just("$(reboot)'; DROP TABLE hotels; --".to_owned()),
        1 => Just("\u{202e}\u{2028}\u{feff}\u{fffd}🏨".to_owned()),
        1 => (any::<char>(), 1_usize..120_000).prop_map(|(c, times)| c.to_string().repeat(times)),
    ];
    vec(pieces, 0..3).prop_map(|pieces| pieces.concat())
}

fn digest() -> impl Strategy<Value = ImageDigest> {
    "[0-9a-f]{64}".prop_map(|hex| format!("sha256:{hex}").parse().unwrap())
}

fn tag() -> impl Strategy<Value = ImageTag> {
    "[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}".prop_map(|tag| tag.parse().unwrap())
}

/// Any JSON, of strings that are hostile and of members that the parsers look for.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<i32>().prop_map(|number| Value::from(f64::from(number) / 4.0)),
        hostile().prop_map(Value::from),
    ];
    let names = prop_oneof![
        Just("detail".to_owned()),
        Just("source".to_owned()),
        Just("detail-type".to_owned()),
        Just("time".to_owned()),
        Just("deployment".to_owned()),
        Just("Statement".to_owned()),
        Just("Sid".to_owned()),
        any::<String>(),
    ];
    leaf.prop_recursive(3, 24, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            vec((names.clone(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn state() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => (0..DeploymentState::KNOWN.len())
            .prop_map(|index| DeploymentState::KNOWN[index].as_str().to_owned()),
        1 => hostile(),
    ]
}

prop_compose! {
    fn operation()(
        table in hostile(), name in hostile(), statement in hostile(),
        drops in proptest::option::of(any::<bool>()), error in hostile(),
        progress in proptest::option::of(any::<f64>()), eta in proptest::option::of(any::<f64>()),
    ) -> Value {
        json!({"table_name": table, "operation_name": name, "ddl_statement": statement, "can_drop_data": drops,
            "deploy_errors": error, "progress_percentage": progress, "eta_seconds": eta})
    }
}

prop_compose! {
    fn deploy_request()(
        states in (state(), state()), number in any::<u64>(), texts in (hostile(), hostile(), hostile()),
        open in any::<bool>(), approved in any::<bool>(), deployable in proptest::option::of(any::<bool>()),
        instant in any::<bool>(), operations in vec(operation(), 0..4), lint in vec((hostile(), hostile()), 0..3),
        check in hostile(), ahead in vec((state(), proptest::option::of(any::<u64>())), 0..3), paused in any::<bool>(),
    ) -> Value {
        let (branch, page, pause) = texts;
        let lint: Vec<_> = lint.into_iter()
            .map(|(code, why)| json!({"lint_error": code, "table_name": "t", "error_description": why})).collect();
        let ahead: Vec<_> = ahead.into_iter()
            .map(|(state, number)| json!({"state": state, "deploy_request_number": number})).collect();
        json!({"number": number, "branch": branch, "into_branch": "main",
            "state": if open { "open" } else { "closed" }, "deployment_state": states.0, "approved": approved,
            "html_url": page, "deployment": {"state": states.1, "deployable": deployable, "instant_ddl": instant,
                "deploy_operations": operations, "lint_errors": lint, "deploy_check_errors": check,
                "preceding_deployments": ahead, "queue_paused": paused, "queue_pause_reason": pause}})
    }
}

fn goal() -> impl Strategy<Value = Goal> {
    prop_oneof![Just(Goal::Validation), Just(Goal::Approval), Just(Goal::Schema), Just(Goal::Revert)]
}

fn policy() -> impl Strategy<Value = DestructiveChanges> {
    prop_oneof![
        Just(DestructiveChanges::Refuse),
        Just(DestructiveChanges::AfterContainers),
        Just(DestructiveChanges::Allow)
    ]
}

fn release() -> Release {
    serde_json::from_value(json!({"application": "bookings-api", "environment": "prod", "cause": "push",
        "pushedAt": "2026-11-23T03:46:53Z", "service": "bookings-api-prod", "database": null,
        "image": {"repository": "bookings-api", "uri": "host/bookings-api", "movingTag": "prod",
            "digest": format!("sha256:{}", "a".repeat(64)), "commit": "3f2a9c1d"},
        "policy": {"destructiveChanges": "refuse", "onContainerFailure": "revert-schema"},
        "deadlines": {"turn": 1, "validation": 2, "approval": 3, "schema": 4, "revert": 5, "containers": 6},
        "lastCall": 70}))
    .unwrap()
}

fn size(value: &impl serde::Serialize) -> usize {
    serde_json::to_string(value).unwrap().len()
}

fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(512)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn a_digest_parses_exactly_when_it_is_sha256_and_64_digits(text in prop_oneof![
        hostile(), "sha256:[0-9a-f]{60,66}", "sha[0-9]{3}:[0-9a-fA-F]{64}", digest().prop_map(String::from),
    ]) {
        let hex = text.strip_prefix("sha256:");
        let valid = hex.is_some_and(|hex| hex.len() == 64 && hex.chars().all(|c| "0123456789abcdef".contains(c)));
        match text.parse::<ImageDigest>() {
            Ok(parsed) => {
                prop_assert!(valid);
                prop_assert_eq!(parsed.as_str(), text.as_str());
                prop_assert_eq!(parsed.short(), &text[7..19]);
                let json = serde_json::to_string(&parsed).unwrap();
                prop_assert_eq!(serde_json::from_str::<ImageDigest>(&json).unwrap(), parsed);
            }
            Err(told) => {
                prop_assert!(!valid);
                prop_assert!(told.len() < 3_000, "the message is short");
            }
        }
    }

    #[test]
    fn a_tag_parses_exactly_when_it_is_in_the_registrys_alphabet(text in prop_oneof![
        hostile(), "[A-Za-z0-9_.-]{0,130}", tag().prop_map(String::from),
    ]) {
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let valid = (1..=128).contains(&text.len())
            && text.chars().all(|c| word(c) || c == '.' || c == '-')
            && text.starts_with(word);
        prop_assert_eq!(text.parse::<ImageTag>().is_ok(), valid);
        if let Ok(parsed) = text.parse::<ImageTag>() {
            prop_assert_eq!(parsed.to_string(), text);
        }
    }

    #[test]
    fn a_list_of_tags_parses_back(tags in vec(tag(), 1..6), space in " {0,2}", text in hostile()) {
        let joined = tags.iter().map(ImageTag::as_str).collect::<Vec<_>>().join(&format!(",{space}"));
        prop_assert_eq!(joined.parse::<TagList>().unwrap().0, tags);
        let _ = text.parse::<TagList>();
        prop_assert!(text.parse::<ReferenceStyle>().is_err());
        prop_assert!(text.parse::<DestructiveChanges>().is_err());
    }

    #[test]
    fn the_immutable_tag_is_one_of_the_images_and_never_a_moving_one(
        tags in vec(tag(), 0..6), commits in vec("[0-9a-f]{7,40}", 0..3), moving in vec(tag(), 0..3),
        digest in digest(),
    ) {
        let commits: Vec<ImageTag> = commits.iter().map(|tag| tag.parse().unwrap()).collect();
        let all: Vec<_> = tags.iter().chain(&commits).chain(&moving).cloned().collect();
        let chosen = immutable_tag(&all, &moving);
        prop_assert!(chosen.is_some() || commits.iter().all(|tag| moving.contains(tag)));
        if let Some(chosen) = chosen {
            prop_assert!(!moving.contains(chosen));
            prop_assert!(chosen.as_str().bytes().all(|b| b.is_ascii_hexdigit()));
            let reference = ReferenceStyle::Tag.reference("host/app", &digest, &all, &moving).unwrap();
            prop_assert_eq!(reference, format!("host/app:{chosen}"));
        }
    }

    #[test]
    fn an_execution_name_has_at_most_80_characters_that_step_functions_takes(
        tag in tag(), digest in digest(), seconds in 0_i64..4_102_444_800,
        cause in prop_oneof![Just(Cause::Push), Just(Cause::ScheduledLook), Just(Cause::ByHand)],
    ) {
        let at: DateTime<Utc> = DateTime::from_timestamp(seconds, 0).unwrap();
        let name = execution_name(&tag, &digest, at, cause);
        prop_assert!(name.len() <= 80, "{}", name);
        prop_assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_'), "{}", name);
        prop_assert_eq!(&name, &execution_name(&tag, &digest, at, cause));
    }

    #[test]
    fn any_json_as_an_event_is_a_request_or_an_error(payload in any_json()) {
        let is_empty = payload == json!({});
        match request(payload, "bookings-api", &"prod".parse().unwrap()) {
            Ok(asked) => prop_assert_eq!(asked == Request::ByHand, is_empty),
            Err(error) => prop_assert_eq!(error.name(), "Misconfigured"),
        }
    }

    #[test]
    fn an_ecr_event_is_released_only_when_every_field_is_right(
        texts in (hostile(), hostile(), hostile(), hostile(), hostile()), right in any::<[bool; 5]>(), digest in digest(),
    ) {
        let field = |index: usize, good: &str, bad: &String| {
            if right[index] { good.to_owned() } else { bad.clone() }
        };
        let event = json!({"source": "aws.ecr", "detail-type": "ECR Image Action", "time": "2026-11-23T03:46:53Z",
            "detail": {"result": field(0, "SUCCESS", &texts.0), "repository-name": field(1, "bookings-api", &texts.1),
                "image-digest": field(2, digest.as_str(), &texts.2), "action-type": field(3, "PUSH", &texts.3),
                "image-tag": field(4, "prod", &texts.4)}});
        match request(event, "bookings-api", &"prod".parse().unwrap()) {
            Ok(Request::Release(found, _)) => {
                prop_assert!(right.iter().all(|right| *right));
                prop_assert_eq!(found, digest);
            }
            Ok(Request::Ignore(because)) => prop_assert!(because.len() < 3_000),
            Ok(other) => prop_assert!(false, "{:?}", other),
            Err(error) => prop_assert_eq!(error.name(), "Misconfigured"),
        }
    }

    #[test]
    fn every_name_of_a_state_parses_back(name in prop_oneof![state(), any::<String>()]) {
        let state = DeploymentState::from(name.clone());
        prop_assert_eq!(state.as_str(), name.as_str());
        prop_assert_eq!(serde_json::to_value(&state).unwrap(), json!(name));
        let known = DeploymentState::KNOWN.iter().any(|known| known.as_str() == name);
        prop_assert_eq!(matches!(state, DeploymentState::Unknown(_)), !known);
    }

    #[test]
    fn any_json_as_a_deploy_request_is_read_or_refused(body in any_json(), bytes in vec(any::<u8>(), 0..200)) {
        let _ = serde_json::from_value::<DeployRequest>(body);
        let _ = serde_json::from_slice::<DeployRequest>(&bytes);
    }

    #[test]
    fn every_decision_about_a_hostile_deploy_request_fits_into_a_payload(
        body in deploy_request(), goal in goal(), policy in policy(), waited in any::<u64>(),
    ) {
        let request: DeployRequest = serde_json::from_value(body).unwrap();
        let step = next_step(goal, &request, policy, waited, &release().deadlines);
        let shown = DeployRequestReport::from(&request);
        prop_assert!(size(&step) < 30_000, "a step has {} bytes", size(&step));
        prop_assert!(size(&step) + size(&shown) < PAYLOAD / 2);
        let _ = (adoption(&request), closing(&request), is_on_its_way(request.stage()));
    }

    #[test]
    fn a_report_of_hostile_texts_fits_into_record_message_and_subject(
        body in deploy_request(), because in hostile(), cause in hostile(), name in hostile(), order in hostile(),
        application in hostile(), outcome in (0..Outcome::ALL.len()).prop_map(|index| Outcome::ALL[index]),
    ) {
        let request: DeployRequest = serde_json::from_value(body).unwrap();
        let order = text::shorten(&order, 6_000);
        let mut ending: Ending = serde_json::from_value(json!({
            "release": release(), "redrives": 0, "outcome": outcome, "because": because, "order": order,
            "execution": {"arn": "arn:aws:states:us-east-1:1:execution:app:prod-1", "name": "prod-1",
                "startedAt": "2026-11-23T03:46:53Z"},
            "error": {"Error": name, "Cause": cause, "State": "GetDeployRequest"},
            "deployRequest": DeployRequestReport::from(&request),
        })).unwrap();
        let written = report(&ending, DateTime::UNIX_EPOCH);
        prop_assert!(size(&written) < PAYLOAD, "the record has {} bytes", size(&written));
        prop_assert!(message(&written).len() < PAYLOAD);
        let back: shared::report::Report = serde_json::from_str(&serde_json::to_string(&written).unwrap()).unwrap();
        prop_assert_eq!(back, written);

        ending.release.application = application;
        let subject = subject(&report(&ending, DateTime::UNIX_EPOCH));
        prop_assert!(subject.len() <= 100 && subject.chars().all(|c| c == ' ' || c.is_ascii_graphic()), "{}", subject);
    }

    #[test]
    fn text_is_shortened_at_a_character_and_loses_its_controls(text in hostile(), longest in 0_usize..200) {
        let short = text::shorten(&text, longest);
        let text = mask_credentials(&text);
        prop_assert!(!short.chars().any(char::is_control));
        prop_assert!(short.chars().count() <= longest + 1);
        let clean = |c: char| if c.is_control() { ' ' } else { c };
        if text.chars().count() <= longest {
            prop_assert!(short.chars().eq(text.chars().map(clean)));
        } else {
            prop_assert!(short.ends_with('…'));
            prop_assert!(short.chars().take(longest).eq(text.chars().take(longest).map(clean)));
        }
    }

    #[test]
    fn no_secret_is_told_whatever_stands_around_it(
        password in "[!-)+-~]{8,40}", before in hostile(), after in hostile(), encode in any::<bool>(),
    ) {
        let encoded: String = password.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let written = if encode { &encoded } else { &password };
        let secret = format!("mysql://app:{written}@db.example/bookings");
        let mask = Mask::of(&secret);
        let json = Value::from(secret.as_str()).to_string();
        for told in [&secret, &password, written, &json, &secret.replace(written, &password)] {
            let told = mask.apply(&format!("{before}{told}{after}"));
            let outside = [&before, &after].iter().any(|text| text.contains(&password));
            prop_assert!(outside || !told.contains(&password), "{}", told);
            prop_assert!(!told.contains(&encoded), "{}", told);
        }
    }

    #[test]
    fn what_has_the_shape_of_a_credential_is_not_told(
        word in "[A-Za-z0-9]{20,40}", before in hostile(), after in hostile(),
        shape in prop_oneof![
            Just("pscale_pw_@"), Just("pscale_tkn_@"), Just("mysql://app:@@db.example/x"), Just("PASSWORD=@ "),
            Just("\"password\": \"@\""), Just("&token=@&"), Just("aws_secret_access_key = @;"),
        ],
    ) {
        let told = format!("{before} {} {after}", shape.replacen('@', &word, 1));
        prop_assert!(!text::shorten(&told, told.len()).contains(&word), "{}", told);
    }

    #[test]
    fn every_statement_has_a_verdict_and_what_cannot_be_read_breaks_both_ways(
        text in hostile(), table in hostile(), clauses in vec("ADD COLUMN `[a-z,( ]{1,9}` int|COMMENT '[a-z,`(]{0,9}'", 1..5),
    ) {
        let before = Schema::read([table.as_str(), text.as_str()]);
        let judgement = judge([text.as_str()], &before);
        prop_assert!(!judgement.findings.is_empty());
        let statement = format!("ALTER TABLE `a, b` {}", clauses.join(", "));
        prop_assert_eq!(judge([statement.as_str()], &before).verdict(), Verdict::Expand);
        let half = format!("{statement}, DROP COLUMN `");
        prop_assert_eq!(judge([half.as_str()], &before).verdict(), Verdict::BreaksBothWays);
    }

    #[test]
    fn a_duration_is_told_for_every_number(seconds in any::<u64>()) {
        prop_assert!(!text::duration(seconds).is_empty());
        prop_assert!(text::deadline_passed("x", seconds).len() < 100);
    }

    #[test]
    fn an_error_leaves_a_function_short_enough(text in hostile()) {
        let error = lambda_runtime::Diagnostic::from(shared::Error::Unexpected(text));
        prop_assert!(error.error_message.chars().count() <= 4_001);
    }

    #[test]
    fn a_refused_deploy_is_understood_or_final(
        text in hostile(), approved in any::<bool>(), needs_approval in any::<bool>(), waited in any::<u64>(),
        deadline in any::<u64>(),
    ) {
        let refusal = Refusal { message: &text, sentence: &text, approved, needs_approval };
        let _ = refused_deploy(refusal, waited, deadline);
    }

    #[test]
    fn a_repository_policy_keeps_every_foreign_statement(
        document in any_json(), broken in hostile(), statements in vec(any_json(), 0..4), service in "[a-z0-9-]{1,40}",
    ) {
        let _ = repository_policy::revoke(&broken, &broken);
        let _ = repository_policy::grant(Some(&broken), &broken, &broken);
        let refused = repository_policy::grant(Some(&document.to_string()), &service, "arn:x").is_err();
        prop_assert_eq!(refused, !document.is_object());

        let foreign = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
        let granted = repository_policy::grant(Some(&foreign), &service, "arn:x").unwrap();
        prop_assert!(repository_policy::grants(&granted, &service, "arn:x"));
        let again = repository_policy::grant(Some(&granted), &service, "arn:x").unwrap();
        prop_assert_eq!(&again, &granted, "a second grant changes nothing");
        match repository_policy::revoke(&granted, &service).unwrap() {
            Some(left) => prop_assert_eq!(
                serde_json::from_str::<Value>(&left).unwrap(), serde_json::from_str::<Value>(&foreign).unwrap()
            ),
            None => prop_assert!(statements.is_empty()),
        }
    }

    #[test]
    fn an_environment_is_the_parameters_own_and_two_more(
        variables in proptest::collection::btree_map("[A-Z_]{1,8}", hostile(), 0..4), broken in hostile(),
        other in any_json(), secret in hostile(),
    ) {
        prop_assume!(!variables.contains_key(RELEASE_MARKER) && !variables.contains_key("DSN"));
        let parameter = serde_json::to_string(&variables).unwrap();
        let mut made = environment(&parameter, Some(("DSN", &secret)), "prod-1").unwrap();
        prop_assert_eq!(made.remove("DSN"), Some(secret.clone()));
        prop_assert_eq!(made.remove(RELEASE_MARKER), Some("prod-1".to_owned()));
        prop_assert_eq!(made, variables);
        for parameter in [broken, other.to_string()] {
            if let Err(error) = environment(&parameter, Some(("DSN", &secret)), "prod-1") {
                prop_assert!(secret.len() < 40 || !error.to_string().contains(&secret));
            }
        }
    }

    #[test]
    fn a_busy_service_is_told_in_short(what in hostile(), waited in any::<u64>(), deadline in any::<u64>()) {
        prop_assert!(size(&busy(&what, waited, deadline)) < 10_000);
    }

    #[test]
    fn the_lines_of_a_log_are_its_own_end(lines in vec(hostile(), 0..6), version in any::<i32>()) {
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        prop_assert!(lines.ends_with(own_lines(&lines, version)));
    }
}

#[cfg(feature = "planetscale")]
proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn a_token_that_does_not_parse_is_never_repeated(
        text in hostile(), id in "[!-~]{1,20}", token in "[!-~]{8,40}", odd in any::<char>(),
    ) {
        use secrecy::SecretString;
        use shared::planetscale::ServiceToken;

        let told = |secret: String| ServiceToken::parse(&SecretString::from(secret)).map_err(|error| error.to_string());
        if let Err(told) = told(text.clone()) {
            prop_assert!(text.len() < 40 || !told.contains(&text));
        }
        let parsed = told(json!({"id": id, "token": token}).to_string()).unwrap();
        let debug = format!("{parsed:?}");
        prop_assert!(!debug.contains(&token), "the token is shown");
        let spoilt = told(json!({"id": id, "token": format!("{token}{odd}")}).to_string());
        prop_assert_eq!(spoilt.is_ok(), odd.is_ascii_graphic());
    }
}
