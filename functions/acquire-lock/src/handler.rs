use serde::Deserialize;
use shared::lock::{Claim, Tenure, Turn, lost, settle, superseded, wait_for};
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
        Ok(Self::new(
            aws_sdk_ecr::Client::new(&aws),
            aws_sdk_sfn::Client::new(&aws),
            Records::from_env(&aws)?,
        ))
    }

    pub fn new(ecr: aws_sdk_ecr::Client, sfn: aws_sdk_sfn::Client, records: Records) -> Self {
        Self { ecr, sfn, records }
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
    /// Whether it waited for the last call of a stopped execution, as it was told to.
    settled: bool,
    waited: u64,
}

/// How many times to look at a lock that changes hands at the same moment.
const LOOKS: u32 = 3;

pub async fn handle(context: &Context, input: Input) -> Result<Turn, Error> {
    let Input { release, execution, redrives, resumes, settled, waited } = input;
    for _ in 0..LOOKS {
        let found = context.records.holder().await?;
        let found = found.as_ref();
        let (tenure, whose) = match found {
            Some(holder) if holder.execution == execution.arn => {
                (Tenure::Own { unsettled: holder.unsettled }, "this release")
            }
            _ if resumes => return Ok(lost(found.map(|holder| holder.execution.as_str()))),
            _ => {
                if let Some(because) = context.superseded(&release).await? {
                    return Ok(Turn::Superseded { because });
                }
                match found {
                    None => (Tenure::Free, ""),
                    Some(holder) => (context.tenure(holder).await?, holder.execution.as_str()),
                }
            }
        };
        // A wait that was cut by a redrive does not count.
        let settled = settled && found.is_some_and(|holder| holder.redrives == redrives);
        let unsettled = match tenure.claim(resumes, settled) {
            Claim::Take { unsettled } => unsettled,
            Claim::Leave => return Ok(wait_for(whose, waited, release.deadlines.turn)),
        };
        let me = Holder {
            execution: execution.arn.clone(),
            redrives,
            digest: release.image.digest.clone(),
            unsettled,
        };
        if !context.records.take_lock(&me, found).await? {
            continue;
        }
        if unsettled {
            return Ok(settle(whose));
        }
        // A release that resumes has touched something already, and ends what it began.
        if !resumes
            && tenure != Tenure::Free
            && let Some(because) = context.superseded(&release).await?
        {
            return Ok(Turn::Superseded { because });
        }
        return Ok(Turn::Ours { because: ours(tenure).into() });
    }
    Err(Error::Retryable("The lock changed hands while it was being taken.".into()))
}

fn ours(tenure: Tenure) -> &'static str {
    match tenure {
        Tenure::Free => "The environment was free.",
        Tenure::Own { .. } | Tenure::Running | Tenure::Ended => "The environment is this release's.",
    }
}

impl Context {
    async fn superseded(&self, release: &Release) -> Result<Option<String>, Error> {
        let image = &release.image;
        let now = registry::tagged(&self.ecr, &image.repository, &image.moving_tag).await?;
        let last = self.records.last().await?;
        Ok(superseded(release, now.as_ref().map(|found| &found.digest), last.as_ref()))
    }

    /// How the lock of another execution stands.
    async fn tenure(&self, holder: &Holder) -> Result<Tenure, Error> {
        Ok(match executions::state(&self.sfn, &holder.execution).await? {
            HolderState::Running => Tenure::Running,
            HolderState::Stopped | HolderState::Ended => Tenure::Ended,
        })
    }
}
