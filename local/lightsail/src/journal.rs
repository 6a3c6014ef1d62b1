//! What happened: the requests, and the effects on services.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use crate::clock;

/// What happened since the start or the last reset.
#[derive(Debug, Default)]
pub struct Journal {
    pub requests: Vec<RequestRecord>,
    pub effects: Vec<Effect>,
}

/// One request of the API.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestRecord {
    /// Seconds since 1970.
    pub time: f64,
    pub operation: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The HTTP status the operation came to, whether or not the client saw it.
    pub status: u16,
    /// The type of the error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The fault that was played, if one was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<&'static str>,
    /// Whether it came through the control API, as a person's act beside the pipeline.
    pub person: bool,
}

/// One change of a service.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Effect {
    /// Seconds since 1970.
    pub time: f64,
    pub service: String,
    pub kind: EffectKind,
    /// The deployment's version, when the change is one of a deployment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// Why, or with what.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum EffectKind {
    ServiceCreated,
    ServiceReady,
    ServiceUpdating,
    ServiceUpdated,
    ServiceDeleting,
    ServiceDeleted,
    PullerActivated,
    PullerDeactivated,
    DeploymentStarted,
    DeploymentActive,
    DeploymentFailed,
    DeploymentInactive,
    DeploymentRelaunched,
    RelaunchFailed,
}

/// How often an operation was called.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Count {
    pub total: usize,
    pub succeeded: usize,
    pub failed: usize,
}

impl RequestRecord {
    /// Writes it as one line to standard error.
    pub fn write(&self) {
        let line = format!(
            "{:.3} {} {} {}{}{}",
            self.time,
            self.operation,
            self.service.as_deref().unwrap_or("-"),
            self.status,
            self.error.map(|error| format!(" {error}")).unwrap_or_default(),
            self.fault.map(|fault| format!(" fault={fault}")).unwrap_or_default(),
        );
        // The emulator works on when nobody reads its log.
        let _ = writeln!(io::stderr(), "{line}");
    }
}

impl Journal {
    /// Keeps that `service` changed now.
    pub fn effect(&mut self, service: &str, kind: EffectKind, version: Option<u32>, detail: Option<String>) {
        self.effects.push(Effect { time: clock::now(), service: service.to_owned(), kind, version, detail });
    }

    /// The calls per operation.
    pub fn counts(&self) -> BTreeMap<&str, Count> {
        let mut counts: BTreeMap<&str, Count> = BTreeMap::new();
        for record in &self.requests {
            let count = counts.entry(&record.operation).or_default();
            count.total += 1;
            if record.status < 400 {
                count.succeeded += 1;
            } else {
                count.failed += 1;
            }
        }
        counts
    }
}
