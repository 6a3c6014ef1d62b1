"""Texts that nobody should write, through the real machine: they stay data, and everything stays within its limits."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pytest
from cloud import Environment, push_image
from cloud.bookings import DATABASE, ORGANIZATION
from cloud.environment import FunctionError
from stage import REPOSITORY, Ended, Stage
from test_secrets import everything_told

KIB = 1024
# Step Functions' limit of a state's input and output, DynamoDB's of an item, SNS's of a message and of a subject.
PAYLOAD, ITEM, MESSAGE, SUBJECT = 256 * KIB, 400 * KIB, 256 * KIB, 100

TEXTS = {
    "quotes": "a'b\"c`d\\e",
    "JSON": '"}],"outcome":"Released","x":[{"y":"',
    "JSONata": "{% $states.input %}' & $string($release) & '",
    "shell": "$(touch owned); `touch owned` && exit 1 | cat '",
    "controls": "a\x00b\x1b[31mc\r\nd\te\x7ff",
    "other scripts": "\u202eegnaro\u2028\ufeff🏨é",
    "a placeholder": "${FinishReleaseFunctionArn} {} %s {{x}}",
    "long": "é" * 50 * KIB + '"' * 50 * KIB,
}
texts = pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())


def readable(text: str) -> str:
    """The beginning of a text as people see it: without control characters, with single spaces."""
    clean = "".join(" " if ord(c) < 32 or 127 <= ord(c) < 160 else c for c in text)
    return " ".join(word for word in clean.split(" ") if word)[:100]


def check(stage: Stage, environment: Environment, ended: Ended, outcome: str, text: str) -> None:
    """The outcome, the text as data, and every limit."""
    told = ended.report["whatHappened"]
    assert ended.outcome == outcome, told[:2_000]
    assert readable(text) in " ".join(word for word in told.split(" ") if word)
    check_limits(stage, environment, ended)


def check_limits(stage: Stage, environment: Environment, ended: Ended) -> None:
    assert stage.lock(environment) is None
    for event in environment.history(ended.arn):
        for details in (value for value in event.values() if isinstance(value, dict)):
            for name, value in details.items():
                if isinstance(value, str):
                    assert len(value.encode()) < PAYLOAD, f"{name} of event {event['id']}"
                    if name in ("input", "output"):
                        json.loads(value)
    record = next(r for r in environment.records() if r["kind"] == "release" and ended.arn.endswith(r["id"][25:]))
    assert len(json.dumps(record, ensure_ascii=False, default=str).encode()) < ITEM
    mine = [note for note in environment.notifications() if ended.arn in str(note["message"])]
    assert len(mine) == 1
    assert len(mine[0]["message"].encode()) < MESSAGE
    assert len(mine[0]["subject"]) <= SUBJECT and mine[0]["subject"].isascii()


@texts
def test_the_fields_of_an_event_start_nothing_that_they_do_not_name(stage: Stage, text: str) -> None:
    before = len(stage.qa.executions())
    detail = {
        "result": "SUCCESS",
        "action-type": "PUSH",
        "repository-name": REPOSITORY,
        "image-digest": "sha256:" + "a" * 64,
        "image-tag": "qa",
    }
    event = {
        "source": "aws.ecr",
        "detail-type": "ECR Image Action",
        "time": "2026-11-23T03:46:53Z",
        "detail": detail,
    }
    for field in detail:
        told = start(stage, {**event, "detail": {**detail, field: text}})
        assert field == "image-digest" or readable(text)[:5] in told or "\\" in told
        assert len(told) < 30_000
    for field in ("source", "detail-type", "time"):
        assert len(start(stage, {**event, field: text})) < 30_000
    assert len(stage.qa.executions()) == before


def start(stage: Stage, event: dict[str, Any]) -> str:
    """What start-release says; it must start nothing."""
    try:
        told = stage.qa.invoke("bookings-api-qa-start-release", event)
    except FunctionError as error:
        assert error.error_type == "Misconfigured", error
        return str(error)
    assert told["started"] is None, told
    return told["because"]


def test_a_lone_surrogate_is_refused_and_the_function_goes_on(stage: Stage) -> None:
    with pytest.raises(FunctionError):
        stage.qa.invoke("bookings-api-qa-start-release", {"source": "\ud800", "detail-type": "x", "time": "y"})
    assert stage.release(stage.qa).outcome == "Released"


@texts
def test_an_image_with_odd_labels_and_the_longest_tag_is_released(stage: Stage, text: str) -> None:
    tag = f"_.-{len(text)}".ljust(128, ".")
    commit = secrets.token_hex(20)
    push_image(stage.aws, REPOSITORY, [tag], labels={"org.opencontainers.image.revision": text}, unique=True)
    digest = push_image(stage.aws, REPOSITORY, [f"{tag[:-1]}-", commit, "qa"], labels={"commit": text}, unique=True)
    ended = stage.ended(stage.qa, digest)
    assert ended.outcome == "Released"
    assert ended.report["commit"] == commit
    assert ended.report["image"].endswith(f":{commit}")
    check_limits(stage, stage.qa, ended)


@texts
def test_what_a_container_logs_is_told_as_it_is(stage: Stage, text: str) -> None:
    stage.lightsail.next_image_fails(*[text] * (30 if len(text) < KIB else 5))
    check(stage, stage.qa, stage.release(stage.qa), "ContainersFailed", text)


@pytest.fixture
def password(stage: Stage) -> Iterator[str]:
    """The password of qa's connection string, URL-encoded as there."""
    password = f"{secrets.token_hex(6)}%2F{secrets.token_hex(6)}%40"
    stage.aws.put_secret("bookings-api/qa/connection-string", f"mysql://emulated:{password}@127.0.0.1/bookings_api")
    yield password
    stage.fill_connection_strings()


