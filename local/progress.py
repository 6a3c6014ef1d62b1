"""Runs a command that takes long, and says how far it is: a line at once, and one at least every ten seconds.

    python3 local/progress.py 'Compiling the functions' cargo build --workspace --bins

Only what any Python 3.10 has: it runs before anything is installed.
"""

from __future__ import annotations

import os
import queue
import re
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence

# A line at least this often, in seconds; ten are promised, and a loaded machine is late.
EVERY = 5

# `Building [=====>      ] 12/345: shared, lambda_runtime`
_CARGO = re.compile(r"\] (\d+)/(\d+)")


class CommandFailed(Exception):
    """A command ended with an error. The message is all that it wrote."""

    def __init__(self, command: Sequence[str], code: int, output: str) -> None:
        super().__init__(output)
        self.command = command
        self.code = code


def run(
    purpose: str,
    command: Sequence[str],
    *,
    packages: int = 0,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Run `command` and print what it is for and how far it is.

    `packages` is how many packages pip is asked for. What the command writes is shown only when it fails.

    Raises CommandFailed when it ends with an error, and FileNotFoundError when there is no such program.
    """
    began = time.monotonic()
    say(f"{purpose} …")
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **_ALWAYS, **(environment or {})},
    )
    chunks: queue.Queue[bytes | None] = queue.Queue()
    threading.Thread(target=_read, args=(process, chunks), daemon=True).start()
    output, told = b"", began
    while True:
        try:
            chunk = chunks.get(timeout=0.5)
        except queue.Empty:
            chunk = b""
        if chunk is None:
            break
        output += chunk
        if time.monotonic() - told >= EVERY:
            told = time.monotonic()
            say(f"{purpose}: {how_far(output.decode(errors='replace'), packages)}{told - began:.0f} s")
    code = process.wait()
    if code != 0:
        raise CommandFailed(command, code, _readable(output))
    say(f"{purpose}: done in {time.monotonic() - began:.0f} s")


# Cargo shows its progress to terminals only, unless it is told to.
_ALWAYS = {"CARGO_TERM_PROGRESS_WHEN": "always", "CARGO_TERM_PROGRESS_WIDTH": "100", "CARGO_TERM_COLOR": "never"}


def how_far(output: str, packages: int) -> str:
    """How far cargo or pip is by what it wrote, or nothing where that does not say."""
    if found := _CARGO.findall(output):
        done, of = found[-1]
        return f"{done} of {of} compiled, "
    if packages:
        if "Installing collected packages" in output:
            return f"unpacking {packages} packages, "
        return f"{len(re.findall(r'^Collecting ', output, re.MULTILINE))} of {packages} packages found, "
    return ""


def say(line: str) -> None:
    print(line, flush=True)


def _read(process: subprocess.Popen[bytes], chunks: queue.Queue[bytes | None]) -> None:
    assert process.stdout is not None
    while chunk := os.read(process.stdout.fileno(), 65_536):
        chunks.put(chunk)
    chunks.put(None)


def _readable(output: bytes) -> str:
    """Without what a terminal would have written over."""
    lines = output.decode(errors="replace").replace("\r\n", "\n").split("\n")
    last = (re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", line.rsplit("\r", 1)[-1]) for line in lines)
    return "\n".join(line for line in last if not _CARGO.search(line)).strip()


def main() -> int:
    purpose, *command = sys.argv[1:]
    try:
        run(purpose, command)
    except CommandFailed as failed:
        print(failed, file=sys.stderr)
        print(f"error: {' '.join(command)} ended with code {failed.code}", file=sys.stderr)
        return failed.code if failed.code > 0 else 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
