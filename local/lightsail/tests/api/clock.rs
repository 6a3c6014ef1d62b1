use std::process::Stdio;

use http::{Method, StatusCode};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::lab::Lab;
use crate::registry::Registry;

const HOUR_MS: u32 = 3_600_000;

/// The emulator as a program: its clock is one for the whole process.
async fn program() -> (Lab, Child) {
    let (registry, ecr) = Registry::start().await;
    let mut program = Command::new(env!("CARGO_BIN_EXE_lightsail-emulator"))
        .args(["--listen", "127.0.0.1:0", "--quiet", "--ecr-endpoint", &format!("http://{ecr}")])
        .env("AWS_ACCESS_KEY_ID", "000000000000")
        .env("AWS_SECRET_ACCESS_KEY", "not-a-secret")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the emulator");
    let mut lines = BufReader::new(program.stdout.take().expect("output")).lines();
    let line = lines.next_line().await.expect("output").expect("an address");
    let address = line.trim_start_matches("listening on http://").parse().expect("an address");
    (Lab::at(registry, address, None).await, program)
}

#[tokio::test]
async fn what_takes_an_hour_is_over_when_the_clock_passed_it() {
    let (lab, _program) = program().await;
    lab.add_service(&lab.create_request()).await;
    lab.set(json!({"activatingDeploymentMs": HOUR_MS})).await;
    lab.create_deployment("v1").await.expect("a deployment");
    lab.until("is being activated", |service| service["stateDetail"]["code"] == "ACTIVATING_DEPLOYMENT")
        .await;
    let before = lab.service().await;
    assert!(before["currentDeployment"].is_null(), "{before}");

    let (status, answer) = lab.control(Method::POST, "clock", json!({"advance_ms": HOUR_MS})).await;

    assert_eq!(status, StatusCode::OK);
    lab.until("serves", |service| service["currentDeployment"]["state"] == "ACTIVE").await;
    assert!(answer["now"].as_f64() > before["createdAt"].as_f64().map(|time| time + 3_600.0), "{answer}");
}

#[tokio::test]
async fn a_wrong_step_of_the_clock_is_refused() {
    let lab = Lab::start().await;
    let (status, answer) = lab.control(Method::POST, "clock", json!({"advance_ms": -1})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(answer["error"].as_str().is_some_and(|error| error.contains("-1")), "{answer}");
}
