use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use shared::custom_resource::{Event, RequestType};
use shared::repository_policy::{grant, grants, revoke};
use shared::{Error, aws, http};

/// How long one wait is, and how many there are in all: for the puller role, which AWS says takes at least 30 seconds, and
/// then until ECR knows the role. A role that is seconds old is refused, as IAM is eventually consistent (its guide,
/// "Troubleshooting").
const WAITS: (Duration, u32) = (Duration::from_secs(2), 120);
/// How many times to write a policy that another stack changes at the same moment.
const WRITES: u32 = 5;

pub struct Context {
    ecr: aws_sdk_ecr::Client,
    lightsail: aws_sdk_lightsail::Client,
    http: http::Client,
}

impl Context {
    pub fn from_env() -> Result<Self, Error> {
        let aws = aws::config();
        Ok(Self::new(aws_sdk_ecr::Client::new(&aws), aws_sdk_lightsail::Client::new(&aws), http::client()))
    }

    /// `http` takes the answers to CloudFormation.
    pub fn new(ecr: aws_sdk_ecr::Client, lightsail: aws_sdk_lightsail::Client, http: http::Client) -> Self {
        Self { ecr, lightsail, http }
    }
}

/// Who is to pull from where.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Properties {
    repository: String,
    service: String,
}

/// Grants or revokes for CloudFormation; grants for a person, when the puller role became another one.
pub async fn handle(context: &Context, event: Event<Properties, Properties>) -> Result<(), Error> {
    let request = match event {
        Event::Install(request) => request,
        Event::ByHand(properties) => return context.grant(&properties).await,
    };
    let properties = &request.resource_properties;
    let done = match request.request_type {
        RequestType::Create | RequestType::Update => context.grant(properties).await,
        RequestType::Delete => context.revoke(properties).await,
    };
    // A changed repository or service is another grant: CloudFormation then deletes the old one.
    let id = format!("{}/{}", properties.repository, properties.service);
    request.answer(&context.http, &id, done.as_ref().map(|()| HashMap::new())).await?;
    done
}

impl Context {
    async fn grant(&self, Properties { repository, service }: &Properties) -> Result<(), Error> {
        let (pause, mut waits) = WAITS;
        let principal = self.puller(service, &mut waits).await?;
        let mut writes = WRITES;
        while writes > 0 {
            let policy = self.policy(repository).await?;
            if policy.as_deref().is_some_and(|policy| grants(policy, service, &principal)) {
                return Ok(());
            }
            match self.write(repository, &grant(policy.as_deref(), service, &principal)?).await? {
                Written::Stored => writes -= 1,
                Written::Refused(error) if waits == 0 => return Err(error),
                Written::Refused(_) => {
                    waits -= 1;
                    tokio::time::sleep(pause).await;
                }
            }
        }
        Err(Error::Retryable(format!("The policy of {repository} is being changed by something else.")))
    }

    async fn revoke(&self, Properties { repository, service }: &Properties) -> Result<(), Error> {
        let Some(policy) = self.policy(repository).await? else { return Ok(()) };
        match revoke(&policy, service)? {
            Some(policy) => match self.write(repository, &policy).await? {
                Written::Stored => Ok(()),
                Written::Refused(error) => Err(error),
            },
            None => self.delete(repository).await,
        }
    }

    /// The principal that pulls for `service`. It is an empty text until Lightsail has made the role.
    async fn puller(&self, service: &str, waits: &mut u32) -> Result<String, Error> {
        let (pause, all) = WAITS;
        while *waits > 0 {
            let answer = self.lightsail.get_container_services().service_name(service).send().await;
            let answer = answer.map_err(|error| {
                aws::failed(&format!("lightsail:GetContainerServices of {service}"), &error)
            })?;
            let role = answer
                .container_services()
                .first()
                .and_then(|service| service.private_registry_access())
                .and_then(|access| access.ecr_image_puller_role());
            // A role that is not active any more may still show its ARN.
            let role = role.filter(|role| role.is_active() != Some(false));
            match role.and_then(|role| role.principal_arn()).filter(|arn| !arn.is_empty()) {
                Some(arn) => return Ok(arn.to_owned()),
                None => tokio::time::sleep(pause).await,
            }
            *waits -= 1;
        }
        Err(Error::Misconfigured(format!(
            "The container service {service} has no role to pull images after {} s. Activate its ECR image puller role.",
            pause.as_secs() * u64::from(all)
        )))
    }

    async fn policy(&self, repository: &str) -> Result<Option<String>, Error> {
        match self.ecr.get_repository_policy().repository_name(repository).send().await {
            Ok(answer) => Ok(answer.policy_text),
            Err(error) if is_gone(aws::code(&error).as_deref()) => Ok(None),
            Err(error) => Err(aws::failed(&format!("ecr:GetRepositoryPolicy of {repository}"), &error)),
        }
    }

    async fn write(&self, repository: &str, policy: &str) -> Result<Written, Error> {
        let set = self.ecr.set_repository_policy().repository_name(repository).policy_text(policy);
        let Err(error) = set.send().await else { return Ok(Written::Stored) };
        let failed = aws::failed(&format!("ecr:SetRepositoryPolicy of {repository}"), &error);
        match aws::code(&error).as_deref() {
            Some("InvalidParameterException") => Ok(Written::Refused(failed)),
            _ => Err(failed),
        }
    }

    async fn delete(&self, repository: &str) -> Result<(), Error> {
        match self.ecr.delete_repository_policy().repository_name(repository).send().await {
            Ok(_) => Ok(()),
            Err(error) if is_gone(aws::code(&error).as_deref()) => Ok(()),
            Err(error) => Err(aws::failed(&format!("ecr:DeleteRepositoryPolicy of {repository}"), &error)),
        }
    }
}

/// What became of a policy that was written.
enum Written {
    Stored,
    /// ECR takes it for invalid: it does not know a principal, yet or any more.
    Refused(Error),
}

fn is_gone(code: Option<&str>) -> bool {
    matches!(code, Some("RepositoryPolicyNotFoundException" | "RepositoryNotFoundException"))
}
