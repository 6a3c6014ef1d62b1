//! What clients and people do with deploy requests.

use serde::{Deserialize, Serialize};

use super::{DeployRequest, DeploymentState, Review, ShownStates, Strategy, Times, Verdict};
use crate::clock::Timestamp;
use crate::database::{Context, Database, RevertOutcome, new_id};
use crate::error::ApiError;
use crate::journal::Change;
use crate::schema::Schema;
use crate::settings::{CancelQueued, LeftOut, Reaction, SecondOpenRequest, UnblockedState};
use crate::token::Actor;

use DeploymentState as State;

/// The body of a create.
#[derive(Debug, Deserialize)]
pub struct NewDeployRequest {
    pub branch: String,
    /// The head's parent or the default branch, if it is left out, as the CLI does.
    pub into_branch: Option<String>,
    pub notes: Option<String>,
    /// As in the last request, if it is left out (PlanetScale's documentation).
    pub auto_cutover: Option<bool>,
    /// Whether it is as in the last request, if it is left out, is not known.
    pub auto_delete_branch: Option<bool>,
}

/// The body of a review.
#[derive(Debug, Deserialize)]
pub struct NewReview {
    #[serde(default)]
    pub state: ReviewState,
    #[serde(default)]
    pub body: String,
}

/// What a review is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReviewState {
    #[default]
    Commented,
    Approved,
}

type Outcome = Result<(), ApiError>;

impl Database {
    /// Opens a request and returns its number.
    pub fn open_request(
        &mut self,
        new: NewDeployRequest,
        actor: &Actor,
        cx: &mut Context<'_>,
    ) -> Result<u64, ApiError> {
        if self.state == "sleeping" && cx.settings.sleeping_database == Reaction::Refuse {
            return Err(ApiError::new(422, format!("Database {} is sleeping", self.name)));
        }
        let head = self.branch(&new.branch).ok_or_else(ApiError::not_found)?;
        let parent = head.parent.as_ref().unwrap_or(&self.default_branch);
        let into_branch = new.into_branch.unwrap_or_else(|| parent.clone());
        let branch_id = head.id.clone();
        let base = self.branch(&into_branch).ok_or_else(ApiError::not_found)?;
        if into_branch == new.branch {
            return Err(ApiError::new(422, "A branch cannot be deployed into itself"));
        }
        if !base.safe_migrations.are_enabled(cx.now) {
            let message = "Into branch must be a branch with safe migrations enabled";
            return Err(ApiError::new(cx.settings.statuses.no_safe_migrations, message));
        }
        let second = self.deploy_requests.iter().find(|other| other.branch == new.branch && !other.is_closed);
        if let (Some(first), SecondOpenRequest::RefuseCreate) = (second, cx.settings.second_open_request) {
            let message = format!("Deploy request {} of branch {} is still open", first.number, new.branch);
            return Err(ApiError::new(422, message));
        }
        let last = self.deploy_requests.last();
        let number = last.map_or(1, |last| last.number + 1);
        let auto_cutover = new.auto_cutover.or(last.map(|last| last.auto_cutover)).unwrap_or(true);
        let before = match cx.settings.auto_delete_branch_left_out {
            LeftOut::AsBefore => last.is_some_and(|last| last.auto_delete_branch),
            LeftOut::No => false,
        };
        let auto_delete_branch = new.auto_delete_branch.unwrap_or(before);
        self.deploy_requests.push(DeployRequest {
            id: new_id(),
            deployment_id: new_id(),
            number,
            actor: actor.clone(),
            branch: new.branch,
            branch_id,
            branch_deleted: None,
            into_branch,
            notes: new.notes,
            auto_cutover,
            auto_delete_branch,
            instant_ddl: false,
            strategy: Strategy::Serial,
            is_closed: false,
            closed_by: None,
            state: State::Pending,
            state_since: cx.now,
            verdict: Verdict::default(),
            reviews: Vec::new(),
            queue_position: 0,
            queue_free_since: None,
            validating_refusals: 0,
            locked_table: None,
            failure: None,
            schema_before: Schema::default(),
            throttle: [(self.name.clone(), 0.0)].into(),
            deployed_by: None,
            cutover_by: None,
            cancelled_by: None,
            reverted_by: None,
            shown: ShownStates::default(),
            times: Times::new(cx.now),
        });
        cx.record(Change::DeployRequestCreated { deploy_request: number });
        Ok(number)
    }

    /// A request by its number.
    pub fn request(&self, number: u64) -> Result<&DeployRequest, ApiError> {
        Ok(&self.deploy_requests[self.request_index(number)?])
    }

    /// A request by its number.
    pub fn request_mut(&mut self, number: u64) -> Result<&mut DeployRequest, ApiError> {
        let index = self.request_index(number)?;
        Ok(&mut self.deploy_requests[index])
    }

    fn request_index(&self, number: u64) -> Result<usize, ApiError> {
        let index = self.deploy_requests.iter().position(|request| request.number == number);
        index.ok_or_else(ApiError::not_found)
    }

