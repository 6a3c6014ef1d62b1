use serde::Deserialize;
use shared::Error;
use shared::planetscale::{
    DeployRequest, DeployRequestNumber, DeployRequests, Failure, Stage, Writer, database,
};
use shared::release::{Execution, Release};
use shared::schema::{
    Clearance, Queued, Refusal, clearance, is_decided, is_on_its_way, refused_deploy, taken_out,
};

#[derive(Debug, Deserialize)]
pub struct Input {
    release: Release,
    execution: Execution,
    redrives: u64,
    number: DeployRequestNumber,
    /// Whether the new containers serve already.
    serves: bool,
    /// Seconds waited for the validation.
    waited: u64,
}

pub async fn handle(Writer { connection, fence }: &Writer, input: Input) -> Result<Queued, Error> {
    fence.pass(&input.release, &input.execution, input.redrives).await?;
    let token = connection.token().await?;
    let requests = connection.planetscale().deploy_requests(database(&input.release)?, &token);
    let deploy = Deploy { requests, input: &input };
    let mut request = requests.get(input.number).await?;
    // A first try may have succeeded and its answer been lost.
    if is_on_its_way(request.stage()) {
        return deploy.follow(request, Queued::already).await;
    }
    let again = |because| Ok(Queued::again(because, input.waited, input.release.deadlines.validation));
    if request.stage() != Stage::Ready || request.is_closed() {
        return again(format!("Deploy request #{} is {} now.", request.number, request.states()));
    }
    if let Clearance::Missing { because } = deploy.clearance(&mut request).await? {
        return again(because);
    }
    match requests.deploy(input.number).await {
        Ok(request) => deploy.follow(request, Queued::now).await,
        Err(Failure::Refused { message, sentence, .. }) => deploy.refused(&message, &sentence).await,
        // PlanetScale may answer 403 for want of an approval as well, in words that are not known.
        Err(Failure::Other(Error::Misconfigured(sentence))) => deploy.forbidden(sentence).await,
        Err(Failure::Other(error)) => Err(error),
    }
}

struct Deploy<'a> {
    requests: DeployRequests<'a>,
    input: &'a Input,
}

impl Deploy<'_> {
    async fn clearance(&self, request: &mut DeployRequest) -> Result<Clearance, Error> {
        self.requests.read_surroundings(request).await?;
        Ok(clearance(request, self.input.release.policy.destructive_changes, self.input.serves))
    }

    /// Follows `request`, which is on its way, if it holds what may be deployed: between the look and the deploy
    /// somebody may have changed it. Else takes it out of the queue, while that is possible.
    async fn follow(
        &self,
        mut request: DeployRequest,
        answer: fn(&DeployRequest) -> Queued,
    ) -> Result<Queued, Error> {
        let Clearance::Missing { .. } = self.clearance(&mut request).await? else {
            return Ok(answer(&request));
        };
        // An answer in the middle of the change may not tell all of it.
        let mut request = self.requests.get(request.number).await?;
        let Clearance::Missing { because } = self.clearance(&mut request).await? else {
            return Ok(answer(&request));
        };
        if is_on_its_way(request.stage())
            && let Err(Failure::Other(error)) = self.requests.cancel(request.number).await
        {
            return Err(error);
        }
        Err(taken_out(&self.requests.get(request.number).await?, &because))
    }

    async fn refused(&self, message: &str, sentence: &str) -> Result<Queued, Error> {
        let Input { number, release, waited, .. } = self.input;
        let request = self.requests.get(*number).await?;
        if is_on_its_way(request.stage()) {
            return self.follow(request, Queued::already).await;
        }
        if is_decided(&request) {
            return Ok(Queued::already(&request));
        }
        let mut refusal = Refusal { message, sentence, approved: request.approved, needs_approval: false };
        if !refusal.is_validation() && !refusal.approved {
            refusal.needs_approval = self.needs_approval().await?;
        }
        refused_deploy(refusal, *waited, release.deadlines.validation)
    }

    async fn forbidden(&self, sentence: String) -> Result<Queued, Error> {
        let request = self.requests.get(self.input.number).await?;
        if !request.approved && self.needs_approval().await? {
            return Ok(Queued::NeedsApproval { because: sentence });
        }
        Err(Error::Misconfigured(sentence))
    }

    /// Whether the database asks for approvals; no, if PlanetScale does not say: then the words of a refusal decide.
    async fn needs_approval(&self) -> Result<bool, Error> {
        match self.requests.need_approval().await {
            Ok(needed) => Ok(needed),
            Err(Failure::Refused { .. } | Failure::Other(Error::Misconfigured(_))) => Ok(false),
            Err(Failure::Other(error)) => Err(error),
        }
    }
}
