use serde::{Deserialize, Serialize};
use shared::Error;
use shared::planetscale::{Connection, DeployRequestNumber, Failure, Stage, database};
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
    // A first try may have succeeded and its answer been lost.
    let request = requests.get(number).await?;
    match request.stage() {
        Stage::Reverting | Stage::Reverted => {}
        Stage::AppliedRevertible => match requests.revert(number).await {
            Ok(_) => {}
            Err(Failure::Refused { sentence, .. }) => return Err(Error::RevertRefused(sentence)),
            Err(Failure::Other(error)) => return Err(error),
        },
        Stage::Unclear => {
            return Err(Error::Retryable(format!("Deploy request #{number} is {}.", request.states())));
        }
        _ => {
            return Err(Error::RevertRefused(format!(
                "Deploy request #{number} is {}: its revert window is not open.",
                request.states()
            )));
        }
    }
    Ok(Output { because: format!("PlanetScale reverts deploy request #{number}.") })
}
