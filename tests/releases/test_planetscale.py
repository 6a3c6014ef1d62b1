"""What people and PlanetScale do to a deploy request while a release works with it."""

from __future__ import annotations

from typing import Any

import pytest
from stage import ADD_DESCRIPTION, Stage

LOOK = {"method": "GET", "path": "deploy-requests/*"}


def test_a_validation_that_takes_minutes_is_waited_for(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    # Six minutes at the waits' scale.
    stage.planetscale.durations(pending=7_200)
    ended = stage.release(stage.prod)
    assert ended.outcome == "Released", ended.report["whatHappened"]
    assert ended.states.count("WaitForValidation") > 10


@pytest.mark.parametrize("before", [0, 2], ids=["validation", "schema"])
@pytest.mark.parametrize(
    ("request_state", "deployment_state"),
    [("ready", "pending"), ("complete", "complete_error"), ("in_progress", "complete"), ("wormhole", "ready")],
)
def test_two_states_that_contradict_each_other_are_waited_out(
    stage: Stage, request_state: str, deployment_state: str, before: int
) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.planetscale.durations(pending=0)
    shown = {"deployment_state": request_state, "deployment": deployment_state}
    stage.planetscale.fault("show", **LOOK, skip=before, shown=shown)
    stage.planetscale.fault("show", **LOOK, skip=1, shown={})
    ended = stage.release(stage.prod)
    assert ended.outcome == "Released", ended.report["whatHappened"]
    assert stage.planetscale.calls()["POST deploy"] == 1
    assert "description" in stage.planetscale.schema("main")


@pytest.mark.parametrize(
    ("method", "path", "containers_fail"),
    [
        ("PATCH", "deploy-requests/*", False),
        ("POST", "deploy-requests/*/revert", True),
    ],
)
def test_a_passing_fault_of_the_way_back_changes_nothing(
    stage: Stage, method: str, path: str, containers_fail: bool
) -> None:
    if containers_fail:
        stage.planetscale.sql("dev", ADD_DESCRIPTION)
        stage.lightsail.next_image_fails()
    for fault in (
        {"kind": "error", "status": 429, "retry_after": 1},
        {"kind": "html"},
        {"kind": "reset"},
        {"kind": "truncate"},
    ):
        stage.planetscale.fault(**fault, method=method, path=path)
    ended = stage.release(stage.prod)
    assert ended.outcome == ("SchemaReverted" if containers_fail else "Released"), ended.report["whatHappened"]
    assert stage.planetscale.open_requests() == []
    assert "description" not in stage.planetscale.schema("main")


def test_an_answer_that_takes_too_long_is_asked_for_again(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    # A call may take 15 s.
    stage.planetscale.fault("delay", method="POST", path="deploy-requests/*/deploy", delay_ms=15_500)
    ended = stage.release(stage.prod)
    assert ended.outcome == "Released", ended.report["whatHappened"]
    assert stage.task_errors(ended.arn) == ["Retryable"]


def test_an_outage_of_planetscale_is_outlived_up_to_the_deadline_and_leaves_the_request_to_the_next(
    stage: Stage,
) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.planetscale.fault("error", status=503, path="deploy-requests/*", count=None)
    with stage.waits(0.002):
        ended = stage.release(stage.prod)
    assert ended.outcome == "TimedOut"
    assert "503" in ended.report["whatHappened"]
    assert len(stage.planetscale.open_requests()) == 1
    stage.planetscale.clear_faults()
    again = stage.release_by_hand(stage.prod)
    assert again.outcome == "Released", again.report["whatHappened"]
    assert len(stage.planetscale.requests()) == 1, "the open one was adopted"


def test_a_request_in_its_revert_window_is_finished_before_a_new_one_is_made(stage: Stage) -> None:
    applied_by_a_person(stage)
    stage.planetscale.sql("dev", "ALTER TABLE hotels ADD phone VARCHAR(20)")
    ended = stage.release(stage.prod)
    assert ended.outcome == "Released", ended.report["whatHappened"]
    assert ended.report["deployRequest"]["number"] == 2
    assert "phone" in stage.planetscale.schema("main")
    assert stage.planetscale.open_requests() == []


def test_a_revert_window_that_closes_by_itself_meanwhile_is_no_error(stage: Stage) -> None:
    applied_by_a_person(stage)
    stage.planetscale.fault(
        "show",
        method="POST",
        path="deploy-requests/*/skip-revert",
        shown={"deployment_state": "complete", "deployment": "complete"},
    )
    stage.planetscale.durations(complete_pending_revert=0)
    # The list is read before.
    stage.planetscale.fault(
        "show",
        method="GET",
        path="deploy-requests",
        shown={"deployment_state": "complete_pending_revert", "deployment": "complete_pending_revert", "state": "open"},
    )
    assert stage.release(stage.prod).outcome == "Released"


def applied_by_a_person(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.planetscale.create_request()
    stage.until(lambda: stage.planetscale.request(1)["deployment_state"] == "ready", "ready request")
    stage.planetscale.person("deploy")
    stage.until(
        lambda: stage.planetscale.request(1)["deployment_state"] == "complete_pending_revert", "applied request"
    )


def test_a_request_that_failed_before_says_so_and_how_to_go_on(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.planetscale.next_deploy_fails("the disk is full")
    first = stage.release(stage.prod)
    second = stage.release(stage.prod)
    for ended in (first, second):
        assert ended.outcome == "SchemaFailed"
        assert "the disk is full" in ended.report["whatHappened"]
        assert "clear the failure there so that the deploy queue is free" in ended.report["whatToDo"]
    stage.planetscale.person("complete_deploy")
    assert stage.release_by_hand(stage.prod).outcome == "Released"
    assert "description" in stage.planetscale.schema("main")


def test_a_request_that_a_person_closes_just_before_it_is_deployed_is_rejected(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.planetscale.fault("delay", method="POST", path="deploy-requests/*/deploy", delay_ms=1_500)
    digest = stage.push("prod")
    stage.until(lambda: stage.planetscale.requests() and not stage.planetscale.pending_faults(), "call")
    stage.planetscale.person("close")
    ended = stage.ended(stage.prod, digest)
    assert ended.outcome == "SchemaRejected", ended.report["whatHappened"]
    assert "closed by a person" in ended.report["whatHappened"]
    assert "description" not in stage.planetscale.schema("main")


def test_a_request_that_a_person_gates_while_it_runs_waits_for_that_person(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.planetscale.durations(in_progress=1_500)
    digest = stage.push("prod")
    stage.wait_for_state(stage.prod, digest, "WaitForSchema")
    stage.planetscale.person("gate")
    stage.until(lambda: stage.planetscale.request(1)["deployment_state"] == "pending_cutover", "gated request")
    stage.planetscale.person("apply")
    assert stage.ended(stage.prod, digest).outcome == "Released"


def ahead(stage: Stage, **durations: int) -> None:
    """A request of other people from another branch, deployed before."""
    stage.planetscale.durations(**durations)
    stage.planetscale.branch("feature")
    stage.planetscale.sql("feature", "CREATE TABLE features (id INT PRIMARY KEY)")
    stage.planetscale.create_request(branch="feature")
    stage.until(lambda: stage.planetscale.request(1)["deployment_state"] == "ready", "ready request")
    stage.planetscale.person("deploy")


def test_a_queue_with_others_ahead_is_waited_for(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    ahead(stage, in_progress=2_500, complete_pending_revert=300)
    digest = stage.push("prod")
    arn = stage.wait_for_state(stage.prod, digest, "WaitForSchema")
    assert "is queued behind 1 others" in str(stage.prod.history(arn))
    ended = stage.ended(stage.prod, digest)
    assert ended.outcome == "Released", ended.report["whatHappened"]
    assert "features" in stage.planetscale.schema("main") and "description" in stage.planetscale.schema("main")


def test_a_queue_that_an_earlier_failure_blocks_says_so_and_how_to_unblock_it(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.planetscale.next_deploy_fails()
    ahead(stage)
    stage.until(lambda: stage.planetscale.request(1)["deployment_state"] == "complete_error", "failed request")
    ended = stage.release(stage.prod)
    assert ended.outcome == "SchemaFailed"
    told = ended.report["whatHappened"]
    assert "blocked by the failed deploy request #1" in told and "pscale deploy-request unblock" in told
    assert stage.planetscale.request(2)["state"] == "closed", "nothing of ours is left in the queue"
    stage.planetscale.person("complete_deploy", number=1)
    assert stage.release_by_hand(stage.prod).outcome == "Released"
    assert "description" in stage.planetscale.schema("main")


def test_more_than_ten_tables_are_refused_with_their_number(stage: Stage) -> None:
    stage.planetscale.sql("dev", "; ".join(f"CREATE TABLE t{n} (id INT PRIMARY KEY)" for n in range(11)))
    ended = stage.release(stage.prod)
    assert ended.outcome == "SchemaRefused"
    assert "changes 11 tables" in ended.report["whatHappened"]
    assert stage.planetscale.open_requests() == []


def test_a_head_branch_that_is_behind_does_not_undo_what_production_has(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.planetscale.sql("main", "ALTER TABLE hotels ADD phone VARCHAR(20)", force=True)
    ended = stage.release(stage.prod)
    assert ended.outcome == "SchemaRefused"
    assert "DROP COLUMN `phone`" in ended.report["whatHappened"]
    assert "If dev is behind main, refresh it" in ended.report["whatHappened"]
    assert "phone" in stage.planetscale.schema("main")


@pytest.mark.parametrize("window", [0, 600], ids=["before the containers", "while they start"])
def test_a_window_that_expired_is_told_when_the_containers_fail(stage: Stage, window: int) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.planetscale.durations(complete_pending_revert=window)
    stage.lightsail.next_image_fails()
    ended = stage.release(stage.prod)
    assert ended.outcome == "RevertRefused", ended.report["whatHappened"]
    assert "window is" in ended.report["whatHappened"]
    assert "description" in stage.planetscale.schema("main")


def test_a_change_that_a_person_deploys_instantly_cannot_go_back(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.planetscale.durations(in_progress=1_500)
    stage.planetscale.create_request()
    stage.until(lambda: stage.planetscale.request(1)["deployment_state"] == "ready", "ready request")
    stage.planetscale.person("deploy", instant_ddl=True)
    stage.lightsail.next_image_fails()
    ended = stage.release(stage.prod)
    assert ended.outcome == "RevertRefused", ended.report["whatHappened"]
    assert "it was instant" in ended.report["whatHappened"]
    assert "POST revert" not in stage.planetscale.calls()


def test_a_revert_that_fails_needs_a_person(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.planetscale.next_revert_fails("rows no longer fit")
    stage.lightsail.next_image_fails()
    ended = stage.release(stage.prod)
    assert ended.outcome == "RevertRefused"
    assert "could not revert deploy request #1" in ended.report["whatHappened"]


@pytest.mark.parametrize(
    "fault", [{"kind": "error", "status": 503}, {"kind": "error", "status": 422, "message": "No."}, {"kind": "reset"}]
)
def test_a_window_that_cannot_be_closed_does_not_fail_a_good_release(stage: Stage, fault: dict[str, Any]) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.planetscale.fault(**fault, method="POST", path="deploy-requests/*/skip-revert", count=None)
    with stage.waits(0.005):
        ended = stage.release(stage.prod)
    assert ended.outcome == "Released", ended.report["whatHappened"]
    assert stage.lightsail.active_image("bookings-api-prod") == ended.report["image"]
