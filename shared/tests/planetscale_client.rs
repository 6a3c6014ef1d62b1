//! The `PlanetScale` client against the emulator, over HTTP.

#![cfg(feature = "planetscale")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use planetscale_emulator::{Options, Server};
use secrecy::SecretString;
use serde_json::{Value, json};
use shared::Error;
use shared::http::Request;
use shared::planetscale::{DeployRequestNumber, Failure, NewDeployRequest, PlanetScale, ServiceToken, Stage};
use shared::release::Database;

/// A server with one database, and what the client needs for it.
struct Lab {
    server: Server,
    client: PlanetScale,
    database: Database,
    token: ServiceToken,
}

impl Lab {
    async fn start() -> Self {
        let server = Server::start(Options { quiet: true, ..Options::default() }).await.unwrap();
        let client =
            PlanetScale::new(shared::http::client(), Some(format!("http://{}/v1/", server.address())));
        let database = Database {
            organization: "acme".into(),
            name: "shop".into(),
            head_branch: "dev".into(),
            base_branch: "main".into(),
        };
        let lab = Self { server, client, database, token: token("only-for-the-emulator") };
        let schema = "CREATE TABLE hotels (id INT PRIMARY KEY)";
        lab.control(
            "PUT",
            "organizations/acme/databases/shop",
            json!({"schema": schema, "branches": ["dev"]}),
        )
        .await;
        lab.control(
            "PUT",
            "tokens/deployer",
            json!({"token": "only-for-the-emulator", "organization": "acme"}),
        )
        .await;
        lab
    }

    async fn control(&self, method: &str, path: &str, body: Value) -> Value {
        let url = format!("http://{}/_control/{path}", self.server.address());
        let mut request = Request::new(method.parse().unwrap(), url.parse().unwrap());
        request.headers_mut().insert("content-type", "application/json".parse().unwrap());
        *request.body_mut() = Some(body.to_string().into());
        let response = shared::http::client().call(request).await.unwrap();
        assert!(response.status.is_success(), "{path}: {}", String::from_utf8_lossy(&response.body));
        serde_json::from_slice(&response.body).unwrap()
    }

    async fn fault(&self, fault: Value) {
        self.control("POST", "faults", fault).await;
    }

    async fn add_column(&self, name: &str) {
        let sql = json!({"sql": format!("ALTER TABLE hotels ADD {name} INT")});
        self.control("POST", "organizations/acme/databases/shop/branches/dev/sql", sql).await;
    }
}

fn token(secret: &str) -> ServiceToken {
    ServiceToken::parse(&SecretString::from(json!({"id": "deployer", "token": secret}).to_string())).unwrap()
}

const NEW: NewDeployRequest<'_> = NewDeployRequest {
    branch: "dev",
    into_branch: "main",
    notes: "a note",
    auto_cutover: true,
    auto_delete_branch: false,
};

#[tokio::test]
async fn a_request_goes_its_way_from_create_to_skip_revert() {
    let lab = Lab::start().await;
    lab.add_column("stars").await;
    let requests = lab.client.deploy_requests(&lab.database, &lab.token);
    let number = requests.create(&NEW).await.unwrap().number;
    assert_eq!(requests.get(number).await.unwrap().stage(), Stage::Validating);
    lab.control("POST", "clock", json!({"advance_ms": 1_000})).await;
    let ready = requests.get(number).await.unwrap();
    assert_eq!(ready.stage(), Stage::Ready);
    assert_eq!(ready.operations()[0].ddl_statement, "ALTER TABLE `hotels` ADD COLUMN `stars` int");
    requests.deploy(number).await.unwrap();
    lab.control("POST", "clock", json!({"advance_ms": 5_000})).await;
    assert_eq!(requests.get(number).await.unwrap().stage(), Stage::AppliedRevertible);
    requests.skip_revert(number).await.unwrap();
    assert_eq!(requests.get(number).await.unwrap().stage(), Stage::Applied);
}

