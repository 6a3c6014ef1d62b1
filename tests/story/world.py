"""Both environments with a real database, a real build and real containers."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloud import Environment, Lightsail, LocalAws, PlanetScale, emulator, install
from cloud.bookings import DATABASE, ORGANIZATION, TOKEN
from cloud.code_build import CodeBuild
from cloud.local_aws import REPOSITORY
from cloud.mariadb import MariaDb, query

if TYPE_CHECKING:
    from typing_extensions import Self

APPLICATION = REPOSITORY / "examples" / "bookings-api"
ADD_DESCRIPTION = "ALTER TABLE hotels ADD description VARCHAR(400)"
DESCRIBE = "UPDATE hotels SET description = 'Such a lovely place' WHERE id = 1"
_SOURCE = {
    "SourceRepository": "https://github.com/my-organization/bookings-api",
    "SourceConnectionArn": "arn:aws:codeconnections:eu-central-1:123456789012:connection/only-emulated",
}
_WEBHOOKS = {
    "qa": {"CODEBUILD_WEBHOOK_EVENT": "PUSH", "CODEBUILD_WEBHOOK_HEAD_REF": "refs/heads/qa"},
    "prod": {
        "CODEBUILD_WEBHOOK_EVENT": "PULL_REQUEST_MERGED",
        "CODEBUILD_WEBHOOK_BASE_REF": "refs/heads/main",
        "CODEBUILD_WEBHOOK_HEAD_REF": "refs/heads/qa",
    },
}
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

Show = Callable[[str], None]


class World:
    """Everything the story needs, for as long as the `with` block lasts."""

    def __init__(self, *, wait_scale: float) -> None:
        self._wait_scale = wait_scale
        # Gets every line of installs and builds.
        self.show: Show = lambda line: None
        self._stack = ExitStack()
        self.environments: dict[str, Environment] = {}

    def __enter__(self) -> Self:
        try:
            database = self._stack.enter_context(MariaDb())
            self.aws = self._stack.enter_context(
                LocalAws(
                    planetscale=emulator("planetscale-emulator"),
                    lightsail=emulator("lightsail-emulator"),
                    database=database,
                    real_containers=True,
                    container_reaches=[f"127.0.0.1:{database.port}"],
                    wait_scale=self._wait_scale,
                )
            )
        except BaseException:
            self._stack.close()
            raise
        self.planetscale = PlanetScale(self.aws, ORGANIZATION, DATABASE)
        self.lightsail = Lightsail(self.aws)
        self.lightsail.settings(healthCheckIntervalScale=0.1, healthCheckDeadlineMs=8_000)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def install(self, name: str, parameters: dict[str, str]) -> Environment:
        """An environment as a person installs it, its secrets filled."""
        environment = install(self.aws, name, {**_SOURCE, **parameters}, show=self.show)
        environment.subscribe()
        self.environments[name] = environment
        branch = {"qa": "dev", "prod": "main"}[name]
        self.aws.put_secret(f"bookings-api/{name}/connection-string", self.planetscale.connection(branch)["url"])
        return environment

    def install_both(self) -> None:
        self.planetscale.reset(schema=(APPLICATION / "schema.sql").read_text(), token=TOKEN)
        for branch in ("dev", "main"):
            self.sql(branch, (APPLICATION / "seed.sql").read_text())
        self.install("qa", {"SourceBranch": "qa"})
        planetscale = {"PlanetScaleApiUrl": f"{self.aws.planetscale_url}/v1", "DestructiveChanges": "after-containers"}
        self.install("prod", {**planetscale, "BuildTrigger": "merged-pull-request"})
        self.aws.put_secret("bookings-api/prod/planetscale", json.dumps(TOKEN))

    def sql(self, branch: str, statements: str) -> list[list[str]]:
        """What a developer runs in a branch with a MySQL client, and its rows."""
        return query(self.planetscale.connection(branch), statements)

    def columns(self, branch: str) -> list[str]:
        return [row[0] for row in self.sql(branch, "SHOW COLUMNS FROM hotels")]

    def repository(self) -> Repository:
        """The application's own git repository, with the pipeline's buildspec."""
        return Repository(self.aws.logs / "bookings-api")

    def build(self, name: str, repository: Repository) -> set[str]:
        """Build and push as the environment's CodeBuild project does, on a push to `qa` or a merge into `main`.

        Returns the environment's executions before it. Raises RuntimeError with the build's log when it fails.
        """
        before = {execution["executionArn"] for execution in self.environments[name].executions()}
        builds = CodeBuild(self.aws, f"bookings-api-{name}")
        build = builds.build(builds.checkout(repository.folder, "qa"), _WEBHOOKS[name], show=self.show)
        if not build.succeeded:
            raise RuntimeError(build.log)
        return before

    def release(self, name: str, repository: Repository) -> dict[str, Any]:
        """Build and push, wait for the release that the push starts, and return its report."""
        environment = self.environments[name]
        before = self.build(name, repository)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            started = {execution["executionArn"] for execution in environment.executions()} - before
            for arn in started:
                environment.wait_for_execution(arn, within_seconds=300)
                return environment.report(arn)
            time.sleep(0.1)
        raise TimeoutError(f"the push started no release in {name}")

    def hotels(self, name: str) -> list[dict[str, Any]]:
        """What the environment's public URL answers to `GET /hotels`."""
        with _opener.open(f"{self._url(name)}hotels", timeout=30) as response:
            return json.loads(response.read())

    @contextmanager
    def visitor(self, name: str) -> Iterator[Visitor]:
        """A client that asks for `/hotels` again and again, without a pause, until the block ends."""
        visitor = Visitor(f"{self._url(name)}hotels")
        thread = threading.Thread(target=visitor.visit, daemon=True)
        thread.start()
        try:
            yield visitor
        finally:
            visitor.leaves.set()
            thread.join()

    def _url(self, name: str) -> str:
        return self.lightsail.public_url(f"bookings-api-{name}")


