"""The last call of an execution that was stopped: nobody else touches anything before it is over."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from stage import Stage, one_writer_at_a_time
from test_function_faults import FUNCTIONS, WAYS, check_nothing_twice, prepare

# The call of each function that changes something, and how long the emulators hold it here.
CALLS = {
    "create-deploy-request": ("POST", "deploy-requests"),
    "deploy-deploy-request": ("POST", "deploy-requests/*/deploy"),
    "close-deploy-request": ("PATCH", "deploy-requests/*"),
    "create-container-deployment": ("Lightsail", "CreateContainerServiceDeployment"),
    "revert-deploy-request": ("POST", "deploy-requests/*/revert"),
    "skip-revert": ("POST", "deploy-requests/*/skip-revert"),
}
HELD_MS = 5_000
# Seconds for which a last call is waited for here, instead of 70: far more than a call is held.
LAST_CALL = 10
# The lock is then looked at every 1.5 s.
SCALE = 0.15
SECONDS = 180


class Stopped:
    """A release that a person stopped while a call of one of its functions was held."""

    def __init__(self, stage: Stage, function: str) -> None:
        self.stage = stage
        method, self._call = CALLS[function]
        self._is_lightsail = method == "Lightsail"
        prepare(stage, FUNCTIONS[function])
        if self._is_lightsail:
            stage.lightsail.fault("delay", self._call, delayMs=HELD_MS)
        else:
            stage.planetscale.fault("delay", method=method, path=self._call, delay_ms=HELD_MS)
        self.digest = stage.push("prod")
        # The emulator holds the call until its time is over.
        stage.until(lambda: not self._pending(), f"call of {function}")
        self.arn = stage.executions_of(stage.prod, self.digest)[0]["executionArn"]
        stage.stop(self.arn)
        self._before = len(self._answered())

    def check_that_nothing_came_before_its_end(self) -> None:
        """The very next answer after the stop was that of the held call, by the emulator's own log."""
        after = self._answered()[self._before :]
        assert after[0].get("fault") == "delay", after
        assert len(after) > 1, "somebody else came later"
        assert one_writer_at_a_time(self.stage)

    def _pending(self) -> list[dict[str, Any]]:
        return self.stage.lightsail.pending_faults() if self._is_lightsail else self.stage.planetscale.pending_faults()

    def _answered(self) -> list[dict[str, Any]]:
        if self._is_lightsail:
            requests = self.stage.lightsail.api.get("/_control/requests")
            return [request for request in requests if request.get("service") == "bookings-api-prod"]
        return self.stage.planetscale.call_log()


@contextmanager
def stopped_in_the_middle_of(stage: Stage, function: str) -> Iterator[Stopped]:
    """A stopped release whose last call is at work; the next wait for it is long enough."""
    with stage.settings(stage.prod, "start-release", LAST_CALL=str(LAST_CALL)):
        stopped = Stopped(stage, function)
        with stage.waits(SCALE):
            stage.lightsail.api.delete("/_control/verdicts")
            yield stopped


def settling(stage: Stage, digest: str) -> str:
    """The release of this digest, as soon as it waits for somebody's last call with the lock in its hand."""
    arn = stage.wait_for_state(stage.prod, digest, "AcquireLock")
    stage.until(lambda: waits(stage, arn), "wait for the last call")
    assert stage.lock(stage.prod) == arn
    return arn


def waits(stage: Stage, arn: str) -> int:
    """How often the release was told that its lock is not to be used yet."""
    return stage.task_errors(arn).count("LockNotUsableYet")


@pytest.mark.parametrize("function", CALLS)
def test_the_next_release_holds_the_lock_at_once_and_touches_nothing_before_the_last_call_is_over(
    stage: Stage, function: str
) -> None:
    with stopped_in_the_middle_of(stage, function) as stopped:
        digest = stage.push("prod")
        settling(stage, digest)
        ended = stage.ended(stage.prod, digest, SECONDS)
    assert ended.outcome == "Released", ended.report["whatHappened"]
    stopped.check_that_nothing_came_before_its_end()
    assert stage.lightsail.active_image("bookings-api-prod") == ended.report["image"]
    assert stage.planetscale.open_requests() == []
    assert stage.lock(stage.prod) is None


