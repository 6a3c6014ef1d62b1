"""The tutorial's story with real parts: from a change on the branch `dev` to what the public is answered."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from typing import Any

from rich.console import Console
from story.world import ADD_DESCRIPTION, DESCRIBE, Repository, Visitor, World

from demo.live import follow
from demo.show import closer, progress, report, summary


def run(console: Console, keep: bool) -> int:
    console.print(
        "[bold]Starting a local AWS, a PlanetScale with MariaDB behind it, and a Lightsail that starts containers[/]"
    )
    with ExitStack() as stack:
        with progress(console, "starting"):
            world = stack.enter_context(World(wait_scale=0.1))
        world.planetscale.durations(pending=600, queued=300, in_progress=2_500, in_progress_revert=800)
        console.print("[bold]Installing qa and prod[/]: sam build, sam deploy --config-env qa, … prod")
        with progress(console) as world.show:
            world.install_both()
        telling = Telling(console, world)
        started = time.monotonic()
        telling.tell()
        summary(console, telling.outcomes, time.monotonic() - started)
        closer(console, world.aws, world.environments["prod"], keep)
    console.print("Everything that was started is stopped.")
    outcomes = [outcome for _, outcome, _ in telling.outcomes]
    good = outcomes == ["Released"] * 4 + ["SchemaReverted", "Released"]
    return 0 if good and not telling.failures else 1


class Telling:
    """The story, act by act."""

    def __init__(self, console: Console, world: World) -> None:
        self.console = console
        self.world = world
        self.outcomes: list[tuple[str, str, float]] = []
        self.failures: list[str] = []

    def tell(self) -> None:
        world, repository = self.world, self.world.repository()
        self.release("qa: the application as it is", "qa", repository)
        self.release("prod: the same", "prod", repository)
        self.hotels("prod")

        self.sql("dev", ADD_DESCRIPTION)
        self.sql("dev", DESCRIBE)
        repository.change("src/routes.rs", '"welcome"', '"welcome to our hotels"', "Say what we are")
        self.release("qa: a column on dev, and a push", "qa", repository)
        self.hotels("qa")

        repository.merge()
        self.release("prod: merged, the schema first", "prod", repository, visited=True)
        self.sql("main", DESCRIBE)
        self.hotels("prod")

        self.sql("dev", "ALTER TABLE hotels ADD rooms INT")
        repository.change("src/routes.rs", '.route("/", ', '.route("/welcome", ', "Move the welcome")
        repository.merge()
        self.release("prod: an image that fails its health check", "prod", repository, visited=True)
        self.console.print(f"  columns on main: {', '.join(world.columns('main'))}")
        self.hotels("prod")

        self.sql("dev", "ALTER TABLE hotels DROP rooms")
        self.sql("dev", "ALTER TABLE hotels DROP description")
        repository.revert()
        repository.merge()
        self.release("prod: a dropped column, the containers first", "prod", repository, visited=True)
        self.hotels("prod")

    def release(self, title: str, name: str, repository: Repository, *, visited: bool = False) -> None:
        """Build by buildspec.yml, which pushes; show the release that follows, and what a visitor saw meanwhile."""
        self.console.rule(f"[bold]{len(self.outcomes) + 1} of 6 · {title}", align="left")
        started = time.monotonic()
        if visited:
            with self.world.visitor(name) as visitor:
                told = self._released(name, repository)
            self._saw(visitor)
        else:
            told = self._released(name, repository)
        self.outcomes.append((title, told["outcome"], time.monotonic() - started))

    def sql(self, branch: str, statement: str) -> None:
        self.world.sql(branch, statement)
        self.console.print(f"  on branch {branch}: [green]{statement}[/]")

    def hotels(self, name: str) -> None:
        """What the public is answered, one hotel a line."""
        self.console.print(f"  GET {self.world.lightsail.public_url(f'bookings-api-{name}')}hotels of {name}")
        for hotel in self.world.hotels(name):
            self.console.print(f"    {json.dumps(hotel)}", markup=False)

    def _released(self, name: str, repository: Repository) -> dict[str, Any]:
        environment = self.world.environments[name]
        commit = repository.git("rev-parse", {"qa": "qa", "prod": "main"}[name])
        self.console.print(f"  CodeBuild runs buildspec.yml on commit {commit[:8]}")
        with progress(self.console) as self.world.show:
            before = self.world.build(name, repository)
        execution = follow(self.console, environment, before)
        report(self.console, environment, execution)
        return environment.report(execution["executionArn"])

    def _saw(self, visitor: Visitor) -> None:
        self.failures += visitor.failures
        failed = f"{len(visitor.failures)} failed" if visitor.failures else "none failed"
        self.console.print(f"  meanwhile a client asked for /hotels {visitor.answers} times without a pause: {failed}")
        for failure in visitor.failures[:3]:
            self.console.print(f"    {failure}", markup=False)
