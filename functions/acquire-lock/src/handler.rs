use serde::Deserialize;
use shared::lock::{Turn, lost, superseded, wait_for};
use shared::records::{Holder, Records};
use shared::release::{Execution, Release};
use shared::start::HolderState;
use shared::{Error, aws, executions, registry};

pub struct Context {
    ecr: aws_sdk_ecr::Client,
    sfn: aws_sdk_sfn::Client,
    records: Records,
}

impl Context {
    pub fn from_env() -> Result<Self, Error> {
        let aws = aws::config();
        Ok(Self {
            ecr: aws_sdk_ecr::Client::new(&aws),
            sfn: aws_sdk_sfn::Client::new(&aws),
            records: Records::from_env(&aws)?,
        })
    }
}

#[derive(Debug, Deserialize)]
pub struct Input {
    release: Release,
    execution: Execution,
    /// How often the execution was redriven.
    redrives: u64,
    /// Whether it was redriven after it had the lock, and goes on only if nobody took it over.
    resumes: bool,
    waited: u64,
}

pub async fn handle(context: &Context, input: Input) -> Result<Turn, Error> {
    let Input { release, execution, redrives, resumes, waited } = input;
    let image = &release.image;
    let me = Holder { execution: execution.arn, redrives, digest: image.digest.clone() };
    if resumes {
        return context.resume(&me).await;
    }
    let now = registry::tagged(&context.ecr, &image.repository, &image.moving_tag).await?;
    let last = context.records.last().await?;
    if let Some(because) = superseded(&release, now.as_ref().map(|found| &found.digest), last.as_ref()) {
        return Ok(Turn::Superseded { because });
    }
    let Some(holder) = context.records.take_lock(&me, None).await? else {
        return Ok(Turn::Ours { because: "The environment was free.".into() });
    };
    if executions::state(&context.sfn, &holder.execution).await? == HolderState::Running {
        return Ok(wait_for(&holder.execution, waited, release.deadlines.turn));
    }
    match context.records.take_lock(&me, Some(&holder)).await? {
        None => Ok(Turn::Ours {
            because: format!("Taken over from {}, which does not run any more.", holder.execution),
        }),
        Some(other) => Ok(wait_for(&other.execution, waited, release.deadlines.turn)),
    }
}

impl Context {
    async fn resume(&self, me: &Holder) -> Result<Turn, Error> {
        if self.records.retake_lock(me).await? {
            return Ok(Turn::Ours { because: "The environment is still this release's.".into() });
        }
        let holder = self.records.holder().await?;
        Ok(lost(holder.as_ref().map(|holder| holder.execution.as_str())))
    }
}
