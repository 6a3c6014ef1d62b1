use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use shared::clock::Clock;
use shared::custom_resource::{Event, Request as Install, RequestType};
use shared::hold::{Asked, Hold};
use shared::image::{ImageDigest, ImageTag, commit_tags, immutable_tag};
use shared::records::Records;
use shared::release::{Cause, Image, Release, Rollback};
use shared::rollback::{Asked as Back, History, ReleasedBefore};
use shared::start::{Known, Request, Seen, Sight, execution_name, is_lost, request};
use shared::{Error, aws, executions, http, registry};

use crate::settings::Settings;

pub struct Context {
    ecr: aws_sdk_ecr::Client,
    sfn: aws_sdk_sfn::Client,
    records: Records,
    settings: Settings,
    http: http::Client,
    clock: Clock,
}

impl Context {
    pub fn from_env() -> Result<Self, Error> {
        let aws = aws::config();
        Ok(Self::new(
            aws_sdk_ecr::Client::new(&aws),
            aws_sdk_sfn::Client::new(&aws),
            Records::from_env(&aws)?,
            Settings::from_env()?,
            http::client(),
            Clock::system(),
        ))
    }

    /// `http` takes the answers to CloudFormation.
    pub fn new(
        ecr: aws_sdk_ecr::Client,
        sfn: aws_sdk_sfn::Client,
        records: Records,
        settings: Settings,
        http: http::Client,
        clock: Clock,
    ) -> Self {
        Self { ecr, sfn, records, settings, http, clock }
    }
}

#[derive(Debug, Serialize)]
pub struct Output {
    /// The execution's name, when a release was started or was started before by the same event.
    started: Option<String>,
    because: String,
}

pub async fn handle(context: &Context, payload: Value) -> Result<Output, Error> {
    let payload = match serde_json::from_value(payload) {
        Ok(Event::<Value, Value>::Install(install)) => return context.installed(install).await,
        Ok(Event::ByHand(payload)) => payload,
        Err(error) => return Err(Error::Unexpected(format!("{error}."))),
    };
    let Settings { repository, moving_tag, .. } = &context.settings;
    match request(payload, repository, moving_tag)? {
        Request::Ignore(because) => Ok(Output { started: None, because }),
        Request::Release(digest, at) => context.start_or_go_back(digest, at, Cause::Push).await,
        Request::ByHand => match context.current().await? {
            Some(digest) => context.by_hand(digest).await,
            None => Err(Error::Misconfigured(context.nothing_pushed())),
        },
        Request::Look(at) => context.look(at).await,
        Request::Rollback(asked) => context.roll_back(asked).await,
        Request::Hold(Asked::Set(why, until)) => {
            let hold = Hold { why, since: context.clock.now(), until };
            if !hold.is_on(hold.since) {
                return Err(Error::Misconfigured("The end of the hold, `until`, is past.".into()));
            }
            context.records.set_hold(&hold).await?;
            Ok(Output { started: None, because: hold.sentence() })
        }
        Request::Hold(Asked::Clear) => {
            let now = context.clock.now();
            let over = Hold { why: "Cleared.".into(), since: now, until: Some(now) };
            context.records.set_hold(&over).await?;
            let Output { started, because } = context.look(now).await?;
            Ok(Output { started, because: format!("The environment is not held. {because}") })
        }
    }
}

impl Context {
    /// Starts the release of what the moving tag points at, if nobody released it.
    async fn look(&self, at: DateTime<Utc>) -> Result<Output, Error> {
        let Some(digest) = self.current().await? else {
            return Ok(Output { started: None, because: self.nothing_pushed() });
        };
        match is_lost(&self.settings.moving_tag, &digest, &self.known(&digest).await?) {
            Ok(()) => self.start_or_go_back(digest, at, Cause::ScheduledLook).await,
            Err(because) => Ok(Output { started: None, because }),
        }
    }

