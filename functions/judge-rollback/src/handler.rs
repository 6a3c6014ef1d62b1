use std::collections::HashSet;

use serde::Deserialize;
use shared::lock::superseded;
use shared::planetscale::{Connection, database};
use shared::records::Records;
use shared::release::Release;
use shared::rollback::{Applied, ReleasedBefore, Step, Verdict, applied, judge, recorded};
use shared::{Error, aws, registry};

pub struct Context {
    connection: Connection,
    records: Records,
    ecr: aws_sdk_ecr::Client,
}

impl Context {
    pub fn from_env() -> Result<Self, Error> {
        let aws = aws::config();
        Ok(Self::new(Connection::from_env()?, Records::from_env(&aws)?, aws_sdk_ecr::Client::new(&aws)))
    }

    pub fn new(connection: Connection, records: Records, ecr: aws_sdk_ecr::Client) -> Self {
        Self { connection, records, ecr }
    }
}

#[derive(Debug, Deserialize)]
pub struct Input {
    release: Release,
}

pub async fn handle(context: &Context, Input { release }: Input) -> Result<Verdict, Error> {
    let insisted = release.rollback.as_ref().is_some_and(|rollback| rollback.insist);
    // The tag comes last: a push during the judgement, and the tries of it, overtakes the rollback.
    let verdict = match context.judged(&release, insisted).await {
        Ok(verdict) => verdict,
        Err(error) if insisted => Verdict {
            step: Step::Allowed,
            because: format!("A person insists; what was applied since is not known. {error}"),
            insisted,
            in_the_way: Vec::new(),
        },
        Err(error) => return Err(error),
    };
    let image = &release.image;
    let now = registry::tagged(&context.ecr, &image.repository, &image.moving_tag).await?;
    Ok(match superseded(&release, now.as_ref().map(|found| &found.digest), None) {
        Some(because) => Verdict { step: Step::Superseded, because, insisted, in_the_way: Vec::new() },
        None => verdict,
    })
}

impl Context {
    async fn judged(&self, release: &Release, insisted: bool) -> Result<Verdict, Error> {
        let digest = &release.image.digest;
        let Some(before) = self.records.released_before(digest).await? else {
            return Err(Error::Misconfigured(format!(
                "No record says when {digest} was Released here, so what was applied since is not known."
            )));
        };
        let changes = self.changes(release, &before).await?;
        Ok(judge(&before, changes, insisted))
    }

    /// What was applied since: what PlanetScale says, which has also what people deployed past the releases, and what the
    /// records say of requests that PlanetScale has not.
    async fn changes(&self, release: &Release, before: &ReleasedBefore) -> Result<Vec<Applied>, Error> {
        let token = self.connection.token().await?;
        let requests = self.connection.planetscale().deploy_requests(database(release)?, &token);
        let all = requests.into_base().await?;
        let listed: HashSet<u64> = all.iter().map(|request| request.number.0).collect();
        let mut changes = Vec::new();
        for request in all {
            if applied(&request, before.started_at).is_none() {
                continue;
            }
            // The description of the list does not promise a request's statements.
            let whole =
                if request.operations().is_empty() { requests.get(request.number).await? } else { request };
            changes.extend(applied(&whole, before.started_at));
        }
        changes.extend(recorded(&self.records.reports_since(before.started_at).await?, &listed));
        Ok(changes)
    }
}
