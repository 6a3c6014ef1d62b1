use serde::{Deserialize, Serialize};
use shared::Error;
use shared::planetscale::{DeployRequestNumber, Failure, Stage, Writer, database};
use shared::release::{Execution, Release};
use shared::report::SchemaChange;
use shared::schema::{DeployRequestReport, stays};

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
    /// What became of the change.
    schema: SchemaChange,
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
    if request.stage() == Stage::AppliedRevertible {
        if request.deletes_branch() {
            requests.keep_branch(number).await?;
        }
        request = match requests.skip_revert(number).await {
            Ok(request) => request,
            // A person may have closed the window meanwhile, or reverted the change.
            Err(Failure::Refused { sentence, .. }) => {
                let now = requests.get(number).await?;
                if now.stage() == Stage::AppliedRevertible {
                    return Err(Error::Unexpected(sentence));
                }
                now
            }
            Err(Failure::Other(error)) => return Err(error),
        };
    }
    let (schema, because) = stays(&request)?;
    Ok(Output { deploy_request: (&request).into(), schema, because })
}
