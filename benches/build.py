"""How long `sam build` takes: from clean, and after a change.

It builds a copy of this working tree, so that the changes it makes touch nothing of it, even if it is killed. Settings
are those of a person's build, with plain cargo as the compiler. Packages come from cargo's own cache: downloads are
not in the figures.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from cloud.local_aws import LOCAL, REPOSITORY
from cloud.processes import Process

from benches.table import Table
from benches.world import Show

FUNCTION = Path("functions/acquire-lock/src/main.rs")
SHARED = Path("shared/src/lib.rs")

_TITLES = {
    "clean_seconds": "from clean",
    "unchanged_seconds": "nothing changed",
    "function_changed_seconds": f"after a change of {FUNCTION.parts[0]}/{FUNCTION.parts[1]}",
    "shared_changed_seconds": f"after a change of {SHARED.parts[0]}",
}


def measure(show: Show, options: argparse.Namespace) -> dict[str, Any]:
    """Seconds of `sam build` by what was changed before."""
    LOCAL.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="build-benchmark-", dir=LOCAL) as name:
        folder = Path(name)
        project = folder / "project"
        _copy(project)
        # So that the first build is of the compiler's time alone.
        subprocess.run(["cargo", "fetch", "--quiet", "--locked"], cwd=project, check=True)
        results: dict[str, float] = {"processors": len(os.sched_getaffinity(0))}
        results["clean_seconds"] = _build(folder, "clean", show)
        results["unchanged_seconds"] = _build(folder, "unchanged", show)
        _change(project / FUNCTION)
        results["function_changed_seconds"] = _build(folder, "function changed", show)
        _change(project / SHARED)
        results["shared_changed_seconds"] = _build(folder, "shared changed", show)
        return results


def rows(results: dict[str, Any]) -> list[Table]:
    """Seconds by what was changed before."""
    lines = [[title, f"{results[name]:.0f} s"] for name, title in _TITLES.items() if name in results]
    return [Table(f"sam build, on {results['processors']} processors", ["sam build", "takes"], lines)]


def _copy(project: Path) -> None:
    """Every file of the working tree that git knows or would take."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (REPOSITORY / name).is_file():
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, project / name)


def _change(source: Path) -> None:
    """A change that the compiler has to look at."""
    with source.open("a") as file:
        file.write(f"\n/// A change for the benchmark.\npub const CHANGED_AT: u128 = {time.time_ns()};\n")


def _build(folder: Path, what: str, show: Show) -> float:
    """Seconds of one `sam build`. Raises ProcessFailed with the end of its output when it fails."""
    tools = os.pathsep.join(str(LOCAL / name / "bin") for name in ("tools", "package"))
    variables = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "PATH": f"{tools}{os.pathsep}{os.environ.get('PATH', '')}",
        "CARGO_LAMBDA_COMPILER": "cargo",
        "CARGO_TARGET_DIR": str(folder / "target"),
        "SAM_CLI_TELEMETRY": "0",
        "TMPDIR": str(folder),
    }
    command = ["sam", "build", "--build-dir", str(folder / "build"), "--template-file", "template.yaml"]
    built = 0

    def line(text: str) -> None:
        nonlocal built
        if text.startswith("Building codeuri"):
            built += 1
            show(f"sam build, {what}: function {built}, after {time.monotonic() - began:.0f} s")

    began = time.monotonic()
    process = Process("sam build", command, folder / "sam-build.log", variables, folder / "project")
    try:
        process.wait(line)
    finally:
        process.stop()
    took = time.monotonic() - began
    show(f"sam build, {what}: {took:.0f} s")
    return round(took, 1)
