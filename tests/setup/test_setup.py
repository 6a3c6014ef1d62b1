"""What `make` says and sets up before anything is installed."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pins
import progress
import pytest
from cloud.local_aws import REPOSITORY as CHECKOUT
from packaging.requirements import Requirement

SYSTEMS = ("Debian and Ubuntu", "Fedora", "Arch", "macOS")


def setup_module_of_the_project() -> Any:
    """`local/setup`, which has no suffix."""
    path = CHECKOUT / "local" / "setup"
    loader = importlib.machinery.SourceFileLoader("setup_of_the_project", str(path))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_make_alone_says_what_there_is() -> None:
    said = subprocess.run(
        ["make", "--no-print-directory"], cwd=CHECKOUT, capture_output=True, text=True, check=True
    ).stdout
    names = [line.split()[0] for line in said.splitlines()]
    assert names[:3] == ["help", "demo", "setup"] and {"test", "package", "lint"} <= set(names)


@pytest.mark.parametrize("program", ["cargo", "cc", "git"])
def test_a_missing_program_is_named_with_its_package_on_each_system(program: str, tmp_path: Path) -> None:
    for present in {"cargo", "cc", "git"} - {program}:
        (tmp_path / present).symlink_to("/bin/true")
    said = subprocess.run(
        [sys.executable, str(CHECKOUT / "local" / "setup"), "demo", "--check"],
        env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert said.returncode == 1
    assert f"there is no `{program}`" in said.stderr and said.stderr.count("error:") == 1
    for system in SYSTEMS if program != "cargo" else ("https://rustup.rs", *SYSTEMS[1:]):
        assert system in said.stderr, system


def test_every_target_that_needs_something_says_what() -> None:
    module = setup_module_of_the_project()
    known = {path.stem for path in (CHECKOUT / "local" / "requirements").glob("*.txt")}
    assert {name for names in module.NEEDS.values() for name in names} == known
    targets = (CHECKOUT / "Makefile").read_text()
    for target in module.NEEDS:
        assert f"for-{target}" in targets or f"local/setup {target}" in targets, target
    # What reads the template is not needed to see a release.
    assert "checkov" not in {*module.NEEDS["demo"], *module.NEEDS["test"], *module.NEEDS["package"]}


def test_a_script_with_a_long_or_spaced_path_runs(tmp_path: Path) -> None:
    for folder in (tmp_path / "a folder" / "tools", tmp_path / ("long" * 40) / "tools"):
        programs = folder / "bin"
        programs.mkdir(parents=True)
        python = programs / "python"
        python.symlink_to(sys.executable)
        script = programs / "aws"
        script.write_text(f"#!{python}\nimport sys\nprint(sys.argv[1:])\n")
        script.chmod(0o755)
        setup_module_of_the_project().mend_scripts(folder)
        said = subprocess.run([str(script), "one two", "three"], capture_output=True, text=True, check=True)
        assert said.stdout == "['one two', 'three']\n"


def test_what_takes_long_says_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "EVERY", 0)
    cargo = "import sys; sys.stderr.write('   Compiling shared\\n    Building [==>   ] 12/345: shared\\r')"
    progress.run("Compiling", [sys.executable, "-c", cargo])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Compiling …"
    assert any(line.startswith("Compiling: 12 of 345 compiled, ") for line in lines)
    assert lines[-1].startswith("Compiling: done in ")

    pip = "print('Collecting a==1\\nCollecting b==2', flush=True)"
    progress.run("Installing", [sys.executable, "-c", pip], packages=3)
    assert any("2 of 3 packages found, " in line for line in capsys.readouterr().out.splitlines())


def test_a_command_that_fails_shows_what_it_wrote() -> None:
    command = "import sys; sys.stderr.write('   Building [=> ] 1/2: a\\rerror: no such crate\\n'); sys.exit(3)"
    said = subprocess.run(
        [sys.executable, str(CHECKOUT / "local" / "progress.py"), "Compiling", sys.executable, "-c", command],
        capture_output=True,
        text=True,
    )
    assert said.returncode == 3
    assert said.stderr.splitlines()[0] == "error: no such crate"


def test_a_pin_counts_for_the_python_that_is_asked_about() -> None:
    wanted = [Requirement(line) for line in ("a==1", "b==1; python_version < '3.11'", "b==2; python_version >= '3.11'")]
    assert pins.for_python(wanted, "3.10.0") == ["a==1", "b==1"]
    assert pins.for_python(wanted, "3.11.0") == ["a==1", "b==2"]


def test_the_readme_names_the_oldest_python_that_the_pins_are_asked_about() -> None:
    module = setup_module_of_the_project()
    oldest = ".".join(map(str, module.MINIMUM_PYTHON))
    assert f"Python {oldest} or newer" in (CHECKOUT / "README.md").read_text()
    assert pins.PYTHONS[0].startswith(f"{oldest}.")
