//! Secrets from Secrets Manager.
//!
//! A secret is read when it is needed and not kept: one that is rotated while a release runs is found at the next
//! call.

use aws_sdk_secretsmanager::Client;
use secrecy::SecretString;

use crate::{Error, aws};

/// The text of the secret `arn`; `fill` names the stack's output with the command that fills it.
///
/// # Errors
/// [`Error::Misconfigured`] when it has no value yet, does not exist or must not be read; [`Error::Retryable`] when
/// Secrets Manager did not answer.
pub async fn read(client: &Client, arn: &str, fill: &str) -> Result<SecretString, Error> {
    find(client, arn).await?.ok_or_else(|| {
        Error::Misconfigured(format!(
            "The secret {} has no value. Fill it with the command in the stack's output {fill}.",
            name(arn)
        ))
    })
}

/// The text of the secret `arn`; none when it has no value yet, or does not exist.
///
/// # Errors
/// As [`aws::failed`] says.
pub async fn find(client: &Client, arn: &str) -> Result<Option<SecretString>, Error> {
    match client.get_secret_value().secret_id(arn).send().await {
        Ok(secret) => Ok(secret.secret_string.filter(|text| !text.trim().is_empty()).map(SecretString::from)),
        Err(error) if aws::code(&error).as_deref() == Some("ResourceNotFoundException") => Ok(None),
        Err(error) => Err(aws::failed(&format!("secretsmanager:GetSecretValue of {}", name(arn)), &error)),
    }
}

/// The secret's name in its ARN.
fn name(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or(arn)
}
