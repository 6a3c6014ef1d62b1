use serde::{Deserialize, Serialize};
use shared::Error;
use shared::planetscale::{DeployRequest, DeployRequestNumber, Failure, Stage, Writer, database};
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
    if request.stage() != Stage::AppliedRevertible {
        return on_its_way_back(&request).unwrap_or_else(|| Err(window_is_closed(&request)));
    }
    match requests.revert(number).await {
        Ok(request) => Ok(reverts(&request)),
        // Somebody may have been faster.
        Err(Failure::Refused { sentence, .. }) => {
            on_its_way_back(&requests.get(number).await?).unwrap_or(Err(Error::RevertRefused(sentence)))
        }
        Err(Failure::Other(error)) => Err(error),
    }
}

/// The answer for a request whose change goes back or is back; none for another.
fn on_its_way_back(request: &DeployRequest) -> Option<Result<Output, Error>> {
    match request.stage() {
        Stage::Reverting | Stage::Reverted => Some(Ok(reverts(request))),
        Stage::Unclear => Some(Err(Error::Retryable(format!(
            "Deploy request #{} is {}.",
            request.number,
            request.states()
        )))),
        _ => None,
    }
}

fn reverts(request: &DeployRequest) -> Output {
    Output { because: format!("PlanetScale reverts deploy request #{}.", request.number) }
}

fn window_is_closed(request: &DeployRequest) -> Error {
    Error::RevertRefused(format!(
        "Deploy request #{} is {}: its revert window is not open.",
        request.number,
        request.states()
    ))
}