def quotes(password: str) -> list[str]:
    """Lines that quote the connection string, its parts, and what has the shape of a credential."""
    whole = f"mysql://emulated:{password}@127.0.0.1/bookings_api"
    return [
        f"cannot connect to {whole}",
        f"cannot connect to {unquote(whole)}",
        f"Access denied (using password: {unquote(password)})",
        f"a token pscale_tkn_{password[:12]} and a key AWS_SECRET_ACCESS_KEY={password[:12]}",
        json.dumps({"dsn": whole, "password": unquote(password)}),
    ]


def check_masked(stage: Stage, ended: Ended, password: str) -> None:
    assert ended.outcome == "ContainersFailed", ended.report["whatHappened"]
    assert "***" in ended.report["whatHappened"]
    for part in (password, unquote(password), password[:12]):
        assert not any(part in place for place in everything_told(stage)), ended.report["whatHappened"]


def test_a_container_that_logs_its_connection_string_tells_nobody(stage: Stage, password: str) -> None:
    stage.lightsail.next_image_fails(*quotes(password))
    ended = stage.release(stage.qa)
    check_masked(stage, ended, password)
    assert "cannot connect to" in ended.report["whatHappened"]


def test_a_refusal_that_quotes_the_connection_string_tells_nobody(stage: Stage, password: str) -> None:
    message = f"The environment is not valid: {' '.join(quotes(password))}"
    stage.lightsail.fault("invalidInput", "CreateContainerServiceDeployment", count=None, message=message)
    ended = stage.release(stage.qa)
    check_masked(stage, ended, password)
    assert "The environment is not valid" in ended.report["whatHappened"]


def test_a_failing_call_that_quotes_the_connection_string_tells_nobody(stage: Stage, password: str) -> None:
    message = f"Sorry, please try again in a few minutes, Please try again in a few minutes: {quotes(password)[0]}"
    stage.lightsail.fault("invalidInput", "CreateContainerServiceDeployment", count=2, message=message)
    stage.lightsail.fault("serviceException", "CreateContainerServiceDeployment", count=1, message=quotes(password)[2])
    ended = stage.release(stage.qa)
    assert ended.outcome == "Released", ended.report["whatHappened"]
    for part in (password, unquote(password), password[:12]):
        assert not any(part in place for place in everything_told(stage))


