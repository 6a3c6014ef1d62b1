use chrono::{DateTime, Utc};
use shared::builds::Builds;
use shared::clock::Clock;
use shared::hold::Hold;
use shared::lock::{Stand, stale, stand};
use shared::origin::{Origin, pushed};
use shared::records::Records;
use shared::release::{Cause, Release};
use shared::report::chat::by_protocol;
use shared::report::{Ending, Report, report, subject};
use shared::rollback::ReleasedBefore;
use shared::{Error, Outcome, aws, config};

pub struct Context {
    sns: aws_sdk_sns::Client,
    records: Records,
    topic_arn: String,
    clock: Clock,
    builds: Option<Builds>,
}

impl Context {
    pub fn from_env() -> Result<Self, Error> {
        let aws = aws::config();
        Ok(Self::new(
            aws_sdk_sns::Client::new(&aws),
            Records::from_env(&aws)?,
            config::required("TOPIC_ARN")?,
            Clock::system(),
        )
        .with_builds(Builds::from_env(&aws)))
    }

    pub fn new(sns: aws_sdk_sns::Client, records: Records, topic_arn: String, clock: Clock) -> Self {
        Self { sns, records, topic_arn, clock, builds: None }
    }

    /// Tells also which build an image came from.
    #[must_use]
    pub fn with_builds(self, builds: Option<Builds>) -> Self {
        Self { builds, ..self }
    }
}

/// Each step can be repeated, and they are in this order so that a crash between two of them loses nothing: the
/// record is written before the lock is freed, and a notification is sent again rather than never.
pub async fn handle(context: &Context, ending: Ending) -> Result<Report, Error> {
    let Ending { release, execution, redrives, .. } = &ending;
    let now = context.clock.now();
    let mut report = report(&ending, now);
    let found = context.records.holder().await?;
    let held = match stand(found.as_ref(), &execution.arn, *redrives, now) {
        Stand::Later => return Err(stale()),
        Stand::Usable | Stand::Earlier => true,
        Stand::Settling(_) | Stand::Free | Stand::Other(_) => false,
    };
    let served_at = (report.outcome == Outcome::Released).then_some(report.finished_at);
    report.origin = context.origin(release, served_at).await;
    // What is held is told once for each image.
    let hold = if report.outcome == Outcome::Held { context.records.hold().await? } else { None };
    let digest = &release.image.digest;
    let notified = context.records.is_notified(execution).await?
        || match &hold {
            Some(hold) => context.records.is_told_held(digest, hold).await?,
            None => false,
        };
    context.records.write(execution, release, &report, notified).await?;
    let steps_aside = matches!(report.outcome, Outcome::Superseded | Outcome::Held);
    if report.outcome == Outcome::Released {
        context.released(&ending, held, now).await?;
    }
    if held {
        // One that steps aside while it holds the lock has released nothing.
        let last = (!steps_aside).then_some(&report);
        context.records.free_lock(&execution.arn, *redrives, now, last).await?;
    }
    if steps_aside {
        // Within one second the moving tag may come back to this image without another release of it; what is held is
        // found by the look that comes after the hold.
        context.records.forget(digest).await?;
    }
    if !notified {
        context.publish(&report).await?;
        if let Some(hold) = &hold {
            context.records.note_told_held(digest, hold).await?;
        }
        context.records.write(execution, release, &report, true).await?;
    }
    // The template counts these lines and raises an alarm.
    tracing::info!(outcome = %report.outcome, needs_a_person = report.needs_a_person, "release finished");
    Ok(report)
}

impl Context {
    /// Notes what served, by which an older image is known again; a rollback sets the hold. Both before the lock is freed: a
    /// release that waits for it finds them.
    async fn released(&self, ending: &Ending, held: bool, now: DateTime<Utc>) -> Result<(), Error> {
        let Ending { release, execution, deploy_request, .. } = ending;
        if release.cause != Cause::Rollback {
            let released = ReleasedBefore {
                execution: execution.name.clone(),
                started_at: execution.started_at,
                deploy_request: deploy_request.as_ref().map(|request| request.number),
                commits: release.image.commits.clone(),
            };
            return self.records.note_released(&release.image.digest, &released).await;
        }
        let hold = self.records.hold().await?;
        // One without an end stays. When the lock is not its own any more, this call is a second one.
        if held && hold.is_none_or(|hold| !hold.is_on(now) || hold.until.is_some()) {
            let image =
                release.image.commit.as_ref().map_or(release.image.digest.short(), |tag| tag.as_str());
            let why = format!("{} rolled back to {image}.", execution.name);
            self.records.set_hold(&Hold { why, since: now, until: None }).await?;
        }
        Ok(())
    }

    /// Where the image came from. It makes the report better and decides nothing: a release ends without it too.
    async fn origin(&self, release: &Release, served_at: Option<DateTime<Utc>>) -> Option<Origin> {
        match self.builds.as_ref()?.newest().await {
            Ok(builds) => {
                let image = &release.image;
                let build = pushed(&builds, &image.digest, image.commit.as_ref())?;
                Some(Origin::of(build, served_at))
            }
            Err(error) => {
                tracing::warn!(%error, "the build of the image could not be looked up");
                None
            }
        }
    }

    async fn publish(&self, report: &Report) -> Result<(), Error> {
        let message = by_protocol(report).map_err(|error| Error::Unexpected(format!("{error}.")))?;
        let publish = self
            .sns
            .publish()
            .topic_arn(&self.topic_arn)
            .subject(subject(report))
            .message_structure("json")
            .message(message);
        publish
            .send()
            .await
            .map_err(|error| aws::failed(&format!("sns:Publish to {}", self.topic_arn), &error))?;
        Ok(())
    }
}
