//! The default runtime: nothing runs, and a table says what becomes of an image.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::answers::{Answers, Endpoint};
use crate::clock;
use crate::pull::Pulled;
use crate::runtime::{BoxFuture, Launch, LogSink, Runtime, StartFailure};

/// What becomes of the images that a selector matches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// The images it is for; every member that is given must match.
    #[serde(default)]
    pub image: Selector,
    pub verdict: Verdict,
    /// The lines that the application writes when it starts.
    #[serde(default)]
    pub log: Vec<String>,
}

/// Selects images; an empty one selects all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Selector {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// What becomes of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// It becomes healthy, as every image does that no rule is for.
    Healthy,
    /// It runs, and its health check never passes.
    FailsHealthCheck,
    /// It ends as soon as it is started.
    Crashes,
    /// It neither becomes healthy nor fails, until a later rule says otherwise.
    Hangs,
}

/// The rules; of those that match, the newest holds.
pub struct VerdictTable {
    rules: Mutex<Vec<Rule>>,
    changes: watch::Sender<()>,
    /// What the images answer that became healthy.
    pub answers: Arc<Answers>,
    /// The public endpoints by service.
    endpoints: Mutex<BTreeMap<String, Endpoint>>,
    /// The launches that became healthy: the service, and what its endpoint leads to.
    healthy: Mutex<BTreeMap<u64, (String, Pulled)>>,
}

impl VerdictTable {
    pub fn new() -> Self {
        VerdictTable {
            rules: Mutex::default(),
            changes: watch::Sender::new(()),
            answers: Arc::default(),
            endpoints: Mutex::default(),
            healthy: Mutex::default(),
        }
    }

    /// Adds a rule, in place of one with the same selector.
    pub fn set(&self, rule: Rule) {
        let mut rules = self.rules();
        rules.retain(|other| other.image != rule.image);
        rules.push(rule);
        drop(rules);
        self.changes.send_replace(());
    }

    /// Removes every rule.
    pub fn clear(&self) {
        self.rules().clear();
        self.changes.send_replace(());
    }

    /// Every rule, the oldest first.
    pub fn all(&self) -> Vec<Rule> {
        self.rules().clone()
    }

    fn of(&self, pulled: &Pulled) -> (Verdict, Vec<String>) {
        let rules = self.rules();
        let rule = rules.iter().rev().find(|rule| rule.image.selects(pulled));
        rule.map_or((Verdict::Healthy, Vec::new()), |rule| (rule.verdict, rule.log.clone()))
    }

    fn rules(&self) -> MutexGuard<'_, Vec<Rule>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn endpoints(&self) -> MutexGuard<'_, BTreeMap<String, Endpoint>> {
        self.endpoints.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn healthy(&self) -> MutexGuard<'_, BTreeMap<u64, (String, Pulled)>> {
        self.healthy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for VerdictTable {
    fn default() -> Self {
        Self::new()
    }
}

impl Selector {
    pub fn selects(&self, pulled: &Pulled) -> bool {
        let fits =
            |wanted: &Option<String>, given: Option<&str>| wanted.is_none() || wanted.as_deref() == given;
        fits(&self.repository, Some(&pulled.repository))
            && fits(&self.tag, pulled.tag.as_deref())
            && fits(&self.digest, pulled.digest.as_deref())
    }
}

impl Runtime for VerdictTable {
    fn publish(&self, service: &str) -> io::Result<Option<String>> {
        // Without a reactor nobody can listen, and the connections of the process would not wait for a time of its own.
        if clock::is_set_for_this_thread() || tokio::runtime::Handle::try_current().is_err() {
            return Ok(None);
        }
        let endpoint = self.answers.open(service)?;
        let url = endpoint.url.clone();
        self.endpoints().insert(service.into(), endpoint);
        Ok(Some(url))
    }

    fn unpublish(&self, service: &str) {
        self.endpoints().remove(service);
    }

    fn serve(&self, launch: u64) {
        if let Some((service, pulled)) = self.healthy().get(&launch).cloned() {
            self.answers.lead_to(&service, launch, pulled);
        }
    }

    fn start(&self, launch: Launch, log: LogSink) -> BoxFuture<'_, Result<(), StartFailure>> {
        Box::pin(async move {
            let mut changes = self.changes.subscribe();
            for (name, container) in &launch.containers {
                for line in self.of(&container.pulled).1 {
                    log(name, &line);
                }
            }
            loop {
                let verdicts = launch.containers.values().map(|container| self.of(&container.pulled).0);
                let verdicts: Vec<Verdict> = verdicts.collect();
                if verdicts.contains(&Verdict::Crashes) {
                    return Err(StartFailure::Crash);
                }
                if verdicts.contains(&Verdict::FailsHealthCheck) {
                    return Err(StartFailure::HealthCheck);
                }
                if !verdicts.contains(&Verdict::Hangs) || changes.changed().await.is_err() {
                    let endpoint = launch.public_endpoint.as_ref();
                    let answers = endpoint.and_then(|to| launch.containers.get(&to.container_name));
                    if let Some(container) = answers {
                        let served = (launch.service.clone(), container.pulled.clone());
                        self.healthy().insert(launch.id, served);
                    }
                    return Ok(());
                }
            }
        })
    }

    fn stop(&self, launch: u64) -> BoxFuture<'_, ()> {
        self.healthy().remove(&launch);
        self.answers.lead_away_from(launch);
        Box::pin(async {})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pulled(tag: &str) -> Pulled {
        Pulled {
            image: format!("host/api:{tag}"),
            repository: "api".into(),
            tag: Some(tag.into()),
            digest: Some("sha256:1".into()),
            platform: "linux/amd64".into(),
            pulled_at: 0.0,
        }
    }

    fn rule(selector: serde_json::Value, verdict: Verdict) -> Rule {
        Rule { image: serde_json::from_value(selector).expect("a selector"), verdict, log: Vec::new() }
    }

    #[test]
    fn the_newest_rule_that_matches_holds() {
        let table = VerdictTable::new();
        assert_eq!(table.of(&pulled("v1")).0, Verdict::Healthy);
        table.set(rule(serde_json::json!({"repository": "api"}), Verdict::Crashes));
        table.set(rule(serde_json::json!({"tag": "v2"}), Verdict::FailsHealthCheck));
        assert_eq!(table.of(&pulled("v1")).0, Verdict::Crashes);
        assert_eq!(table.of(&pulled("v2")).0, Verdict::FailsHealthCheck);
        table.set(rule(serde_json::json!({"repository": "api"}), Verdict::Healthy));
        assert_eq!(table.of(&pulled("v2")).0, Verdict::Healthy);
        assert_eq!(table.all().len(), 2);
    }
}
