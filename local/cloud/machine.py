"""What of the machine's own programs is there, and which packages have what is missing.

`python -m cloud.machine` tells it, and `--install` installs it. Nothing of it is needed for
`make demo`: it is for the full story, with a real database and an image built from a Dockerfile.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Need:
    """Programs that belong together, what they are for, and the packages that have them."""

    programs: tuple[str, ...]
    purpose: str
    apt: tuple[str, ...]
    dnf: tuple[str, ...]
    pacman: tuple[str, ...]
    brew: tuple[str, ...] = ()

    def is_met(self) -> bool:
        return all(found(program) for program in self.programs)

    def packages(self, manager: str) -> tuple[str, ...]:
        """Their names for a package manager."""
        return {"dnf": self.dnf, "pacman": self.pacman, "brew": self.brew}.get(manager, self.apt)


# The first that is there is this machine's own.
_INSTALL = {
    "apt-get": ["apt-get", "install", "--yes", "--no-install-recommends"],
    "dnf": ["dnf", "install", "--assumeyes"],
    "pacman": ["pacman", "--sync", "--needed", "--noconfirm"],
    "brew": ["brew", "install"],
}

# `mariadb-server-core` has the server without the service that `mariadb-server` starts, and
# `mariadb-client-core` what `mariadb-install-db` calls.
DATABASE = Need(
    ("mariadbd", "mariadb-install-db", "mariadb", "my_print_defaults"),
    "a real database behind the PlanetScale emulator",
    ("mariadb-server-core", "mariadb-client-core"),
    ("mariadb-server", "mariadb"),
    ("mariadb", "mariadb-clients"),
    ("mariadb",),
)
IMAGE_BUILDER = Need(("buildah",), "an image built from a Dockerfile", ("buildah",), ("buildah",), ("buildah",))
CERTIFICATES = Need(
    ("openssl",), "a database connection with TLS, in a test", ("openssl",), ("openssl",), ("openssl",), ("openssl",)
)
NEEDS = (DATABASE, IMAGE_BUILDER, CERTIFICATES)

# Any of these draws a page without a screen.
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
# Only a test of the pictures needs one, so a machine without is complete.
BROWSER = Need(
    (), "the pictures seen in a browser, in a test", ("chromium-headless-shell",), ("chromium",), ("chromium",)
)


def found(program: str) -> str | None:
    """The path of a program, also where only root has its folder in PATH."""
    return shutil.which(program) or shutil.which(program, path="/usr/local/sbin:/usr/sbin:/sbin")


def browser() -> str | None:
    """The path of a browser."""
    return next((path for program in BROWSERS if (path := found(program))), None)


def missing() -> list[Need]:
    """What is not there. A Docker engine builds images as well."""
    from cloud.code_build import has_docker_engine

    return [need for need in NEEDS if not need.is_met() and not (need is IMAGE_BUILDER and has_docker_engine())]


def advice(needs: Iterable[Need]) -> list[str]:
    """One line for each need that is not met, for people."""
    manager = _package_manager() or "apt"
    return [f"for {need.purpose}: {' '.join(need.packages(manager)) or 'not on this system'}" for need in needs]


def install_command(needs: Iterable[Need]) -> list[str] | None:
    """The command that installs it, or nothing where the package manager is not known."""
    manager = _package_manager()
    if manager is None:
        return None
    return [*_INSTALL[manager], *(package for need in needs for package in need.packages(manager))]


def _package_manager() -> str | None:
    return next((manager for manager in _INSTALL if shutil.which(manager)), None)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make setup", description=__doc__.splitlines()[0])
    parser.add_argument("--install", action="store_true", help="install what is missing")
    arguments = parser.parse_args()
    if arguments.install and browser() is None and (command := install_command([BROWSER])) and _install(command) != 0:
        print(f"Going on without {' '.join(BROWSER.packages(command[0]))}: one test is skipped.")
    needs = missing()
    if not needs:
        print("Everything is there.")
        return 0
    print("Missing", *advice(needs), sep="\n  ")
    command = install_command(needs)
    if command is None:
        print("This machine's package manager is not known here; these are Debian's names. Please install them.")
        return 1
    if not arguments.install:
        return 0
    if failed := _install(command):
        return failed
    left = missing()
    if left:
        print("Still missing", *advice(left), sep="\n  ")
    return 1 if left else 0


def _install(command: list[str]) -> int:
    prefix: list[str] = []
    # Homebrew refuses to run as root.
    if os.geteuid() != 0 and command[0] != "brew":
        prefix = ["sudo", "DEBIAN_FRONTEND=noninteractive"]
        if not shutil.which("sudo"):
            print(f"This needs root. Please run: {shlex.join(command)}")
            return 1
    # The lists of a fresh machine, such as a container, are empty.
    before = [[*prefix, "apt-get", "update"]] if command[0] == "apt-get" else []
    for step in [*before, [*prefix, *command]]:
        print(f"$ {shlex.join(step)}", flush=True)
        result = subprocess.run(step, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
        if result.returncode != 0:
            print(f"error: {shlex.join(step)} failed", file=sys.stderr)
            return result.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
