"""How the figures are made of what was seen."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from cloud.local_aws import REPOSITORY

from benches import model, releases, scale, world

STATE_MACHINE = Path(__file__).parents[1] / "statemachine" / "release.asl.yaml"
# About the calls of a release with a change of the schema.
STEPS = [model.Step(0, 3), model.Step(5, 1), model.Step(0, 2), model.Step(20, 1), model.Step(30, 2)]


@pytest.fixture
def retry() -> model.Retry:
    return model.retry_of_a_refused_call(STATE_MACHINE)


@pytest.mark.parametrize("number", [1, 100, 2_000])
def test_the_retry_of_a_refused_call_holds_any_number_of_releases_within_the_limit(
    retry: model.Retry, number: int
) -> None:
    found = model.simulate(number, STEPS, retry)
    assert found["releases_given_up"] == 0
    assert found["most_accepted_calls_in_60_seconds"] <= model.LIMIT
    # The calls of a try that was refused half way are made anew.
    assert found["accepted_calls"] >= number * sum(step.calls for step in STEPS)
    assert (found["refused_calls"] > 0) == (number * sum(step.calls for step in STEPS) > model.LIMIT)


def test_a_retry_that_ends_soon_gives_releases_up(retry: model.Retry) -> None:
    impatient = model.Retry("RateLimited", 1, 2, 3, retry.most_seconds, retry.full_jitter)
    assert model.simulate(2_000, STEPS, impatient)["releases_given_up"] > 0


@pytest.mark.parametrize(
    ("times", "most"), [([], 0), ([7], 1), ([0, 59.9, 60], 2), ([60, 0, 59.9], 2), ([1, 1, 1, 62, 63], 3)]
)
def test_the_most_calls_of_any_minute(times: list[float], most: int) -> None:
    assert scale._most_in_a_minute(times) == most


def test_every_state_that_calls_a_function_is_priced_by_it() -> None:
    functions = world.functions_of_states()
    assert functions["TakeBaseline"] == functions["VerifyOldContainers"] == "verify-service"
    assert functions["FollowRevert"] == "get-deploy-request" and "AskForApproval" not in functions
    assert all((REPOSITORY / "functions" / function).is_dir() for function in functions.values())


def test_transitions_are_states_and_retries() -> None:
    assert world.transitions(HISTORY) == 4
    assert [(call.function, call.milliseconds) for call in world.calls(HISTORY)] == [
        ("get-deploy-request", 1000),
        ("get-deploy-request", 1000),
    ]
    assert world.outcome(HISTORY) == "Released"
    assert world.outcome([]) == "(no state)"


@pytest.mark.parametrize(
    ("waited", "lag", "within"), [(600, 60, True), (600, 61, False), (10, 5, True), (10, 6, False)]
)
def test_a_lag_is_held_against_its_wait(waited: float, lag: float, within: bool) -> None:
    found = releases._lag("it", 1_000, 1_000 + waited, iter([1_000 + waited - 1, 1_000 + waited + lag, 9_999]))
    assert (found["waited_seconds"], found["lag_seconds"]) == (waited, lag)
    assert found["within_goal"] == within


def test_durations_grow_by_the_same_factor() -> None:
    assert releases.durations(1, 8, 4) == [1, 2, 4, 8]


def _history(*events: tuple[str, dict[str, Any]]) -> list[dict[str, Any]]:
    begin = datetime(2026, 11, 23, tzinfo=timezone.utc)
    return [
        {"type": kind, "timestamp": begin + timedelta(seconds=index), **details}
        for index, (kind, details) in enumerate(events)
    ]


def _entered(kind: str, name: str) -> tuple[str, dict[str, Any]]:
    return f"{kind}StateEntered", {"stateEnteredEventDetails": {"name": name}}


_STARTED = ("TaskStarted", {"taskStartedEventDetails": {"resourceType": "lambda"}})
HISTORY = _history(
    ("ExecutionStarted", {}),
    _entered("Task", "GetDeployRequest"),
    *(("TaskScheduled", {}), _STARTED, ("TaskFailed", {})),
    *(("TaskScheduled", {}), _STARTED, ("TaskSucceeded", {})),
    _entered("Wait", "WaitForSchema"),
    _entered("Succeed", "Released"),
)
