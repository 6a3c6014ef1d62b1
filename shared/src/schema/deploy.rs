//! Deploying exactly what was judged, as far as PlanetScale's API allows that.
//!
//! A deploy names a request, not what it holds: whoever changes the head branch changes that. So the request is judged
//! once more on the answer that was read just before the deploy, and what the deploy itself answers is judged again.

use serde::{Deserialize, Serialize};

use crate::planetscale::{DeployRequest, Stage, is_about_approval};
use crate::poll::{Patience, patience};
use crate::release::DestructiveChanges;
use crate::{Error, text};

use super::{Judgement, judge};

/// The answer of `deploy-deploy-request`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all_fields = "camelCase")]
pub enum Queued {
    /// The request is in the deploy queue, or further.
    Queued {
        /// What was found.
        because: String,
    },
    /// It is not what was judged, or PlanetScale still validates it: look at it and judge it again.
    JudgeAgain {
        /// Seconds until the next look.
        seconds: u64,
        /// What was found.
        because: String,
    },
    /// A person has to approve it first.
    NeedsApproval {
        /// What PlanetScale said.
        because: String,
    },
    /// The deadline for validation passed.
    TimedOut {
        /// What was found.
        because: String,
    },
}

impl Queued {
    /// The deploy was asked for now.
    pub fn now(request: &DeployRequest) -> Self {
        Self::Queued { because: format!("Deploy request #{} is {}.", request.number, request.states()) }
    }

    /// The request was on its way before, or is decided otherwise.
    pub fn already(request: &DeployRequest) -> Self {
        Self::Queued {
            because: format!("Deploy request #{} is already {}.", request.number, request.states()),
        }
    }

    /// The request goes back to the judgement, within the deadline for validation; both in seconds.
    pub fn again(because: String, waited: u64, deadline: u64) -> Self {
        match patience(waited, deadline) {
            Patience::Wait(seconds) => Self::JudgeAgain { seconds, because },
            Patience::Exhausted => Self::TimedOut {
                because: format!("{} {because}", text::deadline_passed("validation", deadline)),
            },
        }
    }
}

/// Whether what a request holds now may be deployed at this place of the release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Clearance {
    /// Yes.
    Given,
    /// No: it is not what brought the release here.
    Missing {
        /// What the request holds now.
        because: String,
    },
}

/// Judges what `request` holds now. `serves` says that the new containers serve already: then a change that waited for
/// them may go, and one that needed not to wait as well.
pub fn clearance(request: &DeployRequest, policy: DestructiveChanges, serves: bool) -> Clearance {
    match judge(request, policy) {
        Judgement::SchemaFirst { .. } => Clearance::Given,
        Judgement::ContainersFirst { .. } if serves => Clearance::Given,
        Judgement::ContainersFirst { because }
        | Judgement::Refused { because }
        | Judgement::Unknown { because } => Clearance::Missing { because },
    }
}

/// Whether a request in `stage` was queued, by an earlier try or by a person.
pub fn is_on_its_way(stage: Stage) -> bool {
    matches!(
        stage,
        Stage::Queued | Stage::Running | Stage::AwaitingCutover | Stage::AppliedRevertible | Stage::Applied
    )
}

/// Whether `request` itself says why it cannot be deployed any more: it is on its way, or a person closed it. The next
/// look then tells how the release goes on.
pub fn is_decided(request: &DeployRequest) -> bool {
    request.is_closed() || !matches!(request.stage(), Stage::Validating | Stage::Ready | Stage::Unclear)
}

/// How a release ends whose request was deployed with something in it that has no clearance; `now` is the request after
/// its cancel was asked for.
pub fn taken_out(now: &DeployRequest, because: &str) -> Error {
    let number = now.number;
    if is_on_its_way(now.stage()) {
        Error::Unexpected(format!(
            "Deploy request #{number} changed after it was judged, and PlanetScale applies it ({}): cancel it, or revert \
             it within 30 minutes, on its page {}. {because}",
            now.states(),
            now.html_url
        ))
    } else {
        Error::SchemaRefused(format!(
            "Deploy request #{number} changed after it was judged, and was taken out of the deploy queue. {because}"
        ))
    }
}

/// A deploy that PlanetScale refused.
#[derive(Debug, Clone, Copy)]
pub struct Refusal<'a> {
    /// What PlanetScale said.
    pub message: &'a str,
    /// All of it in one sentence.
    pub sentence: &'a str,
    /// Whether the request is approved.
    pub approved: bool,
    /// Whether the database asks for an approval.
    pub needs_approval: bool,
}

impl Refusal<'_> {
    /// Whether PlanetScale still validates the request; it says so also of one that looks ready (seen live).
    pub fn is_validation(&self) -> bool {
        self.message.to_lowercase().contains("currently validating")
    }
}

/// What a refused deploy means, after `waited` of at most `deadline` seconds of validation.
///
/// The messages are those seen live by others. What a missing approval is refused with is not documented: the words
/// decide, and for a request that is not approved in a database that asks for it, any words do.
///
/// # Errors
/// [`Error::SchemaRefused`] when the refusal is final.
pub fn refused_deploy(refusal: Refusal<'_>, waited: u64, deadline: u64) -> Result<Queued, Error> {
    let sentence = refusal.sentence.to_owned();
    if refusal.is_validation() {
        return Ok(Queued::again(sentence, waited, deadline));
    }
    // Asking again for an approval already given would loop forever.
    if !refusal.approved && (refusal.needs_approval || is_about_approval(refusal.message)) {
        return Ok(Queued::NeedsApproval { because: sentence });
    }
    Err(Error::SchemaRefused(sentence))
}
