use serde::{Deserialize, Serialize};
use shared::Error;
use shared::planetscale::{DeployRequestNumber, Failure, Stage, Writer, database};
use shared::release::{Execution, Release};

#[derive(Debug, Deserialize)]
pub struct Input {
    release: Release,
    execution: Execution,
    redrives: u64,
    number: DeployRequestNumber,
}

#[derive(Debug, Serialize)]
pub struct Output {
    because: String,
}

pub async fn handle(
    Writer { connection, fence }: &Writer,
    Input { release, execution, redrives, number }: Input,
) -> Result<Output, Error> {
    fence.pass(&release, &execution, redrives).await?;
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
