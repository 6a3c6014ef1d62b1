"""The preflight: each thing that would make the first release fail is named, with what to do about it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from cloud import Environment, push_index
from cloud.bookings import TOKEN
from stage import ADD_DESCRIPTION, REPOSITORY, SECRETS, Stage

CANNOT_BE_TOLD = "permission create_deploy_request"
SERVICE = "bookings-api-prod"


def preflight(environment: Environment) -> dict[str, Any]:
    """The function's whole answer, in which no secret is."""
    answer = environment.invoke(f"{environment.stack_name}-preflight")
    assert not [secret for secret in SECRETS if secret in json.dumps(answer)]
    return answer


def checks(answer: dict[str, Any]) -> dict[str, dict[str, str]]:
    return {check["check"]: check for check in answer["checks"]}


def expect(stage: Stage, name: str, status: str, *words: str, to_do: str = "") -> dict[str, Any]:
    """The check of this name on prod; a problem is also what the summary counts."""
    answer = preflight(stage.prod)
    check = checks(answer)[name]
    assert check["status"] == status, check
    for word in words:
        assert word in check["seen"], check
    assert to_do in check.get("toDo", ""), check
    assert answer["ready"] is not any(check["status"] == "problem" for check in answer["checks"])
    return answer


@pytest.fixture
def image(stage: Stage) -> None:
    """A good image that is released in prod."""
    assert stage.release(stage.prod).outcome == "Released"


def test_a_good_environment_is_ready_and_unchanged(stage: Stage, image: None) -> None:
    policy = stage.aws.client("ecr").get_repository_policy(repositoryName=REPOSITORY)["policyText"]
    stage.lightsail.clear()
    seen = len(stage.planetscale.call_log())
    effects = stage.planetscale.effects()
    service = stage.lightsail.service(SERVICE)
    records = stage.prod.records()

    answer = preflight(stage.prod)

    statuses = {name: check["status"] for name, check in checks(answer).items()}
    assert statuses.pop(CANNOT_BE_TOLD) == "unknown"
    assert set(statuses.values()) == {"fine"}, answer
    assert answer["ready"] and ": ready, 1 could not be told" in answer["summary"]
    calls = stage.planetscale.call_log()[seen:]
    assert {call["method"] for call in calls} == {"GET"} and {call["status"] for call in calls} == {200}
    assert stage.planetscale.effects() == effects
    assert stage.lightsail.calls() == {"GetContainerServices": 1}
    assert stage.lightsail.service(SERVICE) == service
    assert stage.aws.client("ecr").get_repository_policy(repositoryName=REPOSITORY)["policyText"] == policy
    assert stage.prod.records() == records


def test_an_environment_without_a_database_needs_no_planetscale(stage: Stage) -> None:
    assert stage.release(stage.qa).outcome == "Released"
    seen = len(stage.planetscale.call_log())
    answer = preflight(stage.qa)
    assert answer["ready"], answer
    not_applicable = [check for check in answer["checks"] if check["status"] == "not applicable"]
    assert len(not_applicable) == 10 and all("no PlanetScaleDatabase" in check["seen"] for check in not_applicable)
    assert len(stage.planetscale.call_log()) == seen


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (" ", "has no value"),
        ("{}", "is not a JSON object"),
        (json.dumps({**TOKEN, "token": "wrong"}), "401"),
    ],
)
def test_a_wrong_token_leaves_the_rest_of_planetscale_unknown(stage: Stage, value: str, words: str) -> None:
    stage.aws.put_secret("bookings-api/prod/planetscale", value)
    answer = expect(stage, "PlanetScale token", "problem", words, to_do="aws secretsmanager put-secret-value")
    assert checks(answer)["base branch"]["status"] == "unknown"


@pytest.mark.parametrize(
    ("variable", "check", "words"),
    [
        ("PLANETSCALE_ORGANIZATION", "PlanetScale organization", "not to other"),
        ("PLANETSCALE_DATABASE", "PlanetScale database", "404"),
        ("PLANETSCALE_HEAD_BRANCH", "head branch", "has no branch other"),
        ("PLANETSCALE_BASE_BRANCH", "base branch", "has no branch other"),
    ],
)
def test_an_unknown_organization_database_or_branch(stage: Stage, variable: str, check: str, words: str) -> None:
    with stage.settings(stage.prod, "preflight", **{variable: "other"}):
        expect(stage, check, "problem", words, to_do="deploy again")


def test_a_token_that_must_not_read_deploy_requests(stage: Stage) -> None:
    stage.planetscale.token_without("read_deploy_request")
    answer = expect(stage, "permission read_deploy_request", "problem", to_do="Give the token read_deploy_request")
    assert checks(answer)["PlanetScale database"]["status"] == "fine"


