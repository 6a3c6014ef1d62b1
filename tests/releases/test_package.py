"""What `make package` leaves installs without Rust; here from programs that are not optimized."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from cloud import Environment, LocalAws, emulator, push_image
from cloud.local_aws import LOCAL, REPOSITORY, target_directory
from cloud.package import BILL, CHECKSUMS, TARGETS, complete, is_installed, package

TARGET = TARGETS["x86_64"]


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("package") / "dist"
    programs = package(REPOSITORY, folder, target_directory() / "debug", architecture="x86_64")
    complete(REPOSITORY, folder, programs, TARGET)
    return folder


def test_a_person_without_rust_installs_it_and_releases(dist: Path, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "sam").symlink_to(LOCAL / "tools" / "bin" / "sam")
    path = os.pathsep.join([str(programs), "/usr/bin", "/bin"])
    assert not [name for name in ("cargo", "rustc", "cargo-lambda", "zig") if shutil.which(name, path=path)]
    with LocalAws(lightsail=emulator("lightsail-emulator"), wait_scale=0.02) as aws:
        variables = {"PATH": path, "HOME": str(tmp_path), **aws.environment(), "SAM_CLI_TELEMETRY": "0"}
        command = ["sam", "deploy", "--config-env", "qa"]
        said = subprocess.run(command, cwd=dist, env=variables, capture_output=True, text=True)
        assert said.returncode == 0, said.stdout + said.stderr
        qa = Environment(aws, "bookings-api-qa")
        aws.put_secret(
            "bookings-api/qa/connection-string", "mysql://emulated:only-for-the-emulator@127.0.0.1/bookings_api"
        )
        push_image(aws, "bookings-api", ["3f2a9c1d", "qa"], unique=True)
        execution = qa.wait_for_execution(within_seconds=300)
        assert qa.end_state(execution["executionArn"]) == "Released"


def test_every_file_has_its_checksum(dist: Path) -> None:
    subprocess.run(["sha256sum", "--check", "--strict", CHECKSUMS], cwd=dist, check=True, stdout=subprocess.DEVNULL)
    listed = {line.split("  ", 1)[1] for line in (dist / CHECKSUMS).read_text().splitlines()}
    there = {str(path.relative_to(dist)) for path in dist.rglob("*") if path.is_file()}
    assert listed == there - {CHECKSUMS}
    assert {"template.yaml", "samconfig.toml", "statemachine/release.asl.yaml", "LICENSE", BILL} < listed


def test_each_function_is_one_zip_with_a_program(dist: Path) -> None:
    binaries = {path.parent.name for path in REPOSITORY.glob("functions/*/Cargo.toml")}
    archives = list((dist / "functions").iterdir())
    assert len(archives) == len(binaries)
    for archive in archives:
        (entry,) = zipfile.ZipFile(archive).infolist()
        assert entry.filename == "bootstrap" and entry.external_attr >> 16 & 0o777 == 0o755
    template = (dist / "template.yaml").read_text()
    assert {f"functions/{archive.name}" for archive in archives} == set(re.findall(r"CodeUri: (\S+)", template))
    assert str(REPOSITORY) not in template and "rust-cargolambda" not in template


def test_the_same_programs_make_the_same_package(dist: Path, tmp_path: Path) -> None:
    programs = package(REPOSITORY, tmp_path / "again", target_directory() / "debug", architecture="x86_64")
    complete(REPOSITORY, tmp_path / "again", programs, TARGET)
    assert (tmp_path / "again" / CHECKSUMS).read_text() == (dist / CHECKSUMS).read_text()


def test_the_bill_has_what_cyclonedx_requires(dist: Path) -> None:
    bill = json.loads((dist / BILL).read_text())
    assert (bill["bomFormat"], bill["specVersion"], bill["version"]) == ("CycloneDX", "1.6", 1)
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", bill["serialNumber"])
    components = bill["components"]
    assert all(component["type"] in ("library", "application") and component["name"] for component in components)
    references = [component["bom-ref"] for component in components]
    assert len(references) == len(set(references))
    known = {*references, bill["metadata"]["component"]["bom-ref"]}
    assert {dependency["ref"] for dependency in bill["dependencies"]} == known
    assert {need for dependency in bill["dependencies"] for need in dependency["dependsOn"]} <= known
    for component in components:
        if component["type"] == "library":
            assert component["licenses"][0]["expression"] and re.fullmatch(
                "[0-9a-f]{64}", component["hashes"][0]["content"]
            )


def test_the_bill_lists_what_is_compiled_in_and_no_more(dist: Path) -> None:
    names = {component["name"] for component in json.loads((dist / BILL).read_text())["components"]}
    functions = {path.parent.name for path in REPOSITORY.glob("functions/*/Cargo.toml")}
    assert functions | {"shared", "lambda_runtime", "reqwest", "aws-sdk-ecr"} <= names
    # The emulators, and what only tests or build scripts use.
    assert not names & {"planetscale-emulator", "lightsail-emulator", "proptest", "cc", "tempfile", "axum"}


def test_an_architecture_that_rust_cannot_compile_for_is_said() -> None:
    assert is_installed(TARGET) and not is_installed("x86_64-unknown-nowhere")
    if not is_installed(TARGETS["arm64"]):
        command = [sys.executable, "-m", "cloud.package", "--architecture", "arm64"]
        said = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
        assert said.returncode == 1
        assert "arm64: left out, because this Rust has no target aarch64-unknown-linux-gnu" in said.stdout