@dataclass
class Visitor:
    """What somebody saw who never stopped asking."""

    url: str
    answers: int = 0
    failures: list[str] = field(default_factory=list)
    leaves: threading.Event = field(default_factory=threading.Event)

    def visit(self) -> None:
        while not self.leaves.is_set():
            try:
                with _opener.open(self.url, timeout=30) as response:
                    hotels = json.loads(response.read())
                self.answers += 1
                if not hotels or "name" not in hotels[0]:
                    self.failures.append(f"{time.time():.3f} {hotels}")
            except urllib.error.HTTPError as error:
                self.failures.append(f"{time.time():.3f} {error.code} {error.read().decode(errors='replace')}")
            except (OSError, ValueError) as error:
                self.failures.append(f"{time.time():.3f} {error!r}")


class Repository:
    """A git repository such as GitHub has, with the branches `main` and `qa`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(APPLICATION, folder, ignore=shutil.ignore_patterns("target"))
        shutil.copy(REPOSITORY / "buildspec.yml", folder)
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("config", "user.name", "A developer")
        self.git("config", "user.email", "developer@example.com")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "The application")
        self.git("checkout", "--quiet", "-b", "qa")

    def git(self, *arguments: str) -> str:
        command = ["git", "-C", str(self.folder), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def change(self, path: str, old: str, new: str, message: str) -> str:
        """A commit on `qa` that replaces a text. Returns its hash."""
        file = self.folder / path
        content = file.read_text()
        if old not in content:
            raise ValueError(f"{path} does not contain {old!r}")
        file.write_text(content.replace(old, new))
        self.git("commit", "--quiet", "--all", "--message", message)
        return self.git("rev-parse", "HEAD")

    def revert(self) -> str:
        """A commit on `qa` that takes the last one back. Returns its hash."""
        self.git("revert", "--no-edit", "HEAD")
        return self.git("rev-parse", "HEAD")

    def merge(self) -> str:
        """Merge `qa` into `main`, as a pull request is merged. Returns the merge's hash."""
        self.git("checkout", "--quiet", "main")
        self.git("merge", "--quiet", "--no-ff", "--message", "Merge qa", "qa")
        merged = self.git("rev-parse", "HEAD")
        self.git("checkout", "--quiet", "qa")
        return merged
