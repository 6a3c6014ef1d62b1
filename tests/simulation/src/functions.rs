//! The functions: the real handlers, with clients whose calls the world answers.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime::client::identity::IdentityCache;
use aws_smithy_runtime::client::retries::{RetryPartition, TokenBucket};
use aws_types::region::Region;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use shared::builds::Builds;
use shared::clock::Clock;
use shared::fence::Fence;
use shared::image::ReferenceStyle;
use shared::planetscale::{Connection, PlanetScale, Writer};
use shared::records::Records;
use shared::{Error, aws, http, lambda, lightsail};

use crate::asl::Failure;
use crate::stack::{self, Stack};
use crate::time::{VirtualTime, date, sleep};
use crate::world::World;

/// The contexts of all functions.
pub struct Functions {
    start_release: start_release::handler::Context,
    acquire_lock: acquire_lock::handler::Context,
    judge_rollback: judge_rollback::handler::Context,
    get_deploy_request: get_deploy_request::handler::Context,
    writer: Writer,
    create_container_deployment: create_container_deployment::handler::Context,
    get_container_deployment: get_container_deployment::handler::Context,
    finish_release: finish_release::handler::Context,
    verify_service: verify_service::handler::Context,
    restore_containers: restore_containers::handler::Context,
}

/// The clients of the AWS services. All worlds of a thread share them: to build them takes longer than a release does.
struct Clients {
    dynamodb: aws_sdk_dynamodb::Client,
    ecr: aws_sdk_ecr::Client,
    lightsail: aws_sdk_lightsail::Client,
    /// It tries every call once.
    impatient_lightsail: aws_sdk_lightsail::Client,
    secrets: aws_sdk_secretsmanager::Client,
    sfn: aws_sdk_sfn::Client,
    sns: aws_sdk_sns::Client,
    builds: Builds,
}

/// A client of `$sdk` as the simulation needs it. Its calls are not signed, as nobody looks at a signature. Its retries
/// are not counted together with those of every other world and function in this process, which is what the SDK does by
/// default: a function's own process makes too few for the count to matter.
macro_rules! client {
    ($sdk:ident, $client:expr) => {{
        let partition = RetryPartition::custom("simulation").token_bucket(TokenBucket::unlimited()).build();
        let client = $client;
        $sdk::Client::from_conf(
            client.config().to_builder().allow_no_auth().retry_partition(partition).build(),
        )
    }};
}

impl Clients {
    fn new() -> Self {
        let aws = aws::over(http::Client::new(World::carry_for_caller))
            .region(Region::from_static("us-east-1"))
            .sleep_impl(VirtualTime)
            .time_source(VirtualTime)
            // The cache spreads its ends by random numbers, in the first world of a thread alone.
            .identity_cache(IdentityCache::no_cache())
            .build();
        let credentials = Credentials::new("AKID", "none", None, None, "simulation");
        let signed =
            aws.to_builder().credentials_provider(SharedCredentialsProvider::new(credentials)).build();
        Self {
            builds: Builds::new(&signed, stack::BUILD_PROJECT.into()),
            dynamodb: client!(aws_sdk_dynamodb, aws_sdk_dynamodb::Client::new(&aws)),
            ecr: client!(aws_sdk_ecr, aws_sdk_ecr::Client::new(&aws)),
            lightsail: client!(aws_sdk_lightsail, aws_sdk_lightsail::Client::new(&aws)),
            impatient_lightsail: client!(aws_sdk_lightsail, lightsail::client_without_retries(&aws)),
            secrets: client!(aws_sdk_secretsmanager, aws_sdk_secretsmanager::Client::new(&aws)),
            sfn: client!(aws_sdk_sfn, aws_sdk_sfn::Client::new(&aws)),
            sns: client!(aws_sdk_sns, aws_sdk_sns::Client::new(&aws)),
        }
    }
}

thread_local! {
    static CLIENTS: Clients = Clients::new();
}

impl Functions {
    /// Those of `stack`.
    pub fn new(stack: &Stack) -> Self {
        CLIENTS.with(|clients| Self::with(clients, stack))
    }

