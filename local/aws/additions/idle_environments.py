"""`POST /_local/idle-environments`: execution environments that had nothing to do for so many seconds are ended.

Request: `{"seconds"}`; `{}` keeps them from now on. Lambda freezes an environment between two invocations. ministack's
go on: two threads of each look around ten times a second, which is all of a processor for a thousand environments.
"""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ministack.core import lambda_runtime

from additions import control

_LOOK_SECONDS = 0.5
# Ending one waits for its threads.
_AT_A_TIME = 16

_seconds: float | None = None


def install() -> None:
    control.register("idle-environments", _set)
    threading.Thread(target=_look, daemon=True, name="idle-environments").start()


def _set(request: dict[str, Any]) -> dict[str, Any]:
    global _seconds
    seconds = request.get("seconds")
    if seconds is not None and not (isinstance(seconds, (int, float)) and seconds >= 0):
        raise ValueError("'seconds' is a number that is not negative")
    _seconds = seconds
    return {}


def _look() -> None:
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        while True:
            time.sleep(_LOOK_SECONDS)
            if _seconds is not None:
                for worker in _idle(time.time() - _seconds):
                    pool.submit(lambda_runtime.kill_workers, [worker])


def _idle(since: float) -> list[Any]:
    """Those that nobody uses, taken out of their pools, so that nobody will."""
    found = []
    with lambda_runtime._lock:
        for key, workers in list(lambda_runtime._workers.items()):
            idle = [worker for worker in workers if not worker.in_use and worker.last_used < since]
            found += idle
            lambda_runtime._workers[key] = [worker for worker in workers if worker not in idle]
    return found
