use aws_sdk_lightsail::Client;
use aws_sdk_lightsail::primitives::DateTime;
use aws_sdk_lightsail::types::ContainerServiceDeployment;
use serde::{Deserialize, Serialize};
use shared::containers::{Condition, Progress, in_service, own_lines, progress};
use shared::mask::Mask;
use shared::release::Release;
use shared::{Error, aws, config, lightsail, text};

/// The most log lines of a failed deployment that are shown.
const LOG_LINES: usize = 20;
/// The most pages of the log that are read; each has the lines of some seconds or minutes.
const LOG_PAGES: usize = 20;
/// The most of them that go into the sentence.
const TOLD: usize = 5;

pub struct Context {
    lightsail: Client,
    container: String,
    connection_string_variable: Option<String>,
}

impl Context {
    pub fn from_env() -> Result<Self, Error> {
        Ok(Self::new(
            Client::new(&aws::config()),
            config::required("CONTAINER_NAME")?,
            config::optional("CONNECTION_STRING_VARIABLE"),
        ))
    }

    /// `container` names the one whose log is read, `connection_string_variable` the variable in which it has a secret.
    pub fn new(lightsail: Client, container: String, connection_string_variable: Option<String>) -> Self {
        Self { lightsail, container, connection_string_variable }
    }
}

#[derive(Debug, Deserialize)]
pub struct Input {
    release: Release,
    version: i32,
    waited: u64,
}

#[derive(Debug, Serialize)]
pub struct Output {
    #[serde(flatten)]
    step: Progress,
    /// Whether nothing serves, not even the deployment before.
    #[serde(rename = "serviceDown")]
    service_down: bool,
    /// The container's last words, when it failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    log: Vec<String>,
}

pub async fn handle(context: &Context, Input { release, version, waited }: Input) -> Result<Output, Error> {
    let service = &release.service;
    let found = lightsail::deployments(&context.lightsail, service).await?;
    let condition = match &found {
        Some(_) => lightsail::condition(lightsail::service(&context.lightsail, service).await?.as_ref()),
        None => Condition::Gone,
    };
    let deployments = found.unwrap_or_default();
    let known: Vec<_> = deployments.iter().filter_map(lightsail::known).collect();
    let step = progress(service, version, &known, waited, release.deadlines.containers);
    let mut step = in_service(step, &condition, service)?;
    let service_down = condition.down(service).is_some();
    let mut log = Vec::new();
    if let Progress::Failed { because } = &mut step {
        let created = deployments.iter().find(|deployment| deployment.version() == Some(version));
        let since = created.and_then(|deployment| deployment.created_at());
        log = context.last_words(service, version, since, &context.mask(created)).await;
        if !log.is_empty() {
            because.push_str(&format!(
                " The end of its log: {}",
                log[log.len().saturating_sub(TOLD)..].join(" / ")
            ));
        }
    }
    Ok(Output { step, service_down, log })
}

impl Context {
    /// What the container must not be told to have logged: the secrets in its environment, as they were deployed.
    fn mask(&self, deployment: Option<&ContainerServiceDeployment>) -> Mask {
        let container = deployment.and_then(|deployment| deployment.containers()?.get(&self.container));
        let variables = container.and_then(|container| container.environment()).into_iter().flatten();
        variables.fold(Mask::default(), |mask, (name, value)| {
            mask.and(if Some(name) == self.connection_string_variable.as_ref() {
                Mask::of(value)
            } else {
                Mask::of_variable(name, value)
            })
        })
    }

    /// The last lines of the container's log. They help a person and decide nothing: without them the release goes on.
    ///
    /// Lightsail answers the oldest lines first, page by page.
    async fn last_words(
        &self,
        service: &str,
        version: i32,
        since: Option<&DateTime>,
        mask: &Mask,
    ) -> Vec<String> {
        let mut lines = Vec::new();
        let mut page = None;
        for _ in 0..LOG_PAGES {
            let log =
                self.lightsail.get_container_log().service_name(service).container_name(&self.container);
            match log.set_start_time(since.copied()).set_page_token(page).send().await {
                Ok(answer) => {
                    lines.extend(
                        answer.log_events.unwrap_or_default().into_iter().filter_map(|event| event.message),
                    );
                    page = answer.next_page_token;
                }
                Err(error) => {
                    let error = aws::failed(&format!("lightsail:GetContainerLog of {service}"), &error);
                    lines.push(text::shorten(&format!("The log could not be read. {error}"), 1_500));
                    break;
                }
            }
            if page.is_none() {
                break;
            }
        }
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        let own = own_lines(&lines, version);
        let last = &own[own.len().saturating_sub(LOG_LINES)..];
        last.iter().map(|line| text::shorten(&mask.apply(line), 500)).collect()
    }
}
