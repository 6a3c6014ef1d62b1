"""The stand-in for the `docker` command, and what of the machine it needs."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cloud import machine
from cloud.local_aws import FOLDER

sys.path.append(str(FOLDER / "docker"))

import base_images
from buildah import is_loopback


def docker(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        "HOME": str(home),
        "DOCKER_STAND_IN_HOME": str(home),
    }
    command = [sys.executable, str(FOLDER / "docker" / "docker"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def test_the_base_images_of_a_dockerfile_are_those_that_are_not_its_stages() -> None:
    dockerfile = """
        # FROM commented:out
        FROM --platform=linux/amd64 rust:1-slim AS Build
        RUN echo FROM nothing
        from build as again
        FROM scratch
        FROM gcr.io/distroless/cc-debian12:nonroot
    """
    assert list(base_images.named_in(dockerfile)) == ["rust:1-slim", "gcr.io/distroless/cc-debian12:nonroot"]


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("rust:1", "docker.io/library/rust:1"),
        ("somebody/thing", "docker.io/somebody/thing"),
        ("gcr.io/thing:2", "gcr.io/thing:2"),
        ("localhost/thing", "localhost/thing"),
        ("127.0.0.1:5000/thing", "127.0.0.1:5000/thing"),
    ],
)
def test_a_name_without_a_registry_is_docker_hubs(name: str, full: str) -> None:
    assert base_images.full_name(name) == full


def test_only_the_loopback_device_is_talked_to_without_tls() -> None:
    assert all(map(is_loopback, ["127.0.0.1:5000/a", "localhost", "localhost:80/a", "[::1]:5000/a"]))
    assert not any(
        map(is_loopback, ["docker.io/a", "localhost.example.com/a", "127.0.0.1.example.com/a", "10.0.0.1/a"])
    )


def test_what_the_stand_in_does_not_know_is_refused(tmp_path: Path) -> None:
    for arguments in (["run", "a"], ["build", "--squash", "--tag", "a", "."], ["inspect", "--format", "{{.Id}}", "a"]):
        refused = docker(*arguments, home=tmp_path)
        assert refused.returncode == 2 and "usage: docker" in refused.stderr


@pytest.mark.skipif(not shutil.which("buildah"), reason="buildah is not here; see `make setup`")
def test_a_base_image_that_can_neither_be_pulled_nor_assembled_stops_the_build(tmp_path: Path) -> None:
    # Nothing listens on port 1 of a name that is not resolved.
    (tmp_path / "Dockerfile").write_text("FROM registry.invalid/thing:1\n")
    failed = docker("build", "--tag", "a", str(tmp_path), home=tmp_path / "home")
    assert failed.returncode == 1
    assert "the registry of registry.invalid/thing:1 cannot be reached, and there is no stand-in" in failed.stderr


def test_what_is_missing_is_told_with_the_packages_that_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "found", lambda program: None if program == "mariadbd" else f"/usr/bin/{program}")
    monkeypatch.setattr(machine, "_package_manager", lambda: "apt-get")
    needs = machine.missing()
    assert machine.advice(needs) == [
        "for a real database behind the PlanetScale emulator: mariadb-server-core mariadb-client-core"
    ]
    command = machine.install_command(needs)
    assert command and command[-2:] == ["mariadb-server-core", "mariadb-client-core"]
    monkeypatch.setattr(machine, "found", lambda program: f"/usr/bin/{program}")
    assert machine.missing() == []
