"""Faults of our own: functions that are killed, run out of memory or time, or are throttled."""

from __future__ import annotations

import json

import pytest
from cloud.bookings import ORGANIZATION, TOKEN
from stage import ADD_DESCRIPTION, Ended, Stage

# As Step Functions names what becomes of a function: the guide's chapter on errors, and what others saw.
ERRORS = (
    "Lambda.Unknown",
    "Lambda.TooManyRequestsException",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.ClientExecutionTimeoutException",
    "Runtime.ExitError",
    "Runtime.OutOfMemory",
    "Sandbox.Timedout",
    "States.Timeout",
)
# The functions of the three ways through the state machine, and the outcome of each.
WAYS = {
    "schema and containers": (
        "Released",
        (
            "acquire-lock create-deploy-request get-deploy-request deploy-deploy-request create-container-deployment "
            "get-container-deployment skip-revert finish-release"
        ),
    ),
    "containers that fail": ("SchemaReverted", "get-container-deployment revert-deploy-request get-deploy-request"),
    "nothing to apply": ("Released", "close-deploy-request"),
}
FUNCTIONS = {function: way for way, (_, functions) in reversed(WAYS.items()) for function in functions.split()}


def prepare(stage: Stage, way: str) -> None:
    if way != "nothing to apply":
        stage.planetscale.sql("dev", ADD_DESCRIPTION)
    if way == "containers that fail":
        stage.lightsail.next_image_fails()


def check_nothing_twice(stage: Stage, ended: Ended) -> None:
    """One deploy request, one schema change, one deployment, one message; a free lock."""
    assert len(stage.planetscale.requests()) == 1
    assert stage.planetscale.open_requests() == []
    assert sum(effect.get("cause") == "deploy" for effect in stage.planetscale.effects()) <= 1
    services = stage.lightsail.api.get("/_control/services?environment=true")
    marks = [
        container["environment"].get("RELEASE_EXECUTION")
        for service in services
        for deployment in service["deployments"]
        for container in deployment["containers"].values()
    ]
    assert marks.count(ended.report["execution"]) == 1
    told = [message for message in stage.notifications(stage.prod, ended) if f": {ended.outcome}\n" in message]
    assert len(told) == 1
    assert stage.lock(stage.prod) is None


@pytest.mark.parametrize(
    ("way", "error"),
    # Every state has the same Retry for these, which a test of the state machine holds.
    [("schema and containers", error) for error in ERRORS]
    + [(way, error) for way in ("containers that fail", "nothing to apply") for error in ERRORS[:2]],
)
def test_every_function_fails_before_and_after_its_work_and_nothing_is_lost_or_done_twice(
    stage: Stage, way: str, error: str
) -> None:
    outcome, functions = WAYS[way]
    prepare(stage, way)
    killed = error.startswith(("Runtime.", "Sandbox.", "Lambda.Unknown"))
    for function in functions.split():
        for worked in (False, True):
            stage.function_fault(stage.prod, function, error, worked=worked, killed=killed)
    with stage.waits(0.005):
        ended = stage.release(stage.prod)
    assert ended.outcome == outcome, ended.report["whatHappened"]
    assert stage.pending_function_faults() == [], "every fault was met"
    check_nothing_twice(stage, ended)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_that_never_works_ends_the_release_in_a_named_outcome(stage: Stage, function: str) -> None:
    expected = {
        "revert-deploy-request": "RevertRefused",
        # The request is left to the next release; the window closes by itself.
        "close-deploy-request": "Released",
        "skip-revert": "Released",
        # Looks are one more wait, as long as the deadline is not over.
        "get-deploy-request": "Released",
        "get-container-deployment": "Released",
    }.get(function, "ReleaseError")
    prepare(stage, FUNCTIONS[function])
    # A look is tried twice and made again after 300 s; the deadline of the validation is 1,800 s.
    count = 10 if function.startswith("get-") else 14
    stage.function_fault(stage.prod, function, "Lambda.Unknown", count=count, cause="out of memory")
    digest = stage.push("prod")
    with stage.waits(0.002):
        arn = stage.until(lambda: stage.executions_of(stage.prod, digest), "execution")[0]["executionArn"]
        execution = stage.prod.wait_for_execution(arn, within_seconds=300)
    assert stage.prod.end_state(arn) == expected
    assert stage.pending_function_faults() == []
    if function == "finish-release":
        assert "FinishRelease failed with Lambda.Unknown: out of memory" in execution["cause"]
        assert stage.lock(stage.prod) == arn, "nobody freed it"
    elif expected != "Released":
        state = "".join(word.title() for word in function.split("-"))
        assert f"{state} failed with Lambda.Unknown: out of memory" in stage.prod.report(arn)["whatHappened"]
        assert stage.lock(stage.prod) is None
    # The next release takes over whatever this one left.
    stage.lightsail.clear()
    assert stage.release(stage.prod).outcome == "Released"
    assert stage.lock(stage.prod) is None
    assert stage.planetscale.open_requests() == []


