"""Each invariant fails on a journal that breaks it, and none on one that does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from chaos import invariants
from chaos.facts import LOCKED, STOPPED, Deployment, Environment, Execution, Push, SchemaChange, Write
from chaos.invariants import INVARIANTS, broken


def at(seconds: float) -> datetime:
    return datetime(2026, 11, 23, tzinfo=timezone.utc) + timedelta(seconds=seconds)


def digest(fill: str) -> str:
    return "sha256:" + fill * 64


def execution(name: str, begin: float, outcome: str = "Released") -> Execution:
    states = [("AcquireLock", begin), ("HasDatabase?", begin + 1), ("FinishRelease", begin + 8), (outcome, begin + 9)]
    status = "SUCCEEDED" if outcome in invariants.SUCCEEDED else "FAILED"
    return Execution(name, status, at(begin), [(state, at(seconds)) for state, seconds in states])


def good() -> Environment:
    """Two pushes, two releases, the first with a new column."""
    first, second = "e1-aaaaaaaaaaaa-1", "e1-bbbbbbbbbbbb-2"
    return Environment(
        name="e1",
        pushes=[
            Push(at(0), "commit-a", digest("a"), True, frozenset({"c1"}), first),
            Push(at(20), "commit-b", digest("b"), True, frozenset({"c1"}), second),
        ],
        executions=[execution(first, 0), execution(second, 20)],
        deployments=[
            Deployment(1, "commit-a", first, at(5), at(6), at(26)),
            Deployment(2, "commit-b", second, at(25), at(26)),
        ],
        writes=[Write(at(2), "POST deploy-requests"), Write(at(22), "POST deploy-requests")],
        schema_changes=[SchemaChange(at(4), "deploy", 1, added=frozenset({"c1"}))],
        serving="commit-b",
        recorded={first: ["Released"], second: ["Released"]},
        notified={first: 1, second: 1},
    )


def set_status(place: Environment) -> None:
    place.executions[1].status = "RUNNING"


def abort_by_nobody(place: Environment) -> None:
    place.executions[1].status = "ABORTED"


def overlap(place: Environment) -> None:
    place.executions[1] = execution(place.executions[1].name, 3)


def write_between(place: Environment) -> None:
    place.writes.append(Write(at(15), "POST deploy"))


def deploy_for_another(place: Environment) -> None:
    place.deployments[1].execution = place.executions[0].name
    place.deployments[0].execution = place.executions[1].name


def deploy_twice(place: Environment) -> None:
    place.deployments.insert(1, replace(place.deployments[0], version=3))


def apply_twice(place: Environment) -> None:
    place.schema_changes.append(replace(place.schema_changes[0], at=at(23), added=frozenset()))


def add_twice(place: Environment) -> None:
    place.schema_changes.append(replace(place.schema_changes[0], at=at(23), deploy_request=2))


def deploy_what_was_never_pushed(place: Environment) -> None:
    place.deployments[1].commit = place.serving = "commit-x"


def replace_a_newer_one(place: Environment) -> None:
    place.deployments.append(replace(place.deployments[0], version=3, started=at(40)))


def take_the_column_away(place: Environment) -> None:
    place.schema_changes.append(SchemaChange(at(30), "revert", 1, dropped=frozenset({"c1"})))


def start_before_the_schema(place: Environment) -> None:
    place.schema_changes[0].at = at(7)


def record_otherwise(place: Environment) -> None:
    place.recorded[place.executions[0].name] = ["TimedOut"]


def go_back_with_a_request(place: Environment) -> None:
    place.executions[1].states[2:2] = [("JudgeRollback", at(22)), ("CreateDeployRequest", at(23))]


BREAKS: list[tuple[str, Callable[[Environment], object]]] = [
    ("every_execution_ended_in_a_named_outcome", set_status),
    ("every_execution_ended_in_a_named_outcome", abort_by_nobody),
    ("one_release_works_at_a_time", overlap),
    ("nobody_else_writes", write_between),
    ("nobody_else_writes", deploy_for_another),
    ("no_release_deploys_twice", deploy_twice),
    ("no_schema_is_deployed_twice", apply_twice),
    ("no_schema_is_deployed_twice", add_twice),
    ("no_deploy_request_is_left_open", lambda place: place.open_requests.append(3)),
    ("the_lock_is_free", lambda place: setattr(place, "lock", "somebody")),
    ("every_outcome_is_recorded_once", lambda place: place.recorded.clear()),
    ("every_outcome_is_recorded_once", record_otherwise),
    ("every_outcome_is_told_once", lambda place: place.notified.clear()),
    ("every_outcome_is_told_once", lambda place: place.notified.update({place.executions[0].name: 2})),
    ("going_back_changes_no_schema", go_back_with_a_request),
    ("no_push_is_lost", lambda place: place.executions.pop()),
    ("no_push_is_lost", lambda place: place.executions.append(place.executions[0])),
    ("the_newest_image_that_can_run_serves", lambda place: setattr(place, "serving", "commit-a")),
    ("the_newest_image_that_can_run_serves", lambda place: setattr(place, "serving", None)),
    ("an_older_image_never_replaces_a_newer_one", replace_a_newer_one),
    ("an_older_image_never_replaces_a_newer_one", deploy_what_was_never_pushed),
    ("the_schema_fits_whatever_serves", take_the_column_away),
    ("the_schema_fits_whatever_serves", start_before_the_schema),
    ("no_secret_is_readable", lambda place: place.leaks.append("a log")),
]


def test_a_good_journal_breaks_nothing() -> None:
    assert broken([good()]) == []


@pytest.mark.parametrize(("name", "break_it"), BREAKS)
def test_an_invariant_fails_on_a_journal_that_breaks_it(name: str, break_it: Callable[[Environment], object]) -> None:
    place = good()
    break_it(place)
    found = list(getattr(invariants, name)(place))
    assert found, name


def test_every_invariant_is_seen_to_fail() -> None:
    assert {name for name, _ in BREAKS} == {check.__name__ for check in INVARIANTS}


def test_a_release_that_a_person_stopped_may_write_until_its_last_call_ends_and_is_not_recorded() -> None:
    place = good()
    stopped = place.executions[0]
    stopped.status, stopped.states = "ABORTED", [*stopped.states[:2], (STOPPED, at(6))]
    place.stopped_by_hand.add(stopped.name)
    place.recorded.pop(stopped.name)
    place.writes.append(Write(at(9), "POST deploy"))
    assert broken([place]) == []
    place.notified.pop(stopped.name)
    assert broken([place]) == [
        f"e1: every_outcome_is_told_once: {stopped.name} ended as HasDatabase? and was told 0 times"
    ]


def redriven() -> Environment:
    """The first release was stopped at its third second, and went on at its sixth."""
    place = good()
    first = place.executions[0]
    first.states[2:2] = [(STOPPED, at(3)), (LOCKED, at(4))]
    place.stopped_by_hand.add(first.name)
    place.redriven.add(first.name)
    place.notified[first.name] = 2
    return place


def test_a_release_that_was_redriven_is_told_twice_and_writes_when_it_has_its_lock_again() -> None:
    assert broken([redriven()]) == []


def test_a_release_that_was_redriven_does_not_work_beside_the_one_that_took_its_lock_over() -> None:
    place = redriven()
    other = execution("e1-cccccccccccc-3", 3)
    place.executions.append(other)
    assert list(invariants.one_release_works_at_a_time(place))


def test_a_release_that_was_redriven_and_lost_its_lock_works_no_more() -> None:
    place = redriven()
    first = place.executions[0]
    first.states = [*first.states[:3], ("FinishRelease", at(5)), ("ReleaseError", at(6))]
    first.status = "FAILED"
    place.recorded[first.name] = ["ReleaseError"]
    assert [span.end for span in first.worked()] == [at(3)]


def test_an_image_that_cannot_run_leaves_the_newest_that_can() -> None:
    place = good()
    place.pushes[1].healthy = False
    place.serving = "commit-a"
    assert list(invariants.the_newest_image_that_can_run_serves(place)) == []


def test_a_tag_that_went_back_to_what_the_schema_breaks_leaves_the_newest_that_can_run() -> None:
    place = good()
    place.serving = "commit-a"
    assert list(invariants.the_newest_image_that_can_run_serves(place))
    refused = replace(execution(place.executions[1].name, 20, "RollbackRefused"), status="FAILED")
    place.executions[1] = refused
    place.deployments.pop()
    assert list(invariants.the_newest_image_that_can_run_serves(place)) == []


def test_an_image_that_is_held_again_is_told_once() -> None:
    place = good()
    held, again = execution("e1-bbbbbbbbbbbb-3", 40, "Held"), execution("e1-bbbbbbbbbbbb-4", 60, "Held")
    place.executions += [held, again]
    place.notified[held.name] = 1
    assert list(invariants.every_outcome_is_told_once(place)) == []
    del place.notified[held.name]
    assert len(list(invariants.every_outcome_is_told_once(place))) == 2
