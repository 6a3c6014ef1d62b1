"""Releases of images that are really started, seen as the public sees them."""

from __future__ import annotations

import os
import secrets
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cloud import Environment, Lightsail, LocalAws, emulator, push_image
from cloud.local_aws import REPOSITORY
from conftest import _install
from stage import REPOSITORY as IMAGES
from stage import WAIT_SCALE, Ended, Stage

PROGRAM = REPOSITORY / "local/lightsail/tests/images/app.rs"
SERVICE = "bookings-api-qa"

_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass
class RealStage(Stage):
    """One environment without a database, whose containers really run."""

    program: bytes = b""

    def set(self) -> None:
        self.lightsail = Lightsail(self.aws)
        self.lightsail.settings(healthCheckIntervalScale=0.02, healthCheckDeadlineMs=60_000)

    def release_version(self, version: str, *arguments: str) -> Ended:
        """Push an image that answers its version at `/`, and wait for its release."""
        tags = [secrets.token_hex(20), "qa"]
        files = {"version": version}
        digest = push_image(self.aws, IMAGES, tags, files=files, program=self.program, arguments=arguments, unique=True)
        return self.ended(self.qa, digest, within_seconds=300)

    def answer(self) -> tuple[int, str]:
        """What the public URL answers."""
        try:
            with _opener.open(self.lightsail.public_url(SERVICE), timeout=30) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


@pytest.fixture(scope="module")
def real_qa() -> Iterator[Environment]:
    with LocalAws(lightsail=emulator("lightsail-emulator"), real_containers=True, wait_scale=WAIT_SCALE) as aws:
        yield _install(aws, "qa", {})


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A small server, linked statically, for it is alone in its image."""
    path: Path = tmp_path_factory.mktemp("program") / "app"
    options = ["--edition", "2024", "-C", "target-feature=+crt-static", "-C", "strip=symbols"]
    subprocess.run([os.environ.get("RUSTC", "rustc"), *options, "-o", path, PROGRAM], check=True)
    return path.read_bytes()


@pytest.fixture
def stage(real_qa: Environment, program: bytes) -> RealStage:
    stage = RealStage(real_qa.aws, real_qa, real_qa, program)
    stage.set()
    return stage


def test_the_public_sees_each_release_and_keeps_what_serves_when_one_fails(stage: RealStage) -> None:
    assert stage.answer()[0] == 503
    for version in ("one", "two"):
        ended = stage.release_version(version)
        assert ended.outcome == "Released", ended.report["whatHappened"]
        assert stage.answer() == (200, version)

    stage.lightsail.settings(healthCheckDeadlineMs=2_000)
    ended = stage.release_version("three", "broken")
    assert ended.outcome == "ContainersFailed", ended.report["whatHappened"]
    assert stage.answer() == (200, "two")

    ended = stage.release_version("four", "crash")
    assert ended.outcome == "ContainersFailed", ended.report["whatHappened"]
    assert "no such table: hotels" in str(ended.report)
    assert stage.answer() == (200, "two")
    assert stage.lightsail.active_image(SERVICE) != ended.report["image"]