    /// Counts what the moving tag points at as seen: an install, or an update that names another tag, releases nothing.
    async fn installed(&self, install: Box<Install<Value>>) -> Result<Output, Error> {
        let known = match install.request_type {
            RequestType::Create | RequestType::Update => self.see_current().await,
            RequestType::Delete => Ok(()),
        };
        // CloudFormation hears of an error; Lambda must not try again.
        install.answer(&self.http, "known-image", known.as_ref().map(|()| HashMap::new())).await?;
        let because =
            known.map_or_else(|error| error.to_string(), |()| "An install releases nothing.".into());
        Ok(Output { started: None, because })
    }

    async fn see_current(&self) -> Result<(), Error> {
        let Some(digest) = self.current().await? else { return Ok(()) };
        self.records.see(&Seen { digest, at: self.clock.now() }, Sight::Installed).await
    }

    /// The digest that the moving tag points at; none before the first push.
    async fn current(&self) -> Result<Option<ImageDigest>, Error> {
        let Settings { repository, moving_tag, .. } = &self.settings;
        Ok(registry::tagged(&self.ecr, repository, moving_tag).await?.map(|image| image.digest))
    }

    fn nothing_pushed(&self) -> String {
        format!(
            "{} has no image with the tag {}. Push one first.",
            self.settings.repository, self.settings.moving_tag
        )
    }

    /// Releases what the tag was moved to. If that was Released here before, the tag went back.
    async fn start_or_go_back(
        &self,
        digest: ImageDigest,
        at: DateTime<Utc>,
        cause: Cause,
    ) -> Result<Output, Error> {
        let back = self.released_as_it_is(&digest).await?.filter(|before| before.is_before(at));
        let rollback = back.map(|_| Rollback { insist: false, tag_points_at: digest.clone() });
        self.start(digest, at, cause, rollback).await
    }

    /// Releases what the tag points at, which is a rollback if it was Released here before and something else serves.
    async fn by_hand(&self, digest: ImageDigest) -> Result<Output, Error> {
        let goes_back = self.released_as_it_is(&digest).await?.is_some()
            && self.history().await?.current().is_some_and(|current| current != digest);
        let rollback = goes_back.then(|| Rollback { insist: false, tag_points_at: digest.clone() });
        self.start(digest, self.clock.now(), Cause::ByHand, rollback).await
    }

    /// Goes back because a person asks for it; the tag stays where it is.
    async fn roll_back(&self, asked: Back) -> Result<Output, Error> {
        let Some(tag_points_at) = self.current().await? else {
            return Err(Error::Misconfigured(self.nothing_pushed()));
        };
        let history = self.history().await?;
        let moved_back = history.current().is_some_and(|current| current != tag_points_at)
            && self.records.released_before(&tag_points_at).await?.is_some();
        let to = match asked {
            Back::Insist if moved_back => Some(tag_points_at.clone()),
            Back::Insist | Back::Previous => history.previous(),
        };
        let Some(digest) = to else {
            return Err(Error::Misconfigured(
                "No image was Released here before the one that serves: there is nothing to go back to."
                    .into(),
            ));
        };
        let repository = &self.settings.repository;
        if registry::digested(&self.ecr, repository, &digest).await?.is_none() {
            return Err(Error::Misconfigured(format!(
                "The image to go back to, {digest}, is not in {repository} any more. Push one that works, or move the tag \
                 to an older one."
            )));
        }
        let rollback = Rollback { insist: asked == Back::Insist, tag_points_at };
        self.start(digest, self.clock.now(), Cause::Rollback, Some(rollback)).await
    }

    /// What served here one after another, by the records.
    async fn history(&self) -> Result<History, Error> {
        Ok(History::of(&self.records.reports_since(DateTime::UNIX_EPOCH).await?))
    }

