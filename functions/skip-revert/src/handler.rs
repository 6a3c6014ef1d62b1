use serde::{Deserialize, Serialize};
use shared::Error;
use shared::planetscale::{DeployRequestNumber, Stage, Writer, database};
use shared::release::{Execution, Release};
use shared::schema::DeployRequestReport;

#[derive(Debug, Deserialize)]
pub struct Input {
    release: Release,
    execution: Execution,
    redrives: u64,
    number: DeployRequestNumber,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    deploy_request: DeployRequestReport,
    because: String,
}

pub async fn handle(
    Writer { connection, fence }: &Writer,
    Input { release, execution, redrives, number }: Input,
) -> Result<Output, Error> {
    fence.pass(&release, &execution, redrives).await?;
    let token = connection.token().await?;
    let requests = connection.planetscale().deploy_requests(database(&release)?, &token);
    let mut request = requests.get(number).await?;
    let because = if request.stage() == Stage::AppliedRevertible {
        request = requests.skip_revert(number).await?;
        format!("The revert window of deploy request #{number} is closed.")
    } else {
        format!("Deploy request #{number} is {}: it has no open revert window.", request.states())
    };
    Ok(Output { deploy_request: (&request).into(), because })
}
