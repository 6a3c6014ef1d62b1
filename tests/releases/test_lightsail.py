"""What people and Lightsail do to a container service while a release works with it."""

from __future__ import annotations

import pytest
from stage import ADD_DESCRIPTION, REPOSITORY, Stage

SERVICE = "bookings-api-qa"


@pytest.mark.parametrize(
    "kind", ["throttling", "serviceException", "resetBefore", "resetAfter", "errorAfter", "truncate"]
)
@pytest.mark.parametrize("operation", ["GetContainerServices", "GetContainerServiceDeployments", "GetContainerLog"])
def test_a_passing_fault_of_a_reading_call_changes_nothing(stage: Stage, operation: str, kind: str) -> None:
    stage.lightsail.fault(kind, operation, count=2)
    if operation == "GetContainerLog":
        stage.lightsail.next_image_fails()
    ended = stage.release(stage.qa)
    expected = "ContainersFailed" if operation == "GetContainerLog" else "Released"
    assert ended.outcome == expected, ended.report["whatHappened"]
    assert stage.lightsail.calls()["CreateContainerServiceDeployment"] == 1


def test_a_deployment_that_a_person_starts_at_the_same_moment_is_waited_for(stage: Stage) -> None:
    image = stage.release(stage.qa).report["image"]
    stage.lightsail.fault("delay", "CreateContainerServiceDeployment", delayMs=1_500)
    digest = stage.push("qa")
    stage.until(lambda: not stage.lightsail.pending_faults(), "call")
    stage.lightsail.next_image_hangs()
    stage.lightsail.api.post(
        "/_control/act/CreateContainerServiceDeployment",
        {"serviceName": SERVICE, "containers": {"app": {"image": image}}},
    )
    stage.wait_for_state(stage.qa, digest, "WaitForService")
    stage.lightsail.clear()
    ended = stage.ended(stage.qa, digest)
    assert ended.outcome == "Released", ended.report["whatHappened"]
    assert stage.lightsail.active_image(SERVICE) == ended.report["image"]


def settle(stage: Stage) -> None:
    stage.until(lambda: stage.lightsail.service(SERVICE)["state"] in ("READY", "RUNNING"), "end of the deployment", 120)


def test_the_other_containers_of_a_service_and_their_endpoint_stay(stage: Stage) -> None:
    image = stage.release(stage.qa).report["image"]
    app = {"image": image, "ports": {"80": "HTTP"}}
    proxy = {
        "image": image,
        "command": ["serve", "--all"],
        "environment": {"UPSTREAM": "localhost:80"},
        "ports": {"8080": "HTTP"},
    }
    endpoint = {
        "containerName": "proxy",
        "containerPort": 8080,
        "healthCheck": {"path": "/through", "successCodes": "200"},
    }
    deploy = {"operation": "CreateContainerServiceDeployment", "serviceName": SERVICE}
    stage.lightsail.person(**deploy, containers={"app": app, "proxy": proxy}, publicEndpoint=endpoint)
    try:
        settle(stage)
        before = stage.lightsail.service(SERVICE)["currentDeployment"]
        ended = stage.release(stage.qa)
        after = stage.lightsail.service(SERVICE)["currentDeployment"]
        assert ended.outcome == "Released", ended.report["whatHappened"]
        assert set(after["containers"]) == {"app", "proxy"}
        assert after["containers"]["proxy"] == before["containers"]["proxy"]
        assert after["publicEndpoint"] == before["publicEndpoint"]
        assert after["containers"]["app"]["image"] == ended.report["image"] != image

        # A release that fails leaves them too, and names its own image.
        stage.lightsail.next_image_fails()
        failed = stage.release(stage.qa)
        assert failed.outcome == "ContainersFailed", failed.report["whatHappened"]
        assert stage.lightsail.service(SERVICE)["currentDeployment"] == after
        assert failed.report["commit"] in failed.report["image"]
    finally:
        stage.lightsail.clear()
        settle(stage)
        stage.lightsail.person(**deploy, containers={"app": app})
        settle(stage)


