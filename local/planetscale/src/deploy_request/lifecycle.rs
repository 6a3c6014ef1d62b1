//! How deploy requests move on by themselves.
//!
//! Nothing runs in the background: before each request of a client, everything that was due since the last one happens
//! in its order and at its own time.

use super::{DeployOperation, DeployRequest, DeploymentState, MAX_TABLES, Verdict};
use crate::clock::Timestamp;
use crate::database::{Context, Database, RevertOutcome, new_id};
use crate::journal::Change;
use crate::schema::{diff, lint};
use crate::settings::{BaseChange, Durations, TooManyTables};
use crate::storage::{Purpose, StorageError};

use DeploymentState as State;

impl Database {
    /// Lets happen what is due between the context's time and `until`, which is its time afterwards.
    pub fn advance(&mut self, until: Timestamp, cx: &mut Context<'_>) {
        loop {
            self.look_at_queue(cx);
            let due = (0..self.deploy_requests.len()).filter_map(|index| Some((self.due(index, cx)?, index)));
            match due.min() {
                Some((at, index)) if at <= until => {
                    cx.now = cx.now.max(at);
                    self.step(index, cx);
                }
                _ => break,
            }
        }
        cx.now = cx.now.max(until);
    }

    /// A schema changed, by a deploy request or otherwise: what that means to the open requests.
    pub fn schema_changed(&mut self, branch: &str, by: Option<u64>, cx: &mut Context<'_>) {
        for index in 0..self.deploy_requests.len() {
            let request = &mut self.deploy_requests[index];
            let (number, state) = (request.number, request.state);
            if request.is_closed || by == Some(number) {
                continue;
            }
            let is_head = request.branch == branch && (state.is_before_queue() || state == State::Queued);
            let is_base = request.into_branch == branch
                && matches!(state, State::Ready | State::NoChanges | State::Error)
                && cx.settings.base_change == BaseChange::Revalidate;
            if is_head {
                // Approvals are dismissed and the request is dequeued (PlanetScale's documentation).
                if request.is_approved() {
                    for review in &mut request.reviews {
                        review.is_dismissed = true;
                    }
                    cx.record(Change::ApprovalsDismissed { deploy_request: number });
                }
                if state == State::Queued {
                    cx.record(Change::Dequeued { deploy_request: number });
                }
            }
            if is_head || is_base {
                self.set_state(index, State::Pending, cx);
                let request = &mut self.deploy_requests[index];
                request.times.queued = None;
                request.verdict = Verdict::default();
            }
        }
    }

    /// Puts a request into a state.
    pub(super) fn set_state(&mut self, index: usize, to: State, cx: &mut Context<'_>) {
        let request = &mut self.deploy_requests[index];
        let (from, number) = (request.state, request.number);
        request.state = to;
        request.state_since = cx.now;
        request.times.updated = cx.now;
        if from != to {
            cx.record(Change::StateChanged { deploy_request: number, from, to });
        }
    }

    /// Closes a request in the state it is in.
    pub(super) fn close_request(&mut self, index: usize, cx: &mut Context<'_>) {
        let request = &mut self.deploy_requests[index];
        request.is_closed = true;
        request.times.closed = Some(cx.now);
        request.times.updated = cx.now;
        let by = request.closed_by.as_ref().map(|actor| actor.id.clone());
        let (number, base) = (request.number, request.into_branch.clone());
        cx.record(Change::DeployRequestClosed { deploy_request: number, by });
        if let Some(base) = self.branch(&base) {
            // What is not given up now goes with the branch.
            let _ = cx.storage.forget(&base.id, number);
        }
    }

    /// Ends a deployment that stays: `complete`, closed, and its branch deleted if that was asked for.
    pub(super) fn complete(&mut self, index: usize, cx: &mut Context<'_>) {
        self.set_state(index, State::Complete, cx);
        self.close_request(index, cx);
        let request = &self.deploy_requests[index];
        if request.auto_delete_branch {
            let (branch, actor) = (request.branch.clone(), request.actor.clone());
            // Another request of the same branch may still need it; then it stays.
            let _ = self.delete_branch(&branch, Some(&actor), cx);
        }
    }

    /// Moves on to the cutover, or to what comes in its place.
    pub(super) fn cut_over(&mut self, index: usize, cx: &mut Context<'_>) {
        self.deploy_requests[index].times.cutover = Some(cx.now);
        self.set_state(index, State::InProgressCutover, cx);
    }

