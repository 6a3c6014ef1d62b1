//! Executions of the state machine.

use aws_sdk_sfn::Client;

use crate::start::HolderState;
use crate::{Error, aws};

/// What became of `execution`. Only its own state tells, never the time: a slow release keeps its lock.
///
/// # Errors
/// As [`aws::failed`] says.
pub async fn state(client: &Client, execution: &str) -> Result<HolderState, Error> {
    match client.describe_execution().execution_arn(execution).send().await {
        Ok(answer) => Ok(match answer.status().as_str() {
            "RUNNING" | "PENDING_REDRIVE" => HolderState::Running,
            "ABORTED" => HolderState::Stopped,
            _ => HolderState::Ended,
        }),
        Err(error) if aws::code(&error).as_deref() == Some("ExecutionDoesNotExist") => Ok(HolderState::Ended),
        Err(error) => Err(aws::failed(&format!("states:DescribeExecution of {execution}"), &error)),
    }
}
