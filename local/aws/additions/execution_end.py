"""The end of an execution: `TimeoutSeconds` of the state machine, and nothing after the end.

ministack ignores the timeout, and after StopExecution its thread goes on: a retry calls functions
again and a failure overwrites ABORTED.

Waits are shortened by SFN_WAIT_SCALE, so the time of an execution is counted as if they were
not: the full length of every Wait and retry interval, and the real time of everything else.
The timeout is noticed at the next event of the execution, or within a Wait.
"""

import contextvars
import json
import math
import time
from dataclasses import dataclass
from typing import Any

from ministack.core.responses import now_iso
from ministack.services import stepfunctions

from additions.wrapping import wrap


@dataclass
class _Run:
    execution: dict[str, Any]
    timeout_seconds: float
    started: float
    redrives: int
    skipped: float = 0.0

    def remaining(self) -> float:
        return self.timeout_seconds - (time.monotonic() - self.started) - self.skipped

    def has_ended(self) -> bool:
        # A redriven execution runs in another thread than the one that was stopped.
        return self.execution["status"] != "RUNNING" or self.execution.get("redriveCount", 0) != self.redrives


_run: contextvars.ContextVar[_Run | None] = contextvars.ContextVar("run", default=None)


def install() -> None:
    wrap(stepfunctions, "_run_execution", _run_execution)
    wrap(stepfunctions, "_scaled_sleep", _scaled_sleep)
    wrap(stepfunctions, "_add_event", _add_event)
    wrap(stepfunctions, "_fail_execution", _fail_execution)


def _run_execution(run_execution: Any, execution_arn: str) -> None:
    execution = stepfunctions._executions.get(execution_arn)
    if execution:
        machine = stepfunctions._state_machines.get(execution["stateMachineArn"]) or {}
        seconds = json.loads(machine.get("definition") or "{}").get("TimeoutSeconds", math.inf)
        _run.set(_Run(execution, seconds, time.monotonic(), execution.get("redriveCount", 0)))
    run_execution(execution_arn)


def _scaled_sleep(scaled_sleep: Any, seconds: float) -> None:
    run = _run.get()
    if run is None:
        scaled_sleep(seconds)
        return
    wait = min(seconds, max(run.remaining(), 0))
    before = time.monotonic()
    scaled_sleep(wait)
    run.skipped += wait - (time.monotonic() - before)
    if wait < seconds:
        _time_out(run)
    if run.has_ended():
        # Ends the thread: without it a retry would call its function once more.
        raise stepfunctions._ExecutionError("States.Runtime", "The execution has ended")


def _add_event(add_event: Any, execution: dict[str, Any], event_type: str, details: Any = None) -> dict[str, Any]:
    run = _run.get()
    if run and run.execution is execution:
        if run.remaining() <= 0:
            _time_out(run)
        if run.redrives != execution.get("redriveCount", 0) and event_type != "ExecutionRedriven":
            raise stepfunctions._ExecutionError("States.Runtime", "The execution goes on in another thread")
    if execution["status"] != "RUNNING" and not event_type.startswith("Execution"):
        return {}
    return add_event(execution, event_type, details)


def _fail_execution(fail_execution: Any, execution: dict[str, Any], error: str, cause: str) -> None:
    run = _run.get()
    if execution["status"] == "RUNNING" and not (run and run.has_ended()):
        fail_execution(execution, error, cause)


def _time_out(run: _Run) -> None:
    if run.has_ended():
        return
    run.execution["status"] = "TIMED_OUT"
    run.execution["stopDate"] = now_iso()
    stepfunctions._add_event(run.execution, "ExecutionTimedOut", {"executionTimedOutEventDetails": {}})
    stepfunctions._emit_execution_status_event(run.execution)
