use serde::Deserialize;
use shared::Error;
use shared::planetscale::{DeployRequestNumber, Failure, Writer, database};
use shared::release::{Execution, Release};
use shared::schema::{Queued, is_decided, is_on_its_way, refused_deploy};

#[derive(Debug, Deserialize)]
pub struct Input {
    release: Release,
    execution: Execution,
    redrives: u64,
    number: DeployRequestNumber,
    waited: u64,
}

pub async fn handle(
    Writer { connection, fence }: &Writer,
    Input { release, execution, redrives, number, waited }: Input,
) -> Result<Queued, Error> {
    fence.pass(&release, &execution, redrives).await?;
    let token = connection.token().await?;
    let requests = connection.planetscale().deploy_requests(database(&release)?, &token);
    // A first try may have succeeded and its answer been lost.
    let request = requests.get(number).await?;
    if is_on_its_way(request.stage()) {
        return Ok(Queued::already(&request));
    }
    match requests.deploy(number).await {
        Ok(request) => Ok(Queued::now(&request)),
        Err(Failure::Refused { message, sentence, .. }) => {
            let request = requests.get(number).await?;
            if is_decided(&request) {
                return Ok(Queued::already(&request));
            }
            refused_deploy(&message, sentence, request.approved, waited, release.deadlines.validation)
        }
        Err(Failure::Other(error)) => Err(error),
    }
}