def test_a_deployment_that_fails_at_once_is_told(stage: Stage) -> None:
    usual = stage.lightsail.settings()
    stage.lightsail.durations(deployment=0, failure=0)
    stage.lightsail.next_image_fails("no such table: hotels")
    try:
        ended = stage.release(stage.qa)
    finally:
        stage.lightsail.settings(**{name: usual[name] for name in usual if name.endswith("Ms")})
    assert ended.outcome == "ContainersFailed"
    assert "no such table: hotels" in ended.report["whatHappened"]


def test_a_version_that_is_not_listed_yet_is_waited_for(stage: Stage) -> None:
    stage.lightsail.settings(readLagMs=1_500)
    try:
        ended = stage.release(stage.qa)
    finally:
        stage.lightsail.settings(readLagMs=0)
    assert ended.outcome == "Released", ended.report["whatHappened"]
    assert "is not listed yet" in str(stage.qa.history(ended.arn))
    assert stage.lightsail.calls()["CreateContainerServiceDeployment"] == 1


def test_a_service_that_is_disabled_before_the_containers_start_takes_the_schema_back(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.planetscale.durations(in_progress=1_500)
    digest = stage.push("prod")
    stage.wait_for_state(stage.prod, digest, "WaitForSchema")
    act = {"serviceName": "bookings-api-prod", "isDisabled": True}
    stage.lightsail.api.post("/_control/act/UpdateContainerService", act)
    try:
        ended = stage.ended(stage.prod, digest)
    finally:
        stage.lightsail.api.post("/_control/act/UpdateContainerService", {**act, "isDisabled": False})
    assert ended.outcome == "SchemaReverted", ended.report["whatHappened"]
    assert "is disabled. Enable it" in ended.report["whatHappened"]
    assert "description" not in stage.planetscale.schema("main")


def test_a_service_that_is_deleted_before_the_containers_start_takes_the_schema_back(stage: Stage) -> None:
    other = {"serviceName": "short-lived", "power": "nano", "scale": 1}
    stage.lightsail.api.post("/_control/act/CreateContainerService", other)
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.planetscale.durations(in_progress=2_500)
    with stage.settings(stage.prod, "start-release", SERVICE_NAME="short-lived"):
        digest = stage.push("prod")
        stage.wait_for_state(stage.prod, digest, "WaitForSchema")
        stage.lightsail.api.post("/_control/act/DeleteContainerService", {"serviceName": "short-lived"})
        ended = stage.ended(stage.prod, digest)
    assert ended.outcome == "SchemaReverted", ended.report["whatHappened"]
    assert "does not exist" in ended.report["whatHappened"]
    assert "description" not in stage.planetscale.schema("main")


def test_an_image_that_lightsail_must_not_pull_fails_and_says_what_to_look_at(stage: Stage) -> None:
    ecr = stage.aws.client("ecr")
    policy = ecr.get_repository_policy(repositoryName=REPOSITORY)["policyText"]
    ecr.delete_repository_policy(repositoryName=REPOSITORY)
    try:
        ended = stage.release(stage.qa)
    finally:
        ecr.set_repository_policy(repositoryName=REPOSITORY, policyText=policy)
    assert ended.outcome == "ContainersFailed", ended.report["whatHappened"]
    assert stage.release(stage.qa).outcome == "Released"


def test_an_outage_of_lightsail_ends_the_release_and_the_next_one_goes_on(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.lightsail.fault("serviceException", "GetContainerServices", count=None)
    with stage.waits(0.002):
        ended = stage.release(stage.prod)
    assert ended.outcome == "ReleaseError"
    assert " The schema change is applied." in ended.report["whatHappened"]
    stage.lightsail.clear()
    assert stage.release_by_hand(stage.prod).outcome == "Released"
    assert stage.planetscale.open_requests() == []