    fn with(clients: &Clients, stack: &Stack) -> Self {
        let http = http::Client::new(World::carry_for_caller);
        let records = Records::new(clients.dynamodb.clone(), "releases".into());
        let (ecr, sfn, secrets) = (clients.ecr.clone(), clients.sfn.clone(), clients.secrets.clone());
        let clock = Clock::new(date);
        let planetscale = PlanetScale::new(http.clone(), None);
        let fence = Fence::new(records.clone(), clock.clone());
        let connection = Connection::new(planetscale, secrets.clone(), stack::PLANETSCALE_SECRET.into());
        Self {
            start_release: start_release::handler::Context::new(
                ecr.clone(),
                sfn.clone(),
                records.clone(),
                start_settings(stack),
                http.clone(),
                clock.clone(),
            ),
            acquire_lock: acquire_lock::handler::Context::new(
                ecr.clone(),
                sfn,
                records.clone(),
                clock.clone(),
            ),
            judge_rollback: judge_rollback::handler::Context::new(
                connection.clone(),
                records.clone(),
                ecr.clone(),
            ),
            get_deploy_request: get_deploy_request::handler::Context::new(connection.clone(), ecr.clone()),
            writer: Writer { connection, fence: fence.clone() },
            create_container_deployment: create_container_deployment::handler::Context::new(
                clients.impatient_lightsail.clone(),
                ecr,
                secrets,
                fence.clone(),
                container_settings(),
            ),
            get_container_deployment: get_container_deployment::handler::Context::new(
                clients.lightsail.clone(),
                stack::CONTAINER.into(),
                Some("DATABASE_URL".into()),
            ),
            finish_release: finish_release::handler::Context::new(
                clients.sns.clone(),
                records,
                stack::TOPIC.into(),
                clock.clone(),
            )
            .with_builds(Some(clients.builds.clone())),
            verify_service: verify_service::handler::Context::new(
                clients.lightsail.clone(),
                http,
                clock,
                Duration::from_secs(1),
                |time| Box::pin(sleep(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))),
            ),
            restore_containers: restore_containers::handler::Context::new(
                clients.impatient_lightsail.clone(),
                fence,
                stack::CONTAINER.into(),
            ),
        }
    }

    /// Invokes `function`, by the name of its folder.
    ///
    /// # Errors
    /// As Lambda hands them to Step Functions.
    ///
    /// # Panics
    /// When there is no such function.
    pub async fn invoke(&self, function: &str, payload: Value) -> Result<Value, Failure> {
        match function {
            "start-release" => run(&self.start_release, start_release::handler::handle, payload).await,
            "acquire-lock" => run(&self.acquire_lock, acquire_lock::handler::handle, payload).await,
            "judge-rollback" => run(&self.judge_rollback, judge_rollback::handler::handle, payload).await,
            "create-deploy-request" => {
                run(&self.writer, create_deploy_request::handler::handle, payload).await
            }
            "get-deploy-request" => {
                run(&self.get_deploy_request, get_deploy_request::handler::handle, payload).await
            }
            "deploy-deploy-request" => {
                run(&self.writer, deploy_deploy_request::handler::handle, payload).await
            }
            "close-deploy-request" => run(&self.writer, close_deploy_request::handler::handle, payload).await,
            "revert-deploy-request" => {
                run(&self.writer, revert_deploy_request::handler::handle, payload).await
            }
            "skip-revert" => run(&self.writer, skip_revert::handler::handle, payload).await,
            "create-container-deployment" => {
                run(&self.create_container_deployment, create_container_deployment::handler::handle, payload)
                    .await
            }
            "get-container-deployment" => {
                run(&self.get_container_deployment, get_container_deployment::handler::handle, payload).await
            }
            "verify-service" => run(&self.verify_service, verify_service::handler::handle, payload).await,
            "restore-containers" => {
                run(&self.restore_containers, restore_containers::handler::handle, payload).await
            }
            "finish-release" => run(&self.finish_release, finish_release::handler::handle, payload).await,
            other => panic!("the simulation does not know the function {other}"),
        }
    }
}

/// One invocation, as `shared::lambda::serve` makes it.
async fn run<C, I, O>(
    context: &C,
    handler: impl AsyncFn(&C, I) -> Result<O, Error>,
    payload: Value,
) -> Result<Value, Failure>
where
    I: DeserializeOwned,
    O: Serialize,
{
    let answer = match lambda::parse(payload) {
        Ok(input) => handler(context, input).await,
        Err(error) => Err(error),
    };
    answer.map(|output| json!(output)).map_err(|error| {
        let diagnostic = lambda_runtime::Diagnostic::from(error);
        let cause = json!({"errorType": diagnostic.error_type, "errorMessage": diagnostic.error_message});
        Failure { error: diagnostic.error_type, cause: cause.to_string() }
    })
}

fn start_settings(stack: &Stack) -> start_release::settings::Settings {
    start_release::settings::Settings {
        application: stack::APPLICATION.into(),
        environment: stack::ENVIRONMENT.into(),
        repository: stack::REPOSITORY.into(),
        repository_uri: stack::REPOSITORY_URI.into(),
        moving_tag: stack::tag(stack::MOVING_TAG),
        moving_tags: vec![stack::tag(stack::MOVING_TAG)],
        service: stack::SERVICE.into(),
        database: stack.database.then(stack::database),
        policy: stack.policy,
        deadlines: stack.deadlines,
        last_call: 70,
        verification: stack.verification.clone(),
        state_machine_arn: crate::services::sfn::MACHINE.into(),
    }
}

fn container_settings() -> create_container_deployment::handler::Settings {
    create_container_deployment::handler::Settings {
        container: stack::CONTAINER.into(),
        port: 8080,
        health_check_path: "/health".into(),
        environment: "{}".into(),
        connection_string: Some(create_container_deployment::handler::ConnectionString {
            variable: "DATABASE_URL".into(),
            secret_arn: stack::CONNECTION_SECRET.into(),
        }),
        reference: "tag".parse::<ReferenceStyle>().unwrap_or_else(|_| panic!("ImageReference takes tag")),
        moving_tags: shared::image::TagList(vec![stack::tag(stack::MOVING_TAG)]),
    }
}
