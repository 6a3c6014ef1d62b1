//! Faults on demand.

use serde::{Deserialize, Serialize};

use crate::deploy_request::ShownStates;

/// A fault to play.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    pub kind: FaultKind,
    /// The HTTP method it is for; any when absent.
    #[serde(default)]
    pub method: Option<String>,
    /// The end of the paths it is for, such as `deploy-requests/*/deploy`; `*` is one segment. Any when absent.
    #[serde(default)]
    pub path: Option<String>,
    /// How many such requests pass untouched before it.
    #[serde(default)]
    pub skip: u32,
    /// How many requests it is played for; `null` means every one until faults are cleared.
    #[serde(default = "once")]
    pub count: Option<u32>,
    /// Milliseconds before anything else is done with the request.
    #[serde(default)]
    pub delay_ms: u64,
    /// The answer's status; 500 for `error`, 502 for `html`, the real one for the others.
    #[serde(default)]
    pub status: Option<u16>,
    /// The code in the error's body, in place of the status's usual one.
    #[serde(default)]
    pub code: Option<String>,
    /// The message in the error's body.
    #[serde(default)]
    pub message: Option<String>,
    /// Seconds for a `Retry-After` header.
    #[serde(default)]
    pub retry_after: Option<u32>,
    /// Whether the work is done although the answer is not its own.
    #[serde(default)]
    pub after_work: bool,
    /// The states that `show` shows.
    #[serde(default)]
    pub shown: ShownStates,
}

/// What goes wrong with the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// It is an error.
    Error,
    /// It is a page of HTML.
    Html,
    /// It has no body.
    Empty,
    /// It ends in the middle of its body; the work is done.
    Truncate,
    /// There is none: the connection is reset.
    Reset,
    /// It comes late.
    Delay,
    /// It and all later ones show other states of the deploy request in its path, or of all.
    Show,
}

impl FaultKind {
    /// The name in the control API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Html => "html",
            Self::Empty => "empty",
            Self::Truncate => "truncate",
            Self::Reset => "reset",
            Self::Delay => "delay",
            Self::Show => "show",
        }
    }
}

impl Fault {
    /// Whether the request is worked on as usual.
    pub fn does_work(&self) -> bool {
        self.after_work || matches!(self.kind, FaultKind::Truncate | FaultKind::Delay | FaultKind::Show)
    }

    fn is_for(&self, method: &str, path: &str) -> bool {
        let matches_end = |pattern: &str| {
            let mut segments = path.trim_matches('/').rsplit('/');
            pattern
                .trim_matches('/')
                .rsplit('/')
                .all(|wanted| segments.next().is_some_and(|segment| wanted == "*" || wanted == segment))
        };
        self.method.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
            && self.path.as_deref().is_none_or(matches_end)
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

    /// The fault to play for a request. Only the first that is for such requests is looked at: while it lets requests
    /// pass, so do those behind it.
    pub fn take(&mut self, method: &str, path: &str) -> Option<Fault> {
        let index = self.0.iter().position(|fault| fault.is_for(method, path))?;
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
