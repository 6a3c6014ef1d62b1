"""Days of waiting, simulated: the machine waits in full, and the waits are cut short."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import figures
import pytest
from cloud import Environment
from stage import ADD_DESCRIPTION, Stage

HOUR, DAY = 3_600, 86_400
NEVER = 1_000 * DAY * 1000
# A history may have 25,000 events.
MOST_EVENTS = 15_000

LOOK = {"source": "aws.events", "detail-type": "Scheduled Event", "time": "2026-11-23T03:46:53Z", "detail": {}}


@contextmanager
def days_pass(stage: Stage, environment: Environment, digest: str, state: str) -> Iterator[Callable[[], float]]:
    """From this state on, the emulators' clocks go along with the waits of the release; how many seconds did so far."""
    arn = stage.wait_for_state(environment, digest, state)
    with stage.aws.time_passes(arn.rsplit(":", 1)[1]) as passed, stage.waits(0):
        yield passed


def test_a_migration_of_fourteen_days_fits_into_the_history(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.planetscale.durations(in_progress=(14 * DAY - HOUR) * 1000)
    digest = stage.push("prod")
    with days_pass(stage, stage.prod, digest, "WaitForSchema") as passed:
        ended = stage.ended(stage.prod, digest, within_seconds=500)
        days = passed() / DAY
    assert ended.outcome == "Released", ended.report["whatHappened"]
    assert days > 13.9
    events = len(stage.prod.history(ended.arn))
    assert events < MOST_EVENTS
    figures.figures["longest simulated migration"] = f"{days:.1f} days, {events:,} events"
    assert "description" in stage.planetscale.schema("main")


@pytest.mark.parametrize(("seconds", "most"), [(300, 120), (HOUR, 150), (14 * DAY - HOUR, 1_500)])
def test_a_migration_with_an_estimate_takes_few_state_transitions(stage: Stage, seconds: int, most: int) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.planetscale.durations(in_progress=seconds * 1000)
    stage.lightsail.durations(deployment=180_000)
    try:
        # Whatever release comes: the clocks go along from its first wait.
        with stage.aws.time_passes("prod-"), stage.waits(0):
            ended = stage.ended(stage.prod, stage.push("prod"), within_seconds=500)
    finally:
        stage.lightsail.durations(deployment=0)
    assert ended.outcome == "Released", ended.report["whatHappened"]
    transitions = len(ended.states)
    assert transitions <= most
    # More than the looks at the containers alone, so that the migration was waited for.
    assert "WaitForSchema" in ended.states
    figures.figures[f"state transitions of a migration of {seconds:,} s"] = f"{transitions:,}"


def test_a_rate_limit_that_holds_for_hours_is_waited_for(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.planetscale.durations(in_progress=HOUR * 1000)
    digest = stage.push("prod")
    with days_pass(stage, stage.prod, digest, "WaitForSchema") as passed:
        # Each is waited for up to ten minutes, five on average.
        stage.planetscale.fault("error", status=429, count=60)
        ended = stage.ended(stage.prod, digest, within_seconds=300)
        hours = passed() / HOUR
    assert ended.outcome == "Released", ended.report["whatHappened"]
    assert hours > 2
    assert stage.task_errors(ended.arn) == ["RateLimited"] * 60
    assert len(stage.prod.history(ended.arn)) < MOST_EVENTS
    assert stage.planetscale.calls()["POST deploy"] == 1
    figures.figures["longest rate limit"] = f"{hours:.1f} hours, 60 refused calls"


def test_a_rate_limit_that_never_ends_is_told(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.planetscale.durations(in_progress=NEVER)
    digest = stage.push("prod")
    with days_pass(stage, stage.prod, digest, "WaitForSchema"):
        stage.planetscale.fault("error", status=429, count=None)
        ended = stage.ended(stage.prod, digest, within_seconds=300)
    assert ended.outcome == "ReleaseError"
    assert "answered 429" in ended.report["whatHappened"]
    assert set(stage.task_errors(ended.arn)) == {"RateLimited"}
    assert stage.lock(stage.prod) is None


def test_an_approval_that_takes_two_days_is_waited_for(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.planetscale.require_approval(True)
    # After the approval PlanetScale validates once more: that has a deadline of its own.
    stage.planetscale.settings(still_validating={"count": 3, "ms": 0})
    digest = stage.push("prod")
    with days_pass(stage, stage.prod, digest, "WaitForApproval") as passed:
        stage.until(lambda: passed() > 2 * DAY, "two days", 300)
        stage.planetscale.person("approve")
        ended = stage.ended(stage.prod, digest, within_seconds=300)
    assert ended.outcome == "Released", ended.report["whatHappened"]
    assert len(stage.prod.history(ended.arn)) < MOST_EVENTS


def test_a_lock_that_is_held_for_most_of_a_day_is_waited_for(stage: Stage) -> None:
    with stage.settings(stage.qa, "start-release", CONTAINERS_DEADLINE=str(7 * DAY)):
        holder, waiting = hold(stage)
        with days_pass(stage, stage.qa, waiting, "WaitForTurn") as passed:
            stage.until(lambda: passed() > 20 * HOUR, "twenty hours", 300)
            stage.lightsail.clear()
            assert stage.ended(stage.qa, holder, within_seconds=300).outcome == "Released"
            ended = stage.ended(stage.qa, waiting, within_seconds=300)
    assert ended.outcome == "Released", ended.report["whatHappened"]


def test_a_lock_that_is_held_for_longer_than_a_day_is_told_and_the_image_is_released_by_hand(stage: Stage) -> None:
    with stage.settings(stage.qa, "start-release", CONTAINERS_DEADLINE=str(7 * DAY)):
        holder, waiting = hold(stage)
        with days_pass(stage, stage.qa, waiting, "WaitForTurn"):
            ended = stage.ended(stage.qa, waiting, within_seconds=300)
        stage.lightsail.clear()
        assert stage.ended(stage.qa, holder, within_seconds=300).outcome == "Released"
    assert ended.outcome == "TimedOut"
    assert "The deadline for the lock of the environment (1 d) passed." in ended.report["whatHappened"]
    assert len(stage.qa.history(ended.arn)) < MOST_EVENTS
    assert "was seen before" in stage.qa.invoke("bookings-api-qa-start-release", LOOK)["because"]
    assert stage.release_by_hand(stage.qa).outcome == "Released"


def hold(stage: Stage) -> tuple[str, str]:
    """A release that holds qa's lock, and one that waits for it."""
    stage.lightsail.next_image_hangs()
    holder = stage.push("qa")
    stage.wait_for_state(stage.qa, holder, "WaitForContainers")
    return holder, stage.push("qa")


@pytest.mark.parametrize(
    ("setting", "durations", "hangs", "outcome", "what"),
    [
        ("VALIDATION_DEADLINE", {"pending": NEVER}, False, "TimedOut", "validation"),
        ("SCHEMA_DEADLINE", {"in_progress": NEVER}, False, "TimedOut", "the schema"),
        ("REVERT_DEADLINE", {"in_progress_revert": NEVER}, False, "TimedOut", "the revert"),
        ("CONTAINERS_DEADLINE", {}, True, "TimedOut", "the containers"),
    ],
)
def test_each_deadline_says_which_it_was(
    stage: Stage, setting: str, durations: dict[str, Any], hangs: bool, outcome: str, what: str
) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.planetscale.durations(**durations)
    if hangs:
        stage.lightsail.next_image_hangs()
    if what == "the revert":
        stage.lightsail.next_image_fails()
    with stage.settings(stage.prod, "start-release", **{setting: str(3 * HOUR)}), stage.waits(0.0005):
        ended = stage.release(stage.prod)
    assert ended.outcome == outcome
    assert f"The deadline for {what} (3 h) passed." in ended.report["whatHappened"]
    if what == "the containers":
        assert " The schema change is applied." in ended.report["whatHappened"]
    assert stage.lock(stage.prod) is None


def test_a_service_that_is_busy_for_too_long_is_told(stage: Stage) -> None:
    usual = stage.lightsail.settings()["updateMs"]
    stage.lightsail.settings(updateMs=600_000)
    act = {"serviceName": "bookings-api-qa", "scale": 3}
    stage.lightsail.api.post("/_control/act/UpdateContainerService", act)
    try:
        with stage.settings(stage.qa, "start-release", CONTAINERS_DEADLINE=str(HOUR)), stage.waits(0.0005):
            ended = stage.release(stage.qa)
    finally:
        stage.lightsail.settings(updateMs=usual)
    assert ended.outcome == "TimedOut"
    assert "The deadline for the containers (1 h) passed." in ended.report["whatHappened"]
    assert "is UPDATING" in ended.report["whatHappened"]


def test_every_deadline_is_a_parameter_of_the_stack(stage: Stage) -> None:
    client = stage.aws.client("lambda")
    variables = client.get_function_configuration(FunctionName="bookings-api-qa-start-release")["Environment"][
        "Variables"
    ]
    set_here = {name for name in variables if name.endswith("_DEADLINE")}
    stack = stage.aws.client("cloudformation").describe_stacks(StackName="bookings-api-qa")["Stacks"][0]
    parameters = {parameter["ParameterKey"]: parameter["ParameterValue"] for parameter in stack["Parameters"]}
    assert len(set_here) == 6
    for name in set_here:
        assert variables[name] == parameters[name.replace("_", " ").title().replace(" ", "")]