@texts
def test_a_statement_is_shown_and_deployed_as_it_is(stage: Stage, text: str) -> None:
    comment = text.replace("\x00", "").replace("\\", "\\\\").replace("'", "''")
    stage.planetscale.sql("dev", f"ALTER TABLE hotels ADD note VARCHAR(40) COMMENT '{comment}'")
    ended = stage.release(stage.prod)
    assert ended.outcome == "Released", ended.report["whatHappened"]
    assert "note" in stage.planetscale.schema("main")
    assert len(ended.report["deployRequest"]["statements"][0]) <= 1_001
    check_limits(stage, stage.prod, ended)


@texts
def test_why_a_deploy_failed_is_told_as_it_is(stage: Stage, text: str) -> None:
    stage.planetscale.sql("dev", "ALTER TABLE hotels ADD note VARCHAR(40)")
    stage.planetscale.next_deploy_fails(text)
    check(stage, stage.prod, stage.release(stage.prod), "SchemaFailed", text)


@texts
def test_why_a_revert_is_refused_is_told_as_it_is(stage: Stage, text: str) -> None:
    stage.planetscale.sql("dev", "ALTER TABLE hotels ADD note VARCHAR(40)")
    stage.planetscale.next_revert_is_refused(text)
    stage.lightsail.next_image_fails(text)
    check(stage, stage.prod, stage.release(stage.prod), "RevertRefused", text)


@texts
def test_an_error_of_the_api_is_told_as_it_is(stage: Stage, text: str) -> None:
    stage.planetscale.sql("dev", "ALTER TABLE hotels ADD note VARCHAR(40)")
    stage.planetscale.fault("error", method="POST", path="deploy", status=422, code=text, message=text)
    check(stage, stage.prod, stage.release(stage.prod), "SchemaRefused", text)


@texts
def test_a_state_that_is_no_state_is_waited_out_and_told(stage: Stage, text: str) -> None:
    stage.planetscale.sql("dev", "ALTER TABLE hotels ADD note VARCHAR(40)")
    stage.planetscale.durations(pending=60_000)
    with stage.settings(stage.prod, "start-release", VALIDATION_DEADLINE="60"):
        digest = stage.push("prod")
        stage.wait_for_state(stage.prod, digest, "WaitForValidation")
        number = stage.planetscale.open_requests()[0]
        stage.planetscale.show(number, deployment_state=text, deployment=text)
        ended = stage.ended(stage.prod, digest)
    check(stage, stage.prod, ended, "TimedOut", readable(text)[:20])


@texts
def test_a_branch_that_cannot_be_is_missing(stage: Stage, text: str) -> None:
    # An environment variable has no zero byte, and 4 KiB in all.
    with stage.settings(stage.prod, "start-release", PLANETSCALE_HEAD_BRANCH=text.replace("\x00", "")[:1_000]):
        ended = stage.release(stage.prod)
    assert ended.outcome in ("ReleaseError", "SchemaRefused"), ended.report["whatHappened"]
    check_limits(stage, stage.prod, ended)


def test_a_database_that_cannot_be_is_a_segment_of_the_path(stage: Stage) -> None:
    with stage.settings(stage.prod, "start-release", PLANETSCALE_DATABASE="../../tokens?x=#"):
        ended = stage.release(stage.prod)
    assert ended.outcome == "ReleaseError"
    assert "%2F" in ended.report["whatHappened"], "it stays one segment"
    paths = {request["path"] for request in stage.aws.planetscale.get("/_control/requests")}
    assert all(path.startswith(f"/v1/organizations/{ORGANIZATION}/databases/") for path in paths), DATABASE
