use std::pin::Pin;
use std::time::Duration;

use aws_sdk_lightsail::Client;
use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use shared::clock::Clock;
use shared::containers::Condition;
use shared::http::{self, Method, Request, Url};
use shared::release::Release;
use shared::verification::{
    Baseline, Looks, Moment, PathLook, TRIES, TRY_TIMEOUT, Try, Verdict, VerifyPath, lasts,
};
use shared::{Error, aws, config, lightsail};

pub struct Context {
    lightsail: Client,
    http: http::Client,
    clock: Clock,
    /// From the beginning of one try to that of the next.
    try_every: Duration,
    pause: Pause,
}

/// Waits for so long.
pub type Pause = fn(Duration) -> Pin<Box<dyn Future<Output = ()> + Send>>;

impl Context {
    pub fn from_env() -> Result<Self, Error> {
        let try_every = Duration::from_millis(config::parsed("TRY_EVERY_MS")?);
        let pause: Pause = |time| Box::pin(tokio::time::sleep(time));
        Ok(Self::new(Client::new(&aws::config()), http::client(), Clock::system(), try_every, pause))
    }

    /// `try_every` is from the beginning of one try of a path to that of the next, for which `pause` waits.
    pub fn new(
        lightsail: Client,
        http: http::Client,
        clock: Clock,
        try_every: Duration,
        pause: Pause,
    ) -> Self {
        Self { lightsail, http, clock, try_every, pause }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    release: Release,
    moment: Moment,
    /// The version that is to serve, where one is.
    version: Option<i32>,
    /// What was found before anything was changed.
    baseline: Option<Baseline>,
    /// The looks so far.
    looks: Option<Looks>,
    /// Until when the schema can go back, where it can.
    revertible_until: Option<DateTime<Utc>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    #[serde(flatten)]
    step: Step,
    baseline: Baseline,
    looks: Option<Looks>,
}

/// What comes next.
#[derive(Debug, Serialize)]
#[serde(tag = "step")]
pub enum Step {
    /// Look again.
    Wait { seconds: u64, because: String },
    /// The service serves, as far as it is asked.
    Good { because: String },
    /// It does not.
    Bad { because: String },
    /// Another version serves than the one that is looked at.
    Replaced { because: String },
    /// The service is disabled: nothing serves.
    Disabled { because: String },
}

pub async fn handle(context: &Context, input: Input) -> Result<Output, Error> {
    let Input { release, moment, version, baseline, looks, revertible_until } = input;
    let name = &release.service;
    let service = lightsail::service(&context.lightsail, name).await?;
    let condition = lightsail::condition(service.as_ref());
    let baseline = baseline.unwrap_or_default();
    if let Some(because) = condition.down(name) {
        if condition.is_for_good() || moment == Moment::Baseline {
            return Err(Error::ServiceDown(because));
        }
        return Ok(Output { step: Step::Disabled { because }, baseline, looks });
    }
    let Some(service) = service else {
        return Err(Error::ServiceDown(Condition::Gone.down(name).unwrap_or_default()));
    };
    let serves = service.current_deployment().and_then(|deployment| deployment.version());
    if version.is_some() && version != serves {
        let because = replaced(name, version, serves);
        return Ok(Output { step: Step::Replaced { because }, baseline, looks });
    }
    let found = context.look(service.url().unwrap_or_default(), &release.verification.paths).await?;
    if moment == Moment::Baseline {
        let baseline = Baseline::of(serves, &found);
        let because = "What fails before the release is not held against it.".into();
        return Ok(Output { step: Step::Good { because }, baseline, looks: None });
    }
    let passed = looks.as_ref().filter(|looks| looks.moment == moment).map_or(0, |looks| looks.seconds);
    let lasts = lasts(moment, release.verification.seconds, passed, revertible_until, context.clock.now());
    let mut looks = Looks::with(moment, looks, found, &baseline.failing);
    let because = looks.sentence(whom(moment), &baseline.failing);
    let step = match looks.verdict(lasts) {
        Verdict::LookAgain(seconds) => Step::Wait { seconds, because },
        Verdict::Good => Step::Good { because },
        Verdict::Bad => {
            looks.failed = true;
            Step::Bad { because }
        }
    };
    Ok(Output { step, baseline, looks: Some(looks) })
}

impl Context {
    /// Asks every path at once, each as often as a look does.
    async fn look(&self, url: &str, paths: &[VerifyPath]) -> Result<Vec<PathLook>, Error> {
        let base = url.trim_end_matches('/');
        let mut asked = Vec::new();
        for path in paths {
            let target: Url = format!("{base}{}", path.path).parse().map_err(|error| {
                Error::Unexpected(format!("The service has the public URL {url:?}: {error}."))
            })?;
            asked.push(async move {
                let tries = join_all((0..TRIES).map(|n| self.ask(target.clone(), self.try_every * n))).await;
                PathLook::of(path, &tries)
            });
        }
        Ok(join_all(asked).await)
    }

    /// One try, some time from now.
    async fn ask(&self, target: Url, from_now: Duration) -> Try {
        (self.pause)(from_now).await;
        let began = self.clock.now();
        let mut request = Request::new(Method::GET, target);
        *request.timeout_mut() = Some(TRY_TIMEOUT);
        let status = match self.http.status(request).await {
            Ok(status) => Ok(status.as_u16()),
            Err(lost) if lost.timed_out => Err(format!("no answer in {} s", TRY_TIMEOUT.as_secs())),
            Err(lost) => Err(lost.causes),
        };
        let took = self.clock.now() - began;
        Try { status, milliseconds: took.num_milliseconds().try_into().unwrap_or_default() }
    }
}

fn whom(moment: Moment) -> &'static str {
    match moment {
        Moment::Baseline | Moment::OldContainers => "The old containers",
        Moment::NewContainers => "The new containers",
        Moment::RestoredContainers => "The containers of the version before",
    }
}

fn replaced(service: &str, version: Option<i32>, serves: Option<i32>) -> String {
    let named =
        |version: Option<i32>| version.map_or("nothing".into(), |version| format!("version {version}"));
    format!(
        "Of {service} serves {}, not {}: somebody deployed past this release.",
        named(serves),
        named(version)
    )
}
