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
    if let Some(adopted) = adopt(&requests).await? {
        return Ok(adopted);
    }
    let new = NewDeployRequest {
        branch: &database.head_branch,
        into_branch: &database.base_branch,
        notes: &notes(&release, &execution),
        auto_cutover: true,
        auto_delete_branch: false,
    };
    match requests.create(&new).await {
        Ok(created) => {
            let because = format!("Created from {} into {}.", database.head_branch, database.base_branch);
            Ok(Output { deploy_request: (&created).into(), because })
        }
        // Somebody may have been faster. What PlanetScale answers to a second request is not documented.
        Err(Failure::Refused { sentence, .. }) => {
            adopt(&requests).await?.ok_or(Error::SchemaRefused(sentence))
        }
        Err(Failure::Other(error)) => Err(error),
    }
}

/// Adopts the open request that can serve this release. One that is applied already gets its revert window closed.
async fn adopt(requests: &DeployRequests<'_>) -> Result<Option<Output>, Error> {
    for open in requests.open().await? {
        match adoption(&open) {
            Adoption::Adopt => {
                let because = format!(
                    "Deploy request #{} is open for the same branches; this release adopts it.{}",
                    open.number,
                    keep_branch(requests, &open).await?
                );
                return Ok(Some(Output { deploy_request: (&open).into(), because }));
            }
            Adoption::CloseWindow => {
                keep_branch(requests, &open).await?;
                match requests.skip_revert(open.number).await {
                    Ok(_) => {}
                    // The window may have closed by itself since the list was read.
                    Err(Failure::Refused { sentence, .. }) => {
                        if adoption(&requests.get(open.number).await?) == Adoption::CloseWindow {
                            return Err(Error::Unexpected(sentence));
                        }
                    }
                    Err(Failure::Other(error)) => return Err(error),
                }
            }
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

/// Sees to it that PlanetScale does not delete the head branch with `request`: the next release needs it. Answers with
/// what a person should know.
async fn keep_branch(requests: &DeployRequests<'_>, request: &DeployRequest) -> Result<String, Error> {
    if !request.deletes_branch() {
        return Ok(String::new());
    }
    match requests.keep_branch(request.number).await {
        Ok(_) => Ok(format!(" It was set to delete {} afterwards; that is switched off.", request.branch)),
        // What is complete meanwhile cannot be set any more.
        Err(Failure::Refused { sentence, .. }) => Ok(format!(
            " It deletes {} afterwards, and that cannot be switched off: {sentence}",
            request.branch
        )),
        Err(Failure::Other(error)) => Err(error),
    }
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
