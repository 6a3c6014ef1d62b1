use serde::{Deserialize, Serialize};
use shared::Error;
use shared::planetscale::{Connection, DeployRequestNumber, database};
use shared::release::Release;
use shared::schema::{DeployRequestReport, Goal, Step, next_step};

#[derive(Debug, Deserialize)]
pub struct Input {
    release: Release,
    number: DeployRequestNumber,
    goal: Goal,
    waited: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    #[serde(flatten)]
    step: Step,
    deploy_request: DeployRequestReport,
}

pub async fn handle(connection: &Connection, input: Input) -> Result<Output, Error> {
    let Input { release, number, goal, waited } = input;
    let token = connection.token().await?;
    let request = connection.planetscale().deploy_requests(database(&release)?, &token).get(number).await?;
    let step = next_step(goal, &request, release.policy.destructive_changes, waited, &release.deadlines);
    Ok(Output { step, deploy_request: (&request).into() })
}
