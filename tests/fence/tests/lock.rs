//! What each function that changes something does at the environment's lock: a table of every way it can stand.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_types::region::Region;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use shared::aws::SdkConfig;
use shared::clock::Clock;
use shared::fence::Fence;
use shared::planetscale::{Connection, PlanetScale, Writer};
use shared::records::Records;
use shared::{Error, http, lambda};

const MACHINE: &str = "arn:aws:states:us-east-1:123456789012:execution:bookings-api-prod-release";
const NOW: &str = "2026-11-23T03:50:00.000Z";
const EARLIER: &str = "2026-11-23T03:48:00.000Z";
const SOON: &str = "2026-11-23T03:50:30.000Z";
const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn arn(name: &str) -> String {
    format!("{MACHINE}:{name}")
}

/// The name of a call, and the status and body of its answer.
type Answer = (&'static str, u16, Value);

/// The services: what they answer to DynamoDB's and other calls of AWS, and the calls they saw.
#[derive(Clone, Default)]
struct Services {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    seen: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Services {
    /// The next call has to be `action`, and is answered so.
    fn answer(self, action: &'static str, status: u16, body: Value) -> Self {
        self.answers.lock().unwrap().push_back((action, status, body));
        self
    }

    fn lock(self, item: Option<Value>) -> Self {
        self.answer("GetItem", 200, item.map_or(json!({}), |item| json!({"Item": item})))
    }

    fn call(&self, request: &http::Request) -> http::Response {
        let target = request.headers().get("x-amz-target").map_or("", |value| value.to_str().unwrap());
        let action =
            if target.is_empty() { request.url().as_str() } else { target.rsplit('.').next().unwrap() };
        let body = request.body().and_then(|body| body.as_bytes()).unwrap_or_default();
        self.seen.lock().unwrap().push((action.to_owned(), serde_json::from_slice(body).unwrap_or_default()));
        let next = self.answers.lock().unwrap().pop_front();
        // What a function makes of an unexpected call's refusal does not matter: that it was made does.
        let (status, body) = match next {
            Some((expected, status, body)) if expected == action => (status, body),
            _ => (400, json!({"__type": "NotExpected", "message": action})),
        };
        http::Response {
            status: http::StatusCode::from_u16(status).unwrap(),
            headers: Default::default(),
            body: body.to_string().into_bytes(),
        }
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|(action, _)| action.clone()).collect()
    }

    fn body(&self, action: &str) -> Value {
        let seen = self.seen.lock().unwrap();
        seen.iter().find(|(seen, _)| seen == action).map(|(_, body)| body.clone()).unwrap()
    }

    fn http(&self) -> http::Client {
        let services = self.clone();
        http::Client::new(move |request: http::Request| -> http::Call {
            let answer = services.call(&request);
            Box::pin(async move { Ok(answer) })
        })
    }

    fn aws(&self) -> SdkConfig {
        shared::aws::over(self.http())
            .region(Region::from_static("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
                "AKID",
                "only-for-the-tests",
                None,
                None,
                "tests",
            )))
            .build()
    }

    fn records(&self) -> Records {
        Records::new(aws_sdk_dynamodb::Client::new(&self.aws()), "releases".into())
    }

    fn fence(&self) -> Fence {
        Fence::new(self.records(), clock())
    }

    fn writer(&self) -> Writer {
        let planetscale = PlanetScale::new(self.http(), None);
        let secrets = aws_sdk_secretsmanager::Client::new(&self.aws());
        Writer { connection: Connection::new(planetscale, secrets, "secret".into()), fence: self.fence() }
    }
}

fn clock() -> Clock {
    Clock::new(|| NOW.parse::<DateTime<Utc>>().unwrap())
}

fn lock(holder: &str, redrives: u64, usable_from: &str) -> Value {
    json!({"kind": {"S": "lock"}, "id": {"S": "lock"}, "holder": {"S": arn(holder)},
        "redrives": {"N": redrives.to_string()}, "digest": {"S": DIGEST}, "takenAt": {"S": EARLIER},
        "usableFrom": {"S": usable_from}})
}

