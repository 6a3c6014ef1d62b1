"""Processes that write to a log file and end with this one."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

GUARD = Path(__file__).with_name("guard.py")
_TAIL_LINES = 40


class ProcessFailed(Exception):
    """A process did not start, or ended with an error. The message shows the end of its log."""


class Process:
    """A running command, stopped with everything it started by `stop` or by the end of this process."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        log: Path,
        environment: Mapping[str, str],
        directory: Path | None = None,
    ) -> None:
        self.name = name
        self.log = log
        with log.open("wb") as output:
            self._guard = subprocess.Popen(
                [sys.executable, str(GUARD), *map(str, command)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                cwd=directory,
                start_new_session=True,
            )

    def stop(self) -> None:
        if self._guard.stdin:
            self._guard.stdin.close()
        self._guard.wait()

    def wait(self, show: Callable[[str], None]) -> None:
        """Wait for the command's end and pass on its output line by line.

        Raises ProcessFailed when it ends with an error.
        """
        with self.log.open(encoding="utf-8", errors="replace") as output:
            line = ""
            while True:
                ended = self._guard.poll() is not None
                while part := output.readline():
                    line += part
                    if line.endswith("\n"):
                        show(line.rstrip("\n"))
                        line = ""
                if ended:
                    break
                time.sleep(0.05)
        if self._guard.returncode != 0:
            raise self._failure(f"ended with code {self._guard.returncode}")

    def address(self, within_seconds: float = 300) -> str:
        """The `host:port` that the command prints when it listens."""
        found: list[str] = []

        def printed() -> bool:
            found.extend(re.findall(r"127\.0\.0\.1:[1-9]\d*", self._text()))
            return bool(found)

        self.wait_until(printed, "print its address", within_seconds)
        return found[0]

    def wait_until(self, is_true: Callable[[], bool], purpose: str, within_seconds: float) -> None:
        """Raises ProcessFailed when the command ends first, or takes longer."""
        deadline = time.monotonic() + within_seconds
        while not is_true():
            if self._guard.poll() is not None:
                raise self._failure(f"ended with code {self._guard.returncode}")
            if time.monotonic() > deadline:
                self.stop()
                raise self._failure(f"did not {purpose} within {within_seconds:.0f} s")
            time.sleep(0.05)

    def _text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def _failure(self, what: str) -> ProcessFailed:
        tail = "\n".join(self._text().splitlines()[-_TAIL_LINES:])
        return ProcessFailed(f"{self.name} {what}. The end of {self.log}:\n{tail}")
