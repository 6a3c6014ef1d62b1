"""A release that is redriven from the console goes on, and never beside another one."""

from __future__ import annotations

from collections import Counter
from threading import Thread

import pytest
from stage import ADD_DESCRIPTION, Stage, one_writer_at_a_time
from test_function_faults import FUNCTIONS, WAYS, check_nothing_twice, prepare

# Where a release may be stopped, and how the test keeps it there.
CHANGES = (
    "create-deploy-request",
    "deploy-deploy-request",
    "close-deploy-request",
    "create-container-deployment",
    "revert-deploy-request",
    "skip-revert",
)


def stop_at(stage: Stage, function: str) -> str:
    """A release that a person stopped while this function was tried in vain."""
    prepare(stage, FUNCTIONS[function])
    stage.function_fault(stage.prod, function, "Lambda.ServiceException", count=8)
    digest = stage.push("prod")
    arn = stage.wait_for_state(stage.prod, digest, "".join(word.title() for word in function.split("-")))
    stage.until(lambda: stage.task_errors(arn), f"failed {function}")
    stage.stop(arn)
    stage.clear_function_faults()
    return arn


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_release_that_was_stopped_at_a_function_goes_on_there(stage: Stage, function: str) -> None:
    arn = stop_at(stage, function)
    before = stage.prod.states(arn)
    stage.redrive(arn)
    ended = stage.execution_ended(stage.prod, arn)
    assert ended.outcome == WAYS[FUNCTIONS[function]][0], ended.report["whatHappened"]
    assert ended.states[: len(before)] == before
    assert "BeginRelease" not in ended.states[len(before) :]
    if function in CHANGES:
        assert "LockNotUsableYet" in stage.task_errors(arn), "the lock is taken again first"
        assert "AcquireLock" not in ended.states[len(before) :], "in place"
    check_nothing_twice(stage, ended)


@pytest.mark.parametrize(
    "state", ["WaitForValidation", "WaitForApproval", "WaitForSchema", "WaitForContainers", "WaitForRevert"]
)
def test_a_release_that_was_stopped_while_it_waited_goes_on_waiting(stage: Stage, state: str) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.planetscale.require_approval(state == "WaitForApproval")
    stage.planetscale.durations(pending=1_500, in_progress=1_500, in_progress_revert=1_500)
    if state == "WaitForRevert":
        stage.lightsail.next_image_fails()
    digest = stage.push("prod")
    arn = stage.wait_for_state(stage.prod, digest, state)
    stage.stop(arn)
    if state == "WaitForApproval":
        stage.planetscale.person("approve")
    stage.redrive(arn)
    ended = stage.execution_ended(stage.prod, arn)
    assert ended.outcome == ("SchemaReverted" if state == "WaitForRevert" else "Released"), ended.report["whatHappened"]
    check_nothing_twice(stage, ended)


def test_a_release_that_was_stopped_while_it_waited_for_its_turn_waits_again(stage: Stage) -> None:
    stage.lightsail.next_image_hangs()
    holder = stage.push("qa")
    stage.wait_for_state(stage.qa, holder, "WaitForContainers")
    waiting = stage.push("qa")
    arn = stage.wait_for_state(stage.qa, waiting, "WaitForTurn")
    stage.stop(arn)
    stage.redrive(arn)
    stage.until(lambda: stage.qa.states(arn).count("AcquireLock") > 2, "look at the lock")
    assert stage.lock(stage.qa) != arn
    stage.lightsail.clear()
    assert stage.execution_ended(stage.qa, arn).outcome == "Released"
    assert stage.ended(stage.qa, holder).outcome == "Released"


@pytest.mark.parametrize("function", CHANGES)
def test_a_release_whose_environment_another_took_over_changes_nothing_when_it_is_redriven(
    stage: Stage, function: str
) -> None:
    arn = stop_at(stage, function)
    stage.lightsail.clear()
    taken_over = stage.release(stage.prod)
    assert taken_over.outcome == "Released"
    calls = changes(stage)
    stage.redrive(arn)
    ended = stage.execution_ended(stage.prod, arn)
    assert ended.outcome == "ReleaseError"
    assert "took the environment over while this one was stopped" in ended.report["whatHappened"]
    assert changes(stage) == calls
    assert stage.lock(stage.prod) is None
    assert stage.lightsail.active_image("bookings-api-prod") == taken_over.report["image"]


def test_a_release_that_is_redriven_while_another_works_leaves_it_alone(stage: Stage) -> None:
    arn = stop_at(stage, "create-container-deployment")
    stage.lightsail.next_image_hangs()
    other = stage.push("prod")
    working = stage.wait_for_state(stage.prod, other, "WaitForContainers")
    stage.redrive(arn)
    ended = stage.execution_ended(stage.prod, arn)
    assert ended.outcome == "ReleaseError"
    assert f"the release {working.rsplit(':', 1)[1]} took the environment over" in ended.report["whatHappened"]
    assert stage.lock(stage.prod) == working
    stage.lightsail.clear()
    assert stage.ended(stage.prod, other).outcome == "Released"


@pytest.mark.parametrize("_try", range(4))
def test_of_a_redrive_and_a_takeover_at_the_same_moment_one_wins(stage: Stage, _try: int) -> None:
    arn = stop_at(stage, "create-container-deployment")
    redrive = Thread(target=stage.redrive, args=[arn])
    redrive.start()
    other = stage.push("prod")
    redrive.join()
    first = stage.execution_ended(stage.prod, arn)
    second = stage.ended(stage.prod, other)
    assert second.outcome == "Released", second.report["whatHappened"]
    assert first.outcome in ("Released", "ReleaseError"), first.report["whatHappened"]
    assert one_writer_at_a_time(stage)
    assert stage.lightsail.active_image("bookings-api-prod") == second.report["image"]
    assert stage.lock(stage.prod) is None


def test_a_release_that_ended_ends_in_the_same_way_when_it_is_redriven(stage: Stage) -> None:
    stage.lightsail.next_image_fails()
    ended = stage.release(stage.prod)
    assert ended.outcome == "ContainersFailed"
    stage.lightsail.clear()
    calls, records, events = changes(stage), stage.prod.records(), len(stage.prod.history(ended.arn))
    stage.redrive(ended.arn)
    assert stage.prod.wait_for_execution(ended.arn)["error"] == "ContainersFailed"
    assert [event["type"] for event in stage.prod.history(ended.arn)[events:]] == [
        "ExecutionRedriven",
        "FailStateEntered",
        "ExecutionFailed",
    ]
    assert stage.prod.records() == records
    assert changes(stage) == calls
    assert stage.release_by_hand(stage.prod).outcome == "Released"


def changes(stage: Stage) -> Counter[str]:
    """Calls of the two APIs that change something."""
    calls = Counter(stage.planetscale.calls()) + Counter(stage.lightsail.calls())
    return Counter({call: count for call, count in calls.items() if not call.startswith(("GET", "Get"))})
