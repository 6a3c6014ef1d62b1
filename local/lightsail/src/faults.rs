//! Faults on demand.

use serde::{Deserialize, Serialize};

/// A fault to play.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fault {
    pub kind: FaultKind,
    /// The operation it is for; any when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// The service it is for; any when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// How many calls pass untouched before it.
    #[serde(default)]
    pub skip: u32,
    /// How many calls it is played for; `null` means every one until faults are cleared.
    #[serde(default = "once")]
    pub count: Option<u32>,
    /// Milliseconds to wait before anything else is done with the call.
    #[serde(default)]
    pub delay_ms: u64,
    /// The error's message, in place of the usual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FaultKind {
    /// Nothing is done; `ThrottlingException`, 400.
    Throttling,
    /// Nothing is done; `ServiceException`, 500.
    ServiceException,
    /// Nothing is done; `AccessDeniedException`, 400.
    AccessDenied,
    /// Nothing is done; `InvalidInputException`, 400.
    InvalidInput,
    /// Nothing is done; the connection is reset.
    ResetBefore,
    /// The work is done; the connection is reset in place of an answer.
    ResetAfter,
    /// The work is done; the answer is `ServiceException`, 500.
    ErrorAfter,
    /// The work is done; the connection ends in the middle of the answer's body.
    Truncate,
    /// The work is done and answered, after `delayMs`.
    Delay,
}

impl FaultKind {
    /// The name in the control API.
    pub fn name(self) -> &'static str {
        match self {
            FaultKind::Throttling => "throttling",
            FaultKind::ServiceException => "serviceException",
            FaultKind::AccessDenied => "accessDenied",
            FaultKind::InvalidInput => "invalidInput",
            FaultKind::ResetBefore => "resetBefore",
            FaultKind::ResetAfter => "resetAfter",
            FaultKind::ErrorAfter => "errorAfter",
            FaultKind::Truncate => "truncate",
            FaultKind::Delay => "delay",
        }
    }
}

/// The faults still to be played, in order.
#[derive(Debug, Default)]
pub struct Faults(Vec<Fault>);

impl Faults {
    pub fn add(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Those still to be played.
    pub fn pending(&self) -> &[Fault] {
        &self.0
    }

    /// The fault to play for a call. Only the first that is meant for such calls is looked at: while it lets
    /// calls pass, so do those behind it.
    pub fn take(&mut self, operation: &str, service: Option<&str>) -> Option<Fault> {
        let is_meant = |fault: &Fault| {
            fault.operation.as_deref().is_none_or(|wanted| wanted == operation)
                && fault.service.as_deref().is_none_or(|wanted| Some(wanted) == service)
        };
        let index = self.0.iter().position(is_meant)?;
        let fault = &mut self.0[index];
        if fault.skip > 0 {
            fault.skip -= 1;
            return None;
        }
        match &mut fault.count {
            None => Some(fault.clone()),
            Some(count) if *count > 1 => {
                *count -= 1;
                Some(fault.clone())
            }
            Some(_) => Some(self.0.remove(index)),
        }
    }
}

fn once() -> Option<u32> {
    Some(1)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fault(value: serde_json::Value) -> Fault {
        serde_json::from_value(value).expect("a fault")
    }

    fn kinds(faults: &mut Faults, operation: &str, calls: usize) -> Vec<&'static str> {
        (0..calls).map(|_| faults.take(operation, None).map_or("-", |fault| fault.kind.name())).collect()
    }

    #[test]
    fn faults_are_played_in_order_as_often_as_asked() {
        let mut faults = Faults::default();
        faults.add(fault(json!({"kind": "throttling", "operation": "A", "skip": 1, "count": 2})));
        faults.add(fault(json!({"kind": "resetAfter"})));
        assert_eq!(kinds(&mut faults, "A", 5), ["-", "throttling", "throttling", "resetAfter", "-"]);
    }

    #[test]
    fn a_fault_touches_only_the_calls_it_is_for() {
        let mut faults = Faults::default();
        faults.add(fault(json!({"kind": "throttling", "operation": "A", "service": "s"})));
        assert!(faults.take("B", Some("s")).is_none());
        assert!(faults.take("A", Some("other")).is_none());
        assert!(faults.take("A", Some("s")).is_some());
    }

    #[test]
    fn a_fault_without_a_count_stays_until_cleared() {
        let mut faults = Faults::default();
        faults.add(fault(json!({"kind": "throttling", "count": null})));
        assert_eq!(kinds(&mut faults, "A", 3), ["throttling"; 3]);
        faults.clear();
        assert_eq!(kinds(&mut faults, "A", 1), ["-"]);
    }
}
