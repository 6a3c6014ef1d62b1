"""The promises, each a function from what happened in an environment to what breaks the promise."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from chaos.facts import Environment, Execution, Push, Span

SUCCEEDED = frozenset({"Released", "Superseded", "Held"})
FAILED = frozenset(
    {
        *("RollbackRefused", "SchemaRefused", "SchemaRejected", "SchemaFailed", "ContainersFailed", "SchemaReverted"),
        *("RevertRefused", "Undone", "TimedOut", "ReleaseError"),
    }
)
# Step Functions does not end a function's call when its execution is stopped: it may write for as long as it may run.
# The next release waits for that, but as short as all waits of a run are: for 1.4 s instead of 70, less than a held call
# takes on a busy machine. `tests/releases/test_last_call.py` has waits that are long enough.
LONGEST_CALL = timedelta(seconds=70)


def every_execution_ended_in_a_named_outcome(place: Environment) -> Iterator[str]:
    for execution in place.executions:
        if execution.status == "SUCCEEDED" and execution.end_state in SUCCEEDED:
            continue
        if execution.status == "FAILED" and execution.end_state in FAILED:
            continue
        if execution.status == "ABORTED" and execution.name in place.stopped_by_hand:
            continue
        yield f"{execution.name} is {execution.status} in {execution.end_state}"


def one_release_works_at_a_time(place: Environment) -> Iterator[str]:
    working = sorted(_working(place), key=lambda pair: pair[1].begin)
    for (before, first), (after, second) in itertools.pairwise(working):
        if first.end is None or second.begin < first.end:
            yield f"{after.name} began to work before {before.name} had finished"


def nobody_else_writes(place: Environment) -> Iterator[str]:
    """Every change that the emulators saw came from the release whose turn it was."""
    working = list(_working(place))
    for write in place.writes:
        if not any(_within(write.at, span) for _, span in working):
            yield f"{write.call} at {write.at} belongs to no release"
    for deployment in place.deployments:
        own = [span for release, span in working if release.name == deployment.execution]
        if not any(_within(deployment.started, span) for span in own):
            yield f"deployment {deployment.version} of {deployment.execution} was started outside its turn"


def no_release_deploys_twice(place: Environment) -> Iterator[str]:
    seen = set()
    for deployment in place.deployments:
        if deployment.execution in seen:
            yield f"{deployment.execution} created a second deployment, {deployment.version}"
        seen.add(deployment.execution)


def no_schema_is_deployed_twice(place: Environment) -> Iterator[str]:
    deployed: set[int] = set()
    present: set[str] = set()
    for change in place.schema_changes:
        if change.cause == "deploy" and change.deploy_request is not None:
            if change.deploy_request in deployed:
                yield f"deploy request #{change.deploy_request} was applied twice"
            deployed.add(change.deploy_request)
        for again in sorted(change.added & present):
            yield f"{again} was added twice, at last by #{change.deploy_request}"
        present = (present | change.added) - change.dropped


def no_deploy_request_is_left_open(place: Environment) -> Iterator[str]:
    yield from (f"deploy request #{number} is open" for number in place.open_requests)


def the_lock_is_free(place: Environment) -> Iterator[str]:
    if place.lock is not None:
        yield f"{place.lock} holds the lock"


def every_outcome_is_recorded_once(place: Environment) -> Iterator[str]:
    for execution in place.executions:
        recorded = place.recorded.get(execution.name, [])
        if _could_not_finish(place, execution):
            if len(recorded) > 1:
                yield f"{execution.name} is recorded as {recorded}"
        elif recorded != [execution.end_state]:
            yield f"{execution.name} ended as {execution.end_state} and is recorded as {recorded}"


def every_outcome_is_told_once(place: Environment) -> Iterator[str]:
    """Once; where `finish-release` failed in between, it may have died between telling and noting it, and tell again.

    One that a person stopped when it had told its outcome is told as cut short as well, and one that was redriven is
    told as cut short and then its outcome.
    Where finish-release failed for good, it is told as cut short.
    """
    for execution in place.executions:
        told = place.notified.get(execution.name, 0)
        stopped_late = execution.status == "ABORTED" and execution.end_state == "FinishRelease"
        disturbed = execution.name in place.finish_disturbed or stopped_late
        again = disturbed or execution.name in place.redriven
        if execution.end_state == "Held" and told == 0 and _was_told_held(place, execution):
            continue
        if told < 1 or (told > 1 and not again):
            yield f"{execution.name} ended as {execution.end_state} and was told {told} times"


def _was_told_held(place: Environment, execution: Execution) -> bool:
    """Whether another release of the same image was told as held: it is told once for each image."""
    shorts = {push.digest.removeprefix("sha256:")[:12] for push in place.pushes}
    short = next((short for short in shorts if short in execution.name), None)
    others = [other for other in place.executions if other.end_state == "Held" and short and short in other.name]
    return any(place.notified.get(other.name, 0) > 0 for other in others)


def going_back_changes_no_schema(place: Environment) -> Iterator[str]:
    """A rollback starts containers and touches no deploy request."""
    schema = {"CreateDeployRequest", "DeployDeployRequest", "CloseDeployRequest", "RevertDeployRequest", "SkipRevert"}
    for execution in place.executions:
        entered = {state for state, _ in execution.states}
        if "JudgeRollback" in entered and (did := sorted(entered & schema)):
            yield f"{execution.name} goes back and entered {', '.join(did)}"


def no_push_is_lost(place: Environment) -> Iterator[str]:
    """Each event started its release, once; the last push was released whether its event came or not."""
    names = [execution.name for execution in place.executions]
    for push in place.pushes:
        if push.execution is not None and names.count(push.execution) != 1:
            yield f"the push of {push.commit} started {push.execution} {names.count(push.execution)} times"
    if place.pushes:
        last = place.pushes[-1]
        short = last.digest.removeprefix("sha256:")[:12]
        ended = [e for e in place.executions if short in e.name and e.end_state not in ("", "Superseded", "Held")]
        if not ended:
            yield f"nothing released the last push, {last.commit}"


def the_newest_image_that_can_run_serves(place: Environment) -> Iterator[str]:
    """The last push if its containers can run; else the newest deployment whose containers can."""
    if not place.pushes:
        return
    healthy = {push.commit for push in place.pushes if push.healthy}
    last = place.pushes[-1]
    tried = [deployment.commit for deployment in place.deployments if deployment.commit in healthy]
    expected = last.commit if last.healthy and not _was_refused(place, last) else (tried[-1] if tried else None)
    if place.serving != expected:
        yield f"{place.serving} serves, not {expected}"


def _was_refused(place: Environment, push: Push) -> bool:
    """Whether the tag went back to an image that the schema of now breaks."""
    short = push.digest.removeprefix("sha256:")[:12]
    ends = [e.end_state for e in place.executions if short in e.name and e.started >= push.at]
    return "RollbackRefused" in ends and "Released" not in ends


def an_older_image_never_replaces_a_newer_one(place: Environment) -> Iterator[str]:
    newest = -1
    for deployment in place.deployments:
        pushed = [
            index
            for index, push in enumerate(place.pushes)
            if push.commit == deployment.commit and push.at <= deployment.started
        ]
        if not pushed:
            yield f"deployment {deployment.version} runs {deployment.commit}, which was not pushed before"
        elif pushed[-1] < newest:
            yield f"deployment {deployment.version} of {deployment.commit} replaced a newer push"
        else:
            newest = pushed[-1]


def the_schema_fits_whatever_serves(place: Environment) -> Iterator[str]:
    """At every moment, the base branch has all that the code uses that serves then."""
    needs: dict[str, Push] = {push.commit: push for push in place.pushes}
    for deployment in place.deployments:
        if deployment.active is None or deployment.commit not in needs:
            continue
        needed = needs[deployment.commit].needs
        moments = [deployment.active]
        moments += [
            change.at
            for change in place.schema_changes
            if change.at > deployment.active and (deployment.ended is None or change.at < deployment.ended)
        ]
        for moment in moments:
            if missing := sorted(needed - _schema(place, moment)):
                yield f"deployment {deployment.version} of {deployment.commit} served at {moment} without {missing}"


def no_secret_is_readable(place: Environment) -> Iterator[str]:
    yield from (f"a secret is in {where}" for where in place.leaks)


INVARIANTS: tuple[Callable[[Environment], Iterator[str]], ...] = (
    every_execution_ended_in_a_named_outcome,
    one_release_works_at_a_time,
    nobody_else_writes,
    no_release_deploys_twice,
    no_schema_is_deployed_twice,
    no_deploy_request_is_left_open,
    the_lock_is_free,
    every_outcome_is_recorded_once,
    every_outcome_is_told_once,
    going_back_changes_no_schema,
    no_push_is_lost,
    the_newest_image_that_can_run_serves,
    an_older_image_never_replaces_a_newer_one,
    the_schema_fits_whatever_serves,
    no_secret_is_readable,
)


def broken(places: list[Environment]) -> list[str]:
    """Every broken promise, with its environment and its name."""
    return [
        f"{place.name}: {check.__name__}: {what}" for check in INVARIANTS for place in places for what in check(place)
    ]


def _working(place: Environment) -> Iterator[tuple[Execution, Span]]:
    yield from ((execution, span) for execution in place.executions for span in execution.worked())


def _within(moment: datetime, span: Span) -> bool:
    # The answer of the last call is in the history after the call's own time; that of a stopped one may go on.
    last = span.end and span.end + (LONGEST_CALL if span.stopped else timedelta())
    return span.begin <= moment and (last is None or moment <= last)


def _could_not_finish(place: Environment, execution: Execution) -> bool:
    """Whether a person stopped it, or `finish-release` failed for good: the topic is told that it was cut short."""
    cut = execution.status == "ABORTED" and execution.name in place.stopped_by_hand
    return cut or (execution.name in place.finish_disturbed and execution.end_state == "ReleaseError")


def _schema(place: Environment, moment: datetime) -> set[str]:
    present: set[str] = set()
    for change in place.schema_changes:
        if change.at <= moment:
            present = (present | change.added) - change.dropped
    return present
