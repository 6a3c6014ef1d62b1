"""Whether the dependencies are what they are to be: `python local/dependencies.py`.

Each that a Cargo.toml declares is used: the sources of its package name it, or, for one of the workspace, a member declares
it. None is banned, all come from crates.io, and each is under a licence that goes with the project's own.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parent.parent
FOLDERS = ("functions", "shared", "local", "tests", "benches", "examples")
WORKSPACES = (Path("Cargo.toml"), Path("examples/bookings-api/Cargo.toml"))

# Declared for what they bring and not for their names.
FOR_ANOTHERS_SAKE = {
    # Its version decides how reqwest reads the names of hosts.
    "idna_adapter",
}
# Name and the beginning of the version, with the reason.
BANNED = {
    ("aws-lc-rs", ""): "its first handshake gathers entropy for 25 ms of CPU time; ring does not",
    ("aws-lc-sys", ""): "see aws-lc-rs",
    ("hyper", "0.14."): "the SDK's default features bring it back beside hyper 1",
    ("rustls", "0.21."): "the SDK's default features bring it back beside rustls 0.23",
    ("openssl-sys", ""): "one TLS stack",
}
CRATES_IO = "registry+https://github.com/rust-lang/crates.io-index"
LICENCES = {
    *("Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause", "CDLA-Permissive-2.0", "ISC"),
    *("MIT", "MIT-0", "Unicode-3.0", "Zlib"),
}


def unused(checkout: Path) -> Iterator[str]:
    """A sentence for each dependency that is declared and not used."""
    declared: set[str] = set()
    for manifest in manifests(checkout):
        names = set(dependencies(manifest.read_text()))
        declared |= names
        sources = "\n".join(path.read_text() for path in sources_of(manifest.parent))
        for name in sorted(names - FOR_ANOTHERS_SAKE):
            if not re.search(rf"\b{name.replace('-', '_')}\b", sources):
                yield f"{manifest.relative_to(checkout)} declares {name}, which no source of it names."
    for name in dependencies((checkout / "Cargo.toml").read_text()):
        if name not in declared:
            yield f"Cargo.toml declares {name}, which no member does."


def manifests(checkout: Path) -> list[Path]:
    """Those of the packages."""
    return sorted(path for folder in FOLDERS for path in (checkout / folder).rglob("Cargo.toml"))


def dependencies(manifest: str) -> Iterator[str]:
    """The names that a manifest declares: without a parser of TOML, which Python 3.10 has none of."""
    inside = False
    for line in manifest.splitlines():
        if line.startswith("["):
            inside = line.rstrip("]").endswith("dependencies")
        elif inside and (name := re.match(r"[\w-]+", line)):
            yield name.group()


def sources_of(package: Path) -> Iterator[Path]:
    """Its own sources, without those of packages below it."""
    for path in package.rglob("*.rs"):
        if next(folder for folder in path.parents if (folder / "Cargo.toml").exists()) == package:
            yield path


def unwanted(packages: Iterable[dict[str, Any]]) -> Iterator[str]:
    """A sentence for each package that is not to be there."""
    for package in packages:
        name, version, source = package["name"], package["version"], package["source"]
        for (banned, beginning), reason in BANNED.items():
            if name == banned and version.startswith(beginning):
                yield f"{name} {version} is banned: {reason}."
        if source not in (None, CRATES_IO):
            yield f"{name} {version} comes from {source}, not from crates.io."
        if not may_be_used(package["license"] or ""):
            yield f"{name} {version} is under {package['license']}, which LICENCES does not list."


def may_be_used(licence: str) -> bool:
    """Whether the expression can be met: all of what AND joins, one of what OR joins."""
    licence = licence.replace("/", " OR ")
    while inner := re.search(r"\(([^()]*)\)", licence):
        met = "MIT" if may_be_used(inner[1]) else "none"
        licence = licence.replace(inner[0], met)
    return any(all(part.strip() in LICENCES for part in way.split(" AND ")) for way in licence.split(" OR "))


def packages(manifest: Path) -> list[dict[str, Any]]:
    """Every package that a workspace is built from on Linux."""
    command = ["cargo", "metadata", "--format-version=1", "--locked", "--filter-platform=x86_64-unknown-linux-gnu"]
    told = subprocess.run([*command, f"--manifest-path={manifest}"], stdout=subprocess.PIPE, check=True).stdout
    return list(json.loads(told)["packages"])


if __name__ == "__main__":
    built = (package for workspace in WORKSPACES for package in packages(CHECKOUT / workspace))
    sys.exit("\n".join([*unused(CHECKOUT), *unwanted(built)]) or None)
