//! The application as a process.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use std::{fs, net::TcpListener};

use serde_json::Value;
use tempfile::NamedTempFile;

pub struct Application {
    process: Child,
    log: NamedTempFile,
    origin: String,
}

impl Application {
    /// Start it, and wait until it listens.
    pub fn start(dsn: &str) -> Self {
        let mut application = Self::spawn(dsn);
        let deadline = Instant::now() + Duration::from_secs(60);
        while !application.log().contains("\"message\":\"listening\"") {
            let ended = application.process.try_wait().expect("its state can be asked for");
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "it does not listen: {}",
                application.log()
            );
            thread::sleep(Duration::from_millis(20));
        }
        application
    }

    /// Its exit code and its log.
    pub fn run_to_its_end(dsn: &str) -> (Option<i32>, String) {
        let mut application = Self::spawn(dsn);
        let status = application.process.wait().expect("it ends");
        (status.code(), application.log())
    }

    /// Send it SIGTERM. Its exit code and its log.
    pub fn stop(mut self) -> (Option<i32>, String) {
        let signalled = Command::new("kill").arg(self.process.id().to_string()).status();
        assert!(signalled.expect("kill is there").success());
        let status = self.process.wait().expect("it ends");
        (status.code(), self.log())
    }

    pub fn get(&self, path: &str) -> (u16, Value) {
        let (status, body) = self.text(path);
        (status, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body}")))
    }

    pub fn text(&self, path: &str) -> (u16, String) {
        let agent: ureq::Agent =
            ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().into();
        let mut answer = agent.get(format!("{}{path}", self.origin)).call().expect("it answers");
        let body = answer.body_mut().read_to_string().expect("it answers text");
        (answer.status().as_u16(), body)
    }

    fn spawn(dsn: &str) -> Self {
        let log = NamedTempFile::new().expect("a temporary file");
        let output = || Stdio::from(log.reopen().expect("it can be opened again"));
        let address = free_address();
        let process = Command::new(env!("CARGO_BIN_EXE_bookings-api"))
            .env_clear()
            .envs([("LISTEN", address.as_str()), ("DSN", dsn)])
            .stdin(Stdio::null())
            .stdout(output())
            .stderr(Stdio::null())
            .spawn()
            .expect("it can be started");
        Self { process, log, origin: format!("http://{address}") }
    }

    fn log(&self) -> String {
        let mut text = String::new();
        fs::File::open(self.log.path()).and_then(|mut file| file.read_to_string(&mut text)).expect("a log");
        text
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").to_string()
}
