"""The demo in a folder with a space in its name, and as another user than root where the programs let one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cloud.install import build_directory, fingerprint
from cloud.local_aws import LOCAL, emulator, target_directory
from cloud.local_aws import REPOSITORY as CHECKOUT
from cloud.package import package

NOBODY = 65_534


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """A copy of what git knows, with what was set up and built already."""
    # Not pytest's own folder, which nobody but its user may enter.
    with tempfile.TemporaryDirectory(prefix="a folder ") as name:
        Path(name).chmod(0o755)
        yield copied(Path(name) / "my code")


def copied(folder: Path) -> Path:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=CHECKOUT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (CHECKOUT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, folder / name)
    (folder / ".local").mkdir()
    for name in ("ministack", "tools"):
        (folder / ".local" / name).symlink_to((LOCAL / name).resolve())
    # The build knows a folder by its path, and would compile everything again.
    built = folder / ".local" / build_directory(folder).relative_to(LOCAL)
    package(folder, built, target_directory() / "debug")
    (built.parent / "sources.sha256").write_text(fingerprint(folder))
    return folder


def test_the_short_demo_runs_in_a_folder_with_a_space(elsewhere: Path) -> None:
    assert " " in str(elsewhere) and emulator("lightsail-emulator").is_file()
    tools = elsewhere / ".local" / "tools" / "bin"
    environment = {
        **os.environ,
        "CARGO_TARGET_DIR": str(target_directory()),
        "PYTHONPATH": f"{elsewhere / 'local'}:{elsewhere / 'tests'}",
    }
    user: dict[str, Any] = {}
    if os.geteuid() == 0 and others_may_read(Path(sys.executable).resolve()) and others_may_read(target_directory()):
        for path in (elsewhere.parent, *elsewhere.parent.rglob("*")):
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
        user = {"user": NOBODY, "group": NOBODY}
        environment["HOME"] = str(elsewhere)
    said = subprocess.run(
        [str(tools / "python"), "-m", "demo", "--short"],
        cwd=elsewhere,
        env=environment,
        capture_output=True,
        text=True,
        **user,
    )
    assert said.returncode == 0, said.stdout + said.stderr
    assert said.stdout.count("Released") >= 3 and "SchemaReverted" in said.stdout


def others_may_read(path: Path) -> bool:
    return all(folder.stat().st_mode & 0o005 == 0o005 for folder in path.parents)
