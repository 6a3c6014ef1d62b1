"""Releases whose schema changes happen in a real database."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from cloud import Environment, LocalAws, emulator, install
from cloud.mariadb import MariaDb, NotInstalled, programs, query
from stage import Ended, Stage

WAIT_SCALE = 0.02


@pytest.fixture(scope="module")
def database() -> Iterator[MariaDb]:
    try:
        programs()
    except NotInstalled as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))
    with MariaDb() as database:
        yield database


@pytest.fixture(scope="module")
def aws(database: MariaDb) -> Iterator[LocalAws]:
    """A local AWS of its own, beside the one of the other tests, with MariaDB behind PlanetScale."""
    with LocalAws(
        planetscale=emulator("planetscale-emulator"),
        lightsail=emulator("lightsail-emulator"),
        database=database,
        wait_scale=WAIT_SCALE,
    ) as aws:
        yield aws


@pytest.fixture(scope="module")
def prod(aws: LocalAws) -> Environment:
    parameters = {"CreateRepository": "true", "PlanetScaleApiUrl": f"{aws.planetscale_url}/v1"}
    environment = install(aws, "prod", parameters)
    environment.subscribe()
    return environment


@pytest.fixture
def stage(aws: LocalAws, prod: Environment) -> Iterator[Stage]:
    """One environment with its connection string, and one hotel in each branch's own database."""
    stage = Stage(aws, prod, prod)
    stage.set()
    for branch in ("main", "dev"):
        query(stage.planetscale.connection(branch), "INSERT INTO hotels (name, address) VALUES ('California', '1967')")
    aws.put_secret("bookings-api/prod/connection-string", stage.planetscale.connection("main")["url"])
    yield stage
    stage.clear()


def alter_dev(stage: Stage, statement: str) -> None:
    """Change `dev` as a developer does: with a MySQL client."""
    query(stage.planetscale.connection("dev"), statement)


def columns(stage: Stage, branch: str) -> list[str]:
    return [row[0] for row in query(stage.planetscale.connection(branch), "SHOW COLUMNS FROM hotels")]


def release(stage: Stage) -> Ended:
    return stage.ended(stage.prod, stage.push("prod"))


def test_a_column_that_a_client_added_to_dev_is_in_mains_database_after_the_release(stage: Stage) -> None:
    alter_dev(stage, "ALTER TABLE hotels ADD description VARCHAR(400)")
    assert "description" not in columns(stage, "main")

    ended = release(stage)

    assert ended.outcome == "Released", ended.report["whatHappened"]
    assert "ADD COLUMN `description`" in ended.report["deployRequest"]["statements"][0]
    assert columns(stage, "main") == ["id", "name", "address", "stars", "description"]
    main = stage.planetscale.connection("main")
    assert query(main, "SELECT name, description FROM hotels") == [["California", "NULL"]]
    query(main, "UPDATE hotels SET description = 'Such a lovely place'")


def test_containers_that_fail_take_the_column_out_of_mains_database(stage: Stage) -> None:
    good = release(stage)
    alter_dev(stage, "ALTER TABLE hotels ADD description VARCHAR(400)")
    stage.lightsail.next_image_fails()

    ended = release(stage)

    assert ended.outcome == "SchemaReverted", ended.report["whatHappened"]
    changes = [effect for effect in stage.planetscale.effects() if effect["kind"] == "schema_changed"]
    assert [effect["cause"] for effect in changes if effect["branch"] == "main"][-2:] == ["deploy", "revert"]
    assert columns(stage, "main") == ["id", "name", "address", "stars"]
    assert query(stage.planetscale.connection("main"), "SELECT name FROM hotels") == [["California"]]
    assert stage.lightsail.active_image("bookings-api-prod") == good.report["image"]


def test_a_change_that_mains_rows_do_not_allow_ends_as_schema_failed(stage: Stage) -> None:
    main = stage.planetscale.connection("main")
    query(main, "INSERT INTO hotels (name, address) VALUES ('California', 'another')")
    alter_dev(stage, "ALTER TABLE hotels ADD UNIQUE KEY (name)")

    ended = release(stage)

    assert ended.outcome == "SchemaFailed", ended.report["whatHappened"]
    assert "1062" in ended.report["whatHappened"], ended.report
    assert query(main, "SHOW KEYS FROM hotels WHERE Key_name = 'name'") == []
    assert query(main, "SELECT COUNT(*) FROM hotels") == [["2"]]
