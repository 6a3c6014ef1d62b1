"""One local AWS with both environments installed, for all tests of this folder."""

from __future__ import annotations

from typing import Iterator

import pytest
from harness import Environment, LocalAws, emulator, install

from stage import CONNECTION_STRINGS, Stage

# Waits of a release are shortened by this factor: five seconds take a tenth of one.
WAIT_SCALE = 0.02

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
def qa(aws: LocalAws) -> Environment:
    return _install(aws, "qa", {**SOURCE, "SourceBranch": "qa", "DockerHub": "true"})


@pytest.fixture(scope="session")
def prod(aws: LocalAws, qa: Environment) -> Environment:
    # The repository is shared, and qa's stack creates it.
    planetscale = {"PlanetScaleApiUrl": f"{aws.planetscale_url}/v1"}
    return _install(aws, "prod", {**SOURCE, **planetscale, "BuildTrigger": "merged-pull-request"})


@pytest.fixture
def stage(aws: LocalAws, qa: Environment, prod: Environment) -> Iterator[Stage]:
    """Both environments as they are after the install and one good release."""
    stage = Stage(aws, qa, prod)
    stage.set()
    yield stage
    stage.clear()


def _install(aws: LocalAws, name: str, parameters: dict[str, str]) -> Environment:
    environment = install(aws, name, parameters)
    aws.put_secret(f"bookings-api/{name}/connection-string", CONNECTION_STRINGS[name])
    environment.subscribe()
    return environment
