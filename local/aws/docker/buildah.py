"""buildah with storage, login and settings of its own, so that nothing of the machine's is used or changed."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

REPOSITORY = Path(__file__).resolve().parents[3]


class BuildahFailed(Exception):
    """What buildah was asked for did not work. It has said why, unless the message does."""


class Buildah:
    """One storage of images. Commands of several processes on it follow one another."""

    def __init__(self) -> None:
        if not shutil.which("buildah"):
            raise BuildahFailed("buildah is not installed; `make setup` installs it")
        self.home = Path(os.environ.get("DOCKER_STAND_IN_HOME", REPOSITORY / ".local" / "images")).resolve()
        self.home.mkdir(parents=True, exist_ok=True)
        self._lock = (self.home / "lock").open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        registries = self.home / "registries.conf"
        # As Docker reads a name without a registry.
        registries.write_text('unqualified-search-registries = ["docker.io"]\nshort-name-mode = "disabled"\n')
        login = self.home / "auth.json"
        if not login.is_file():
            login.touch(mode=0o600)
            login.write_text("{}")
        self._environment = {
            **os.environ,
            "BUILDAH_ISOLATION": "chroot",
            "CONTAINERS_REGISTRIES_CONF": str(registries),
            "REGISTRY_AUTH_FILE": str(login),
            "TMPDIR": str(self._folder("tmp")),
        }
        self._driver = self._known_driver()

    def run(self, command: str, *arguments: str, stdin: IO[str] | None = None, quiet: bool = False) -> str:
        """Run a command of buildah. Its standard output is returned, and shown unless `quiet`.

        Raises BuildahFailed when it fails.
        """
        result = subprocess.run(
            [*self._prefix(self._driver), command, *arguments],
            stdin=stdin or subprocess.DEVNULL,
            stdout=subprocess.PIPE if quiet else None,
            env=self._environment,
            text=True,
        )
        if result.returncode != 0:
            raise BuildahFailed(f"buildah {command} ended with code {result.returncode}")
        return (result.stdout or "").strip()

    def images(self, name: str) -> list[dict[str, Any]]:
        """The local image of this name. Raises BuildahFailed when there is none."""
        return json.loads(self.run("images", "--json", "--digests", name, quiet=True))

    def has(self, name: str) -> bool:
        return self._try(self._driver, "inspect", "--type", "image", name).returncode == 0

    def _try(self, driver: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [*self._prefix(driver), *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=self._environment)

    def _prefix(self, driver: str) -> list[str]:
        storage = ["--root", str(self._folder(driver)), "--runroot", str(self._folder("run"))]
        return ["buildah", "--storage-driver", driver, *storage]

    def _known_driver(self) -> str:
        """overlay where the kernel and the file system can, else vfs, which copies every layer."""
        known = self.home / "driver"
        if not known.is_file():
            trial = self._try("overlay", "from", "scratch")
            if trial.returncode == 0:
                self._try("overlay", "rm", trial.stdout.strip())
            known.write_text("overlay" if trial.returncode == 0 else "vfs")
        return known.read_text()

    def _folder(self, name: str) -> Path:
        folder = self.home / name
        folder.mkdir(exist_ok=True)
        return folder


def is_loopback(name: str) -> bool:
    """Whether an image's name, or a registry's, is on the loopback device."""
    return re.match(r"(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?(/|$)", name) is not None


def say(text: str) -> None:
    """A line of progress."""
    print(text, file=sys.stderr, flush=True)
