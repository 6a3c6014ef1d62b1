"""A container service in each of its states, when the deployment is made and while it is watched."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import pytest
import roles
from stage import ADD_DESCRIPTION, REPOSITORY, Ended, Stage

PROD = "bookings-api-prod"
# So long is a deployment not listed that the release has to look at the service itself.
UNLISTED = {"readLagMs": 600_000}
ROLE = "CreateContainerDeploymentRole"


@contextmanager
def lightsail_with(stage: Stage, **settings: int) -> Iterator[None]:
    """Other settings of the emulator, for as long as this lasts."""
    usual = stage.lightsail.settings()
    stage.lightsail.settings(**settings)
    try:
        yield
    finally:
        stage.lightsail.settings(**{name: usual[name] for name in settings})


@contextmanager
def disabled_later(stage: Stage) -> Iterator[None]:
    """Whatever happens to prod's service, it serves again afterwards."""
    try:
        yield
    finally:
        enable(stage)


def disable(stage: Stage) -> None:
    stage.lightsail.person("UpdateContainerService", serviceName=PROD, isDisabled=True)


def enable(stage: Stage) -> None:
    settled(stage, PROD)
    stage.lightsail.person("UpdateContainerService", serviceName=PROD, isDisabled=False)
    settled(stage, PROD)


def settled(stage: Stage, service: str) -> None:
    """Wait until nothing is under way in a service."""
    states = ("READY", "RUNNING", "DISABLED")
    stage.until(lambda: stage.lightsail.service(service)["state"] in states, f"end of {service}'s change", 300)


@contextmanager
def short_lived(stage: Stage) -> Iterator[str]:
    """A service that prod releases into and that may be lost: it may be deployed to, and cannot pull the image."""
    name = f"short-lived-{secrets.token_hex(4)}"
    stage.lightsail.person("CreateContainerService", serviceName=name, power="nano", scale=1)
    client, role = stage.aws.client("iam"), roles.role_name(stage.prod, ROLE)
    document = client.get_role_policy(RoleName=role, PolicyName="calls")["PolicyDocument"]
    statement = {"Effect": "Allow", "Action": "lightsail:CreateContainerServiceDeployment", "Resource": "*"}
    roles.put(client, role, {**document, "Statement": [*document["Statement"], statement]})
    try:
        with stage.settings(stage.prod, "start-release", SERVICE_NAME=name):
            yield name
    finally:
        roles.put(client, role, document)


def check_nothing_serves(ended: Ended, outcome: str, why: str) -> None:
    told = ended.report["whatHappened"]
    assert ended.outcome == outcome, told
    assert "nothing serves" in told and "still serve" not in told
    assert why in told
    assert ended.report["whatToDo"].startswith("Bring the container service back")


@pytest.mark.parametrize("change", [False, True])
def test_a_service_that_is_disabled_when_the_deployment_is_made(stage: Stage, change: bool) -> None:
    if change:
        stage.planetscale.sql("dev", ADD_DESCRIPTION)
    with disabled_later(stage):
        disable(stage)
        ended = stage.release(stage.prod)
    check_nothing_serves(ended, "SchemaReverted" if change else "ContainersFailed", "is disabled. Enable it")
    assert "description" not in stage.planetscale.schema("main")
    assert stage.release_by_hand(stage.prod).outcome == "Released"


@pytest.mark.parametrize("change", [False, True])
def test_a_service_that_is_disabled_while_the_containers_are_watched_keeps_the_schema(
    stage: Stage, change: bool
) -> None:
    if change:
        stage.planetscale.sql("dev", ADD_DESCRIPTION)
    with lightsail_with(stage, **UNLISTED), disabled_later(stage):
        digest = stage.push("prod")
        stage.wait_for_state(stage.prod, digest, "WaitForContainers")
        settled(stage, PROD)
        disable(stage)
        ended = stage.ended(stage.prod, digest)
    check_nothing_serves(ended, "ContainersFailed", "is disabled. Enable it")
    kept = "the schema change was kept" if change else "the schema was not changed"
    assert kept in ended.report["whatHappened"]
    assert ("description" in stage.planetscale.schema("main")) == change
    assert stage.release_by_hand(stage.prod).outcome == "Released"


