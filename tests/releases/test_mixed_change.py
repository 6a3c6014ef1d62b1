"""A change that adds and drops in one table is one statement, and still has no safe order."""

from __future__ import annotations

from stage import Stage

MIXED = "ALTER TABLE hotels ADD description VARCHAR(400); ALTER TABLE hotels DROP COLUMN stars"


def test_a_table_that_gains_and_loses_a_column_at_once_is_refused(stage: Stage) -> None:
    stage.planetscale.sql("dev", MIXED)
    before = stage.lightsail.active_image("bookings-api-prod")
    with stage.settings(stage.prod, "start-release", DESTRUCTIVE_CHANGES="after-containers"):
        ended = stage.release(stage.prod)
    assert ended.outcome == "SchemaRefused"
    told = ended.report["whatHappened"]
    first, _, afterwards = told.partition("Release these afterwards: ")
    assert "Release these first: ALTER TABLE `hotels` ADD COLUMN `description` varchar(400)" in first, told
    assert afterwards.startswith("ALTER TABLE `hotels` DROP COLUMN `stars`"), told
    assert stage.lightsail.active_image("bookings-api-prod") == before
    schema = stage.planetscale.schema("main")
    assert "stars" in schema and "description" not in schema
    assert stage.planetscale.open_requests() == []
