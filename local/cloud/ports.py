"""Ports for programs that must be told theirs before they start."""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self

_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_FIRST = 20_000


class Port:
    """A free port of 127.0.0.1, which nobody else who asks here gets until it is closed or this process ends.

    It is outside of the range from which the kernel hands out ports by itself, so that no connection of another
    program takes it between now and the moment in which its own program listens.
    """

    def __init__(self) -> None:
        folder = Path(tempfile.gettempdir(), f"local-aws-ports-{os.getuid()}")
        folder.mkdir(mode=0o700, exist_ok=True)
        for number in _numbers():
            lock = (folder / str(number)).open("w")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                with socket.socket() as listener:
                    # As the program will, so that a connection that just ended there is not in its way.
                    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    listener.bind(("127.0.0.1", number))
            except OSError:
                lock.close()
                continue
            self.number = number
            self._lock = lock
            return
        raise RuntimeError("every port is taken")

    def close(self) -> None:
        """Let others have it."""
        self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _numbers() -> list[int]:
    """The ports to try, in no order, so that many who ask at once do not meet at each."""
    try:
        first, last = map(int, _EPHEMERAL.read_text().split())
    except OSError:
        first, last = 49_152, 65_535
    numbers = [*range(_FIRST, first), *range(last + 1, 65_536)]
    random.shuffle(numbers)
    return numbers
