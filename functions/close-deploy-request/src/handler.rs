use serde::{Deserialize, Serialize};
use shared::Error;
use shared::planetscale::{DeployRequestNumber, Failure, Writer, database};
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
    /// Why it is left open, if it is.
    because: String,
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
    let mut refused = String::new();
    if closing(&request) == Closing::Dequeue {
        if let Err(failure) = requests.cancel(number).await {
            refused = refusal(failure)?;
        }
        request = requests.get(number).await?;
    }
    if closing(&request) == Closing::Close {
        match requests.close(number).await {
            Ok(closed) => request = closed,
            Err(failure) => {
                refused = refusal(failure)?;
                request = requests.get(number).await?;
            }
        }
    }
    let closed = request.is_closed();
    let because = if closed {
        String::new()
    } else {
        let open = format!("Deploy request #{number} is left open ({}). {refused}", request.states());
        open.trim_end().to_owned()
    };
    let deploy_request = DeployRequestReport { closed: Some(closed), ..(&request).into() };
    Ok(Output { closed, because, deploy_request })
}

/// What PlanetScale said. The request may be closed or on its way all the same: the next look tells.
fn refusal(failure: Failure) -> Result<String, Error> {
    match failure {
        Failure::Refused { sentence, .. } => Ok(sentence),
        Failure::Other(error) => Err(error),
    }
}
