use serde::{Deserialize, Serialize};
use shared::estimate::{Estimate, until_it_should_be_over};
use shared::planetscale::{Connection, DeployRequestNumber, Stage, database};
use shared::release::Release;
use shared::schema::{DeployRequestReport, Goal, Step, next_step, unless_overtaken};
use shared::{Error, aws, registry};

pub struct Context {
    connection: Connection,
    ecr: aws_sdk_ecr::Client,
}

impl Context {
    pub fn from_env() -> Result<Self, Error> {
        Ok(Self::new(Connection::from_env()?, aws_sdk_ecr::Client::new(&aws::config())))
    }

    pub fn new(connection: Connection, ecr: aws_sdk_ecr::Client) -> Self {
        Self { connection, ecr }
    }
}

#[derive(Debug, Deserialize)]
pub struct Input {
    release: Release,
    number: DeployRequestNumber,
    goal: Goal,
    /// Whether the new containers serve already.
    serves: bool,
    /// Seconds waited for the goal.
    waited: u64,
    /// What the look before this one said of a running migration.
    #[serde(default)]
    estimate: Option<Estimate>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    #[serde(flatten)]
    step: Step,
    /// For the next look.
    estimate: Option<Estimate>,
    deploy_request: DeployRequestReport,
}

pub async fn handle(context: &Context, input: Input) -> Result<Output, Error> {
    let Input { release, number, goal, serves, waited, estimate: before } = input;
    let token = context.connection.token().await?;
    let requests = context.connection.planetscale().deploy_requests(database(&release)?, &token);
    let mut request = requests.get(number).await?;
    if matches!(goal, Goal::Validation | Goal::Approval) && request.stage() == Stage::Ready {
        requests.read_surroundings(&mut request).await?;
    }
    let mut step = next_step(goal, &request, release.policy.destructive_changes, waited, &release.deadlines);
    let nothing_is_changed = matches!(goal, Goal::Validation | Goal::Approval) && !serves;
    if nothing_is_changed && matches!(step, Step::Wait { .. }) {
        match registry::tagged(&context.ecr, &release.image.repository, &release.image.moving_tag).await {
            Ok(now) => {
                let now = now.map(|found| found.digest);
                step = unless_overtaken(step, &release.image, now.as_ref());
            }
            // The next look asks again.
            Err(Error::Retryable(error)) => tracing::warn!(%error, "the moving tag was not looked at"),
            Err(error) => return Err(error),
        }
    }
    let now = Estimate::of(&request, waited);
    let step = until_it_should_be_over(step, release.deadlines.schema, before.as_ref(), now.as_ref());
    Ok(Output { step, estimate: now, deploy_request: (&request).into() })
}
