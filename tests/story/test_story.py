"""The tutorial's end, and the two things that the tutorial cannot do."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from cloud import machine

from story.world import ADD_DESCRIPTION, DESCRIBE, World

pytestmark = pytest.mark.skipif(
    bool(machine.missing()) and not os.environ.get("CI"), reason="; ".join(machine.advice(machine.missing()))
)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World(wait_scale=0.02) as world:
        world.install_both()
        yield world


def test_a_change_of_schema_and_code_reaches_the_public_and_a_bad_one_does_not(world: World) -> None:
    repository = world.repository()

    # The application as it is, in both environments.
    assert world.release("qa", repository)["outcome"] == "Released"
    assert world.release("prod", repository)["outcome"] == "Released"
    plain = world.hotels("prod")
    assert [hotel["name"] for hotel in plain] == ["Hotel California", "The Galt House"]
    assert world.hotels("qa") == plain and "description" not in plain[0]

    # A column on the branch `dev`, a push to the branch `qa`: it is there, and prod is as before.
    world.sql("dev", f"{ADD_DESCRIPTION}; {DESCRIBE}")
    pushed = repository.change("src/routes.rs", '"welcome"', '"welcome to our hotels"', "Say what we are")
    assert world.release("qa", repository)["outcome"] == "Released"
    assert [hotel["description"] for hotel in world.hotels("qa")] == ["Such a lovely place", None]
    assert world.hotels("prod") == plain

    # Merged: schema first, then the containers; whoever asks meanwhile is answered.
    merged = repository.merge()
    with world.visitor("prod") as visitor:
        report = world.release("prod", repository)
    assert report["outcome"] == "Released"
    # The merge changed no file, so it may have become the same image, which then has both commits' tags.
    assert report["commit"] in (pushed, merged)
    assert report["order"].startswith("Schema, then containers.")
    assert visitor.failures == [] and visitor.answers > 0
    assert "description" in world.columns("main")
    world.sql("main", DESCRIBE)
    assert [hotel["description"] for hotel in world.hotels("prod")] == ["Such a lovely place", None]

    # An image that fails its health check: prod serves as before, and the schema is back.
    before = world.hotels("prod")
    world.sql("dev", "ALTER TABLE hotels ADD rooms INT")
    repository.change(
        "src/routes.rs", '.route("/", ', '.route("/welcome", ', "Move the welcome, and the health check with it"
    )
    repository.merge()
    with world.visitor("prod") as visitor:
        report = world.release("prod", repository)
    assert report["outcome"] == "SchemaReverted"
    assert visitor.failures == [] and visitor.answers > 0
    assert world.columns("main") == ["id", "name", "address", "stars", "description"]
    assert world.hotels("prod") == before

    # A change that drops a column: the containers first, then the schema.
    world.sql("dev", "ALTER TABLE hotels DROP rooms; ALTER TABLE hotels DROP description")
    repository.revert()
    repository.merge()
    with world.visitor("prod") as visitor:
        report = world.release("prod", repository)
    assert report["outcome"] == "Released"
    assert report["order"].startswith("Containers, then schema.")
    assert visitor.failures == [] and visitor.answers > 0
    assert world.columns("main") == ["id", "name", "address", "stars"]
    assert world.hotels("prod") == plain