@pytest.mark.parametrize("function", CALLS)
def test_a_redriven_release_waits_for_its_own_last_call(stage: Stage, function: str) -> None:
    with stopped_in_the_middle_of(stage, function) as stopped:
        stage.redrive(stopped.arn)
        ended = stage.execution_ended(stage.prod, stopped.arn, SECONDS)
    assert ended.outcome == WAYS[FUNCTIONS[function]][0], ended.report["whatHappened"]
    assert waits(stage, ended.arn)
    stopped.check_that_nothing_came_before_its_end()
    check_nothing_twice(stage, ended)


def test_a_takeover_whose_answer_was_lost_waits_all_the_same(stage: Stage) -> None:
    with stopped_in_the_middle_of(stage, "create-container-deployment") as stopped:
        stage.function_fault(stage.prod, "acquire-lock", "Lambda.ServiceException", worked=True)
        digest = stage.push("prod")
        settling(stage, digest)
        ended = stage.ended(stage.prod, digest, SECONDS)
    assert ended.outcome == "Released", ended.report["whatHappened"]
    assert stage.task_errors(ended.arn)[0] == "Lambda.ServiceException"
    stopped.check_that_nothing_came_before_its_end()


def test_a_release_that_is_overtaken_while_it_waits_for_a_last_call_frees_the_lock(stage: Stage) -> None:
    with stopped_in_the_middle_of(stage, "create-container-deployment") as stopped:
        overtaken = stage.push("prod")
        settling(stage, overtaken)
        last = stage.push("prod")
        assert stage.ended(stage.prod, overtaken, SECONDS).outcome == "Superseded"
        ended = stage.ended(stage.prod, last, SECONDS)
    assert ended.outcome == "Released", ended.report["whatHappened"]
    stopped.check_that_nothing_came_before_its_end()
    assert stage.lightsail.active_image("bookings-api-prod") == ended.report["image"]
    assert stage.lock(stage.prod) is None


def test_a_release_that_is_stopped_while_it_waits_for_a_last_call_leaves_the_wait_to_the_next(stage: Stage) -> None:
    with stopped_in_the_middle_of(stage, "create-container-deployment") as stopped:
        second = settling(stage, stage.push("prod"))
        stage.stop(second)
        third = stage.push("prod")
        holder = settling(stage, third)
        stage.redrive(second)
        assert stage.execution_ended(stage.prod, second, SECONDS).outcome == "Superseded"
        ended = stage.ended(stage.prod, third, SECONDS)
    assert (ended.arn, ended.outcome) == (holder, "Released"), ended.report["whatHappened"]
    stopped.check_that_nothing_came_before_its_end()
    assert stage.lightsail.active_image("bookings-api-prod") == ended.report["image"]
    assert stage.lock(stage.prod) is None


def test_a_release_that_is_redriven_in_its_wait_for_a_last_call_waits_once_more(stage: Stage) -> None:
    with stopped_in_the_middle_of(stage, "create-container-deployment") as stopped:
        arn = settling(stage, stage.push("prod"))
        stage.stop(arn)
        before = waits(stage, arn)
        stage.redrive(arn)
        ended = stage.execution_ended(stage.prod, arn, SECONDS)
    assert ended.outcome == "Released", ended.report["whatHappened"]
    assert waits(stage, arn) > before
    stopped.check_that_nothing_came_before_its_end()


def test_a_release_that_fails_between_takeover_and_wait_leaves_the_wait_to_the_next(stage: Stage) -> None:
    with stopped_in_the_middle_of(stage, "create-container-deployment") as stopped:
        stage.function_fault(stage.prod, "acquire-lock", "Lambda.ServiceException", worked=True)
        stage.function_fault(stage.prod, "acquire-lock", "Misconfigured")
        failed = stage.ended(stage.prod, stage.push("prod"), SECONDS)
        assert failed.outcome == "ReleaseError"
        assert stage.lock(stage.prod) == failed.arn
        digest = stage.push("prod")
        settling(stage, digest)
        ended = stage.ended(stage.prod, digest, SECONDS)
    assert ended.outcome == "Released", ended.report["whatHappened"]
    stopped.check_that_nothing_came_before_its_end()
    assert stage.lock(stage.prod) is None


def test_a_lock_that_was_freed_is_taken_without_a_wait(stage: Stage) -> None:
    assert stage.release(stage.prod).outcome == "Released"
    assert not waits(stage, stage.release(stage.prod).arn)
