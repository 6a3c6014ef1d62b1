"""Every state of a deploy request, at every step that looks at it, as the table of docs/semantics.md says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cloud import Environment, Lightsail, LocalAws
from cloud.local_aws import REPOSITORY
from stage import ADD_DESCRIPTION, Stage

# A step of a release: how many looks at its deploy request come before, and how it ends when it waits in vain.
STEPS = {
    "waiting for the validation": (0, "TimedOut"),
    "for an approval": (3, "SchemaRejected"),
    "for the schema": (2, "TimedOut"),
    "about to revert": (3, "RevertRefused"),
    "waiting for the revert": (4, "TimedOut"),
}
LOOK = {"method": "GET", "path": "deploy-requests/*"}
CLOSED = ("complete", "complete_cancel", "complete_revert", "cancelled")
# More than the minute after which a request counts as taken out of the queue.
DEADLINES = {"VALIDATION_DEADLINE": "10", "APPROVAL_DEADLINE": "10", "SCHEMA_DEADLINE": "70", "REVERT_DEADLINE": "10"}
AT_ONCE = ("pending", "queued", "submitting", "in_progress", "in_progress_cutover", "in_progress_revert")


def table() -> list[tuple[str, str, str]]:
    """Step, state and what the release does, for every cell."""
    text = (REPOSITORY / "docs" / "semantics.md").read_text()
    rows = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in text.splitlines() if "|" in line]
    head = next(index for index, row in enumerate(rows) if row[0] == "state")
    return [
        (step, row[0], does) for row in rows[head + 2 :] for step, does in zip(rows[head][1:], row[1:], strict=True)
    ]


@pytest.fixture(scope="module", autouse=True)
def hurry(aws: LocalAws, qa: Environment, prod: Environment) -> Iterator[None]:
    """Short waits, deadlines and deployments for all of them."""
    stage, lightsail = Stage(aws, qa, prod), Lightsail(aws)
    usual = lightsail.settings()
    lightsail.durations(deployment=60, failure=20)
    with stage.waits(0.002), stage.settings(prod, "start-release", **DEADLINES):
        yield
    lightsail.settings(**{name: usual[name] for name in usual if name.endswith("Ms")})


def test_the_table_has_every_state_at_every_step() -> None:
    cells = table()
    assert {step for step, _, _ in cells} == set(STEPS)
    assert len({state for _, state, _ in cells}) == 21
    assert len(cells) == 21 * len(STEPS)


@pytest.mark.parametrize(("step", "state", "does"), table())
def test_a_state_at_a_step(stage: Stage, step: str, state: str, does: str) -> None:
    before, in_vain = STEPS[step]
    is_revert = "revert" in step
    prepare(stage, step)
    shown = {"deployment_state": state, "deployment": state} | ({"state": "closed"} if state in CLOSED else {})
    stage.planetscale.fault("show", **LOOK, skip=before, shown=shown)
    if does == "goes on":
        stage.planetscale.fault("show", **LOOK, shown={})
    if does == "follows":
        done = "complete_revert" if is_revert else "complete"
        then = {"deployment_state": done, "deployment": done, "state": "closed"}
        stage.planetscale.fault("show", **LOOK, shown=then)
    expected = {
        "waits": in_vain,
        "waits a minute": "SchemaRejected",
        "follows": "SchemaReverted" if is_revert else "Released",
        "goes on": "SchemaReverted" if is_revert else "Released",
    }.get(does, does)

    ended = stage.release(stage.prod)

    assert ended.outcome == expected, ended.report["whatHappened"]
    assert stage.lock(stage.prod) is None
    assert len(stage.notifications(stage.prod, ended)) == 1
    if does == "waits":
        assert state in ended.report["whatHappened"]


def prepare(stage: Stage, step: str) -> None:
    """A change whose deployment takes no time, so that the looks before a step can be counted."""
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.planetscale.durations(**dict.fromkeys(AT_ONCE, 0))
    stage.planetscale.require_approval(step == "for an approval")
    if "revert" in step:
        stage.lightsail.next_image_fails()
