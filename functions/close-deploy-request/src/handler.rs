use serde::{Deserialize, Serialize};
use shared::Error;
use shared::planetscale::{DeployRequestNumber, Writer, database};
use shared::release::{Execution, Release};
use shared::schema::{Closing, DeployRequestReport, closing};

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
    closed: bool,
    deploy_request: DeployRequestReport,
}

pub async fn handle(
    Writer { connection, fence }: &Writer,
    Input { release, execution, redrives, number }: Input,
) -> Result<Output, Error> {
    fence.pass(&release, &execution, redrives).await?;
    let token = connection.token().await?;
    let requests = connection.planetscale().deploy_requests(database(&release)?, &token);
    let mut request = requests.get(number).await?;
    if closing(&request) == Closing::Dequeue {
        requests.cancel(number).await?;
        request = requests.get(number).await?;
    }
    if closing(&request) == Closing::Close {
        request = requests.close(number).await?;
    }
    Ok(Output { closed: request.is_closed(), deploy_request: (&request).into() })
}
