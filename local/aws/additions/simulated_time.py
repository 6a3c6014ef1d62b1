"""`POST /_local/clock`: the clocks of other emulators go along with the waits of an execution.

Request: `{"follow": [URL, …], "execution": name}`. Every Wait of that execution, and the time before
each retry, is then told to the URLs as `{"advance_ms": …}`, less the time that really passed. So a
migration of fourteen days takes minutes, and every look finds it where it would be. The name may be
the beginning of one. The answer tells how many `seconds` were waited since it was first asked about.
`{}` ends it.
"""

import json
import time
import urllib.request
from typing import Any

from ministack.services import stepfunctions

from additions import control, state_machine_role
from additions.wrapping import wrap

_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_follower: dict[str, Any] = {}


def install() -> None:
    wrap(stepfunctions, "_scaled_sleep", _scaled_sleep)
    control.register("clock", _follow)


def _follow(request: dict[str, Any]) -> dict[str, Any]:
    if request and not (isinstance(request.get("follow"), list) and request.get("execution")):
        raise ValueError("'follow', a list, and 'execution' are needed, or nothing")
    if any(_follower.get(name) != request.get(name) for name in ("follow", "execution")):
        _follower.clear()
        _follower.update(request, seconds=0)
    return {"seconds": _follower.get("seconds", 0)}


def _scaled_sleep(scaled_sleep: Any, seconds: float) -> None:
    before = time.monotonic()
    scaled_sleep(seconds)
    followed = _follower.get("execution")
    if followed and state_machine_role.running_execution().startswith(followed):
        _follower["seconds"] += seconds
        skipped = max(seconds - (time.monotonic() - before), 0)
        body = json.dumps({"advance_ms": round(skipped * 1000)}).encode()
        for clock in _follower["follow"]:
            request = urllib.request.Request(clock, body, {"content-type": "application/json"})
            _opener.open(request, timeout=60).close()
