import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cloud import Environment, LocalAws, emulator, install
from local_aws.toy_support import TOY


@pytest.fixture(scope="session")
def lightsail_emulator() -> Path | None:
    """The Lightsail emulator, where it has been built."""
    try:
        return emulator("lightsail-emulator")
    except FileNotFoundError:
        return None


@pytest.fixture(scope="session")
def aws(lightsail_emulator: Path | None) -> Iterator[LocalAws]:
    with LocalAws(
        lightsail=lightsail_emulator, wait_scale=0.01, function_environment={"TOY_PYTHON": sys.executable}
    ) as aws:
        yield aws


@pytest.fixture(scope="session")
def toy(aws: LocalAws, lightsail_emulator: Path | None) -> Environment:
    """The toy stack, installed by sam."""
    parameters = {"ContainerServiceName": "toy"} if lightsail_emulator else {}
    environment = install(aws, "toy", parameters, project=TOY)
    environment.subscribe()
    return environment


@pytest.fixture(autouse=True)
def reliable_events(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "aws" in request.fixturenames:
        request.getfixturevalue("aws").deliver_image_events("once")
