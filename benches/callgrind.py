"""Counting the instructions of a process, of all its threads, with valgrind's callgrind."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from benches.failed import Failed


def require() -> None:
    if not shutil.which("valgrind"):
        raise Failed("valgrind is missing. On Debian and Ubuntu: apt install valgrind")


def instructions(run: Callable[[list[str]], None]) -> int:
    """The instructions of a process; `run` starts it with the words that go before its command, and ends it."""
    with tempfile.TemporaryDirectory(prefix="callgrind-") as folder:
        # A process that it starts would have a file of its own.
        output = Path(folder, "callgrind.out")
        run(["valgrind", "--quiet", "--tool=callgrind", f"--callgrind-out-file={output}"])
        found = re.search(r"^totals: (\d+)$", output.read_text() if output.exists() else "", re.MULTILINE)
    if not found:
        raise Failed("callgrind wrote no totals")
    return int(found.group(1))
