use serde::{Deserialize, Serialize};
use shared::Error;
use shared::planetscale::{DeployRequest, DeployRequests, Failure, NewDeployRequest, Writer, database};
use shared::release::{Execution, Release};
use shared::schema::{Adoption, DeployRequestReport, adoption};

#[derive(Debug, Deserialize)]
pub struct Input {
    release: Release,
    execution: Execution,
    redrives: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    deploy_request: DeployRequestReport,
    because: String,
}

pub async fn handle(
    Writer { connection, fence }: &Writer,
    Input { release, execution, redrives }: Input,
) -> Result<Output, Error> {
    fence.pass(&release, &execution, redrives).await?;
    let token = connection.token().await?;
    let database = database(&release)?;
    let requests = connection.planetscale().deploy_requests(database, &token);
    if let Some(open) = adopt(&requests).await? {
        let because =
            format!("Deploy request #{} is open for the same branches; this release adopts it.", open.number);
        return Ok(Output { deploy_request: (&open).into(), because });
    }
    let new = NewDeployRequest {
        branch: &database.head_branch,
        into_branch: &database.base_branch,
        notes: &notes(&release, &execution),
        auto_cutover: true,
    };
    let created = requests.create(&new).await.map_err(|failure| match failure {
        Failure::Refused { sentence, .. } => Error::SchemaRefused(sentence),
        Failure::Other(error) => error,
    })?;
    let because = format!("Created from {} into {}.", database.head_branch, database.base_branch);
    Ok(Output { deploy_request: (&created).into(), because })
}

/// The open request that can serve this release. One that is applied already gets its revert window closed.
async fn adopt(requests: &DeployRequests<'_>) -> Result<Option<DeployRequest>, Error> {
    for open in requests.open().await? {
        match adoption(&open) {
            Adoption::Adopt => return Ok(Some(open)),
            Adoption::CloseWindow => match requests.skip_revert(open.number).await {
                Ok(_) => {}
                // The window may have closed by itself since the list was read.
                Err(Failure::Refused { sentence, .. }) => {
                    if adoption(&requests.get(open.number).await?) == Adoption::CloseWindow {
                        return Err(Error::Unexpected(sentence));
                    }
                }
                Err(Failure::Other(error)) => return Err(error),
            },
            Adoption::Busy => {
                return Err(Error::Retryable(format!(
                    "Deploy request #{} is still {}.",
                    open.number,
                    open.states()
                )));
            }
        }
    }
    Ok(None)
}

fn notes(release: &Release, execution: &Execution) -> String {
    let commit = release.image.commit.as_ref().map_or("unknown", |tag| tag.as_str());
    format!(
        "{}\n\nCommit: {commit}\nImage: {}@{}\nExecution: {}",
        Release::notes_title(&release.application, &release.environment),
        release.image.uri,
        release.image.digest,
        execution.console_url()
    )
}
