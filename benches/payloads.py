"""One invocation of each function, as the state machine, EventBridge or CloudFormation makes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

REGION, ACCOUNT = "us-east-1", "123456789012"
REPOSITORY, SERVICE = "bookings-api", "bookings-api-prod"
URI = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{REPOSITORY}"
DIGEST = "sha256:" + "a" * 64
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:bookings-api-prod-releases"
SECRETS = {
    name: f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:bookings-api/prod/{name}-AbCdEf"
    for name in ("planetscale", "connection-string")
}
CONNECTION_STRING = "mysql://benchmark:only-for-the-benchmark@127.0.0.1/bookings"

_MACHINE = "bookings-api-prod-release"
_EXECUTIONS = f"arn:aws:states:{REGION}:{ACCOUNT}:execution:{_MACHINE}"
# The execution that has the lock.
HOLDER = f"{_EXECUTIONS}:prod-aaaaaaaaaaaa-20261122T094653Z"
_OTHER = f"{_EXECUTIONS}:prod-aaaaaaaaaaaa-20261122T095000Z"

_RELEASE: dict[str, Any] = {
    "application": "bookings-api",
    "environment": "prod",
    "cause": "push",
    "pushedAt": "2026-11-22T09:46:53Z",
    "image": {
        "repository": REPOSITORY,
        "uri": URI,
        "movingTag": "prod",
        "digest": DIGEST,
        "commit": "3f2a9c1d",
    },
    "service": SERVICE,
    "database": {"organization": "acme", "name": "bookings", "headBranch": "dev", "baseBranch": "main"},
    "policy": {"destructiveChanges": "refuse", "onContainerFailure": "revert-schema"},
    "deadlines": {
        "turn": 86_400,
        "validation": 1_800,
        "approval": 259_200,
        "schema": 1_209_600,
        "revert": 3_600,
        "containers": 2_700,
    },
    "lastCall": 70,
    "verification": {"paths": [], "seconds": 120, "onFailure": "undo"},
}


def _execution(arn: str) -> dict[str, str]:
    return {"arn": arn, "name": arn.rsplit(":", 1)[1], "startedAt": "2026-11-22T09:46:54.123Z"}


@dataclass(frozen=True)
class Job:
    """What a function is invoked with, and what its answer must say."""

    # A function of the services' URL.
    payload: Callable[[str], dict[str, Any]]
    # A key of the answer and its value, which show that the job was done.
    answers: tuple[str, Any] | None
    # The SDK clients that the function builds when it starts.
    clients: int


def environment(url: str) -> dict[str, str]:
    """The variables that Lambda and the template set, for every function the same; `url` is the services'."""
    return {
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "only-for-the-benchmark",
        "AWS_SESSION_TOKEN": "only-for-the-benchmark",
        "AWS_ENDPOINT_URL": url,
        "PLANETSCALE_API_URL": f"{url}/v1",
        "PLANETSCALE_SECRET_ARN": SECRETS["planetscale"],
        "PLANETSCALE_ORGANIZATION": "acme",
        "PLANETSCALE_DATABASE": "bookings",
        "PLANETSCALE_HEAD_BRANCH": "dev",
        "PLANETSCALE_BASE_BRANCH": "main",
        "CONNECTION_STRING_SECRET_ARN": SECRETS["connection-string"],
        "CONNECTION_STRING_VARIABLE": "DSN",
        "APPLICATION": "bookings-api",
        "ENVIRONMENT": "prod",
        "REPOSITORY_NAME": REPOSITORY,
        "REPOSITORY_URI": URI,
        "MOVING_TAG": "prod",
        "MOVING_TAGS": "qa,prod",
        "IMAGE_REFERENCE": "tag",
        "SERVICE_NAME": SERVICE,
        "CONTAINER_NAME": "app",
        "CONTAINER_PORT": "80",
        "HEALTH_CHECK_PATH": "/healthz",
        "CONTAINER_ENVIRONMENT": '{"LISTEN":"0.0.0.0:80"}',
        "TABLE_NAME": "bookings-api-prod-releases",
        "TOPIC_ARN": TOPIC,
        "STATE_MACHINE_ARN": HOLDER.rsplit(":", 1)[0].replace(":execution:", ":stateMachine:"),
        "GRANT_IMAGE_PULL_FUNCTION": "bookings-api-prod-grant-image-pull",
        "DESTRUCTIVE_CHANGES": "refuse",
        "ON_CONTAINER_FAILURE": "revert-schema",
        "LAST_CALL": str(_RELEASE["lastCall"]),
        "VERIFY_FOR": "120",
        "ON_VERIFICATION_FAILURE": "undo",
        "TRY_EVERY_MS": "1000",
        **{f"{name.upper()}_DEADLINE": str(seconds) for name, seconds in _RELEASE["deadlines"].items()},
    }


