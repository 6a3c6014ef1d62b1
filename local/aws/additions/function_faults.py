"""`POST /_local/function-faults`: what Lambda itself does to a function that a state machine calls.

Request: `{"function", "error", "cause", "worked", "killed", "skip", "count"}`: the task fails with this
error. With `worked` the function did all its work before, and only its answer is lost. With `killed`
its process is killed by SIGKILL, so that the next call starts a new one. `skip` calls pass before,
`count` calls get it. `{}` clears all. The answer lists what is still to come.

`POST /_local/kill {"function"}` kills the processes of a function, whatever they do: the one in the
middle of a call ends as Lambda ends it, with Runtime.ExitError. The answer says how many were at work.

A function whose reserved concurrency is used up fails a task with Lambda.TooManyRequestsException, as
the Step Functions guide, "Handling errors in workflows", names it; ministack says Lambda.Unknown.
"""

import contextlib
import json
import os
import signal
import threading
from collections import Counter
from typing import Any

from ministack.core import lambda_runtime
from ministack.services import stepfunctions

from additions import control
from additions.faults import take
from additions.wrapping import wrap

_faults: list[dict[str, Any]] = []
_played: Counter[str] = Counter()
_lock = threading.Lock()


def install() -> None:
    wrap(stepfunctions, "_call_lambda", _call_lambda)
    control.register("function-faults", _add)
    control.register("kill", lambda request: {"atWork": _kill(request.get("function", ""))})


def _add(request: dict[str, Any]) -> dict[str, Any]:
    with _lock:
        if not request:
            _faults.clear()
        elif request.keys() - {"show"}:
            if not request.get("function") or not request.get("error"):
                raise ValueError("'function' and 'error' are needed")
            _faults.append({"skip": 0, "count": 1, "worked": False, "killed": False, "cause": "", **request})
        return {"pending": list(_faults), "played": dict(_played)}


def _call_lambda(call: Any, function_ref: str, event: Any) -> Any:
    name = function_ref.partition(":function:")[2].split(":")[0] or function_ref
    fault = _take(name)
    if fault is None:
        try:
            return call(function_ref, event)
        except stepfunctions._ExecutionError as error:
            if error.error == "Lambda.Unknown" and '"__type": "TooManyRequestsException"' in error.cause:
                error.error = "Lambda.TooManyRequestsException"
            raise
    if fault["worked"]:
        # Its answer is lost, an error too.
        with contextlib.suppress(stepfunctions._ExecutionError):
            call(function_ref, event)
    if fault["killed"]:
        _kill(name)
    raise stepfunctions._ExecutionError(fault["error"], fault["cause"] or json.dumps({"errorType": fault["error"]}))


def _take(name: str) -> dict[str, Any] | None:
    with _lock:
        fault = take(_faults, lambda fault: fault["function"] == name)
        if fault is not None:
            _played[f"{fault['error']}{' after the work' if fault['worked'] else ''}"] += 1
        return fault


def _kill(name: str) -> int:
    with _lock:
        workers = [worker for entries in lambda_runtime._workers.values() for worker in entries]
        processes = [(worker._proc, worker.in_use) for worker in workers if worker.func_name == name]
        at_work = 0
        for process, in_use in processes:
            if process is not None and process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
                # Until it is gone, it may be taken for one that can be called.
                process.wait()
                at_work += bool(in_use)
        _played["killed at work"] += at_work
        return at_work