    fn look_at_queue(&mut self, cx: &Context<'_>) {
        for index in 0..self.deploy_requests.len() {
            let request = &self.deploy_requests[index];
            let is_paused =
                self.branch(&request.into_branch).is_some_and(|branch| branch.queue_pause.is_some());
            let waits = is_paused || self.deploy_requests.iter().any(|other| request.is_behind(other));
            let free_since = match (request.state, waits) {
                (State::Queued, false) => request.queue_free_since.or(Some(cx.now)),
                _ => None,
            };
            self.deploy_requests[index].queue_free_since = free_since;
        }
    }

    /// When a request moves on by itself.
    fn due(&self, index: usize, cx: &Context<'_>) -> Option<Timestamp> {
        let request = &self.deploy_requests[index];
        if request.is_closed {
            return None;
        }
        let since = request.state_since;
        let durations = &cx.settings.durations;
        match request.state {
            State::Queued => Some(request.queue_free_since? + durations.queued),
            State::PendingCutover => request.auto_cutover.then_some(since),
            State::InProgressCutover if request.locked_table.is_some() => None,
            state => Some(since + durations.of(state)?),
        }
    }

    fn step(&mut self, index: usize, cx: &mut Context<'_>) {
        let request = &mut self.deploy_requests[index];
        let durations = &cx.settings.durations;
        match request.state {
            State::Pending => self.validate(index, cx),
            State::Queued => {
                request.times.submitted = Some(cx.now);
                self.set_state(index, State::Submitting, cx);
            }
            State::Submitting => {
                request.times.started = Some(cx.now);
                self.set_state(index, State::InProgress, cx);
            }
            State::InProgress if durations.in_progress_vschema > 0 => {
                self.set_state(index, State::InProgressVschema, cx);
            }
            State::InProgress | State::InProgressVschema => self.finish_migration(index, cx),
            State::PendingCutover => self.cut_over(index, cx),
            State::InProgressCutover => self.apply(index, cx),
            State::CompletePendingRevert => self.complete(index, cx),
            State::InProgressCancel => {
                request.times.finished = Some(cx.now);
                self.set_state(index, State::CompleteCancel, cx);
                self.close_request(index, cx);
            }
            State::InProgressRevert if durations.in_progress_revert_vschema > 0 => {
                self.set_state(index, State::InProgressRevertVschema, cx);
            }
            State::InProgressRevert | State::InProgressRevertVschema => self.take_back(index, cx),
            _ => {}
        }
    }

    fn validate(&mut self, index: usize, cx: &mut Context<'_>) {
        let request = &self.deploy_requests[index];
        let compared = self.schema(&request.branch, cx.storage).and_then(|head| {
            let base = self.schema(&request.into_branch, cx.storage)?;
            Ok((lint(&head, self.foreign_keys_enabled), diff(&base, &head)))
        });
        let mut verdict = Verdict { at: Some(cx.now), ..Verdict::default() };
        let state = match compared {
            Err(error) => {
                verdict.check_errors = Some(error.to_string());
                State::Error
            }
            Ok((lints, _)) if !lints.is_empty() => {
                verdict.lints = lints;
                verdict.check_errors = Some(String::new());
                State::Error
            }
            Ok((_, changes)) if changes.is_empty() => State::NoChanges,
            Ok((_, changes)) => {
                let tables = changes.len();
                let operation = |diff| DeployOperation { id: new_id(), diff };
                verdict.operations = changes.into_iter().map(operation).collect();
                verdict.deployable = tables <= MAX_TABLES;
                if !verdict.deployable {
                    let error = format!(
                        "A deploy request can change {MAX_TABLES} tables; this one changes {tables}."
                    );
                    verdict.check_errors = Some(error);
                }
                match (verdict.deployable, cx.settings.too_many_tables) {
                    (false, TooManyTables::Error) => State::Error,
                    _ => State::Ready,
                }
            }
        };
        let request = &mut self.deploy_requests[index];
        request.verdict = verdict;
        request.times.ready = Some(cx.now);
        self.set_state(index, state, cx);
    }

    fn finish_migration(&mut self, index: usize, cx: &mut Context<'_>) {
        if let Some(error) = self.next.deploy_error.take() {
            self.fail(index, State::CompleteError, error, cx);
            return;
        }
        let request = &mut self.deploy_requests[index];
        request.times.ready_to_cutover = Some(cx.now);
        if request.instant_ddl {
            request.times.cutover = Some(cx.now);
            self.apply(index, cx);
        } else if request.auto_cutover {
            self.cut_over(index, cx);
        } else {
            self.set_state(index, State::PendingCutover, cx);
        }
    }

