"""Every role without one of its permissions: what needs it fails with its name, and nothing is half done."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import pytest
import roles
from cloud.environment import FunctionError
from stage import ADD_DESCRIPTION, REPOSITORY, Stage
from test_redrive import CHANGES, stop_at
from test_verification import serve_badly, verified

SECRET = "secretsmanager:GetSecretValue"
LOCK = "dynamodb:GetItem"
LOOK = {"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}, "time": "2026-01-01T00:00:00Z"}


@dataclass(frozen=True)
class Missing:
    """A permission, the way of a release that needs it, and how that release ends without it."""

    role: str
    action: str
    way: str
    outcome: str
    resource: str = ""

    def __str__(self) -> str:
        return f"{self.role}-{self.action}{self.resource}"


RELEASES = [
    Missing("AcquireLockRole", "ecr:DescribeImages", "without a change", "ReleaseError"),
    Missing("AcquireLockRole", "dynamodb:GetItem", "without a change", "ReleaseError"),
    Missing("AcquireLockRole", "dynamodb:PutItem", "without a change", "ReleaseError"),
    Missing("JudgeRollbackRole", SECRET, "goes back", "RollbackRefused"),
    Missing("JudgeRollbackRole", LOCK, "goes back", "RollbackRefused"),
    Missing("JudgeRollbackRole", "dynamodb:Query", "goes back", "RollbackRefused"),
    Missing("JudgeRollbackRole", "ecr:DescribeImages", "goes back", "RollbackRefused"),
    Missing("CreateDeployRequestRole", SECRET, "with a change", "ReleaseError"),
    Missing("CreateDeployRequestRole", LOCK, "with a change", "ReleaseError"),
    Missing("GetDeployRequestRole", SECRET, "with a change", "ReleaseError"),
    Missing("GetDeployRequestRole", "ecr:DescribeImages", "with a change", "ReleaseError"),
    Missing("DeployDeployRequestRole", SECRET, "with a change", "ReleaseError"),
    Missing("DeployDeployRequestRole", LOCK, "with a change", "ReleaseError"),
    Missing("CreateContainerDeploymentRole", "ecr:DescribeImages", "with a change", "SchemaReverted"),
    Missing(
        "CreateContainerDeploymentRole", "lightsail:CreateContainerServiceDeployment", "with a change", "SchemaReverted"
    ),
    Missing("CreateContainerDeploymentRole", "lightsail:GetContainerServices", "with a change", "SchemaReverted"),
    Missing(
        "CreateContainerDeploymentRole", "lightsail:GetContainerServiceDeployments", "with a change", "SchemaReverted"
    ),
    Missing("CreateContainerDeploymentRole", SECRET, "with a change", "SchemaReverted"),
    Missing("CreateContainerDeploymentRole", LOCK, "with a change", "SchemaReverted"),
    Missing("GetContainerDeploymentRole", "lightsail:GetContainerServiceDeployments", "with a change", "ReleaseError"),
    Missing("GetContainerDeploymentRole", "lightsail:GetContainerServices", "with a change", "ReleaseError"),
    Missing("GetContainerDeploymentRole", "lightsail:GetContainerLog", "containers that fail", "SchemaReverted"),
    Missing("VerifyServiceRole", "lightsail:GetContainerServices", "verified", "ReleaseError"),
    Missing("RestoreContainersRole", LOCK, "serves badly", "RevertRefused"),
    Missing("RestoreContainersRole", "lightsail:CreateContainerServiceDeployment", "serves badly", "RevertRefused"),
    Missing("RestoreContainersRole", "lightsail:GetContainerServices", "serves badly", "RevertRefused"),
    Missing("RestoreContainersRole", "lightsail:GetContainerServiceDeployments", "serves badly", "RevertRefused"),
    Missing("RevertDeployRequestRole", SECRET, "containers that fail", "RevertRefused"),
    Missing("RevertDeployRequestRole", LOCK, "containers that fail", "RevertRefused"),
    Missing("FinishReleaseRole", "dynamodb:GetItem", "without a change", "ReleaseError"),
    Missing("FinishReleaseRole", "dynamodb:PutItem", "without a change", "ReleaseError"),
    Missing("FinishReleaseRole", "dynamodb:DeleteItem", "without a change", "ReleaseError"),
    Missing("FinishReleaseRole", "sns:Publish", "without a change", "ReleaseError"),
    # These two only tidy up: a good release stays one, and the history has the error.
    Missing("CloseDeployRequestRole", SECRET, "without a change", "Released"),
    Missing("CloseDeployRequestRole", LOCK, "without a change", "Released"),
    Missing("SkipRevertRole", SECRET, "with a change", "Released"),
    Missing("SkipRevertRole", LOCK, "with a change", "Released"),
    *(
        Missing("ReleaseRole", "lambda:InvokeFunction", way, outcome, f"-prod-{function}")
        for function, way, outcome in (
            ("acquire-lock", "without a change", "ReleaseError"),
            ("judge-rollback", "goes back", "RollbackRefused"),
            ("create-deploy-request", "with a change", "ReleaseError"),
            ("get-deploy-request", "with a change", "TimedOut"),
            ("deploy-deploy-request", "with a change", "ReleaseError"),
            ("close-deploy-request", "without a change", "Released"),
            # Whether Lambda did it is not known, so the schema stays.
            ("create-container-deployment", "with a change", "ReleaseError"),
            ("get-container-deployment", "with a change", "TimedOut"),
            ("verify-service", "verified", "ReleaseError"),
            ("restore-containers", "serves badly", "RevertRefused"),
            ("revert-deploy-request", "containers that fail", "RevertRefused"),
            ("skip-revert", "with a change", "Released"),
            ("finish-release", "without a change", "ReleaseError"),
        )
    ),
]
START = {
    "ecr:DescribeImages": {},
    "dynamodb:Query": {"rollback": "previous"},
    "states:StartExecution": {},
    "dynamodb:PutItem": {},
    "dynamodb:GetItem": LOOK,
    "states:ListExecutions": LOOK,
    "states:DescribeExecution": LOOK,
}
GRANT = (
    "lightsail:GetContainerServices",
    "ecr:GetRepositoryPolicy",
    "ecr:SetRepositoryPolicy",
    "ecr:DeleteRepositoryPolicy",
)
# The functions that take the lock again after a redrive.
REDRIVEN = {"".join(word.title() for word in function.split("-")) + "Role": function for function in CHANGES}
OTHERS = {
    ("AcquireLockRole", "states:DescribeExecution"),
    ("ReleaseRole", "sns:Publish"),
    # Without them a release is as good, and tells no build: see test_origin.
    ("FinishReleaseRole", "codebuild:ListBuildsForProject"),
    ("FinishReleaseRole", "codebuild:BatchGetBuilds"),
    *((role, "dynamodb:PutItem") for role in (*REDRIVEN, "RestoreContainersRole")),
    *(("StartReleaseRole", action) for action in START),
    *(("GrantImagePullRole", action) for action in GRANT),
    *(("PreflightRole", action) for action in roles.roles()["PreflightRole"] if not action.startswith("logs:")),
}


def test_every_permission_is_tried_or_nobody_here_needs_it() -> None:
    granted = {(role, action) for role, actions in roles.roles().items() for action in actions}
    tried = {(missing.role, missing.action) for missing in RELEASES} | OTHERS
    elsewhere = {
        (role, action) for role, action in granted if role == "BuildRole" or roles.not_called_here(role, action)
    }
    assert tried | elsewhere == granted
    assert not tried & elsewhere


@pytest.mark.parametrize("missing", RELEASES, ids=str)
def test_a_release_without_a_permission_names_it(stage: Stage, missing: Missing) -> None:
    goes_back = missing.way == "goes back"
    if goes_back:
        older = stage.release(stage.prod).report["digest"]
        stage.release(stage.prod)
    elif missing.way != "without a change":
        stage.planetscale.sql("dev", ADD_DESCRIPTION)
    if missing.way == "containers that fail":
        stage.lightsail.next_image_fails()
    if missing.way == "serves badly":
        serve_badly(stage)
    is_verified = missing.way in ("verified", "serves badly")
    # A function that runs already may remember a secret.
    function = roles.function_of(missing.role)
    with (
        roles.without(stage.prod, missing.role, missing.action, missing.resource),
        stage.fresh(stage.prod, function),
        verified(stage) if is_verified else nullcontext(),
        stage.waits(0.005),
    ):
        if goes_back:
            execution = stage.retag("prod", older)
        else:
            digest = stage.push("prod")
            execution = stage.until(lambda: stage.executions_of(stage.prod, digest), "an execution")[0]
        ended = stage.prod.wait_for_execution(execution["executionArn"], within_seconds=300)

    arn = ended["executionArn"]
    assert stage.prod.end_state(arn) == missing.outcome
    assert ended["status"] == ("SUCCEEDED" if missing.outcome == "Released" else "FAILED")
    told: str = ended["cause"] if missing.outcome != "Released" else json.dumps(stage.prod.history(arn), default=str)
    assert missing.action in told, told
    # Either all of the change is there, with containers that know it, or nothing of it.
    serves = stage.lightsail.active_image("bookings-api-prod")
    if (
        missing.outcome in ("SchemaReverted",)
        or "DeployRequestRole" in missing.role
        and missing.outcome == "ReleaseError"
    ):
        assert "description" not in stage.planetscale.schema("main")
    if missing.outcome == "Released":
        assert serves == stage.prod.report(arn)["image"]


def test_a_release_that_cannot_see_who_holds_the_lock_leaves_it_alone(stage: Stage) -> None:
    first = a_release_at_work(stage)
    with roles.without(stage.prod, "AcquireLockRole", "states:DescribeExecution"), stage.waits(0.005):
        ended = stage.ended(stage.prod, stage.push("prod"))
    assert ended.outcome == "ReleaseError"
    assert "states:DescribeExecution" in ended.report["whatHappened"]
    assert stage.lock(stage.prod) == first


@pytest.mark.parametrize("role", REDRIVEN)
def test_a_redriven_release_that_cannot_take_its_lock_again_names_it(stage: Stage, role: str) -> None:
    arn = stop_at(stage, REDRIVEN[role])
    with roles.without(stage.prod, role, "dynamodb:PutItem"), stage.waits(0.005):
        stage.redrive(arn)
        stage.prod.wait_for_execution(arn, within_seconds=300)
    assert "dynamodb:PutItem" in json.dumps(stage.prod.history(arn), default=str)


def test_a_release_that_cannot_ask_for_an_approval_waits_for_it_and_its_history_says_why(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.planetscale.require_approval(True)
    with roles.without(stage.prod, "ReleaseRole", "sns:Publish"), stage.waits(0.005):
        digest = stage.push("prod")
        arn = stage.wait_for_state(stage.prod, digest, "WaitForApproval")
    assert "sns:Publish" in json.dumps(stage.prod.history(arn), default=str)
    stage.planetscale.person("approve")
    assert stage.ended(stage.prod, digest).outcome == "Released"


@pytest.mark.parametrize("action", START)
def test_a_start_without_a_permission_names_it(stage: Stage, action: str) -> None:
    a_release_at_work(stage)
    before = len(stage.prod.executions())
    with roles.without(stage.prod, "StartReleaseRole", action), pytest.raises(FunctionError, match=action):
        stage.prod.invoke(f"{stage.prod.stack_name}-start-release", START[action])
    # What was started is noted afterwards.
    assert len(stage.prod.executions()) == before + (action == "dynamodb:PutItem")


@pytest.mark.parametrize("action", sorted({action for role, action in OTHERS if role == "PreflightRole"}))
def test_a_preflight_without_a_permission_names_it(stage: Stage, action: str) -> None:
    stage.ended(stage.prod, stage.push("prod"))
    with roles.without(stage.prod, "PreflightRole", action), stage.fresh(stage.prod, "preflight"):
        answer = stage.prod.invoke(f"{stage.prod.stack_name}-preflight", {})
    unknown = [check["seen"] for check in answer["checks"] if check["status"] == "unknown"]
    assert any(action in seen for seen in unknown), answer


@pytest.mark.parametrize("action", GRANT)
def test_a_grant_without_a_permission_names_it_and_changes_nothing(stage: Stage, action: str, answers: Answers) -> None:
    ecr = stage.aws.client("ecr")
    whole = ecr.get_repository_policy(repositoryName=REPOSITORY)["policyText"]
    statements = json.loads(whole)["Statement"]
    properties = {"Repository": REPOSITORY, "Service": "bookings-api-prod", "ServiceToken": "none"}
    delete = action == "ecr:DeleteRepositoryPolicy"
    ours = [s for s in statements if "bookings-api-prod" in s["Sid"] or "prod" in json.dumps(s)]
    # What is left to do: everything, or to take the only statement away.
    left = ours[:1] if delete else [s for s in statements if s not in ours]
    ecr.set_repository_policy(
        repositoryName=REPOSITORY, policyText=json.dumps({"Version": "2012-10-17", "Statement": left})
    )
    before = ecr.get_repository_policy(repositoryName=REPOSITORY)["policyText"]
    event = {
        "RequestType": "Delete" if delete else "Create",
        "ResponseURL": answers.url,
        **{name: "only-for-the-tests" for name in ("StackId", "RequestId", "LogicalResourceId", "PhysicalResourceId")},
        "ResourceType": "Custom::ImagePullGrant",
        "ResourceProperties": properties,
    }
    try:
        with roles.without(stage.prod, "GrantImagePullRole", action), pytest.raises(FunctionError, match=action):
            stage.prod.invoke(f"{stage.prod.stack_name}-grant-image-pull", event)
        assert ecr.get_repository_policy(repositoryName=REPOSITORY)["policyText"] == before
        stage.prod.invoke(f"{stage.prod.stack_name}-grant-image-pull", event)
    finally:
        ecr.set_repository_policy(repositoryName=REPOSITORY, policyText=whole)
    assert [answer["Status"] for answer in answers.received] == ["FAILED", "SUCCESS"]
    assert action in answers.received[0]["Reason"]


class Answers:
    """What a custom resource answered CloudFormation."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.received: list[dict[str, Any]] = []


@pytest.fixture
def answers() -> Iterator[Answers]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            made.received.append(json.loads(body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made = Answers(f"http://127.0.0.1:{server.server_address[1]}/answer")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield made
        server.shutdown()


def a_release_at_work(stage: Stage) -> str:
    """The execution of a release that holds the lock until the test ends."""
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.planetscale.durations(in_progress=600_000)
    return stage.wait_for_state(stage.prod, stage.push("prod"), "WaitForSchema")
