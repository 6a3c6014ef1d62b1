"""Which goes first, schema or containers, for each kind of change and each policy; and what the report says of it."""

from __future__ import annotations

import pytest
from cloud.bookings import HOTELS, TOKEN
from stage import ADD_DESCRIPTION, DROP_STARS, Stage

ADDED, DROPPED, MIXED = ADD_DESCRIPTION, DROP_STARS, f"{ADD_DESCRIPTION}; DROP TABLE notes"
SCHEMA_FIRST, CONTAINERS_FIRST = "Schema, then containers. ", "Containers, then schema. "


@pytest.mark.parametrize(
    ("change", "policy", "order", "words"),
    [
        (ADDED, "refuse", SCHEMA_FIRST, "breaks nothing of the code before"),
        (ADDED, "after-containers", SCHEMA_FIRST, "breaks nothing of the code before"),
        (ADDED, "allow", SCHEMA_FIRST, "breaks nothing of the code before"),
        (DROPPED, "refuse", None, "DestructiveChanges is `refuse`: ALTER TABLE `hotels` DROP COLUMN `stars`"),
        (DROPPED, "after-containers", CONTAINERS_FIRST, "breaks the code before and nothing of the new code"),
        (DROPPED, "allow", CONTAINERS_FIRST, "breaks the code before and nothing of the new code"),
        (MIXED, "refuse", None, "DestructiveChanges is `refuse`: DROP TABLE `notes`"),
        (MIXED, "after-containers", None, "Release these afterwards: DROP TABLE `notes`"),
        (MIXED, "allow", SCHEMA_FIRST, "No order is safe for the change, and DestructiveChanges is `allow`"),
    ],
)
def test_the_order_and_its_reason(stage: Stage, change: str, policy: str, order: str | None, words: str) -> None:
    notes = "CREATE TABLE notes (id INT PRIMARY KEY)"
    stage.planetscale.reset(schema=f"{HOTELS}; {notes}", token=TOKEN)
    before = stage.planetscale.schema("main")
    stage.planetscale.sql("dev", change)
    with stage.settings(stage.prod, "start-release", DESTRUCTIVE_CHANGES=policy):
        ended = stage.release(stage.prod)
    if order is None:
        assert ended.outcome == "SchemaRefused"
        assert words in ended.report["whatHappened"]
        assert stage.planetscale.schema("main") == before
        assert "CreateContainerServiceDeployment" not in stage.lightsail.calls()
        return
    assert ended.outcome == "Released", ended.report["whatHappened"]
    assert ended.report["order"].startswith(order)
    assert words in ended.report["order"]
    assert stage.planetscale.schema("main") == stage.planetscale.schema("dev")
    deploy, create = ended.states.index("DeployDeployRequest"), ended.states.index("CreateContainerDeployment")
    assert (deploy < create) == (order == SCHEMA_FIRST)


def test_a_drop_that_fails_after_the_containers_says_that_they_serve(stage: Stage) -> None:
    stage.planetscale.sql("dev", DROPPED)
    stage.planetscale.next_deploy_fails()
    with stage.settings(stage.prod, "start-release", DESTRUCTIVE_CHANGES="after-containers"):
        ended = stage.release(stage.prod)
    assert ended.outcome == "SchemaFailed"
    assert "the new containers serve" in ended.report["whatHappened"]
    assert stage.lightsail.active_image("bookings-api-prod") == ended.report["image"]
    assert "stars" in stage.planetscale.schema("main")


def test_a_change_that_is_gone_when_it_would_be_deployed_is_nothing_to_apply(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADDED)
    stage.planetscale.require_approval(True)
    digest = stage.push("prod")
    stage.wait_for_state(stage.prod, digest, "WaitForApproval")
    stage.planetscale.sql("dev", "ALTER TABLE hotels DROP COLUMN description")
    ended = stage.ended(stage.prod, digest)
    assert ended.outcome == "Released", ended.report["whatHappened"]
    assert (ended.report["schema"], ended.report["order"]) == ("None", None)
    assert stage.planetscale.open_requests() == []
