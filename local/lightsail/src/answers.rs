//! What the public endpoints of services answer while no container runs: a table says it, by image, path and time.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::clock;
use crate::pull::Pulled;
use crate::verdicts::Selector;

/// What the images that a selector matches answer at a path; without a rule each answers 200 at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AnswerRule {
    /// The images it is for; every member that is given must match.
    #[serde(default)]
    pub image: Selector,
    /// The path it is for, without a query; every path when it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    #[serde(default = "ok")]
    pub status: u16,
    /// How long an answer takes.
    #[serde(default)]
    pub delay_ms: u64,
    /// How many requests are answered as without the rule before it holds.
    #[serde(default)]
    pub after_requests: u64,
    /// For how long after its deployment became active an image answers as without the rule.
    #[serde(default)]
    pub after_ms: u64,
    /// Lets the rule hold in turns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flapping: Option<Flapping>,
}

/// How many requests in a row a rule holds for, and how many it then does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Flapping {
    pub holds: u64,
    pub rests: u64,
}

fn ok() -> u16 {
    200
}

/// What answers at the public endpoint of a service.
struct Serving {
    launch: u64,
    /// What was pulled for the container that the endpoint leads to.
    pulled: Pulled,
    since: f64,
}

/// The rules, and what serves. Of the rules that match, the newest holds.
#[derive(Default)]
pub struct Answers {
    rules: Mutex<Vec<(AnswerRule, u64)>>,
    serving: Mutex<BTreeMap<String, Serving>>,
}

/// A public endpoint: an address of this machine. It is closed when this is dropped.
pub struct Endpoint {
    pub url: String,
    accepting: JoinHandle<()>,
}

impl Answers {
    /// Adds a rule, in place of one with the same selector and path.
    ///
    /// # Errors
    /// A sentence that says what no server answers.
    pub fn set(&self, rule: AnswerRule) -> Result<(), String> {
        if StatusCode::from_u16(rule.status).is_err() || rule.status < 200 {
            return Err(format!("{} is no final status.", rule.status));
        }
        let mut rules = self.rules();
        rules.retain(|(other, _)| other.image != rule.image || other.path != rule.path);
        rules.push((rule, 0));
        Ok(())
    }

    /// Removes every rule.
    pub fn clear(&self) {
        self.rules().clear();
    }

    /// Every rule, the oldest first.
    pub fn all(&self) -> Vec<AnswerRule> {
        self.rules().iter().map(|(rule, _)| rule.clone()).collect()
    }

    /// From the next request on, a launch answers for `service`.
    pub fn lead_to(&self, service: &str, launch: u64, pulled: Pulled) {
        self.serving().insert(service.to_owned(), Serving { launch, pulled, since: clock::now() });
    }

    /// From the next request on, nobody answers where this launch did.
    pub fn lead_away_from(&self, launch: u64) {
        self.serving().retain(|_, serving| serving.launch != launch);
    }

    /// The status with which `service` answers a request for `path`, and after how many milliseconds.
    fn of(&self, service: &str, path: &str) -> (u16, u64) {
        let serving = self.serving();
        let Some(serving) = serving.get(service) else { return (503, 0) };
        let mut rules = self.rules();
        let rule = rules.iter_mut().rev().find(|(rule, _)| {
            rule.image.selects(&serving.pulled) && rule.path.as_deref().is_none_or(|wanted| wanted == path)
        });
        let Some((rule, requests)) = rule else { return (200, 0) };
        let before = *requests;
        *requests += 1;
        let Some(held) = before.checked_sub(rule.after_requests) else { return (200, 0) };
        let holds = rule.flapping.is_none_or(|flapping| {
            flapping.holds > 0 && held % (flapping.holds + flapping.rests) < flapping.holds
        });
        if holds && clock::has_passed(serving.since, rule.after_ms) {
            (rule.status, rule.delay_ms)
        } else {
            (200, 0)
        }
    }

    /// Answers a request that the public makes to `service`.
    pub async fn answer(&self, service: &str, path: &str) -> Response<Full<Bytes>> {
        let (status, delay) = self.of(service, path);
        clock::sleep(delay).await;
        let body = format!("{service} answers {status}.\n");
        let mut answer = Response::new(Full::new(Bytes::from(body)));
        *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        answer
    }

    /// Opens the public endpoint of `service` at any free port.
    ///
    /// # Errors
    /// When there is none.
    pub fn open(self: &Arc<Self>, service: &str) -> io::Result<Endpoint> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let url = format!("http://{}/", listener.local_addr()?);
        let accepting = tokio::spawn(accept(TcpListener::from_std(listener)?, service.into(), self.clone()));
        Ok(Endpoint { url, accepting })
    }

    fn rules(&self) -> MutexGuard<'_, Vec<(AnswerRule, u64)>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serving(&self) -> MutexGuard<'_, BTreeMap<String, Serving>> {
        self.serving.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, service: Arc<str>, answers: Arc<Answers>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                connections.spawn(serve(stream, service.clone(), answers.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, service: Arc<str>, answers: Arc<Answers>) {
    let answered = service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let (service, answers) = (service.clone(), answers.clone());
        async move { Ok::<_, Infallible>(answers.answer(&service, request.uri().path()).await) }
    });
    // A client that goes away is no error of the emulator.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answered).await;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answers(rule: serde_json::Value) -> Answers {
        let pulled = Pulled {
            image: "host/api:v1".into(),
            repository: "api".into(),
            tag: Some("v1".into()),
            digest: Some("sha256:1".into()),
            platform: "linux/amd64".into(),
            pulled_at: 0.0,
        };
        let answers = Answers::default();
        answers.lead_to("api", 1, pulled);
        answers.set(serde_json::from_value(rule).expect("a rule")).expect("a final status");
        answers
    }

    fn statuses(answers: &Answers, path: &str) -> Vec<u16> {
        (0..6).map(|_| answers.of("api", path).0).collect()
    }

    #[test]
    fn a_rule_says_which_requests_are_answered_badly() {
        for (rule, expected) in [
            (json!({"status": 500}), [500, 500, 500, 500, 500, 500]),
            (json!({"status": 500, "path": "/hotels"}), [500, 500, 500, 500, 500, 500]),
            (json!({"status": 500, "path": "/"}), [200, 200, 200, 200, 200, 200]),
            (json!({"status": 500, "image": {"tag": "v2"}}), [200, 200, 200, 200, 200, 200]),
            (json!({"status": 500, "afterRequests": 4}), [200, 200, 200, 200, 500, 500]),
            (json!({"status": 500, "afterMs": 60_000}), [200, 200, 200, 200, 200, 200]),
            (
                json!({"status": 500, "afterRequests": 1, "flapping": {"holds": 2, "rests": 1}}),
                [200, 500, 500, 200, 500, 500],
            ),
        ] {
            assert_eq!(statuses(&answers(rule.clone()), "/hotels"), expected, "{rule}");
        }
    }

    #[test]
    fn nobody_answers_where_no_launch_serves() {
        let answers = answers(json!({"delayMs": 20}));
        assert_eq!(answers.of("api", "/"), (200, 20));
        answers.lead_away_from(2);
        assert_eq!(answers.of("api", "/"), (200, 20));
        answers.lead_away_from(1);
        assert_eq!(answers.of("api", "/"), (503, 0));
    }
}