    /// Starts the release; `trigger` names it.
    async fn start(
        &self,
        digest: ImageDigest,
        at: DateTime<Utc>,
        trigger: Cause,
        rollback: Option<Rollback>,
    ) -> Result<Output, Error> {
        let name = execution_name(&self.settings.moving_tag, &digest, at, trigger);
        let cause = if rollback.is_some() { Cause::Rollback } else { trigger };
        let release = self.release(digest, at, cause, rollback).await?;
        let input =
            serde_json::to_string(&release).map_err(|error| Error::Unexpected(format!("{error}.")))?;
        let machine = &self.settings.state_machine_arn;
        let started =
            self.sfn.start_execution().state_machine_arn(machine).name(&name).input(input).send().await;
        let because = match started {
            Ok(_) => {
                let at = match trigger {
                    Cause::Push => at,
                    Cause::ScheduledLook | Cause::ByHand | Cause::Rollback => self.clock.now(),
                };
                // What is left by going back is not what nobody released.
                let digest = release.expected_tag().clone();
                self.records.see(&Seen { digest, at }, Sight::Started).await?;
                "The release was started."
            }
            // The same event was delivered before, or the image was pushed again within one second. Its release may have
            // stepped aside in between: it is not noted as seen, so that the look finds it then.
            Err(error) if aws::code(&error).as_deref() == Some("ExecutionAlreadyExists") => {
                "The release was started before."
            }
            Err(error) => return Err(aws::failed(&format!("states:StartExecution of {machine}"), &error)),
        };
        Ok(Output { started: Some(name), because: because.into() })
    }

    async fn release(
        &self,
        digest: ImageDigest,
        pushed_at: DateTime<Utc>,
        cause: Cause,
        rollback: Option<Rollback>,
    ) -> Result<Release, Error> {
        let settings = &self.settings;
        let tags = self.tags(&digest).await?;
        Ok(Release {
            application: settings.application.clone(),
            environment: settings.environment.clone(),
            cause,
            rollback,
            pushed_at,
            image: Image {
                repository: settings.repository.clone(),
                uri: settings.repository_uri.clone(),
                moving_tag: settings.moving_tag.clone(),
                digest,
                commit: immutable_tag(&tags, &settings.moving_tags).cloned(),
                commits: commit_tags(&tags, &settings.moving_tags).cloned().collect(),
            },
            service: settings.service.clone(),
            database: settings.database.clone(),
            policy: settings.policy,
            deadlines: settings.deadlines,
            last_call: settings.last_call,
            verification: settings.verification.clone(),
        })
    }

    async fn tags(&self, digest: &ImageDigest) -> Result<Vec<ImageTag>, Error> {
        let found = registry::digested(&self.ecr, &self.settings.repository, digest).await?;
        Ok(found.map_or(Vec::new(), |image| image.tags))
    }

    /// How the image was Released here, unless it was built again since.
    async fn released_as_it_is(&self, digest: &ImageDigest) -> Result<Option<ReleasedBefore>, Error> {
        let Some(before) = self.records.released_before(digest).await? else { return Ok(None) };
        let tags = self.tags(digest).await?;
        let commits: Vec<_> = commit_tags(&tags, &self.settings.moving_tags).cloned().collect();
        Ok(Some(before).filter(|before| before.is_of(&commits)))
    }

    /// What the records and the running executions say.
    async fn known(&self, digest: &ImageDigest) -> Result<Known, Error> {
        let holder = match self.records.holder().await? {
            Some(holder) => {
                let state = executions::state(&self.sfn, &holder, self.clock.now()).await?;
                Some((holder.digest, state))
            }
            None => None,
        };
        let kept_back = match self.records.hold().await?.filter(|hold| hold.is_on(self.clock.now())) {
            Some(hold) if self.records.is_told_held(digest, &hold).await? => Some(hold.sentence()),
            _ => None,
        };
        let (seen, last) = (self.records.seen().await?, self.records.last().await?);
        Ok(Known { seen, last, holder, kept_back, running: self.running().await? })
    }

    async fn running(&self) -> Result<Vec<String>, Error> {
        let machine = &self.settings.state_machine_arn;
        let mut pages = self
            .sfn
            .list_executions()
            .state_machine_arn(machine)
            .status_filter(aws_sdk_sfn::types::ExecutionStatus::Running)
            .into_paginator()
            .items()
            .send();
        let mut names = Vec::new();
        while let Some(execution) = pages.next().await {
            let execution = execution
                .map_err(|error| aws::failed(&format!("states:ListExecutions of {machine}"), &error))?;
            names.push(execution.name);
        }
        Ok(names)
    }
}
