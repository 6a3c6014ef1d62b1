"""Many pushes at once, and releases that die: one works at a time, and the last push wins."""

from __future__ import annotations

from stage import ADD_DESCRIPTION, Stage, one_writer_at_a_time


def test_of_many_pushes_one_works_at_a_time_and_the_last_wins(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    digests = [stage.push("prod") for _ in range(6)]
    ended = [stage.ended(stage.prod, digest) for digest in digests]
    assert ended[-1].outcome == "Released"
    assert {release.outcome for release in ended} <= {"Released", "Superseded"}
    assert stage.lightsail.active_image("bookings-api-prod") == ended[-1].report["image"]
    released = sum(release.outcome == "Released" for release in ended)
    assert stage.lightsail.calls()["CreateContainerServiceDeployment"] == released
    assert one_writer_at_a_time(stage)
    assert stage.planetscale.calls()["POST deploy"] == 1, "the column is added once"
    assert stage.planetscale.open_requests() == []
    assert stage.lock(stage.prod) is None


def test_two_environments_do_not_wait_for_each_other(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.planetscale.durations(in_progress=8_000)
    slow = stage.push("prod")
    stage.wait_for_state(stage.prod, slow, "WaitForSchema")
    assert stage.release(stage.qa).outcome == "Released"
    assert stage.ended(stage.prod, slow).outcome == "Released"


def test_a_release_that_was_stopped_by_hand_does_not_block_the_next(stage: Stage) -> None:
    stage.lightsail.next_image_hangs()
    stopped = stage.push("qa")
    arn = stage.wait_for_state(stage.qa, stopped, "WaitForContainers")
    stage.aws.client("stepfunctions").stop_execution(executionArn=arn)
    assert stage.lock(stage.qa) == arn
    told = stage.qa.invoke(
        "bookings-api-qa-start-release",
        {"source": "aws.events", "detail-type": "Scheduled Event", "time": "2026-11-23T03:46:53Z", "detail": {}},
    )
    assert told["started"] is None and "A person stopped" in told["because"]
    stage.lightsail.clear()
    released = stage.push("qa")
    waiting = stage.wait_for_state(stage.qa, released, "AcquireLock")
    stage.until(lambda: stage.lock(stage.qa) == waiting, "takeover of the lock")


def test_a_slow_holder_never_loses_its_lock(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.planetscale.durations(in_progress=6_000)
    slow = stage.push("prod")
    holder = stage.wait_for_state(stage.prod, slow, "WaitForSchema")
    later = stage.push("prod")
    waiting = stage.wait_for_state(stage.prod, later, "WaitForTurn")
    looks = lambda: stage.prod.states(waiting).count("AcquireLock")  # noqa: E731
    stage.until(lambda: looks() > 10, "ten looks at the lock")
    assert stage.lock(stage.prod) == holder
    assert stage.ended(stage.prod, slow).outcome == "Released"
    assert stage.ended(stage.prod, later).outcome == "Released"
