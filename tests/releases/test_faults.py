"""Faults of PlanetScale and Lightsail: waited out where that is safe, and never done twice."""

from __future__ import annotations

from typing import Any

import pytest
from stage import ADD_DESCRIPTION, Stage

# Faults that a later try overcomes, in groups that one call meets one after the other.
PASSING: list[list[dict[str, Any]]] = [
    [{"kind": "error", "status": 429}, {"kind": "error", "status": 429, "retry_after": 1}, {"kind": "reset"}],
    [{"kind": "error", "status": 500}, {"kind": "error", "status": 503}, {"kind": "html", "status": 502}],
    [{"kind": "html", "status": 200}, {"kind": "empty", "status": 200}, {"kind": "truncate"}],
]


@pytest.mark.parametrize("faults", PASSING, ids=["limits", "server-errors", "unreadable"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "deploy-requests"),
        ("POST", "deploy-requests"),
        ("GET", "deploy-requests/*"),
        ("POST", "deploy-requests/*/deploy"),
        ("POST", "deploy-requests/*/skip-revert"),
    ],
)
def test_a_passing_fault_of_planetscale_changes_nothing(
    stage: Stage, method: str, path: str, faults: list[dict[str, Any]]
) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    for fault in faults:
        stage.planetscale.fault(**fault, method=method, path=path)
    ended = stage.release(stage.prod)
    assert ended.outcome == "Released", ended.report["whatHappened"]
    assert "description" in stage.planetscale.schema("main")
    assert len(stage.planetscale.requests()) == 1, "one deploy request, whatever was lost"
    assert stage.planetscale.open_requests() == []


@pytest.mark.parametrize("path", ["deploy-requests", "deploy-requests/*/deploy", "deploy-requests/*/skip-revert"])
@pytest.mark.parametrize("kind", ["reset", "error", "truncate"])
def test_an_answer_that_is_lost_after_the_work_is_not_worked_again(stage: Stage, path: str, kind: str) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.planetscale.fault(kind, method="POST", path=path, after_work=True)
    ended = stage.release(stage.prod)
    assert ended.outcome == "Released", ended.report["whatHappened"]
    assert len(stage.planetscale.requests()) == 1
    applied = [effect for effect in stage.planetscale.effects() if effect.get("cause") == "deploy"]
    assert len(applied) == 1, "the schema is deployed once"


