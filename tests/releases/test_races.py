"""Many pushes at once, and releases that die: one works at a time, and the last push wins."""

from __future__ import annotations

import json
import random
import secrets
from datetime import datetime
from typing import Any

from cloud import push_event, push_image
from stage import ADD_DESCRIPTION, REPOSITORY, Stage, one_writer_at_a_time


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


def test_of_fifty_pushes_in_quick_succession_the_last_wins(stage: Stage) -> None:
    stage.aws.deliver_image_events("twice")
    before = len(stage.qa.executions())
    digests = [stage.push("qa") for _ in range(50)]
    last = stage.ended(stage.qa, digests[-1], within_seconds=300)
    assert last.outcome == "Released", last.report["whatHappened"]
    stage.until(lambda: not running(stage), "end of all releases", 300)
    ended = [stage.ended(stage.qa, digest) for digest in digests]
    assert {release.outcome for release in ended} <= {"Released", "Superseded"}
    assert len(stage.qa.executions()) == before + 50, "each event was delivered twice"
    released = sum(release.outcome == "Released" for release in ended)
    assert stage.lightsail.calls()["CreateContainerServiceDeployment"] == released
    assert stage.lightsail.active_image("bookings-api-qa") == last.report["image"]
    assert one_writer_at_a_time(stage)
    assert stage.lock(stage.qa) is None


def test_events_that_arrive_late_and_out_of_order_release_what_the_tag_points_at(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.aws.deliver_image_events("never")
    digests = [stage.push("prod") for _ in range(8)]
    late = [event(digest, second) for second, digest in enumerate(digests)] * 2
    random.Random(8).shuffle(late)
    for push in late:
        stage.prod.invoke("bookings-api-prod-start-release", push)
    ended = [stage.ended(stage.prod, digest) for digest in digests]
    assert [release.outcome for release in ended] == ["Superseded"] * 7 + ["Released"]
    assert all(len(stage.executions_of(stage.prod, digest)) == 1 for digest in digests)
    assert stage.planetscale.calls()["POST deploy"] == 1
    assert stage.lightsail.calls()["CreateContainerServiceDeployment"] == 1


def test_a_tag_that_is_moved_back_and_forth_ends_where_it_points(stage: Stage) -> None:
    images = [(secrets.token_hex(20), {"version": name}) for name in ("old", "new")]
    for commit, files in images:
        push_image(stage.aws, REPOSITORY, [commit], files=files)
    for _ in range(4):
        for _, files in reversed(images):
            push_image(stage.aws, REPOSITORY, ["qa"], files=files)
    stage.until(lambda: not running(stage), "end of all releases", 300)
    # Two pushes of the same image within one second are one event: what that loses, the look finds.
    stage.qa.invoke("bookings-api-qa-start-release", LOOK)
    stage.until(lambda: not running(stage), "end of the look's release", 300)
    assert (stage.lightsail.active_image("bookings-api-qa") or "").endswith(f":{images[0][0]}")
    assert one_writer_at_a_time(stage)
    assert stage.lock(stage.qa) is None


def test_one_image_pushed_to_both_environments_is_released_to_both(stage: Stage) -> None:
    digest = push_image(stage.aws, REPOSITORY, [secrets.token_hex(20), "qa", "prod"], unique=True)
    for environment in (stage.qa, stage.prod):
        assert stage.ended(environment, digest).outcome == "Released"


LOOK = {"source": "aws.events", "detail-type": "Scheduled Event", "time": "2026-11-23T03:46:53Z", "detail": {}}


def running(stage: Stage) -> list[str]:
    return [execution["name"] for execution in stage.qa.executions() if execution["status"] == "RUNNING"]


def event(digest: str, second: int) -> dict[str, Any]:
    """ECR's event of a push to prod."""
    return push_event(REPOSITORY, digest, "prod", datetime(2026, 11, 23, 3, 46, second))


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
    assert told["started"] is None and "was seen before" in told["because"]
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
    stage.until(lambda: stage.prod.states(waiting).count("AcquireLock") > 10, "ten looks at the lock")
    assert stage.lock(stage.prod) == holder
    assert stage.ended(stage.prod, slow).outcome == "Released"
    assert stage.ended(stage.prod, later).outcome == "Released"


def test_a_release_that_the_state_machine_timed_out_does_not_block_the_next(stage: Stage) -> None:
    client, machine = stage.aws.client("stepfunctions"), stage.qa.outputs["StateMachineArn"]
    usual = client.describe_state_machine(stateMachineArn=machine)["definition"]
    client.update_state_machine(
        stateMachineArn=machine, definition=json.dumps({**json.loads(usual), "TimeoutSeconds": 60})
    )
    stage.lightsail.next_image_hangs()
    try:
        digest = stage.push("qa")
        arn = stage.wait_for_state(stage.qa, digest, "WaitForContainers")
        assert stage.qa.wait_for_execution(arn)["status"] == "TIMED_OUT"
    finally:
        client.update_state_machine(stateMachineArn=machine, definition=usual)
    assert stage.lock(stage.qa) == arn
    stage.lightsail.clear()
    assert stage.release(stage.qa).outcome == "Released"
    assert any(arn in str(note["message"]) and "TIMED_OUT" in str(note["message"]) for note in stage.qa.notifications())


def test_a_release_that_step_functions_does_not_show_yet_keeps_its_lock(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.planetscale.durations(in_progress=6_000)
    # Longer than both take: no function sees either of them in DescribeExecution or ListExecutions.
    stage.aws.control.post("/_local/consistency", {"seconds": 600})
    try:
        first = stage.push("prod")
        holder = stage.wait_for_state(stage.prod, first, "WaitForSchema")
        second = stage.push("prod")
        stage.wait_for_state(stage.prod, second, "WaitForTurn")
        assert stage.lock(stage.prod) == holder
        assert stage.ended(stage.prod, first).outcome == "Released"
        ended = stage.ended(stage.prod, second)
    finally:
        stage.aws.control.post("/_local/consistency", {"seconds": 0})
    assert ended.outcome == "Released", ended.report["whatHappened"]
    assert one_writer_at_a_time(stage)
    assert stage.lightsail.active_image("bookings-api-prod") == ended.report["image"]


def test_of_two_pushes_at_once_that_step_functions_does_not_show_yet_one_works_at_a_time(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.aws.control.post("/_local/consistency", {"seconds": 10})
    try:
        digests = [stage.push("prod"), stage.push("prod")]
        ended = [stage.ended(stage.prod, digest) for digest in digests]
    finally:
        stage.aws.control.post("/_local/consistency", {"seconds": 0})
    assert ended[1].outcome == "Released", ended[1].report["whatHappened"]
    assert ended[0].outcome in ("Released", "Superseded"), ended[0].report["whatHappened"]
    assert one_writer_at_a_time(stage)
    assert stage.planetscale.calls()["POST deploy"] == 1
    assert stage.lightsail.active_image("bookings-api-prod") == ended[1].report["image"]
    assert stage.lock(stage.prod) is None
