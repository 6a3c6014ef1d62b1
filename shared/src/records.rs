//! The environment's lock and the records of its releases, in one DynamoDB table.
//!
//! | `kind` | `id` | what it is |
//! |---|---|---|
//! | `lock` | `lock` | the release that works on the environment; absent when none does |
//! | `last` | `last` | the last release that worked on the environment |
//! | `hold` | `hold` | why nothing new is released, until when; one that is over was cleared, or ended |
//! | `held` | image | the hold for which people were told that this image is held |
//! | `released` | image | how the image was last Released, unless that was a rollback |
//! | `seen` | `seen` | what the moving tag pointed at when it was last looked at, or installed |
//! | `release` | start time and execution name | the report of one release |

use std::collections::HashMap;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem};
use chrono::{DateTime, SecondsFormat, Utc};

use crate::hold::Hold;
use crate::image::ImageDigest;
use crate::lock::{Holder, LastRelease};
use crate::planetscale::DeployRequestNumber;
use crate::release::{Execution, Release};
use crate::report::Report;
use crate::rollback::ReleasedBefore;
use crate::start::{Seen, Sight};
use crate::{Error, aws, config};

type Item = HashMap<String, AttributeValue>;

/// The table of one environment.
#[derive(Debug, Clone)]
pub struct Records {
    client: Client,
    table: String,
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
            .item("digest", text(me.digest.as_str()))
            .item("takenAt", time(me.taken_at))
            .item("usableFrom", time(me.usable_from));
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
            taken_at: parsed(&item, "takenAt")?,
            usable_from: parsed(&item, "usableFrom")?,
        }))
    }

    /// Frees the lock of `execution`, and writes `last` as the last release of the environment, if there is one to write.
    ///
    /// Both or neither: neither when another one holds the lock, when the execution took it anew after a redrive that the
    /// caller does not know of, or when it is not to be used yet. Such a lock is left to the next release, which takes it
    /// over and waits.
    ///
    /// # Errors
    /// See [`Self::take_lock`].
    pub async fn free_lock(
        &self,
        execution: &str,
        redrives: u64,
        now: DateTime<Utc>,
        last: Option<&Report>,
    ) -> Result<(), Error> {
        let free = Delete::builder()
            .table_name(&self.table)
            .key("kind", text("lock"))
            .key("id", text("lock"))
            .condition_expression("holder = :me AND redrives <= :mine AND usableFrom <= :now")
            .expression_attribute_values(":me", text(execution))
            .expression_attribute_values(":mine", number(redrives))
            .expression_attribute_values(":now", time(now))
            .build()
            .map_err(incomplete)?;
        let mut items = vec![TransactWriteItem::builder().delete(free).build()];
        if let Some(report) = last {
            let put = Put::builder()
                .table_name(&self.table)
                .item("kind", text("last"))
                .item("id", text("last"))
                .item("digest", text(&report.digest))
                .item("execution", text(&report.execution))
                .item("startedAt", time(report.started_at))
                .item("outcome", text(&report.outcome.to_string()))
                .build()
                .map_err(incomplete)?;
            items.push(TransactWriteItem::builder().put(put).build());
        }
        match self.client.transact_write_items().set_transact_items(Some(items)).send().await {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(canceled)) => {
                    let reasons = canceled.cancellation_reasons();
                    if reasons.iter().any(|reason| reason.code() == Some("ConditionalCheckFailed")) {
                        return Ok(());
                    }
                    // Every other reason passes: a conflict with another transaction, or throttling (DynamoDB's API
                    // reference, `TransactWriteItems`).
                    let message = canceled.message().unwrap_or_default();
                    Err(Error::Retryable(format!("dynamodb:TransactWriteItems on {}: {message}", self.table)))
                }
                _ => Err(self.failed("TransactWriteItems", &error)),
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

    /// What was seen last.
    ///
    /// # Errors
    /// See [`Self::take_lock`].
    pub async fn seen(&self) -> Result<Option<Seen>, Error> {
        let Some(item) = self.get("seen", "seen").await? else { return Ok(None) };
        Ok(Some(Seen { digest: parsed(&item, "digest")?, at: parsed(&item, "seenAt")? }))
    }

    /// Notes what is seen, unless something was seen later.
    ///
    /// # Errors
    /// See [`Self::take_lock`].
    pub async fn see(&self, Seen { digest, at }: &Seen, sight: Sight) -> Result<(), Error> {
        let condition = match sight {
            Sight::Installed => None,
            Sight::Started => Some("attribute_not_exists(seenAt) OR seenAt <= :at"),
        };
        // Texts of the same length, so that their order is that of the times.
        let at = time(*at);
        let mut put =
            self.put("seen", "seen").item("digest", text(digest.as_str())).item("seenAt", at.clone());
        if let Some(condition) = condition {
            put = put.condition_expression(condition).expression_attribute_values(":at", at);
        }
        match put.send().await {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                Some(service) if service.is_conditional_check_failed_exception() => Ok(()),
                _ => Err(self.failed("PutItem", &error)),
            },
        }
    }

    /// Forgets that this image was seen, if it is what was seen last.
    ///
    /// # Errors
    /// See [`Self::take_lock`].
    pub async fn forget(&self, digest: &ImageDigest) -> Result<(), Error> {
        let delete = self
            .client
            .delete_item()
            .table_name(&self.table)
            .key("kind", text("seen"))
            .key("id", text("seen"))
            .condition_expression("digest = :digest")
            .expression_attribute_values(":digest", text(digest.as_str()));
        match delete.send().await {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                Some(service) if service.is_conditional_check_failed_exception() => Ok(()),
                _ => Err(self.failed("DeleteItem", &error)),
            },
        }
    }

    /// How the image with this digest was released here.
    ///
    /// # Errors
    /// See [`Self::take_lock`].
    pub async fn released_before(&self, digest: &ImageDigest) -> Result<Option<ReleasedBefore>, Error> {
        let Some(item) = self.get("released", digest.as_str()).await? else { return Ok(None) };
        let deploy_request = if item.contains_key("deployRequest") {
            Some(DeployRequestNumber(parsed(&item, "deployRequest")?))
        } else {
            None
        };
        Ok(Some(ReleasedBefore {
            execution: field(&item, "execution")?,
            started_at: parsed(&item, "startedAt")?,
            deploy_request,
            commits: match item.get("commits") {
                Some(AttributeValue::S(commits)) => commits.split(' ').flat_map(str::parse).collect(),
                _ => Vec::new(),
            },
        }))
    }

    /// Notes how the image with this digest was released here.
    ///
    /// # Errors
    /// See [`Self::take_lock`].
    pub async fn note_released(&self, digest: &ImageDigest, released: &ReleasedBefore) -> Result<(), Error> {
        let mut put = self
            .put("released", digest.as_str())
            .item("execution", text(&released.execution))
            .item("startedAt", time(released.started_at));
        if !released.commits.is_empty() {
            let commits: Vec<_> = released.commits.iter().map(ToString::to_string).collect();
            put = put.item("commits", text(&commits.join(" ")));
        }
        if let Some(number) = released.deploy_request {
            put = put.item("deployRequest", self::number(number.0));
        }
        put.send().await.map_err(|error| self.failed("PutItem", &error))?;
        Ok(())
    }

    /// The reports of the releases that started at `since` or later, the oldest first.
    ///
    /// # Errors
    /// See [`Self::take_lock`]; [`Error::Unexpected`] for one that cannot be read.
    pub async fn reports_since(&self, since: DateTime<Utc>) -> Result<Vec<Report>, Error> {
        let mut pages = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("kind = :kind AND id > :since")
            .expression_attribute_values(":kind", text("release"))
            .expression_attribute_values(":since", time(since))
            .into_paginator()
            .items()
            .send();
        let mut reports = Vec::new();
        while let Some(item) = pages.next().await {
            let json = field(&item.map_err(|error| self.failed("Query", &error))?, "report")?;
            let report: Report = serde_json::from_str(&json).map_err(|error| {
                Error::Unexpected(format!("A record of a release cannot be read: {error}."))
            })?;
            reports.push(report);
        }
        reports.retain(|report| report.started_at >= since);
        Ok(reports)
    }

    /// The hold, also one that is over.
    ///
    /// # Errors
    /// See [`Self::take_lock`].
    pub async fn hold(&self) -> Result<Option<Hold>, Error> {
        let Some(item) = self.get("hold", "hold").await? else { return Ok(None) };
        let until = if item.contains_key("until") { Some(parsed(&item, "until")?) } else { None };
        Ok(Some(Hold { why: field(&item, "why")?, since: parsed(&item, "since")?, until }))
    }

    /// Sets the hold, in the place of any other.
    ///
    /// # Errors
    /// See [`Self::take_lock`].
    pub async fn set_hold(&self, Hold { why, since, until }: &Hold) -> Result<(), Error> {
        let mut put = self.put("hold", "hold").item("why", text(why)).item("since", time(*since));
        if let Some(until) = until {
            put = put.item("until", time(*until));
        }
        put.send().await.map_err(|error| self.failed("PutItem", &error))?;
        Ok(())
    }

    /// Whether people were told that this image is kept back by `hold`.
    ///
    /// # Errors
    /// See [`Self::take_lock`].
    pub async fn is_told_held(&self, digest: &ImageDigest, hold: &Hold) -> Result<bool, Error> {
        let item = self.get("held", digest.as_str()).await?;
        Ok(item.is_some_and(|item| item.get("since") == Some(&time(hold.since))))
    }

    /// Notes that people were told so.
    ///
    /// # Errors
    /// See [`Self::take_lock`].
    pub async fn note_told_held(&self, digest: &ImageDigest, hold: &Hold) -> Result<(), Error> {
        let put = self.put("held", digest.as_str()).item("since", time(hold.since));
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

fn time(value: DateTime<Utc>) -> AttributeValue {
    AttributeValue::S(value.to_rfc3339_opts(SecondsFormat::Millis, true))
}

fn incomplete(error: BuildError) -> Error {
    Error::Unexpected(format!("{error}."))
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
