//! The emulator as a program, with containers that really run.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::images;
use crate::lab::{Lab, Outcome, image};
use crate::registry::Registry;

pub struct RealLab {
    lab: Lab,
    program: Child,
    /// Where the emulator keeps images.
    folder: PathBuf,
}

impl Deref for RealLab {
    type Target = Lab;

    fn deref(&self) -> &Lab {
        &self.lab
    }
}

impl Drop for RealLab {
    fn drop(&mut self) {
        // What is left of it says nothing about the test.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl RealLab {
    /// An emulator with the service `api`, whose repository has the image `v1`, a program that serves.
    pub async fn start(arguments: &[&str]) -> RealLab {
        let (registry, ecr) = Registry::start().await;
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("images-{}", fastrand::u64(..)));
        let mut program = command(&folder)
            .args(["--ecr-endpoint", &format!("http://{ecr}")])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the emulator");
        let mut lines = BufReader::new(program.stdout.take().expect("output")).lines();
        let line = lines
            .next_line()
            .await
            .expect("output")
            .expect("an address; standard error says why there is none");
        let address = line.trim_start_matches("listening on http://").parse().expect("an address");
        let lab = Lab::at(registry, address, None).await;
        lab.set(json!({"healthCheckIntervalScale": 0.02, "restartDelayMs": 20, "stopGraceMs": 20_000})).await;
        lab.add_service(&lab.create_request()).await;
        let lab = RealLab { lab, program, folder };
        lab.push("v1", &json!({"Entrypoint": ["/app"]}), &[images::app("one")]);
        lab
    }

    pub fn push(&self, tag: &str, config: &Value, layers: &[Vec<u8>]) {
        self.registry.push_layers("api", tag, config, layers);
    }

    /// Starts a deployment at port 80, whose members differ from the usual ones as `changes` say.
    pub async fn begin(&self, tag: &str, changes: &[(&str, Value)]) -> Outcome {
        let mut deployment = json!({
            "serviceName": "api",
            "containers": {"app": {"image": image(tag), "ports": {"80": "HTTP"}}},
            "publicEndpoint": {"containerName": "app", "containerPort": 80, "healthCheck": {"successCodes": "200"}},
        });
        for (pointer, value) in changes {
            let (parent, member) = pointer.rsplit_once('/').expect("a pointer");
            deployment.pointer_mut(parent).expect("a parent")[member] = value.clone();
        }
        self.call("CreateContainerServiceDeployment", deployment).await
    }

    /// Deploys and waits for the end; gives the state the deployment came to.
    pub async fn release(&self, tag: &str, changes: &[(&str, Value)]) -> String {
        let answer = self.begin(tag, changes).await.expect("a deployment");
        let version = answer["containerService"]["nextDeployment"]["version"].as_u64().expect("a version");
        self.until("came to rest", |service| service["state"] != "DEPLOYING").await;
        self.inside(version).await["state"].as_str().expect("a state").to_owned()
    }

    /// Why the newest deployment failed.
    pub async fn failure(&self) -> String {
        let services = self.read("services").await;
        services[0]["deployments"][0]["failure"].as_str().expect("a failure").to_owned()
    }

    /// What the public URL answers.
    pub async fn get(&self, path: &str) -> (StatusCode, String) {
        self.send_to_service(Method::GET, path, "").await
    }

    pub async fn send_to_service(&self, method: Method, path: &str, body: &str) -> (StatusCode, String) {
        let url = self.service().await["url"].as_str().expect("a URL").to_owned();
        let url = format!("{}{path}", url.trim_end_matches('/'));
        let answer = self.fetch(method, &url, &[], body.to_owned()).await.expect("an answer");
        (answer.status(), String::from_utf8(answer.body().to_vec()).expect("text"))
    }

    /// Waits for a line of the application.
    pub async fn logged(&self, wanted: &str) {
        for _ in 0..3000 {
            if self.log().await.iter().any(|line| line == wanted) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("no line {wanted:?} in {:?}", self.log().await);
    }

    /// Kills the emulator, which has no chance to stop anything.
    pub async fn kill(&mut self) {
        self.program.kill().await.expect("it runs");
    }

    /// Lets the emulator end as a person would.
    pub async fn terminate(&mut self) {
        let id = self.program.id().expect("it runs").to_string();
        Command::new("kill").arg(id).status().await.expect("kill");
        assert!(self.program.wait().await.expect("an end").success());
    }
}

/// The emulator, to be started with containers that really run.
pub fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lightsail-emulator"));
    command
        .args(["--runtime", "process", "--listen", "127.0.0.1:0", "--quiet", "--image-folder"])
        .arg(folder)
        .env("AWS_ACCESS_KEY_ID", "000000000000")
        .env("AWS_SECRET_ACCESS_KEY", "not-a-secret")
        .kill_on_drop(true);
    command
}

/// The processes of this machine that have `argument` among theirs.
pub fn processes_with(argument: &str) -> usize {
    let has_it = |process: std::fs::DirEntry| {
        let arguments = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        arguments.split(|byte| *byte == 0).any(|other| other == argument.as_bytes())
    };
    std::fs::read_dir("/proc")
        .expect("processes")
        .flatten()
        .filter_map(|process| has_it(process).then_some(()))
        .count()
}

/// Waits until no process has `argument` among its arguments.
pub async fn until_no_process_has(argument: &str) {
    for _ in 0..3000 {
        if processes_with(argument) == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("a process with {argument} still runs");
}
