//! Executions of the state machine.

use aws_sdk_sfn::Client;
use chrono::{DateTime, Utc};

use crate::lock::{Holder, unknown_holder};
use crate::start::HolderState;
use crate::{Error, aws};

/// What became of the execution of `holder`. Its own state tells, not the time: a slow release keeps its lock. Only of one
/// that Step Functions does not know the age of the lock decides.
///
/// # Errors
/// As [`aws::failed`] says.
pub async fn state(client: &Client, holder: &Holder, now: DateTime<Utc>) -> Result<HolderState, Error> {
    let execution = &holder.execution;
    match client.describe_execution().execution_arn(execution).send().await {
        Ok(answer) => Ok(match answer.status().as_str() {
            "RUNNING" | "PENDING_REDRIVE" => HolderState::Running,
            "ABORTED" => HolderState::Stopped,
            _ => HolderState::Ended,
        }),
        Err(error) if aws::code(&error).as_deref() == Some("ExecutionDoesNotExist") => {
            Ok(unknown_holder(holder.taken_at, now))
        }
        Err(error) => Err(aws::failed(&format!("states:DescribeExecution of {execution}"), &error)),
    }
}
