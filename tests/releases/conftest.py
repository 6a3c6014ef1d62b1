"""One local AWS with both environments installed, for all tests of this folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import figures
import pytest
from cloud import Environment, LocalAws, emulator, install
from stage import CONNECTION_STRINGS, WAIT_SCALE, Stage

# What the service answers is asked where a test sets VERIFY_FOR: each of the others would take two seconds more.
UNVERIFIED = {"VerifyFor": "0"}

# With it a stack has its CodeBuild project. Nothing asks GitHub: builds clone a repository of the test's.
SOURCE = {
    "SourceRepository": "https://github.com/my-organization/bookings-api",
    "SourceConnectionArn": "arn:aws:codeconnections:eu-central-1:123456789012:connection/only-for-the-tests",
}


@pytest.fixture(scope="session")
def aws() -> Iterator[LocalAws]:
    with LocalAws(
        planetscale=emulator("planetscale-emulator"),
        lightsail=emulator("lightsail-emulator"),
        wait_scale=WAIT_SCALE,
    ) as aws:
        yield aws


@pytest.fixture(scope="session")
def qa(aws: LocalAws) -> Iterator[Environment]:
    environment = _install(aws, "qa", {**SOURCE, "SourceBranch": "qa", "DockerHub": "true"})
    yield environment
    _count(environment)
    figures.count(
        "faults of Lightsail", Counter(filter(None, (r.get("fault") for r in aws.lightsail.get("/_control/requests"))))
    )
    figures.count("faults of Lambda", Counter(aws.control.post("/_local/function-faults", {"show": True})["played"]))


@pytest.fixture(scope="session")
def prod(aws: LocalAws, qa: Environment) -> Iterator[Environment]:
    # The repository is shared, and qa's stack creates it.
    planetscale = {"PlanetScaleApiUrl": f"{aws.planetscale_url}/v1"}
    environment = _install(aws, "prod", {**SOURCE, **planetscale, "BuildTrigger": "merged-pull-request"})
    yield environment
    _count(environment)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if figures.figures:
        terminalreporter.section("releases and faults")
        for line in figures.lines():
            terminalreporter.write_line(line)


@pytest.fixture
def stage(aws: LocalAws, qa: Environment, prod: Environment) -> Iterator[Stage]:
    """Both environments as they are after the install and one good release."""
    stage = Stage(aws, qa, prod)
    stage.set()
    yield stage
    stage.clear()


def _install(aws: LocalAws, name: str, parameters: dict[str, str]) -> Environment:
    environment = install(aws, name, {**UNVERIFIED, **parameters})
    aws.put_secret(f"bookings-api/{name}/connection-string", CONNECTION_STRINGS[name])
    environment.subscribe()
    return environment


def _count(environment: Environment) -> None:
    ends = (environment.end_state(execution["executionArn"]) for execution in environment.executions())
    figures.count("releases", Counter(ends))