@pytest.mark.parametrize(
    ("function", "method", "path"),
    [
        ("create-deploy-request", "POST", "deploy-requests"),
        ("get-deploy-request", "GET", "deploy-requests/*"),
        ("deploy-deploy-request", "POST", "deploy-requests/*/deploy"),
        ("skip-revert", "POST", "deploy-requests/*/skip-revert"),
        ("revert-deploy-request", "POST", "deploy-requests/*/revert"),
        ("close-deploy-request", "PATCH", "deploy-requests/*"),
    ],
)
def test_a_function_that_is_killed_in_the_middle_of_a_call_of_planetscale_is_called_again(
    stage: Stage, function: str, method: str, path: str
) -> None:
    way = FUNCTIONS[function]
    prepare(stage, way)
    stage.planetscale.fault("delay", method=method, path=path, delay_ms=2_000)
    digest = stage.push("prod")
    # The emulator holds the call until its time is over.
    stage.until(lambda: not stage.planetscale.pending_faults(), f"call of {function}")
    assert stage.kill_function(stage.prod, function) == 1
    ended = stage.ended(stage.prod, digest)
    assert ended.outcome == WAYS[way][0], ended.report["whatHappened"]
    assert "Runtime.ExitError" in stage.task_errors(ended.arn)
    check_nothing_twice(stage, ended)


@pytest.mark.parametrize(
    ("function", "operation"),
    [
        ("create-container-deployment", "CreateContainerServiceDeployment"),
        ("get-container-deployment", "GetContainerServiceDeployments"),
    ],
)
def test_a_function_that_is_killed_in_the_middle_of_a_call_of_lightsail_is_called_again(
    stage: Stage, function: str, operation: str
) -> None:
    # The create function reads the deployments first, to recognise its own.
    skip = 1 if function == "get-container-deployment" else 0
    stage.lightsail.fault("delay", operation, delayMs=2_000, skip=skip)
    digest = stage.push("prod")
    stage.until(lambda: not stage.lightsail.pending_faults(), f"call of {function}")
    assert stage.kill_function(stage.prod, function) == 1
    ended = stage.ended(stage.prod, digest)
    assert ended.outcome == "Released", ended.report["whatHappened"]
    assert "Runtime.ExitError" in stage.task_errors(ended.arn)
    check_nothing_twice(stage, ended)


def test_a_function_without_concurrency_is_waited_for(stage: Stage) -> None:
    client, name = stage.aws.client("lambda"), "bookings-api-qa-get-container-deployment"
    client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    try:
        digest = stage.push("qa")
        arn = stage.wait_for_state(stage.qa, digest, "GetContainerDeployment")
        stage.until(lambda: stage.task_errors(arn), "throttled task")
    finally:
        client.delete_function_concurrency(FunctionName=name)
    assert stage.ended(stage.qa, digest).outcome == "Released"
    assert set(stage.task_errors(arn)) == {"Lambda.TooManyRequestsException"}


def test_a_function_that_runs_out_of_time_is_called_again(stage: Stage) -> None:
    client, name = stage.aws.client("lambda"), "bookings-api-prod-deploy-deploy-request"
    usual = client.get_function_configuration(FunctionName=name)["Timeout"]
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.planetscale.fault("delay", method="POST", path="deploy-requests/*/deploy", delay_ms=4_000)
    client.update_function_configuration(FunctionName=name, Timeout=2)
    try:
        ended = stage.release(stage.prod)
    finally:
        client.update_function_configuration(FunctionName=name, Timeout=usual)
    assert ended.outcome == "Released", ended.report["whatHappened"]
    assert stage.task_errors(ended.arn) == ["Sandbox.Timedout"]
    check_nothing_twice(stage, ended)


def test_a_token_that_is_rotated_while_a_release_runs_is_read_anew(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.planetscale.durations(in_progress=2_000)
    digest = stage.push("prod")
    stage.wait_for_state(stage.prod, digest, "WaitForSchema")
    rotated = {"id": "rotatedtoken", "token": "pscale_tkn_only_for_the_emulator_too"}
    stage.planetscale.api.put(
        f"/_control/tokens/{rotated['id']}", {"token": rotated["token"], "organization": ORGANIZATION}
    )
    stage.aws.put_secret("bookings-api/prod/planetscale", json.dumps(rotated))
    stage.planetscale.api.delete(f"/_control/tokens/{TOKEN['id']}")
    ended = stage.ended(stage.prod, digest)
    assert ended.outcome == "Released", ended.report["whatHappened"]
    check_nothing_twice(stage, ended)


def test_a_token_that_is_revoked_while_a_release_runs_ends_it_and_the_next_goes_on(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.planetscale.durations(in_progress=2_000)
    digest = stage.push("prod")
    stage.wait_for_state(stage.prod, digest, "WaitForSchema")
    stage.planetscale.api.delete(f"/_control/tokens/{TOKEN['id']}")
    ended = stage.ended(stage.prod, digest)
    assert ended.outcome == "ReleaseError"
    assert "401" in ended.report["whatHappened"] and "FillPlanetScaleSecret" in ended.report["whatHappened"]
    stage.planetscale.api.put(
        f"/_control/tokens/{TOKEN['id']}", {"token": TOKEN["token"], "organization": ORGANIZATION}
    )
    assert stage.release_by_hand(stage.prod).outcome == "Released"
    assert "description" in stage.planetscale.schema("main")
    assert stage.planetscale.open_requests() == []