/// What the state machine hands to a function of the execution `mine`, redriven so often.
fn input(redrives: u64, more: Value) -> Value {
    let mut input = json!({
        "release": {"application": "bookings-api", "environment": "prod", "cause": "push", "pushedAt": EARLIER,
            "image": {"repository": "bookings-api", "uri": "host/bookings-api", "movingTag": "prod",
                "digest": DIGEST, "commit": "3f2a9c1d"},
            "service": "bookings-api-prod",
            "database": {"organization": "acme", "name": "bookings", "headBranch": "dev", "baseBranch": "main"},
            "policy": {"destructiveChanges": "refuse", "onContainerFailure": "revert-schema"},
            "deadlines": {"turn": 60, "validation": 60, "approval": 60, "schema": 60, "revert": 60, "containers": 60},
            "lastCall": 70},
        "execution": {"arn": arn("mine"), "name": "mine", "startedAt": EARLIER},
        "redrives": redrives,
    });
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    input
}

fn parse<I: DeserializeOwned>(input: Value) -> I {
    lambda::parse(input).unwrap()
}

fn answer<O: Serialize>(result: Result<O, Error>) -> Result<Value, Error> {
    result.map(|output| serde_json::to_value(output).unwrap())
}

const CHANGES: [&str; 7] = [
    "close-deploy-request",
    "create-container-deployment",
    "create-deploy-request",
    "deploy-deploy-request",
    "restore-containers",
    "revert-deploy-request",
    "skip-revert",
];

