//! What a test may change while the emulator runs: the durations, and whatever is unknown of the real service.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::runtime::Timing;

/// Every setting, with its default in [`Settings::default`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    /// From the creation of a service to READY.
    pub service_creation_ms: u64,
    /// From the activation of the image puller role until its ARN can be read. AWS documentation: wait at
    /// least 30 seconds.
    pub puller_activation_ms: u64,
    /// How long a deployment is in `CREATING_DEPLOYMENT`.
    pub creating_deployment_ms: u64,
    /// How long a deployment is in `EVALUATING_HEALTH_CHECK`, at least.
    pub evaluating_health_check_ms: u64,
    /// How long a deployment is in `ACTIVATING_DEPLOYMENT`.
    pub activating_deployment_ms: u64,
    /// From the cause of a failure until the deployment is FAILED.
    pub failure_ms: u64,
    /// How long a service is UPDATING.
    pub update_ms: u64,
    /// How long a service is DELETING.
    pub deletion_ms: u64,
    /// For how long reads do not show a new deployment. Unknown of the real service.
    pub read_lag_ms: u64,
    /// For how long a log does not show a new line. Minutes, as seen live by third parties.
    pub log_lag_ms: u64,
    /// The most lines in one page of a log. Unknown of the real service.
    pub log_page_size: usize,
    /// Whether an error names its type in the header `x-amzn-ErrorType` too. Unknown of the real service;
    /// only a body was seen, in which `__type` and `code` differ.
    pub error_type_header: bool,
    /// The refusal while a service is PENDING or UPDATING; `{service}` and `{state}` are filled in. Only its
    /// end, "Please try again in a few minutes", is known.
    pub busy_message: String,
    /// The refusal to delete a service in a transition; `{service}` and `{state}` are filled in. Only the
    /// words "transition state" are known.
    pub delete_busy_message: String,
    /// What becomes of an ECR reference by digest (`repository@sha256:…`). Unknown of the real service.
    pub digest_references: DigestReferences,
    /// Whether images of public registries exist; nothing looks for them.
    pub public_images: bool,
    /// Whether a repository policy that names the puller role's whole account grants the pull. Unknown of the
    /// real service; the documented policy names the role.
    pub account_principal_grants: bool,
    /// Whether a change of the puller role alone passes through UPDATING. Unknown of the real service.
    pub puller_change_updates: bool,
    /// Whether an update that changes nothing passes through UPDATING. Unknown of the real service.
    pub unchanged_update_redeploys: bool,
    /// Whether a DISABLED service accepts a deployment. Unknown of the real service.
    pub disabled_accepts_deployments: bool,
    /// By what the intervals of health checks are multiplied.
    pub health_check_interval_scale: f64,
    /// How long containers may take to become healthy. Unknown of the real service; several minutes.
    pub health_check_deadline_ms: u64,
    /// How long replaced containers may take to answer the requests they took. Unknown of the real service.
    pub drain_ms: u64,
    /// From the SIGTERM to the SIGKILL that end a container. Unknown of the real service.
    pub stop_grace_ms: u64,
    /// How long to wait after containers that ended could not be started anew. Unknown of the real service.
    pub restart_delay_ms: u64,
    /// The most bytes of all names and values of one container's environment. Unknown of the real service;
    /// its model has no limit.
    pub environment_max_bytes: Option<usize>,
}

/// What becomes of an ECR reference by digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DigestReferences {
    /// It is pulled.
    Accept,
    /// The deployment is accepted, and fails.
    Fail,
    /// The deployment is refused as invalid.
    Refuse,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            service_creation_ms: 400,
            puller_activation_ms: 600,
            creating_deployment_ms: 300,
            evaluating_health_check_ms: 400,
            activating_deployment_ms: 200,
            failure_ms: 300,
            update_ms: 300,
            deletion_ms: 200,
            read_lag_ms: 0,
            log_lag_ms: 0,
            log_page_size: 100,
            error_type_header: false,
            busy_message: "Container service \"{service}\" is {state}. Please try again in a few minutes."
                .into(),
            delete_busy_message: "Container service \"{service}\" is in a transition state ({state}).".into(),
            digest_references: DigestReferences::Fail,
            public_images: false,
            account_principal_grants: false,
            puller_change_updates: false,
            unchanged_update_redeploys: false,
            disabled_accepts_deployments: false,
            health_check_interval_scale: 1.0,
            health_check_deadline_ms: 120_000,
            drain_ms: 30_000,
            stop_grace_ms: 30_000,
            restart_delay_ms: 1000,
            environment_max_bytes: None,
        }
    }
}

impl Settings {
    /// These settings with the members of `changes` in place of their own.
    ///
    /// # Errors
    /// What is wrong when `changes` is not an object, names an unknown setting, or has a value of a wrong type.
    pub fn changed(&self, changes: Value) -> Result<Settings, String> {
        let Value::Object(changes) = changes else { return Err("give a JSON object of settings".into()) };
        let mut all = serde_json::to_value(self).map_err(|error| error.to_string())?;
        if let Value::Object(all) = &mut all {
            all.extend(changes);
        }
        let changed: Settings = serde_json::from_value(all).map_err(|error| error.to_string())?;
        let scale = changed.health_check_interval_scale;
        if !(0.001..=1000.0).contains(&scale) {
            return Err(format!("healthCheckIntervalScale is {scale}; give a factor from 0.001 to 1000"));
        }
        Ok(changed)
    }

    /// The durations that concern running containers.
    pub fn timing(&self) -> Timing {
        Timing {
            interval_scale: self.health_check_interval_scale,
            health_check_deadline: Duration::from_millis(self.health_check_deadline_ms),
            drain: Duration::from_millis(self.drain_ms),
            stop_grace: Duration::from_millis(self.stop_grace_ms),
            restart_delay: Duration::from_millis(self.restart_delay_ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_change_touches_only_what_it_names() {
        let changed = Settings::default().changed(json!({"updateMs": 7})).expect("a good change");
        assert_eq!(changed, Settings { update_ms: 7, ..Settings::default() });
    }

    #[test]
    fn a_misspelt_setting_is_refused_by_name() {
        let error = Settings::default().changed(json!({"updateMS": 7})).expect_err("a bad change");
        assert!(error.contains("updateMS"), "{error}");
    }
}