@pytest.mark.parametrize("change", [False, True])
def test_a_service_that_is_deleted_while_the_containers_are_watched(stage: Stage, change: bool) -> None:
    if change:
        stage.planetscale.sql("dev", ADD_DESCRIPTION)
    with lightsail_with(stage, **UNLISTED), short_lived(stage) as service:
        digest = stage.push("prod")
        stage.wait_for_state(stage.prod, digest, "WaitForContainers")
        settled(stage, service)
        stage.lightsail.person("DeleteContainerService", serviceName=service)
        ended = stage.ended(stage.prod, digest)
    told = ended.report["whatHappened"]
    found = "is being deleted" if "is being deleted" in told else "does not exist"
    check_nothing_serves(ended, "SchemaReverted" if change else "ContainersFailed", found)
    assert "description" not in stage.planetscale.schema("main")
    assert stage.release_by_hand(stage.prod).outcome == "Released"


def test_a_service_that_is_being_deleted_when_the_deployment_is_made(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    with lightsail_with(stage, deletionMs=120_000), short_lived(stage) as service:
        settled(stage, service)
        stage.lightsail.person("DeleteContainerService", serviceName=service)
        ended = stage.release(stage.prod)
    check_nothing_serves(ended, "SchemaReverted", "is being deleted")
    assert "description" not in stage.planetscale.schema("main")


def test_a_service_that_is_pending_is_waited_for(stage: Stage) -> None:
    with (
        lightsail_with(stage, serviceCreationMs=600_000),
        short_lived(stage) as service,
        stage.settings(stage.prod, "start-release", SERVICE_NAME=service, CONTAINERS_DEADLINE="60"),
    ):
        ended = stage.release(stage.prod)
    assert ended.outcome == "TimedOut", ended.report["whatHappened"]
    assert f"The container service {service} is PENDING." in ended.report["whatHappened"]
    assert "WaitForService" in ended.states


def test_a_service_that_is_updated_while_the_containers_are_watched_is_waited_for(stage: Stage) -> None:
    scale = stage.lightsail.service(PROD)["scale"]
    with lightsail_with(stage, **UNLISTED):
        digest = stage.push("prod")
        arn = stage.wait_for_state(stage.prod, digest, "WaitForContainers")
        settled(stage, PROD)
        stage.lightsail.person("UpdateContainerService", serviceName=PROD, scale=3 - scale)
        looks = stage.prod.states(arn).count("GetContainerDeployment")
        stage.until(lambda: stage.prod.states(arn).count("GetContainerDeployment") > looks + 1, "look at the service")
    ended = stage.ended(stage.prod, digest)
    assert ended.outcome == "Released", ended.report["whatHappened"]
    settled(stage, PROD)
    stage.lightsail.person("UpdateContainerService", serviceName=PROD, scale=scale)
    settled(stage, PROD)


def test_a_puller_role_that_is_not_active_yet_is_waited_for(stage: Stage) -> None:
    def switch(active: bool) -> None:
        role = {"ecrImagePullerRole": {"isActive": active}}
        stage.lightsail.person("UpdateContainerService", serviceName=PROD, privateRegistryAccess=role)

    settled(stage, PROD)
    switch(False)
    looks = stage.lightsail.calls().get("GetContainerServices", 0)
    properties = {"Repository": REPOSITORY, "Service": PROD}
    grant = Thread(target=stage.prod.invoke, args=[f"{PROD}-grant-image-pull", properties])
    grant.start()
    stage.until(lambda: stage.lightsail.calls().get("GetContainerServices", 0) > looks, "look at the role", 300)
    switch(True)
    grant.join()
    role = stage.lightsail.service(PROD)["privateRegistryAccess"]["ecrImagePullerRole"]["principalArn"]
    policy = stage.aws.client("ecr").get_repository_policy(repositoryName=REPOSITORY)["policyText"]
    assert role in json.dumps(json.loads(policy))
    assert stage.release(stage.prod).outcome == "Released"
