"""Outages, simulated: a release that waits under a deadline outlives them, and one that acts tries for a while."""

from __future__ import annotations

from stage import ADD_DESCRIPTION, Stage
from test_function_faults import check_nothing_twice
from test_time import DAY, HOUR, NEVER, days_pass

MINUTE = 60
# The tries of one look before it is one more wait, of five minutes at the most.
TRIES = 6
WAIT = 5 * MINUTE


def looks_in(seconds: int) -> int:
    """How many looks without an answer there are at least in a time."""
    return seconds // WAIT + 1


def test_ten_minutes_of_503_in_a_migration_of_a_day_end_no_release(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.planetscale.durations(in_progress=DAY * 1000)
    digest = stage.push("prod")
    with days_pass(stage, stage.prod, digest, "WaitForSchema") as passed:
        before = passed()
        stage.planetscale.fault("error", status=503, count=looks_in(10 * MINUTE) * TRIES)
        ended = stage.ended(stage.prod, digest, within_seconds=240)
        assert passed() - before > 10 * MINUTE
    assert ended.outcome == "Released", ended.report["whatHappened"]
    assert stage.task_errors(ended.arn) == ["Retryable"] * looks_in(10 * MINUTE) * TRIES
    check_nothing_twice(stage, ended)


def test_an_hour_without_planetscale_ends_no_release(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.planetscale.durations(in_progress=DAY * 1000)
    digest = stage.push("prod")
    with days_pass(stage, stage.prod, digest, "WaitForSchema"):
        stage.planetscale.fault("reset", count=looks_in(HOUR) * TRIES)
        ended = stage.ended(stage.prod, digest, within_seconds=240)
    assert ended.outcome == "Released", ended.report["whatHappened"]
    assert set(stage.task_errors(ended.arn)) == {"Retryable"}
    assert any("No answer to" in str(event) for event in stage.prod.history(ended.arn)), "the history says why"
    check_nothing_twice(stage, ended)


def test_lightsails_throttling_for_ten_minutes_ends_no_release(stage: Stage) -> None:
    # Tried so often, a call is made for more than ten minutes in the mean.
    creates = 18
    stage.lightsail.fault("throttling", "CreateContainerServiceDeployment", count=creates)
    # Each of those, and the one that succeeds, looks at the deployments first. A look's call is made three times by the SDK.
    looks = 3 * TRIES * looks_in(10 * MINUTE)
    stage.lightsail.fault("throttling", "GetContainerServiceDeployments", count=looks, skip=creates + 1)
    with stage.waits(0.002):
        ended = stage.release(stage.qa)
    assert ended.outcome == "Released", ended.report["whatHappened"]
    assert "throttling" not in str(stage.lightsail.pending_faults()), "every fault was met"
    assert stage.lock(stage.qa) is None


def test_a_service_that_never_answers_again_is_told_at_the_deadline(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.planetscale.durations(in_progress=NEVER)
    with stage.settings(stage.prod, "start-release", SCHEMA_DEADLINE=str(HOUR)):
        digest = stage.push("prod")
        with days_pass(stage, stage.prod, digest, "WaitForSchema"):
            stage.planetscale.fault("error", status=503, count=None)
            ended = stage.ended(stage.prod, digest, within_seconds=240)
    assert ended.outcome == "TimedOut"
    told = ended.report["whatHappened"]
    assert "The deadline for the schema passed. There has been no answer since 20" in told
    assert "answered 503" in told
    assert stage.lock(stage.prod) is None
