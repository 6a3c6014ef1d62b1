"""Released means it serves: what the public URL answers decides, and what serves badly is undone whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import roles
from stage import ADD_DESCRIPTION, DROP_STARS, Ended, Stage
from test_outcomes import check
from test_service_states import disable, disabled_later

PROD = "bookings-api-prod"
CREATE = "CreateContainerServiceDeployment"


@contextmanager
def verified(stage: Stage, seconds: int = 30, **more: str) -> Iterator[None]:
    """Releases of prod are verified for so long."""
    with stage.settings(stage.prod, "start-release", VERIFY_FOR=str(seconds), VERIFY_PATHS="/,/hotels=200", **more):
        yield


def serve_badly(stage: Stage, **how: Any) -> Ended:
    """A version that serves; every later one answers /hotels badly."""
    good = stage.release(stage.prod)
    assert good.outcome == "Released", good.report["whatHappened"]
    stage.lightsail.answers("/hotels", **(how or {"status": 500}))
    stage.lightsail.answers("/hotels", image=good.report["image"])
    return good


def check_undone(stage: Stage, good: Ended, ended: Ended) -> None:
    check(stage, stage.prod, ended, "Undone")
    assert stage.lightsail.active_image(PROD) == good.report["image"]
    assert ended.report["restored"]["image"] == good.report["image"]
    assert ended.report["restored"]["version"] == stage.lightsail.service(PROD)["currentDeployment"]["version"]
    assert "/hotels" in ended.report["whatHappened"]
    assert stage.planetscale.open_requests() == []


def test_a_release_that_serves_is_looked_at_before_anything_on_the_new_schema_and_at_the_end(stage: Stage) -> None:
    assert stage.release(stage.prod).outcome == "Released"
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    with verified(stage, 120):
        ended = stage.release(stage.prod)
    check(stage, stage.prod, ended, "Released")
    order = [
        "TakeBaseline",
        "DeployDeployRequest",
        "VerifyOldContainers",
        "CreateContainerDeployment",
        "VerifyService",
        "SkipRevert",
    ]
    assert sorted(order, key=ended.states.index) == order
    looks = ended.report["looks"]
    assert (looks["moment"], looks["good"], looks["bad"]) == ("NewContainers", 8, 0)
    assert [(path["path"], path["answered"], path["good"], path["tries"]) for path in looks["paths"]] == [
        ("/", "200", 10, 10),
        ("/hotels", "200", 10, 10),
    ]
    assert "answered for 1 min 55 s: 8 looks, none bad" in ended.report["whatHappened"]
    verification = [
        state
        for state in ended.states
        if "Verif" in state or "Serve" in state or state in ("TakeBaseline", "DoesItServe?", "WaitForOldContainers")
    ]
    assert len(verification) <= 30, verification


def test_nothing_is_asked_where_the_parameter_says_so(stage: Stage) -> None:
    stage.lightsail.answers(status=500)
    ended = stage.release(stage.prod)
    check(stage, stage.prod, ended, "Released")
    assert not {"TakeBaseline", "VerifyOldContainers", "VerifyService"} & set(ended.states)
    assert ended.report["looks"] is None


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"status": 500}, "500 instead of 200 in 10 of 10 tries"),
        ({"status": 302}, "302 instead of 200"),
        ({"status": 500, "afterRequests": 30}, "500 instead of 200"),
        ({"status": 500, "flapping": {"holds": 7, "rests": 3}}, "7 of 10 tries"),
        ({"delayMs": 60_000}, "no answer in 5 s"),
    ],
    ids=["from the start", "a redirect", "late", "flapping", "slow"],
)
def test_an_image_that_serves_badly_is_undone(stage: Stage, how: dict[str, Any], told: str) -> None:
    good = serve_badly(stage, **how)
    with verified(stage, 120):
        ended = stage.release(stage.prod)
    check_undone(stage, good, ended)
    assert told in ended.report["whatHappened"]
    assert "schema was not changed" in ended.report["whatHappened"]
    assert ended.report["looks"]["badInARow"] == 2, "noticed at the second bad look"


def test_answers_that_are_bad_now_and_then_are_no_reason(stage: Stage) -> None:
    serve_badly(stage, status=500, flapping={"holds": 3, "rests": 7})
    with verified(stage):
        ended = stage.release(stage.prod)
    check(stage, stage.prod, ended, "Released")


def test_containers_go_back_first_and_then_the_schema(stage: Stage) -> None:
    good = serve_badly(stage)
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    with verified(stage):
        ended = stage.release(stage.prod)
    check_undone(stage, good, ended)
    assert "description" not in stage.planetscale.schema("main")
    assert ended.report["schema"] == "Reverted"
    order = [
        "VerifyService",
        "RestoreContainers",
        "FollowRestoredContainers",
        "VerifyRestoredContainers",
        "RevertDeployRequest",
    ]
    assert sorted(order, key=ended.states.index) == order
    assert stage.planetscale.calls()["POST revert"] == 1
    assert "POST skip-revert" not in stage.planetscale.calls()


def test_old_containers_that_do_not_stand_the_new_schema_take_it_back_at_once(stage: Stage) -> None:
    good = stage.release(stage.prod)
    # The first look is the one before anything.
    stage.lightsail.answers("/hotels", image=good.report["image"], status=500, afterRequests=10)
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    deployments = stage.lightsail.calls()[CREATE]
    with verified(stage):
        ended = stage.release(stage.prod)
    check(stage, stage.prod, ended, "SchemaReverted")
    assert "The old containers no longer answer /hotels" in ended.report["whatHappened"]
    assert "description" not in stage.planetscale.schema("main")
    assert stage.lightsail.calls()[CREATE] == deployments, "no new containers were started"


def test_what_failed_before_is_told_and_not_held_against_the_release(stage: Stage) -> None:
    stage.release(stage.prod)
    stage.lightsail.answers("/hotels", status=500)
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    with verified(stage):
        ended = stage.release(stage.prod)
    check(stage, stage.prod, ended, "Released")
    assert "What failed before the release already: /hotels." in ended.report["whatHappened"]


def test_a_drop_comes_only_after_the_verification(stage: Stage) -> None:
    good = serve_badly(stage)
    stage.planetscale.sql("dev", DROP_STARS)
    with verified(stage, DESTRUCTIVE_CHANGES="after-containers"):
        ended = stage.release(stage.prod)
        check_undone(stage, good, ended)
        assert "stars" in stage.planetscale.schema("main")
        assert "POST deploy" not in stage.planetscale.calls()
        stage.lightsail.answers("/hotels")
        ended = stage.release(stage.prod)
    check(stage, stage.prod, ended, "Released")
    assert ended.states.index("VerifyService") < ended.states.index("DeployDeployRequest")
    assert "stars" not in stage.planetscale.schema("main")


def test_what_serves_badly_is_kept_where_the_policy_says_so(stage: Stage) -> None:
    serve_badly(stage)
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    with verified(stage, ON_VERIFICATION_FAILURE="keep"):
        ended = stage.release(stage.prod)
    check(stage, stage.prod, ended, "ContainersFailed")
    assert stage.lightsail.active_image(PROD) == ended.report["image"]
    assert "description" in stage.planetscale.schema("main")
    assert "they were kept, and so was the schema change" in ended.report["whatHappened"]
    assert "can be reverted until" in ended.report["whatHappened"]


def test_a_schema_that_cannot_go_back_after_the_containers_did_needs_a_person(stage: Stage) -> None:
    good = serve_badly(stage)
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.planetscale.next_revert_is_refused()
    with verified(stage):
        ended = stage.release(stage.prod)
    check(stage, stage.prod, ended, "RevertRefused")
    assert stage.lightsail.active_image(PROD) == good.report["image"]
    assert "description" in stage.planetscale.schema("main")
    assert "The version before runs again, but on the new schema" in ended.report["whatHappened"]


def test_a_version_before_that_does_not_start_needs_a_person(stage: Stage) -> None:
    serve_badly(stage)
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    with verified(stage, 1_500):
        stage.lightsail.answers("/hotels", status=500, afterRequests=50)
        digest = stage.push("prod")
        stage.wait_for_state(stage.prod, digest, "VerifyService")
        stage.lightsail.next_image_fails()
        ended = stage.ended(stage.prod, digest)
    check(stage, stage.prod, ended, "RevertRefused")
    assert stage.lightsail.active_image(PROD) == ended.report["image"]
    assert "description" in stage.planetscale.schema("main"), "what serves needs it"
    assert "the version before could not be brought back" in ended.report["whatHappened"]


def test_a_person_who_deploys_past_the_release_is_not_undone(stage: Stage) -> None:
    good = stage.release(stage.prod)
    with verified(stage, 1_500):
        digest = stage.push("prod")
        stage.wait_for_state(stage.prod, digest, "WaitForVerification")
        containers = {"app": {"image": good.report["image"], "ports": {"80": "HTTP"}}}
        endpoint = {"containerName": "app", "containerPort": 80}
        stage.lightsail.person(CREATE, serviceName=PROD, containers=containers, publicEndpoint=endpoint)
        ended = stage.ended(stage.prod, digest)
    check(stage, stage.prod, ended, "ContainersFailed")
    assert "somebody deployed past this release" in ended.report["whatHappened"]
    assert "RestoreContainers" not in ended.states
    assert stage.lightsail.active_image(PROD) == good.report["image"]


def test_a_service_that_is_disabled_while_it_is_verified_is_told(stage: Stage) -> None:
    stage.release(stage.prod)
    with verified(stage, 1_500), disabled_later(stage):
        digest = stage.push("prod")
        stage.wait_for_state(stage.prod, digest, "WaitForVerification")
        disable(stage)
        ended = stage.ended(stage.prod, digest)
    # While it is on its way into being disabled nothing tells it from containers that serve badly.
    assert ended.outcome in ("ContainersFailed", "RevertRefused"), ended.report["whatHappened"]
    assert "is disabled" in ended.report["whatHappened"]
    assert "nothing serves" in ended.report["whatHappened"]


def test_siblings_go_back_as_they_were(stage: Stage) -> None:
    good = stage.release(stage.prod)
    before = stage.lightsail.service(PROD)["currentDeployment"]["containers"]["app"]
    sibling = {"image": good.report["image"], "environment": {"SIBLING": "one"}, "ports": {"8080": "HTTP"}}
    containers = {"app": {"image": before["image"], "ports": {"80": "HTTP"}}, "sibling": sibling}
    endpoint = {"containerName": "app", "containerPort": 80, "healthCheck": {"path": "/healthz"}}
    stage.lightsail.person(CREATE, serviceName=PROD, containers=containers, publicEndpoint=endpoint)
    stage.until(lambda: "sibling" in current(stage)["containers"], "siblings")
    held = current(stage)
    stage.lightsail.answers("/hotels", status=500)
    stage.lightsail.answers("/hotels", image=good.report["image"])
    with verified(stage):
        ended = stage.release(stage.prod)
    check_undone(stage, good, ended)
    now = current(stage)
    assert now["publicEndpoint"] == held["publicEndpoint"]
    assert now["containers"].keys() == held["containers"].keys()
    assert now["containers"]["sibling"] == held["containers"]["sibling"]
    assert now["containers"]["app"]["environment"]["RELEASE_UNDONE"] == ended.report["execution"]


def current(stage: Stage) -> dict[str, Any]:
    services = stage.lightsail.api.get("/_control/services?environment=true")
    return next(service for service in services if service["containerServiceName"] == PROD)["currentDeployment"]


@pytest.mark.parametrize("kind", ["resetAfter", "errorAfter", "throttling", "serviceException"])
def test_an_undo_whose_answer_is_lost_is_not_worked_twice(stage: Stage, kind: str) -> None:
    good = serve_badly(stage)
    stage.lightsail.fault(kind, CREATE, skip=1)
    with verified(stage):
        ended = stage.release(stage.prod)
    check_undone(stage, good, ended)
    undone = [
        deployment
        for deployment in stage.lightsail.api.get("/_control/services?environment=true")
        for deployment in deployment["deployments"]
        if deployment["containers"].get("app", {}).get("environment", {}).get("RELEASE_UNDONE")
        == ended.report["execution"]
    ]
    assert len(undone) == 1
    assert stage.lightsail.pending_faults() == []


@pytest.mark.parametrize("error", ["Lambda.Unknown", "Lambda.ServiceException", "Runtime.OutOfMemory"])
def test_functions_fail_before_and_after_their_work_and_nothing_is_lost_or_done_twice(stage: Stage, error: str) -> None:
    good = serve_badly(stage)
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    killed = error != "Lambda.ServiceException"
    for function in ("verify-service", "restore-containers"):
        for worked in (False, True):
            stage.function_fault(stage.prod, function, error, worked=worked, killed=killed)
    with verified(stage), stage.waits(0.005):
        ended = stage.release(stage.prod)
    assert ended.outcome == "Undone", ended.report["whatHappened"]
    assert stage.lightsail.active_image(PROD) == good.report["image"]
    assert stage.pending_function_faults() == [], "every fault was met"


@pytest.mark.parametrize(
    ("function", "expected", "schema"),
    [("verify-service", "ReleaseError", False), ("restore-containers", "RevertRefused", True)],
)
def test_a_function_that_never_works_ends_the_release_in_a_named_outcome(
    stage: Stage, function: str, expected: str, schema: bool
) -> None:
    serve_badly(stage)
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.function_fault(stage.prod, function, "Lambda.Unknown", count=14, cause="out of memory")
    with verified(stage), stage.waits(0.002):
        ended = stage.release(stage.prod)
    assert ended.outcome == expected
    assert "failed with Lambda.Unknown: out of memory" in ended.report["whatHappened"]
    assert ("description" in stage.planetscale.schema("main")) == schema
    assert stage.lock(stage.prod) is None


@pytest.mark.parametrize("function", ["verify-service", "restore-containers"])
def test_a_release_that_was_stopped_goes_on_where_it_was(stage: Stage, function: str) -> None:
    good = serve_badly(stage)
    state = {"verify-service": "TakeBaseline", "restore-containers": "RestoreContainers"}[function]
    stage.function_fault(stage.prod, function, "Lambda.ServiceException", count=8)
    with verified(stage):
        digest = stage.push("prod")
        arn = stage.wait_for_state(stage.prod, digest, state)
        stage.until(lambda: stage.task_errors(arn), f"failed {function}")
        stage.stop(arn)
        stage.clear_function_faults()
        stage.redrive(arn)
        ended = stage.execution_ended(stage.prod, arn)
    assert ended.outcome == "Undone", ended.report["whatHappened"]
    assert stage.lightsail.active_image(PROD) == good.report["image"]
    assert "LockNotUsableYet" in stage.task_errors(arn), "the lock is taken again first"
    assert stage.lock(stage.prod) is None


def test_an_undo_that_cannot_take_its_lock_again_names_it(stage: Stage) -> None:
    serve_badly(stage)
    stage.function_fault(stage.prod, "restore-containers", "Lambda.ServiceException", count=8)
    with verified(stage):
        arn = stage.wait_for_state(stage.prod, stage.push("prod"), "RestoreContainers")
        stage.until(lambda: stage.task_errors(arn), "failed restore-containers")
        stage.stop(arn)
        stage.clear_function_faults()
        with roles.without(stage.prod, "RestoreContainersRole", "dynamodb:PutItem"), stage.waits(0.005):
            stage.redrive(arn)
            ended = stage.execution_ended(stage.prod, arn)
    assert ended.outcome == "RevertRefused"
    assert "dynamodb:PutItem" in ended.report["whatHappened"]


def test_a_wrong_list_of_paths_starts_no_release_and_says_why(stage: Stage) -> None:
    with (
        stage.settings(stage.prod, "start-release", VERIFY_PATHS="hotels"),
        pytest.raises(Exception, match="VerifyPaths"),
    ):
        stage.release_by_hand(stage.prod)