#[tokio::test]
async fn open_requests_are_found_on_every_page_and_only_for_the_two_branches() {
    let lab = Lab::start().await;
    lab.control("PUT", "organizations/acme/databases/shop", json!({"branches": ["other"]})).await;
    let requests = lab.client.deploy_requests(&lab.database, &lab.token);
    for _ in 0..103 {
        requests.create(&NEW).await.unwrap();
    }
    requests.create(&NewDeployRequest { branch: "other", ..NEW }).await.unwrap();
    let open = requests.open().await.unwrap();
    assert_eq!(open.len(), 103);
    assert!(open.iter().all(|request| request.branch == "dev"));
    assert!(open.windows(2).all(|pair| pair[0].number.0 < pair[1].number.0));
}

#[tokio::test]
async fn a_missing_request_or_permission_is_told_as_both() {
    let lab = Lab::start().await;
    let requests = lab.client.deploy_requests(&lab.database, &lab.token);
    let failure = requests.get(DeployRequestNumber(7)).await.unwrap_err();
    let Failure::Other(Error::Misconfigured(told)) = failure else { panic!("{failure:?}") };
    assert!(told.starts_with("GET /v1/organizations/acme/databases/shop/deploy-requests/7"), "{told}");
    assert!(told.contains("is missing, or the token lacks the permission"), "{told}");
}

#[tokio::test]
async fn a_wrong_token_says_how_to_fill_the_secret() {
    let lab = Lab::start().await;
    let wrong = token("wrong");
    let failure = lab.client.deploy_requests(&lab.database, &wrong).open().await.unwrap_err();
    let Failure::Other(Error::Misconfigured(told)) = failure else { panic!("{failure:?}") };
    assert!(told.contains("401") && told.contains("FillPlanetScaleSecret"), "{told}");
    assert!(!told.contains("wrong:") && !told.contains("deployer"), "{told}");
}

#[tokio::test]
async fn a_refusal_carries_what_planetscale_said() {
    let lab = Lab::start().await;
    let requests = lab.client.deploy_requests(&lab.database, &lab.token);
    let number = requests.create(&NEW).await.unwrap().number;
    let failure = requests.revert(number).await.unwrap_err();
    let Failure::Refused { status, sentence, .. } = failure else { panic!("{failure:?}") };
    assert_eq!(status, 422);
    assert!(sentence.contains("/revert of PlanetScale answered 422: "), "{sentence}");
}

#[tokio::test]
async fn what_a_later_try_may_overcome_is_retryable() {
    let lab = Lab::start().await;
    let requests = lab.client.deploy_requests(&lab.database, &lab.token);
    for fault in [
        json!({"kind": "error", "status": 500}),
        json!({"kind": "html", "status": 502}),
        json!({"kind": "html", "status": 200}),
        json!({"kind": "empty", "status": 200}),
        json!({"kind": "truncate"}),
        json!({"kind": "reset"}),
    ] {
        lab.fault(fault.clone()).await;
        let failure = requests.open().await.unwrap_err();
        assert!(matches!(failure, Failure::Other(Error::Retryable(_))), "{fault}: {failure:?}");
        assert!(requests.open().await.is_ok(), "{fault}: and the next try succeeds");
    }
}

#[tokio::test]
async fn too_many_calls_are_told_apart() {
    let lab = Lab::start().await;
    let requests = lab.client.deploy_requests(&lab.database, &lab.token);
    for fault in
        [json!({"kind": "error", "status": 429}), json!({"kind": "error", "status": 429, "retry_after": 1})]
    {
        lab.fault(fault.clone()).await;
        let failure = requests.open().await.unwrap_err();
        assert!(matches!(failure, Failure::Other(Error::RateLimited(_))), "{fault}: {failure:?}");
        assert!(requests.open().await.is_ok(), "{fault}: and the next try succeeds");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let lab = Lab::start().await;
    lab.fault(json!({"kind": "error", "status": 302})).await;
    let failure = lab.client.deploy_requests(&lab.database, &lab.token).open().await.unwrap_err();
    assert!(
        matches!(&failure, Failure::Other(Error::Misconfigured(told)) if told.contains("302")),
        "{failure:?}"
    );
}
