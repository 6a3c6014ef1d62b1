//! The lock as a fence: a function that changes something looks at it first.

use aws_config::SdkConfig;

use crate::Error;
use crate::clock::Clock;
use crate::lock::{Holder, Stand, lost, not_usable_yet, stale, stand};
use crate::records::Records;
use crate::release::{Execution, Release};

/// What lets only the release pass that holds the environment's lock.
#[derive(Debug, Clone)]
pub struct Fence {
    records: Records,
    clock: Clock,
}

impl Fence {
    /// The fence around the environment whose table `TABLE_NAME` names.
    ///
    /// # Errors
    /// [`Error::Misconfigured`] when it is not set.
    pub fn from_env(config: &SdkConfig) -> Result<Self, Error> {
        Ok(Self::new(Records::from_env(config)?, Clock::system()))
    }

    /// The fence around the environment of `records`.
    pub fn new(records: Records, clock: Clock) -> Self {
        Self { records, clock }
    }

    /// Lets a call pass that `execution` made for `release` when it had been redriven `redrives` times.
    ///
    /// One that was redriven since it took the lock takes it again here, by a write that fails if another release did so
    /// meanwhile, and has to come back.
    ///
    /// # Errors
    /// [`Error::LockNotUsableYet`] for one that has to come back, [`Error::LockLost`] when the lock is not its own any
    /// more, [`Error::StaleCall`] for a call of before a redrive, and those of [`Records::take_lock`].
    pub async fn pass(&self, release: &Release, execution: &Execution, redrives: u64) -> Result<(), Error> {
        let now = self.clock.now();
        let found = self.records.holder().await?;
        match stand(found.as_ref(), &execution.arn, redrives, now) {
            Stand::Usable => Ok(()),
            Stand::Settling(until) => Err(not_usable_yet(until)),
            Stand::Earlier => {
                let again = Holder {
                    execution: execution.arn.clone(),
                    redrives,
                    digest: release.image.digest.clone(),
                    taken_at: now,
                    usable_from: release.last_call_over(now),
                };
                // Whether it did so or another one was faster, the next try sees.
                self.records.take_lock(&again, found.as_ref()).await?;
                Err(not_usable_yet(again.usable_from))
            }
            Stand::Later => Err(stale()),
            Stand::Free => Err(lost(None)),
            Stand::Other(holder) => Err(lost(Some(holder))),
        }
    }
}