def test_a_lost_answer_to_the_revert_is_not_a_refusal(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.planetscale.fault("reset", method="POST", path="deploy-requests/*/revert", after_work=True)
    stage.lightsail.next_image_fails()
    assert stage.release(stage.prod).outcome == "SchemaReverted"


def test_a_request_that_still_validates_although_it_is_ready_is_waited_for(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.planetscale.settings(still_validating={"count": 3, "ms": 0})
    ended = stage.release(stage.prod)
    assert ended.outcome == "Released", ended.report["whatHappened"]
    assert stage.planetscale.calls()["POST deploy"] == 4


def test_an_open_request_of_a_person_is_adopted(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    number = stage.planetscale.create_request()
    ended = stage.release(stage.prod)
    assert ended.outcome == "Released", ended.report["whatHappened"]
    assert ended.report["deployRequest"]["number"] == number
    assert "POST deploy-requests" not in stage.planetscale.calls()


def test_a_request_that_a_person_deploys_is_followed(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.planetscale.durations(in_progress=1_500)
    stage.planetscale.create_request()
    stage.until(lambda: stage.planetscale.request(1)["deployment_state"] == "ready", "ready request")
    stage.planetscale.person("deploy")
    ended = stage.release(stage.prod)
    assert ended.outcome == "Released", ended.report["whatHappened"]
    assert "POST deploy" not in stage.planetscale.calls()


def test_a_gated_request_waits_for_the_person_who_gated_it(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.planetscale.create_request(auto_cutover=False)
    digest = stage.push("prod")
    stage.until(lambda: stage.planetscale.request(1)["deployment_state"] == "pending_cutover", "gated request")
    stage.planetscale.person("apply")
    assert stage.ended(stage.prod, digest).outcome == "Released"


def test_an_unknown_state_is_waited_for_and_then_told(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.planetscale.create_request()
    stage.planetscale.show(1, deployment_state="in_progress_wormhole", deployment="in_progress_wormhole")
    with stage.settings(stage.prod, "start-release", VALIDATION_DEADLINE="60"):
        ended = stage.release(stage.prod)
    assert ended.outcome == "TimedOut"
    assert "in_progress_wormhole" in ended.report["whatHappened"]


def test_a_cancelled_migration_is_a_rejection(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.planetscale.durations(in_progress=60_000)
    digest = stage.push("prod")
    stage.wait_for_state(stage.prod, digest, "WaitForSchema")
    stage.planetscale.person("cancel")
    ended = stage.ended(stage.prod, digest)
    assert ended.outcome == "SchemaRejected", ended.report["whatHappened"]
    assert "description" not in stage.planetscale.schema("main")


@pytest.mark.parametrize(
    "kind", ["throttling", "serviceException", "resetBefore", "resetAfter", "errorAfter", "truncate"]
)
def test_a_fault_of_lightsails_create_call_never_makes_two_deployments(stage: Stage, kind: str) -> None:
    stage.lightsail.fault(kind, "CreateContainerServiceDeployment")
    ended = stage.release(stage.qa)
    assert ended.outcome == "Released", ended.report["whatHappened"]
    started = [
        effect
        for effect in stage.lightsail.api.get("/_control/effects")
        if effect["kind"] == "deploymentStarted"
        and effect["version"] == ended.report["deployment"]["version"]
        and effect["service"] == "bookings-api-qa"
    ]
    assert len(started) == 1
    assert stage.lightsail.active_image("bookings-api-qa") == ended.report["image"]
    services = stage.lightsail.api.get("/_control/services")
    images = [
        next(iter(deployment["containers"].values()))["image"]
        for service in services
        if service["containerServiceName"] == "bookings-api-qa"
        for deployment in service["deployments"]
    ]
    assert images.count(ended.report["image"]) == 1


def test_a_service_that_is_busy_is_waited_for(stage: Stage) -> None:
    stage.lightsail.settings(updateMs=2_000)
    act = {"serviceName": "bookings-api-qa", "scale": 2}
    stage.lightsail.api.post("/_control/act/UpdateContainerService", act)
    ended = stage.release(stage.qa)
    stage.lightsail.settings(updateMs=300)
    assert ended.outcome == "Released", ended.report["whatHappened"]
    assert "WaitForService" in ended.states


def test_a_disabled_service_says_what_to_do(stage: Stage) -> None:
    act = {"serviceName": "bookings-api-qa", "isDisabled": True}
    stage.lightsail.api.post("/_control/act/UpdateContainerService", act)
    try:
        ended = stage.release(stage.qa)
    finally:
        stage.lightsail.api.post("/_control/act/UpdateContainerService", {**act, "isDisabled": False})
    assert ended.outcome == "ContainersFailed"
    assert "is disabled. Enable it" in ended.report["whatHappened"]


def test_throttling_by_dynamodb_and_ecr_is_waited_out(stage: Stage) -> None:
    """They throttle with a 400, on-demand tables too."""
    faults = [
        {"operation": "PutItem", "error": "ProvisionedThroughputExceededException", "count": 10},
        {"operation": "GetItem", "error": "ThrottlingException", "count": 10},
        {"operation": "DescribeImages", "error": "RequestTimeout", "count": 7},
    ]
    digest = stage.push("prod")
    stage.wait_for_state(stage.prod, digest, "AcquireLock")
    for fault in faults:
        stage.aws.control.post("/_local/service-faults", fault)
    try:
        ended = stage.ended(stage.prod, digest, within_seconds=240)
        assert stage.aws.control.post("/_local/service-faults", {"show": True})["pending"] == []
    finally:
        stage.aws.control.post("/_local/service-faults", {})
    assert ended.outcome == "Released", ended.report["whatHappened"]
    assert "Retryable" in stage.task_errors(ended.arn)