def _of_release(**more: Any) -> Callable[[str], dict[str, Any]]:
    return lambda _: {"release": _RELEASE, **more}


def _of_holder(**more: Any) -> Callable[[str], dict[str, Any]]:
    """Of the release that holds the lock, as the functions take it that change something."""
    return _of_release(execution=_execution(HOLDER), redrives=0, **more)


_REPORT = {
    "number": 8,
    "url": "https://app.planetscale.com/acme/bookings/deploy-requests/8",
    "state": "complete",
    "statements": ["ALTER TABLE `hotels` ADD COLUMN `stars` tinyint unsigned"],
}
_DEPLOYMENT = {
    "service": SERVICE,
    "version": 5,
    "image": f"{URI}:3f2a9c1d",
    "url": f"https://{SERVICE}.example.us-east-1.cs.amazonlightsail.com/",
}
_PUSH = {
    "version": "0",
    "id": "13cde686-328b-6117-af20-0e5566167482",
    "detail-type": "ECR Image Action",
    "source": "aws.ecr",
    "account": ACCOUNT,
    "time": "2026-11-22T09:46:53Z",
    "region": REGION,
    "resources": [],
    "detail": {
        "result": "SUCCESS",
        "repository-name": REPOSITORY,
        "image-digest": DIGEST,
        "action-type": "PUSH",
        "image-tag": "prod",
    },
}


def _install(url: str) -> dict[str, Any]:
    properties = {"Repository": REPOSITORY, "Service": SERVICE}
    return {
        "RequestType": "Update",
        "ResponseURL": f"{url}/cloudformation",
        "StackId": f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/bookings-api-prod/guid",
        "RequestId": "a1b2c3d4",
        "ResourceType": "Custom::ImagePull",
        "LogicalResourceId": "ImagePull",
        "PhysicalResourceId": f"{REPOSITORY}/{SERVICE}",
        "ResourceProperties": properties,
        "OldResourceProperties": properties,
    }


# The function that does nothing.
EMPTY = "empty-handler"

JOBS = {
    EMPTY: Job(lambda _: {}, None, 0),
    "acquire-lock": Job(
        _of_release(execution=_execution(_OTHER), redrives=0, waited=0),
        ("turn", "Wait"),
        3,
    ),
    "close-deploy-request": Job(_of_holder(number=7), ("closed", True), 2),
    "create-container-deployment": Job(
        _of_holder(waited=0), ("step", "Created"), 4
    ),
    "create-deploy-request": Job(
        _of_holder(), ("because", "Created from dev into main."), 2
    ),
    "deploy-deploy-request": Job(_of_holder(number=7, serves=False, waited=0), None, 2),
    "finish-release": Job(
        _of_holder(
            outcome="Released", because="Everything moved.", deployRequest=_REPORT,
            order="The schema first.", schema="Permanent", deployment=_DEPLOYMENT,
        ),
        ("outcome", "Released"),
        2,
    ),
    "get-container-deployment": Job(_of_release(version=4, waited=60), ("step", "Active"), 1),
    "get-deploy-request": Job(_of_release(number=7, goal="Validation", serves=False, waited=5), ("step", "SchemaFirst"), 1),
    "grant-image-pull": Job(_install, None, 2),
    "preflight": Job(lambda _: {}, ("ready", True), 4),
    "restore-containers": Job(_of_holder(version=4, waited=0), ("step", "Created"), 2),
    "revert-deploy-request": Job(_of_holder(number=8), ("because", "PlanetScale reverts deploy request #8."), 2),
    "skip-revert": Job(
        _of_holder(number=8), ("because", "The revert window of deploy request #8 is closed."), 2
    ),
    "start-release": Job(lambda _: _PUSH, ("because", "The release was started."), 3),
    "verify-service": Job(_of_release(moment="Baseline"), ("step", "Good"), 1),
}  # fmt: skip