    /// Puts a request into the deploy queue.
    pub fn deploy(
        &mut self,
        number: u64,
        instant_ddl: bool,
        strategy: Strategy,
        actor: &Actor,
        cx: &mut Context<'_>,
    ) -> Outcome {
        let index = self.request_index(number)?;
        let request = &self.deploy_requests[index];
        let statuses = &cx.settings.statuses;
        if request.is_closed || !request.state.is_before_queue() {
            return Err(ApiError::new(statuses.cannot_be_deployed, "This deploy request cannot be deployed"));
        }
        if request.state == State::Pending {
            return Err(still_validating());
        }
        let is_instant = request.is_instant();
        if !request.verdict.deployable {
            return Err(ApiError::new(statuses.not_deployable, "This deploy request is not deployable"));
        }
        if instant_ddl && !is_instant {
            let message = "This deploy request is not eligible for instant DDL";
            return Err(ApiError::new(statuses.not_deployable, message));
        }
        let waits = &cx.settings.still_validating;
        let ready = request.times.ready.unwrap_or(cx.now);
        if request.validating_refusals < waits.count || cx.now < ready + waits.ms {
            self.deploy_requests[index].validating_refusals += 1;
            return Err(still_validating());
        }
        if self.require_approval_for_deploy && !request.is_approved() {
            return Err(ApiError::new(statuses.approval_required, &*cx.settings.approval_refusal));
        }
        let same_branch = |other: &&DeployRequest| other.branch == request.branch && other.is_in_queue();
        if let (Some(first), SecondOpenRequest::RefuseDeploy) =
            (self.deploy_requests.iter().find(same_branch), cx.settings.second_open_request)
        {
            let message = format!("deploy request {} is still active", first.number);
            return Err(ApiError::new(statuses.cannot_be_deployed, message));
        }
        let last = self.deploy_requests.iter().map(|request| request.queue_position).max();
        let request = &mut self.deploy_requests[index];
        request.queue_position = last.unwrap_or_default() + 1;
        request.instant_ddl = instant_ddl;
        request.strategy = strategy;
        request.deployed_by = Some(actor.clone());
        request.times.queued = Some(cx.now);
        self.set_state(index, State::Queued, cx);
        Ok(())
    }

    /// Closes a request that is not in the queue.
    pub fn close(&mut self, number: u64, actor: &Actor, cx: &mut Context<'_>) -> Outcome {
        let index = self.request_index(number)?;
        let request = &mut self.deploy_requests[index];
        if request.is_closed {
            return match cx.settings.close_closed {
                Reaction::Accept => Ok(()),
                Reaction::Refuse => Err(wrong_state("close", request, cx)),
            };
        }
        if !request.state.is_before_queue() {
            return Err(wrong_state("close", request, cx));
        }
        request.closed_by = Some(actor.clone());
        self.close_request(index, cx);
        Ok(())
    }

    /// Takes a request out of the queue, or stops its migration.
    pub fn cancel(&mut self, number: u64, actor: &Actor, cx: &mut Context<'_>) -> Outcome {
        let index = self.request_index(number)?;
        let request = &mut self.deploy_requests[index];
        if request.is_closed || !(request.state == State::Queued || request.state.is_migrating()) {
            return Err(wrong_state("cancel", request, cx));
        }
        request.cancelled_by = Some(actor.clone());
        if request.state != State::Queued {
            self.set_state(index, State::InProgressCancel, cx);
        } else if cx.settings.cancel_queued == CancelQueued::Ready {
            request.times.queued = None;
            self.set_state(index, State::Ready, cx);
        } else {
            request.closed_by = Some(actor.clone());
            self.set_state(index, State::Cancelled, cx);
            self.close_request(index, cx);
        }
        Ok(())
    }

    /// Lets a gated request cut over.
    pub fn apply_deploy(&mut self, number: u64, actor: &Actor, cx: &mut Context<'_>) -> Outcome {
        let index = self.in_state(number, "apply", &[State::PendingCutover], cx)?;
        self.deploy_requests[index].cutover_by = Some(actor.clone());
        self.cut_over(index, cx);
        Ok(())
    }

    /// Sets whether a request cuts over by itself.
    pub fn set_auto_cutover(&mut self, number: u64, enable: bool, cx: &Context<'_>) -> Outcome {
        let request = self.request_mut(number)?;
        request.auto_cutover = enable;
        request.times.updated = cx.now;
        Ok(())
    }

    /// Sets whether the head branch is deleted once the deployment is complete.
    pub fn set_auto_delete_branch(&mut self, number: u64, enable: bool, cx: &Context<'_>) -> Outcome {
        let request = self.request_mut(number)?;
        request.auto_delete_branch = enable;
        request.times.updated = cx.now;
        Ok(())
    }

    /// Starts to take a deployed request back.
    pub fn revert(&mut self, number: u64, actor: &Actor, cx: &mut Context<'_>) -> Outcome {
        let index = self.in_state(number, "revert", &[State::CompletePendingRevert], cx)?;
        if let Some(RevertOutcome::Refused(message)) = &self.next.revert {
            let error = ApiError::new(cx.settings.statuses.wrong_state, message);
            self.next.revert = None;
            return Err(error);
        }
        let request = &mut self.deploy_requests[index];
        request.reverted_by = Some(actor.clone());
        request.closed_by = Some(actor.clone());
        self.set_state(index, State::InProgressRevert, cx);
        Ok(())
    }

