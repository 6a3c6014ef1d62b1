use serde::Deserialize;
use shared::clock::Clock;
use shared::hold::kept_back;
use shared::lock::{Holder, Stand, Turn, not_usable_yet, stale, stand, superseded, wait_for};
use shared::records::Records;
use shared::release::{Execution, Release};
use shared::start::HolderState;
use shared::{Error, aws, executions, registry};

pub struct Context {
    ecr: aws_sdk_ecr::Client,
    sfn: aws_sdk_sfn::Client,
    records: Records,
    clock: Clock,
}

impl Context {
    pub fn from_env() -> Result<Self, Error> {
        let aws = aws::config();
        Ok(Self::new(
            aws_sdk_ecr::Client::new(&aws),
            aws_sdk_sfn::Client::new(&aws),
            Records::from_env(&aws)?,
            Clock::system(),
        ))
    }

    pub fn new(ecr: aws_sdk_ecr::Client, sfn: aws_sdk_sfn::Client, records: Records, clock: Clock) -> Self {
        Self { ecr, sfn, records, clock }
    }
}

#[derive(Debug, Deserialize)]
pub struct Input {
    release: Release,
    execution: Execution,
    /// How often the execution was redriven.
    redrives: u64,
    waited: u64,
}

/// How many times to look at a lock that changes hands at the same moment.
const LOOKS: u32 = 3;

/// A lock that is taken from a stopped execution, or again after a redrive, is not to be used at once: the release comes
/// back with [`Error::LockNotUsableYet`] until it is, and then looks once more whether the environment still is its own.
pub async fn handle(context: &Context, input: Input) -> Result<Turn, Error> {
    let Input { release, execution, redrives, waited } = input;
    for _ in 0..LOOKS {
        let now = context.clock.now();
        let found = context.records.holder().await?;
        let usable_from = match stand(found.as_ref(), &execution.arn, redrives, now) {
            Stand::Later => return Err(stale()),
            Stand::Settling(until) => return Err(not_usable_yet(until)),
            Stand::Earlier => release.last_call_over(now),
            Stand::Usable => {
                let ours = Turn::Ours { because: "The environment is this release's.".into() };
                return Ok(context.steps_aside(&release).await?.unwrap_or(ours));
            }
            Stand::Free => match context.steps_aside(&release).await? {
                Some(aside) => return Ok(aside),
                None => now,
            },
            Stand::Other(holder) => {
                if let Some(aside) = context.steps_aside(&release).await? {
                    return Ok(aside);
                }
                match executions::state(&context.sfn, holder, now).await? {
                    HolderState::Running => {
                        return Ok(wait_for(&holder.execution, waited, release.deadlines.turn));
                    }
                    HolderState::Stopped | HolderState::Ended => release.last_call_over(now),
                }
            }
        };
        let me = Holder {
            execution: execution.arn.clone(),
            redrives,
            digest: release.image.digest.clone(),
            taken_at: now,
            usable_from,
        };
        if context.records.take_lock(&me, found.as_ref()).await? {
            return match stand(Some(&me), &execution.arn, redrives, now) {
                Stand::Settling(until) => Err(not_usable_yet(until)),
                _ => Ok(Turn::Ours { because: "The environment was free.".into() }),
            };
        }
    }
    Err(Error::Retryable("The lock changed hands while it was being taken.".into()))
}

impl Context {
    /// Whether a newer push owns the environment, or it is held. The lock was looked at before: a release sets the hold
    /// before it frees the lock.
    async fn steps_aside(&self, release: &Release) -> Result<Option<Turn>, Error> {
        if let Some(because) = self.superseded(release).await? {
            return Ok(Some(Turn::Superseded { because }));
        }
        let hold = self.records.hold().await?;
        Ok(kept_back(hold.as_ref(), release.cause, self.clock.now()).map(|because| Turn::Held { because }))
    }

    async fn superseded(&self, release: &Release) -> Result<Option<String>, Error> {
        let image = &release.image;
        let now = registry::tagged(&self.ecr, &image.repository, &image.moving_tag).await?;
        let last = self.records.last().await?;
        Ok(superseded(release, now.as_ref().map(|found| &found.digest), last.as_ref()))
    }
}
