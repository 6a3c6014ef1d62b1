//! The environment's lock and the records of its releases, in one DynamoDB table.
//!
//! | `kind` | `id` | what it is |
//! |---|---|---|
//! | `lock` | `lock` | the release that works on the environment; absent when none does |
//! | `last` | `last` | the last release that worked on the environment |
//! | `release` | start time and execution name | the report of one release |

use std::collections::HashMap;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use chrono::SecondsFormat;

use crate::image::ImageDigest;
use crate::lock::LastRelease;
use crate::release::{Execution, Release};
use crate::report::Report;
use crate::{Error, aws, config};

type Item = HashMap<String, AttributeValue>;

/// The table of one environment.
#[derive(Debug, Clone)]
pub struct Records {
    client: Client,
    table: String,
}

/// The release that holds the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its execution's ARN.
    pub execution: String,
    /// How often that execution was redriven when it took the lock.
    pub redrives: u64,
    /// The image it releases.
    pub digest: ImageDigest,
    /// Whether the lock was not freed for it, and it has not waited yet until no call of a stopped execution can be at
    /// work any more.
    pub unsettled: bool,
}

impl Records {
    /// The table that `TABLE_NAME` names.
    ///
    /// # Errors
    /// [`Error::Misconfigured`] when it is not set.
    pub fn from_env(config: &SdkConfig) -> Result<Self, Error> {
        Ok(Self::new(Client::new(config), config::required("TABLE_NAME")?))
    }

    /// The table `table`.
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// Takes the lock for `me` if it still is as it was `found`. Returns whether it did.
    ///
    /// What is compared includes how often the holder was redriven: one that is redriven while its lock is being taken
    /// over, and takes the lock again, keeps it.
    ///
    /// # Errors
    /// As [`aws::failed`] says; so for every call here.
    pub async fn take_lock(&self, me: &Holder, found: Option<&Holder>) -> Result<bool, Error> {
        let mut put = self
            .put("lock", "lock")
            .item("holder", text(&me.execution))
            .item("redrives", number(me.redrives))
            .item("digest", text(me.digest.as_str()));
        if me.unsettled {
            put = put.item("unsettled", AttributeValue::Bool(true));
        }
        put = match found {
            None => put.condition_expression("attribute_not_exists(holder)"),
            Some(found) => put
                .condition_expression("holder = :found AND redrives = :redrives")
                .expression_attribute_values(":found", text(&found.execution))
                .expression_attribute_values(":redrives", number(found.redrives)),
        };
        match put.send().await {
            Ok(_) => Ok(true),
            Err(error) => match error.as_service_error() {
                Some(service) if service.is_conditional_check_failed_exception() => Ok(false),
                _ => Err(self.failed("PutItem", &error)),
            },
        }
    }

    /// The release that holds the lock.
    ///
    /// # Errors
    /// See [`Self::take_lock`].
    pub async fn holder(&self) -> Result<Option<Holder>, Error> {
        let Some(item) = self.get("lock", "lock").await? else { return Ok(None) };
        Ok(Some(Holder {
            execution: field(&item, "holder")?,
            redrives: parsed(&item, "redrives")?,
            digest: parsed(&item, "digest")?,
            unsettled: item.contains_key("unsettled"),
        }))
    }