async fn call(function: &str, services: &Services, redrives: u64) -> Result<Value, Error> {
    let writer = services.writer();
    let numbered = || input(redrives, json!({"number": 7, "serves": false, "waited": 0}));
    match function {
        "close-deploy-request" => {
            answer(close_deploy_request::handler::handle(&writer, parse(numbered())).await)
        }
        "create-deploy-request" => {
            answer(create_deploy_request::handler::handle(&writer, parse(numbered())).await)
        }
        "deploy-deploy-request" => {
            answer(deploy_deploy_request::handler::handle(&writer, parse(numbered())).await)
        }
        "revert-deploy-request" => {
            answer(revert_deploy_request::handler::handle(&writer, parse(numbered())).await)
        }
        "skip-revert" => answer(skip_revert::handler::handle(&writer, parse(numbered())).await),
        "create-container-deployment" => {
            use create_container_deployment::handler::{Context, Settings, handle};
            let aws = services.aws();
            let context = Context::new(
                shared::lightsail::client_without_retries(&aws),
                aws_sdk_ecr::Client::new(&aws),
                aws_sdk_secretsmanager::Client::new(&aws),
                services.fence(),
                Settings {
                    container: "app".into(),
                    port: 80,
                    health_check_path: "/".into(),
                    environment: "{}".into(),
                    connection_string: None,
                    reference: "tag".parse().unwrap(),
                    moving_tags: "qa,prod".parse().unwrap(),
                },
            );
            answer(handle(&context, parse(input(redrives, json!({"waited": 0})))).await)
        }
        "restore-containers" => {
            use restore_containers::handler::{Context, handle};
            let lightsail = shared::lightsail::client_without_retries(&services.aws());
            let context = Context::new(lightsail, services.fence(), "app".into());
            answer(handle(&context, parse(input(redrives, json!({"version": 2, "waited": 0})))).await)
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn whoever_does_not_hold_the_lock_changes_nothing() {
    for function in CHANGES {
        for (found, redrives, error, why) in [
            (None, 0, "LockLost", "nobody holds it"),
            (Some(lock("other", 0, EARLIER)), 0, "LockLost", "another release took it over"),
            (Some(lock("other", 0, EARLIER)), 1, "LockLost", "redriven after another release took it over"),
            (Some(lock("mine", 1, EARLIER)), 0, "StaleCall", "a call of before the redrive"),
            (Some(lock("mine", 1, SOON)), 0, "StaleCall", "a call of before the redrive, soon after it"),
            (Some(lock("mine", 0, SOON)), 0, "LockNotUsableYet", "taken from a stopped release a moment ago"),
        ] {
            let services = Services::default().lock(found);
            let refused = call(function, &services, redrives).await.unwrap_err();
            assert_eq!(refused.name(), error, "{function}: {why}");
            assert_eq!(services.seen(), ["GetItem"], "{function}: {why}");
            assert_eq!(services.body("GetItem")["ConsistentRead"], true, "{function}: {why}");
        }
    }
}

#[tokio::test]
async fn whoever_holds_the_lock_goes_on() {
    for function in CHANGES {
        let services = Services::default().lock(Some(lock("mine", 0, EARLIER)));
        let _ = call(function, &services, 0).await;
        assert!(services.seen().len() > 1, "{function} went on");
    }
}

#[tokio::test]
async fn a_redriven_release_takes_its_lock_again_and_waits() {
    for function in CHANGES {
        let refusal = json!({"__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException"});
        for (status, body) in [(200, json!({})), (400, refusal)] {
            let services =
                Services::default().lock(Some(lock("mine", 0, EARLIER))).answer("PutItem", status, body);
            let told = call(function, &services, 1).await.unwrap_err();
            assert_eq!(told.name(), "LockNotUsableYet", "{function}");
            assert_eq!(services.seen(), ["GetItem", "PutItem"], "{function}");
            let put = services.body("PutItem");
            assert_eq!(put["Item"]["redrives"], json!({"N": "1"}), "{function}");
            assert_eq!(put["Item"]["usableFrom"], json!({"S": "2026-11-23T03:51:10.000Z"}), "{function}");
            assert_eq!(put["ConditionExpression"], "holder = :found AND redrives = :redrives", "{function}");
            assert_eq!(put["ExpressionAttributeValues"][":redrives"], json!({"N": "0"}), "{function}");
        }
    }
}

async fn acquire(services: &Services, redrives: u64) -> Result<Value, Error> {
    use acquire_lock::handler::{Context, handle};
    let aws = services.aws();
    let (ecr, sfn) = (aws_sdk_ecr::Client::new(&aws), aws_sdk_sfn::Client::new(&aws));
    let context = Context::new(ecr, sfn, services.records(), clock());
    answer(handle(&context, parse(input(redrives, json!({"waited": 0})))).await)
}

/// The tag still points at the release's digest, nobody released it later, and nobody holds the environment.
fn newest(services: Services) -> Services {
    pointed_at(services).answer("GetItem", 200, json!({}))
}

/// The same, but for the hold.
fn pointed_at(services: Services) -> Services {
    let image = json!({"imageDigest": DIGEST, "imageTags": ["prod", "3f2a9c1d"]});
    services.answer("DescribeImages", 200, json!({"imageDetails": [image]})).lock(None)
}

#[tokio::test]
async fn a_held_environment_is_taken_by_nobody_whatever_the_lock() {
    let hold = json!({"Item": {"why": {"S": "Sale."}, "since": {"S": EARLIER}}});
    for (found, why) in [
        (None, "the lock is free"),
        (Some(lock("mine", 0, EARLIER)), "the answer that the lock is its own was lost"),
        (Some(lock("other", 0, EARLIER)), "another release is at work"),
    ] {
        let services = pointed_at(Services::default().lock(found)).answer("GetItem", 200, hold.clone());
        let told = acquire(&services, 0).await.unwrap();
        assert_eq!(told["turn"], "Held", "{why}");
        assert!(told["because"].as_str().unwrap().ends_with("Sale."), "{told}");
        // The lock comes first: a release that sets the hold does so before it frees the lock.
        assert_eq!(services.seen(), ["GetItem", "DescribeImages", "GetItem", "GetItem"], "{why}");
    }
}

#[tokio::test]
async fn a_late_call_of_acquire_lock_does_not_set_the_redrives_back() {
    let services = Services::default().lock(Some(lock("mine", 1, EARLIER)));
    assert_eq!(acquire(&services, 0).await.unwrap_err().name(), "StaleCall");
    assert_eq!(services.seen(), ["GetItem"]);

    // It looked before the redriven execution wrote, and writes after that.
    let refusal = json!({"__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException"});
    let services = newest(Services::default().lock(None))
        .answer("PutItem", 400, refusal)
        .lock(Some(lock("mine", 1, EARLIER)));
    assert_eq!(acquire(&services, 0).await.unwrap_err().name(), "StaleCall");
    assert_eq!(services.seen().last().unwrap(), "GetItem");
}

#[tokio::test]
async fn a_lock_is_taken_over_when_its_holder_ended_and_not_when_it_is_unknown() {
    let unknown = json!({"__type": "ExecutionDoesNotExist", "message": "Execution Does Not Exist"});
    let ended = |status: &str| json!({"executionArn": arn("other"), "stateMachineArn": "arn", "status": status, "startDate": 1});
    let old = lock("other", 0, EARLIER);
    let mut ancient = old.clone();
    ancient["takenAt"] = json!({"S": "2026-11-23T02:50:00.000Z"});
    for (item, status, body, taken, why) in [
        (&old, 400, unknown.clone(), false, "not known, and the lock is two minutes old"),
        (&ancient, 400, unknown, true, "not known, and the lock is an hour old"),
        (&ancient, 200, ended("RUNNING"), false, "it runs"),
        (&ancient, 200, ended("PENDING_REDRIVE"), false, "it is about to go on"),
        (&old, 200, ended("ABORTED"), true, "it was stopped"),
        (&old, 200, ended("FAILED"), true, "it ended"),
    ] {
        let services = newest(Services::default().lock(Some(item.clone())))
            .answer("DescribeExecution", status, body)
            .answer("PutItem", 200, json!({}));
        let told = acquire(&services, 0).await;
        if taken {
            assert_eq!(told.unwrap_err().name(), "LockNotUsableYet", "{why}");
            assert_eq!(
                services.body("PutItem")["Item"]["usableFrom"],
                json!({"S": "2026-11-23T03:51:10.000Z"})
            );
            let put = services.body("PutItem");
            assert_eq!(put["ConditionExpression"], "holder = :found AND redrives = :redrives", "{why}");
            assert_eq!(put["ExpressionAttributeValues"][":found"], json!({"S": arn("other")}), "{why}");
        } else {
            assert_eq!(told.unwrap()["turn"], "Wait", "{why}");
            assert!(!services.seen().contains(&"PutItem".to_owned()), "{why}");
        }
    }
}

#[tokio::test]
async fn a_free_lock_is_usable_at_once() {
    let services = newest(Services::default().lock(None)).answer("PutItem", 200, json!({}));
    assert_eq!(acquire(&services, 0).await.unwrap()["turn"], "Ours");
    let put = services.body("PutItem");
    assert_eq!(put["Item"]["usableFrom"], json!({"S": NOW}));
    assert_eq!(put["ConditionExpression"], "attribute_not_exists(holder)", "another one may be as fast");
}

#[tokio::test]
async fn a_redriven_release_that_held_the_lock_waits_for_its_own_last_call() {
    let services =
        newest(Services::default().lock(Some(lock("mine", 0, EARLIER)))).answer("PutItem", 200, json!({}));
    // It takes the lock before it asks anything else.
    services.answers.lock().unwrap().drain(1..4);
    assert_eq!(acquire(&services, 1).await.unwrap_err().name(), "LockNotUsableYet");
    assert_eq!(services.body("PutItem")["Item"]["usableFrom"], json!({"S": "2026-11-23T03:51:10.000Z"}));
}

#[tokio::test]
async fn whoever_waited_for_a_dead_call_looks_once_more_whether_the_environment_still_is_its_own() {
    let newer =
        json!({"imageDetails": [{"imageDigest": DIGEST.replace("aaaa", "bbbb"), "imageTags": ["prod"]}]});
    let services = Services::default()
        .lock(Some(lock("mine", 0, EARLIER)))
        .answer("DescribeImages", 200, newer)
        .answer("GetItem", 200, json!({}));
    assert_eq!(acquire(&services, 0).await.unwrap()["turn"], "Superseded");
}

async fn finish_as(services: &Services, outcome: &str) -> Result<Value, Error> {
    finish_with(services, 0, outcome).await
}

async fn finish(services: &Services, redrives: u64) -> Result<Value, Error> {
    finish_with(services, redrives, "ReleaseError").await
}

async fn finish_with(services: &Services, redrives: u64, outcome: &str) -> Result<Value, Error> {
    use finish_release::handler::{Context, handle};
    let sns = aws_sdk_sns::Client::new(&services.aws());
    let context = Context::new(sns, services.records(), "topic".into(), clock());
    answer(handle(&context, parse(input(redrives, json!({"outcome": outcome})))).await)
}

#[tokio::test]
async fn a_late_finish_release_writes_nothing() {
    let services = Services::default().lock(Some(lock("mine", 1, EARLIER)));
    assert_eq!(finish(&services, 0).await.unwrap_err().name(), "StaleCall");
    assert_eq!(services.seen(), ["GetItem"]);
}

#[tokio::test]
async fn the_last_release_is_written_only_together_with_freeing_the_lock() {
    let told = json!({"Item": {"notified": {"BOOL": true}}});
    for (found, frees, why) in [
        (lock("mine", 0, EARLIER), true, "its own"),
        (lock("mine", 0, SOON), false, "its own, not to be used yet"),
        (lock("other", 0, EARLIER), false, "another's"),
    ] {
        let services = Services::default()
            .lock(Some(found))
            .answer("GetItem", 200, told.clone())
            .answer("PutItem", 200, json!({}))
            .answer("TransactWriteItems", 200, json!({}));
        finish(&services, 0).await.unwrap();
        let seen = services.seen();
        assert_eq!(seen.contains(&"TransactWriteItems".to_owned()), frees, "{why}");
        if frees {
            let items = services.body("TransactWriteItems")["TransactItems"].clone();
            let condition = "holder = :me AND redrives <= :mine AND usableFrom <= :now";
            assert_eq!(items[0]["Delete"]["ConditionExpression"], condition);
            let values = json!({":me": {"S": arn("mine")}, ":mine": {"N": "0"}, ":now": {"S": NOW}});
            assert_eq!(items[0]["Delete"]["ExpressionAttributeValues"], values);
            assert_eq!(items[1]["Put"]["Item"]["kind"], json!({"S": "last"}));
        }
    }
}

#[tokio::test]
async fn a_lock_that_was_lost_before_it_was_freed_is_left_alone_and_throttling_is_tried_again() {
    let canceled = |code: &str| {
        json!({"__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
            "Message": "Transaction cancelled", "CancellationReasons": [{"Code": code}, {"Code": "None"}]})
    };
    for (code, expected) in [
        ("ConditionalCheckFailed", None),
        ("TransactionConflict", Some("Retryable")),
        ("ThrottlingError", Some("Retryable")),
    ] {
        let services = Services::default()
            .lock(Some(lock("mine", 0, EARLIER)))
            .answer("GetItem", 200, json!({"Item": {"notified": {"BOOL": true}}}))
            .answer("PutItem", 200, json!({}))
            .answer("TransactWriteItems", 400, canceled(code));
        assert_eq!(finish(&services, 0).await.err().map(|error| error.name()), expected, "{code}");
    }
}

#[tokio::test]
async fn throttling_and_a_request_that_was_not_read_in_time_are_tried_again() {
    for code in [
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "RequestLimitExceeded",
        "RequestTimeout",
        "TransactionConflictException",
    ] {
        let body = json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "Later."});
        // The SDK tries some of them three times itself.
        let services =
            (0..3).fold(Services::default(), |services, _| services.answer("GetItem", 400, body.clone()));
        let error = call("skip-revert", &services, 0).await.unwrap_err();
        assert_eq!(error.name(), "Retryable", "{code}");
    }
}

#[tokio::test]
async fn a_release_that_steps_aside_while_it_holds_the_lock_is_not_the_last_one() {
    let services = Services::default()
        .lock(Some(lock("mine", 0, EARLIER)))
        .answer("GetItem", 200, json!({"Item": {"notified": {"BOOL": true}}}))
        .answer("PutItem", 200, json!({}))
        .answer("TransactWriteItems", 200, json!({}))
        .answer("DeleteItem", 200, json!({}));
    finish_as(&services, "Superseded").await.unwrap();
    let items = services.body("TransactWriteItems")["TransactItems"].clone();
    assert_eq!(items.as_array().unwrap().len(), 1, "only the lock: {items}");
    // What was seen is forgotten only if it is this image.
    let forget = services.body("DeleteItem");
    assert_eq!(forget["ConditionExpression"], "digest = :digest");
    assert_eq!(forget["ExpressionAttributeValues"], json!({":digest": {"S": DIGEST}}));
}

#[tokio::test]
async fn what_is_seen_late_does_not_hide_what_was_seen_since_but_an_install_counts_whatever_was() {
    use shared::start::{Seen, Sight};
    let refusal = json!({"__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException"});
    for (sight, condition) in [
        (Sight::Started, json!("attribute_not_exists(seenAt) OR seenAt <= :at")),
        (Sight::Installed, Value::Null),
    ] {
        let services = Services::default().answer("PutItem", 400, refusal.clone());
        let seen = Seen { digest: DIGEST.parse().unwrap(), at: NOW.parse().unwrap() };
        services.records().see(&seen, sight).await.unwrap();
        assert_eq!(services.body("PutItem")["ConditionExpression"], condition);
    }
}