    /// Really changes the base branch.
    fn apply(&mut self, index: usize, cx: &mut Context<'_>) {
        let request = &self.deploy_requests[index];
        let (number, base, head) = (request.number, request.into_branch.clone(), request.branch.clone());
        let statements =
            request.verdict.operations.iter().map(|operation| operation.diff.statement.clone()).collect();
        let before = self.schema(&base, cx.storage);
        if let Err(error) = self.change_schema(&base, statements, Purpose::Deploy(number), cx) {
            self.fail(index, State::CompleteError, error.to_string(), cx);
            return;
        }
        let base_version = self.branch(&base).map_or(0, |base| base.version);
        if let Some(head) = self.branch_mut(&head) {
            head.parent_version = base_version;
        }
        let request = &mut self.deploy_requests[index];
        request.schema_before = before.unwrap_or_default();
        request.times.finished = Some(cx.now);
        if request.instant_ddl {
            self.complete(index, cx);
        } else {
            request.times.window_end = Some(cx.now + cx.settings.durations.complete_pending_revert);
            self.set_state(index, State::CompletePendingRevert, cx);
        }
    }

    /// Puts the touched tables of the base branch back as they were.
    fn take_back(&mut self, index: usize, cx: &mut Context<'_>) {
        let base = self.deploy_requests[index].into_branch.clone();
        let version = self.branch(&base).map_or(0, |base| base.version);
        let outcome = match self.next.revert.take() {
            Some(RevertOutcome::Error(error)) => Err(error),
            other => {
                self.next.revert = other;
                self.restore(index, &base, cx).map_err(|error| error.to_string())
            }
        };
        if let Err(error) = outcome {
            self.fail(index, State::CompleteRevertError, error, cx);
            return;
        }
        // A revert gives the base branch nothing that a branch lacks which was up to date before it. What `stale_schema` counts
        // is not documented.
        let now = self.branch(&base).map_or(0, |base| base.version);
        for branch in &mut self.branches {
            if branch.parent.as_deref() == Some(&base) && branch.parent_version == version {
                branch.parent_version = now;
            }
        }
        self.deploy_requests[index].times.revert_finished = Some(cx.now);
        self.set_state(index, State::CompleteRevert, cx);
        self.close_request(index, cx);
    }

    fn restore(&mut self, index: usize, base: &str, cx: &mut Context<'_>) -> Result<(), StorageError> {
        let request = &self.deploy_requests[index];
        let tables = request.verdict.operations.iter().map(|operation| operation.diff.table.as_str());
        let now = self.schema(base, cx.storage)?;
        let before = now.with_tables_of(&request.schema_before, tables);
        let statements = diff(&now, &before).into_iter().map(|change| change.statement).collect();
        let purpose = Purpose::Revert(request.number);
        self.change_schema(base, statements, purpose, cx)
    }

    fn fail(&mut self, index: usize, state: State, error: String, cx: &mut Context<'_>) {
        let request = &mut self.deploy_requests[index];
        request.failure = Some(error);
        request.times.finished = request.times.finished.or(Some(cx.now));
        self.set_state(index, state, cx);
    }
}

impl Durations {
    /// Milliseconds in a state that ends by itself.
    pub fn of(&self, state: State) -> Option<u64> {
        Some(match state {
            State::Pending => self.pending,
            State::Queued => self.queued,
            State::Submitting => self.submitting,
            State::InProgress => self.in_progress,
            State::InProgressVschema => self.in_progress_vschema,
            State::InProgressCutover => self.in_progress_cutover,
            State::InProgressCancel => self.in_progress_cancel,
            State::CompletePendingRevert => self.complete_pending_revert,
            State::InProgressRevert => self.in_progress_revert,
            State::InProgressRevertVschema => self.in_progress_revert_vschema,
            _ => return None,
        })
    }
}

impl DeployRequest {
    /// How far the migration is, in percent, once it runs.
    pub(super) fn progress(&self, now: Timestamp, durations: &Durations) -> Option<u64> {
        match self.state {
            state if state.is_before_queue() => None,
            State::Queued | State::Submitting | State::Cancelled => None,
            State::InProgress => {
                let elapsed = (now - self.state_since).min(durations.in_progress);
                Some(elapsed * 100 / durations.in_progress.max(1))
            }
            State::InProgressCancel | State::CompleteCancel | State::CompleteError => {
                Some(if self.times.ready_to_cutover.is_some() { 100 } else { 0 })
            }
            _ => Some(100),
        }
    }
}