    /// Frees the lock if `execution` holds it and it is settled. An unsettled one is left to the next release, which
    /// takes it over and waits.
    ///
    /// # Errors
    /// See [`Self::take_lock`].
    pub async fn free_lock(&self, execution: &str) -> Result<(), Error> {
        let delete = self
            .client
            .delete_item()
            .table_name(&self.table)
            .key("kind", text("lock"))
            .key("id", text("lock"))
            .condition_expression("holder = :me AND attribute_not_exists(unsettled)")
            .expression_attribute_values(":me", text(execution));
        match delete.send().await {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                Some(service) if service.is_conditional_check_failed_exception() => Ok(()),
                _ => Err(self.failed("DeleteItem", &error)),
            },
        }
    }

    /// The last release that worked on the environment.
    ///
    /// # Errors
    /// See [`Self::take_lock`].
    pub async fn last(&self) -> Result<Option<LastRelease>, Error> {
        let Some(item) = self.get("last", "last").await? else { return Ok(None) };
        Ok(Some(LastRelease {
            digest: parsed(&item, "digest")?,
            execution: field(&item, "execution")?,
            started_at: parsed(&item, "startedAt")?,
        }))
    }

    /// Writes `report` as the last release of the environment.
    ///
    /// # Errors
    /// See [`Self::take_lock`].
    pub async fn write_last(&self, report: &Report) -> Result<(), Error> {
        let put = self
            .put("last", "last")
            .item("digest", text(&report.digest))
            .item("execution", text(&report.execution))
            .item("startedAt", text(&report.started_at.to_rfc3339_opts(SecondsFormat::Millis, true)))
            .item("outcome", text(&report.outcome.to_string()));
        put.send().await.map_err(|error| self.failed("PutItem", &error))?;
        Ok(())
    }

    /// Whether the release that `execution` runs is recorded and notified.
    ///
    /// # Errors
    /// See [`Self::take_lock`].
    pub async fn is_notified(&self, execution: &Execution) -> Result<bool, Error> {
        let item = self.get("release", &record_id(execution)).await?;
        Ok(item.is_some_and(|item| item.get("notified") == Some(&AttributeValue::Bool(true))))
    }

    /// Writes the record of a release.
    ///
    /// # Errors
    /// See [`Self::take_lock`].
    pub async fn write(
        &self,
        execution: &Execution,
        release: &Release,
        report: &Report,
        notified: bool,
    ) -> Result<(), Error> {
        let json = serde_json::to_string(report).map_err(|error| Error::Unexpected(format!("{error}.")))?;
        let put = self
            .put("release", &record_id(execution))
            .item("outcome", text(&report.outcome.to_string()))
            .item("digest", text(release.image.digest.as_str()))
            .item("notified", AttributeValue::Bool(notified))
            .item("report", text(&json));
        put.send().await.map_err(|error| self.failed("PutItem", &error))?;
        Ok(())
    }

    fn put(&self, kind: &str, id: &str) -> PutItemFluentBuilder {
        self.client.put_item().table_name(&self.table).item("kind", text(kind)).item("id", text(id))
    }

    async fn get(&self, kind: &str, id: &str) -> Result<Option<Item>, Error> {
        let get = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("kind", text(kind))
            .key("id", text(id))
            .consistent_read(true);
        Ok(get.send().await.map_err(|error| self.failed("GetItem", &error))?.item)
    }

    fn failed<E>(
        &self,
        action: &str,
        error: &aws_smithy_runtime_api::client::result::SdkError<E, aws_smithy_runtime_api::http::Response>,
    ) -> Error
    where
        E: aws_smithy_types::error::metadata::ProvideErrorMetadata + std::error::Error + 'static,
    {
        aws::failed(&format!("dynamodb:{action} on {}", self.table), error)
    }
}

fn record_id(execution: &Execution) -> String {
    format!("{} {}", execution.started_at.to_rfc3339_opts(SecondsFormat::Millis, true), execution.name)
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn field(item: &Item, name: &str) -> Result<String, Error> {
    match item.get(name) {
        Some(AttributeValue::S(value) | AttributeValue::N(value)) => Ok(value.clone()),
        _ => Err(Error::Unexpected(format!("An item of the table of releases has no text {name:?}."))),
    }
}

fn parsed<T: std::str::FromStr>(item: &Item, name: &str) -> Result<T, Error> {
    let value = field(item, name)?;
    value
        .parse()
        .map_err(|_| Error::Unexpected(format!("An item of the table of releases has the {name} {value:?}.")))
}
