use std::collections::HashMap;

use serde::de::IgnoredAny;
use serde_json::Value;
use shared::aws::SdkConfig;
use shared::clock::Clock;
use shared::custom_resource::{Event, RequestType};
use shared::planetscale::{PlanetScale, ServiceToken};
use shared::preflight::planetscale::{Look, Seen, Wanted};
use shared::preflight::{Check, Report, containers, image, planetscale, secrets};
use shared::{Error, aws, http};

use crate::looks::{self, bounded};
use crate::settings::{PlanetScaleSettings, Settings, fill};

/// The physical id of the custom resource. It never changes, so that an update never deletes.
const ID: &str = "preflight";

pub struct Context {
    settings: Result<Settings, Error>,
    planetscale: PlanetScale,
    ecr: aws_sdk_ecr::Client,
    lightsail: aws_sdk_lightsail::Client,
    secrets: aws_sdk_secretsmanager::Client,
    sns: aws_sdk_sns::Client,
    http: http::Client,
    clock: Clock,
}

impl Context {
    /// Wrong settings are kept as a fact: they must not make an install fail.
    pub fn from_env() -> Self {
        Self::new(
            &aws::config(),
            PlanetScale::from_env(),
            Settings::from_env(),
            http::client(),
            Clock::system(),
        )
    }

    /// `http` takes the answers to CloudFormation, and the download of an image's configuration.
    pub fn new(
        aws: &SdkConfig,
        planetscale: PlanetScale,
        settings: Result<Settings, Error>,
        http: http::Client,
        clock: Clock,
    ) -> Self {
        Self {
            settings,
            planetscale,
            ecr: aws_sdk_ecr::Client::new(aws),
            lightsail: aws_sdk_lightsail::Client::new(aws),
            secrets: aws_sdk_secretsmanager::Client::new(aws),
            sns: aws_sdk_sns::Client::new(aws),
            http,
            clock,
        }
    }
}

/// Answers with the report. To CloudFormation it answers success whatever it found.
pub async fn handle(context: &Context, event: Event<Value, IgnoredAny>) -> Result<Option<Report>, Error> {
    let request = match event {
        Event::ByHand(_) => return Ok(Some(context.report().await)),
        Event::Install(request) => request,
    };
    if request.request_type == RequestType::Delete {
        request.answer(&context.http, ID, Ok(HashMap::new())).await?;
        return Ok(None);
    }
    let report = context.report().await;
    let data = HashMap::from([("Report".into(), report.brief())]);
    request.answer(&context.http, ID, Ok(data)).await?;
    Ok(Some(report))
}

impl Context {
    async fn report(&self) -> Report {
        let report = match &self.settings {
            Ok(settings) => {
                let checks = self.checks(settings).await;
                Report::new(&settings.application, &settings.environment, self.clock.now(), checks)
            }
            Err(error) => {
                let wrong = Check::problem("settings", error.to_string(), "Deploy the stack again.");
                Report::new("This application", "this environment", self.clock.now(), vec![wrong])
            }
        };
        tracing::info!(ready = report.ready, %report, "preflight");
        report
    }

    async fn checks(&self, settings: &Settings) -> Vec<Check> {
        let (mut checks, connection_string, containers) = tokio::join!(
            self.planetscale(settings),
            self.connection_string(settings),
            self.containers(settings)
        );
        checks.push(connection_string);
        checks.extend(containers);
        checks
    }

    async fn planetscale(&self, settings: &Settings) -> Vec<Check> {
        let Some(PlanetScaleSettings { database, secret_arn, approval_deadline }) = &settings.planetscale
        else {
            return planetscale::without_database();
        };
        let fill = fill(secret_arn, r#"{"id":"<id>","token":"<token>"}"#);
        let secret =
            bounded("secretsmanager:GetSecretValue", shared::secrets::find(&self.secrets, secret_arn));
        let token = match secret.await {
            Ok(Some(secret)) => ServiceToken::parse(&secret),
            Ok(None) => return planetscale::without_token(planetscale::empty_token(&fill)),
            Err(error) => {
                return planetscale::without_token(Check::failed(planetscale::TOKEN, &error));
            }
        };
        let token = match token {
            Ok(token) => token,
            Err(error) => {
                let wrong =
                    Check::problem(planetscale::TOKEN, error.to_string(), format!("Fill it again: {fill}"));
                return planetscale::without_token(wrong);
            }
        };
        let looks = self.planetscale.looks(database, &token);
        let (organizations, found, head, base, lint, open) = tokio::join!(
            look("GET organizations of PlanetScale", looks.organizations()),
            look("GET the database of PlanetScale", looks.database()),
            look("GET the head branch of PlanetScale", looks.branch(&database.head_branch)),
            look("GET the base branch of PlanetScale", looks.branch(&database.base_branch)),
            look("GET the lint of the head branch of PlanetScale", looks.lint(&database.head_branch)),
            look("GET deploy-requests of PlanetScale", looks.open_requests()),
        );
        let wanted = Wanted {
            application: &settings.application,
            environment: &settings.environment,
            database,
            approval_deadline: *approval_deadline,
            fill: &fill,
        };
        planetscale::checks(&wanted, &Seen { organizations, database: found, head, base, lint, open })
    }

    async fn connection_string(&self, settings: &Settings) -> Check {
        let Some(arn) = &settings.connection_string_secret_arn else {
            return Check::not_applicable(
                secrets::CONNECTION_STRING,
                "ConnectionStringVariable is empty: the containers get no connection string.",
            );
        };
        let found = bounded("secretsmanager:GetSecretValue", shared::secrets::find(&self.secrets, arn)).await;
        secrets::connection_string(&found, &fill(arn, "<connection string>"))
    }

    async fn containers(&self, settings: &Settings) -> Vec<Check> {
        let Settings { service, repository, moving_tag, moving_tags, topic_arn, .. } = settings;
        let (found, repository_found, image_found, subscriptions) = tokio::join!(
            bounded("lightsail:GetContainerServices", looks::service(&self.lightsail, service)),
            bounded("ecr:GetRepositoryPolicy", looks::repository(&self.ecr, repository)),
            bounded("ECR about the image", looks::image(&self.ecr, &self.http, repository, moving_tag)),
            bounded("sns:GetTopicAttributes", looks::subscriptions(&self.sns, topic_arn)),
        );
        // Without a repository there is no image either, and one problem says it.
        let image_found = if matches!(repository_found, Ok(None)) { Ok(None) } else { image_found };
        vec![
            containers::service(service, &found),
            containers::puller(service, &found),
            containers::policy(service, &found, &repository_found, &settings.grant()),
            image::image(repository, moving_tag, moving_tags, settings.image_reference, &image_found),
            containers::notifications(topic_arn, &subscriptions),
        ]
    }
}

/// A look at PlanetScale, bounded in time.
async fn look<T>(what: &str, look: impl Future<Output = Look<T>>) -> Look<T> {
    bounded(what, async { Ok(look.await) }).await.unwrap_or_else(Look::Failed)
}