def test_a_token_that_must_not_read_branches_only_hides_them(stage: Stage) -> None:
    stage.planetscale.token_without("read_branch")
    answer = expect(stage, "base branch", "unknown", "lacks read_branch", to_do="Give the token read_branch")
    assert checks(answer)["PlanetScale database"]["status"] == "fine"


@pytest.mark.parametrize(
    ("changes", "check", "words", "to_do"),
    [
        ({"production": False}, "base branch", "not a production branch", "Promote main"),
        ({"safe_migrations": False}, "base branch", "no safe migrations", "Enable safe migrations"),
        ({"ready": False, "state": "pending"}, "base branch", "not ready (pending)", "run the preflight again"),
    ],
)
def test_a_base_branch_into_which_nothing_can_go(
    stage: Stage, changes: dict[str, Any], check: str, words: str, to_do: str
) -> None:
    stage.planetscale.change_branch("main", **changes)
    expect(stage, check, "problem", words, to_do=to_do)


def test_a_sleeping_database(stage: Stage) -> None:
    stage.planetscale.change_state("sleeping")
    expect(stage, "PlanetScale database", "problem", "is sleeping", to_do="Wake it")


def test_approvals_are_told_with_what_they_mean(stage: Stage) -> None:
    stage.planetscale.require_approval(True)
    expect(stage, "approvals", "fine", "waits up to 3 d for a person", to_do="Approve each request")


