use serde::{Deserialize, Serialize};
use shared::Error;
use shared::planetscale::{Connection, DeployRequestNumber, Stage, database};
use shared::release::Release;

#[derive(Debug, Deserialize)]
pub struct Input {
    release: Release,
    number: DeployRequestNumber,
}

#[derive(Debug, Serialize)]
pub struct Output {
    because: String,
}

pub async fn handle(connection: &Connection, Input { release, number }: Input) -> Result<Output, Error> {
    let token = connection.token().await?;
    let requests = connection.planetscale().deploy_requests(database(&release)?, &token);
    let request = requests.get(number).await?;
    let because = if request.stage() == Stage::AppliedRevertible {
        requests.skip_revert(number).await?;
        format!("The revert window of deploy request #{number} is closed.")
    } else {
        format!("Deploy request #{number} is {}: it has no open revert window.", request.states())
    };
    Ok(Output { because })
}