    /// Closes the revert window.
    pub fn skip_revert(&mut self, number: u64, actor: &Actor, cx: &mut Context<'_>) -> Outcome {
        let index = self.in_state(number, "skip the revert of", &[State::CompletePendingRevert], cx)?;
        let request = &mut self.deploy_requests[index];
        request.closed_by = Some(actor.clone());
        request.times.revert_cancelled = Some(cx.now);
        self.complete(index, cx);
        Ok(())
    }

    /// Frees the queue from a request that failed.
    pub fn complete_deploy(&mut self, number: u64, actor: &Actor, cx: &mut Context<'_>) -> Outcome {
        let failed = [State::CompleteError, State::CompleteRevertError];
        let index = self.in_state(number, "complete", &failed, cx)?;
        self.deploy_requests[index].closed_by = Some(actor.clone());
        if cx.settings.unblocked_state == UnblockedState::Complete {
            self.set_state(index, State::Complete, cx);
        }
        self.close_request(index, cx);
        Ok(())
    }

    /// Cuts over although a table is locked.
    pub fn force_cutover(&mut self, number: u64, actor: &Actor, cx: &mut Context<'_>) -> Outcome {
        let index = self.in_state(number, "force the cutover of", &[State::InProgressCutover], cx)?;
        let request = &mut self.deploy_requests[index];
        if request.times.force_cutover.is_some() {
            return Err(ApiError::new(422, "A force cutover was already requested"));
        }
        request.times.force_cutover = Some(cx.now);
        request.cutover_by = Some(actor.clone());
        request.locked_table = None;
        Ok(())
    }

    /// Lets the cutover wait for a lock on the first table, or no longer.
    pub fn lock_table(&mut self, number: u64, locked: bool) -> Outcome {
        let request = self.request_mut(number)?;
        let first = request.verdict.operations.first().map(|operation| operation.diff.table.clone());
        request.locked_table = first.filter(|_| locked);
        Ok(())
    }

    /// Adds a review and returns its index. `reviewers` are the names under which the actor must not have made the
    /// request: a token, and the person who made the token.
    pub fn review(
        &mut self,
        number: u64,
        review: NewReview,
        actor: &Actor,
        reviewers: &[String],
        cx: &mut Context<'_>,
    ) -> Result<usize, ApiError> {
        let own_approval = cx.settings.statuses.own_approval;
        let request = self.request_mut(number)?;
        let is_approval = review.state == ReviewState::Approved;
        if is_approval && reviewers.contains(&request.actor.id) {
            let message = "Deploy request authors cannot approve their own deploy requests.";
            return Err(ApiError::new(own_approval, message));
        }
        if is_approval && request.is_closed {
            return Err(wrong_state("approve", request, cx));
        }
        request.reviews.push(Review {
            id: new_id(),
            state: review.state,
            body: review.body,
            actor: actor.clone(),
            created_at: cx.now,
            is_dismissed: false,
        });
        request.times.updated = cx.now;
        if is_approval {
            cx.record(Change::Approved { deploy_request: number, by: actor.id.clone() });
        }
        Ok(self.request(number)?.reviews.len() - 1)
    }

    fn in_state(
        &self,
        number: u64,
        action: &str,
        allowed: &[State],
        cx: &Context<'_>,
    ) -> Result<usize, ApiError> {
        let index = self.request_index(number)?;
        let request = &self.deploy_requests[index];
        if request.is_closed || !allowed.contains(&request.state) {
            return Err(wrong_state(action, request, cx));
        }
        Ok(index)
    }
}

impl DeployRequest {
    /// Whether instant DDL could do all of it.
    pub(super) fn is_instant(&self) -> bool {
        !self.verdict.operations.is_empty() && self.verdict.operations.iter().all(|o| o.diff.is_instant)
    }
}

impl Times {
    fn new(created: Timestamp) -> Self {
        Self {
            created,
            updated: created,
            ready: None,
            queued: None,
            submitted: None,
            started: None,
            ready_to_cutover: None,
            cutover: None,
            force_cutover: None,
            finished: None,
            closed: None,
            window_end: None,
            revert_cancelled: None,
            revert_finished: None,
        }
    }
}

/// The words were seen live.
fn still_validating() -> ApiError {
    ApiError::invalid_params(
        "We're currently validating that these changes are safe to deploy. Please try again in a few moments.",
    )
}

fn wrong_state(action: &str, request: &DeployRequest, cx: &Context<'_>) -> ApiError {
    let state = serde_json::to_value(request.state).unwrap_or_default();
    let closed = if request.is_closed { " and closed" } else { "" };
    let message = format!(
        "cannot {action} deploy request {}: it is {}{closed}",
        request.number,
        state.as_str().unwrap_or_default()
    );
    ApiError::new(cx.settings.statuses.wrong_state, message)
}