def test_an_open_deploy_request_of_somebody_else(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    number = stage.planetscale.create_request()
    expect(
        stage, "open deploy requests", "problem", f"#{number} from dev into main", "adopts it", to_do="close it: http"
    )


def test_a_deploy_request_of_our_own_is_no_problem(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.planetscale.require_approval(True)
    digest = stage.push("prod")
    stage.until(stage.planetscale.open_requests, "a deploy request")
    expect(stage, "open deploy requests", "fine", "Only our own")
    assert stage.executions_of(stage.prod, digest)


@pytest.mark.parametrize(
    ("value", "status", "words"),
    [
        (" ", "problem", "has no value"),
        ("<connection string>", "problem", "placeholder"),
        ("mysql://user@host/database", "problem", "has no password"),
        ("host=somewhere", "unknown", "neither mysql://"),
    ],
)
def test_a_connection_string_that_is_none(stage: Stage, value: str, status: str, words: str) -> None:
    stage.aws.put_secret("bookings-api/prod/connection-string", value)
    try:
        answer = expect(stage, "connection string", status, words, to_do="aws secretsmanager put-secret-value")
    finally:
        stage.fill_connection_strings()
    assert value.strip() not in checks(answer)["connection string"]["seen"] or not value.strip()


def test_a_container_service_that_does_not_exist(stage: Stage) -> None:
    with stage.settings(stage.prod, "preflight", SERVICE_NAME="nowhere"):
        expect(stage, "container service", "problem", "nowhere does not exist", to_do="ExistingContainerServiceName")


def test_a_disabled_container_service(stage: Stage) -> None:
    stage.lightsail.person("UpdateContainerService", serviceName=SERVICE, isDisabled=True)
    try:
        stage.until(lambda: stage.lightsail.service(SERVICE)["state"] == "DISABLED", "disabled service")
        expect(stage, "container service", "problem", "DISABLED", to_do="--no-is-disabled")
    finally:
        stage.until(lambda: _enabled(stage), "enabled service")


def test_a_new_puller_role_is_granted_again_by_the_command_it_names(stage: Stage) -> None:
    def switch(active: bool) -> None:
        role = {"ecrImagePullerRole": {"isActive": active}}
        stage.lightsail.person("UpdateContainerService", serviceName=SERVICE, privateRegistryAccess=role)

    switch(False)
    expect(stage, "image puller role", "problem", "not active", to_do="ecrImagePullerRole={isActive=true}")
    switch(True)
    stage.until(lambda: checks(preflight(stage.prod))["image puller role"]["status"] == "fine", "puller role")
    answer = expect(stage, "repository policy", "problem", "present role", to_do="aws lambda invoke")

    command = checks(answer)["repository policy"]["toDo"]
    event = json.loads(command.split("--payload '")[1].split("'")[0])
    function = command.split("--function-name ")[1].split()[0]
    stage.prod.invoke(function, event)
    expect(stage, "repository policy", "fine", "lets bookings-api-prod pull")
    assert stage.release(stage.prod).outcome == "Released"


def test_an_image_for_another_processor(stage: Stage) -> None:
    stage.release(stage.prod, architecture="arm64")
    expect(stage, "image", "problem", "linux/arm64", "runs only linux/amd64", to_do="--platform linux/amd64")


@pytest.mark.parametrize(
    ("architectures", "status", "words"),
    [(["amd64"], "fine", "for linux/amd64."), ([], "problem", "holds only attestations")],
)
def test_an_index_needs_an_image_for_amd64(stage: Stage, architectures: list[str], status: str, words: str) -> None:
    tag = f"{time.monotonic_ns():x}"
    digest = push_index(stage.aws, REPOSITORY, [tag, "prod"], architectures)
    stage.ended(stage.prod, digest)
    expect(stage, "image", status, words)


def test_an_image_with_the_moving_tag_only(stage: Stage) -> None:
    stage.ended(stage.prod, stage.push_only_moving_tag("prod"))
    expect(stage, "image", "problem", "no commit tag", to_do="commit tag first")


def test_before_the_first_push_there_is_nothing_to_check(stage: Stage) -> None:
    with stage.settings(stage.prod, "preflight", MOVING_TAG="never-pushed"):
        expect(stage, "image", "not applicable", "has the tag never-pushed yet", to_do="Push one")


def test_nobody_hears_of_releases(stage: Stage) -> None:
    topic = stage.prod.outputs["TopicArn"]
    with _without_subscriptions(stage, topic):
        expect(
            stage, "notifications", "problem", "Nobody is subscribed", to_do=f"aws sns subscribe --topic-arn {topic}"
        )
        mail = stage.aws.client("sns").subscribe(
            TopicArn=topic, Protocol="email", Endpoint="someone@example.com", ReturnSubscriptionArn=True
        )
        expect(stage, "notifications", "problem", "nobody confirmed it", to_do="Follow the link")
        stage.aws.client("sns").unsubscribe(SubscriptionArn=mail["SubscriptionArn"])


@pytest.mark.parametrize(
    ("fault", "check", "words"),
    [
        (
            lambda stage: stage.lightsail.fault("throttling", "GetContainerServices", count=9),
            "container service",
            "Throttl",
        ),
        (lambda stage: stage.planetscale.fault("html", path="databases/*", count=9), "PlanetScale database", "502"),
        (
            lambda stage: stage.planetscale.fault("delay", path="deploy-requests", delay_ms=12_000),
            "open deploy requests",
            "within 10 s",
        ),
    ],
)
def test_a_look_that_fails_is_unknown_and_the_others_go_on(
    stage: Stage, image: None, fault: Callable[[Stage], None], check: str, words: str
) -> None:
    fault(stage)
    answer = expect(stage, check, "unknown", words, to_do="Run the preflight again.")
    assert answer["ready"]


def test_what_the_role_does_not_permit_is_named(stage: Stage) -> None:
    with stage.settings(stage.prod, "preflight", REPOSITORY_NAME="elsewhere"):
        expect(stage, "repository policy", "unknown", "ecr:GetRepositoryPolicy of elsewhere is not permitted")


def test_the_install_reports_what_is_still_to_do(stage: Stage) -> None:
    report = stage.prod.outputs["PreflightReport"]
    assert report.startswith("bookings-api in prod: ") and len(report) <= 1_024
    assert "PlanetScale token: The secret has no value." in report
    assert "connection string: The secret has no value." in report
    assert any("preflight" in line and "The secret has no value." in line for line in stage.prod.logs())


@pytest.mark.parametrize("request_type", ["Create", "Update", "Delete"])
def test_an_install_succeeds_whatever_is_found(stage: Stage, request_type: str) -> None:
    stage.planetscale.fault("reset", count=None)
    with _cloudformation() as (url, answers), stage.settings(stage.prod, "preflight", MOVING_TAG=""):
        stage.prod.invoke(
            f"{SERVICE}-preflight",
            {
                "RequestType": request_type,
                "ResponseURL": url,
                "StackId": "s",
                "RequestId": "r",
                "ResourceType": "Custom::Preflight",
                "LogicalResourceId": "Preflight",
                "PhysicalResourceId": "preflight",
                "ResourceProperties": {"ServiceToken": "x"},
                # With an Update alone (CloudFormation's guide, "Custom resource request objects").
                **({"OldResourceProperties": {"ServiceToken": "x"}} if request_type == "Update" else {}),
            },
        )
    [body] = answers
    answer = json.loads(body)
    assert len(body) <= 4_096
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", "preflight")
    assert request_type == "Delete" or "MOVING_TAG is not set" in answer["Data"]["Report"]


@contextmanager
def _cloudformation() -> Iterator[tuple[str, list[bytes]]]:
    """An address that takes a custom resource's answer, and the answers it took."""
    answers: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            answers.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/answer", answers
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def _without_subscriptions(stage: Stage, topic: str) -> Iterator[None]:
    client = stage.aws.client("sns")
    subscriptions = client.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    for subscription in subscriptions:
        client.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])
    try:
        yield
    finally:
        for subscription in subscriptions:
            client.subscribe(TopicArn=topic, Protocol=subscription["Protocol"], Endpoint=subscription["Endpoint"])


def _enabled(stage: Stage) -> bool:
    state = stage.lightsail.service(SERVICE)["state"]
    if state == "DISABLED":
        stage.lightsail.person("UpdateContainerService", serviceName=SERVICE, isDisabled=False)
    return state in ("READY", "RUNNING")
