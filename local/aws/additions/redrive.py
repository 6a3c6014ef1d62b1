"""RedriveExecution: an execution that failed, timed out or was stopped goes on where it ended.

Source: Step Functions guide, "Restarting state machine executions with redrive", and the API reference.
As documented: a Task is scheduled again with no retries used, a Choice is evaluated again, a Fail
state is entered and fails again, and the state machine's timeout starts at zero. The history goes on
with ExecutionRedriven; the context has RedriveCount and RedriveTime.
Not documented, and assumed: a Wait of so many seconds begins anew, and a Task or Wait that is run
again is not entered again in the history.
Not modelled: branches of Parallel and Map states, the 14 days within which a redrive is allowed,
and that the definition is the one the execution started with.
"""

import contextvars
import copy
import json
import threading
from typing import Any

from ministack.core.responses import error_response_json, json_response, now_iso
from ministack.services import stepfunctions

from additions.wrapping import wrap

# Fewer events than this, so that ExecutionRedriven and one more fit into the history.
_MOST_EVENTS = 24_999

# Where the execution of this thread goes on, until it does.
_resumes: contextvars.ContextVar[dict[str, Any] | None] = contextvars.ContextVar("resumes", default=None)


def install() -> None:
    wrap(stepfunctions, "handle_request", _handle_request)
    wrap(stepfunctions, "_start_execution", _start_execution)
    wrap(stepfunctions, "_describe_execution", _describe_execution)
    wrap(stepfunctions, "_add_event", _add_event)
    for kind in ("pass", "wait", "choice"):
        wrap(stepfunctions, f"_execute_{kind}", _execute)
    wrap(stepfunctions, "_execute_task", _execute_task)


async def _handle_request(
    handle: Any, method: str, path: str, headers: dict[str, str], body: bytes, query: Any
) -> tuple[Any, ...]:
    if headers.get("x-amz-target", "").endswith(".RedriveExecution"):
        return stepfunctions._finalize_response(_redrive(json.loads(body or b"{}")))
    return await handle(method, path, headers, body, query)


def _redrive(request: dict[str, Any]) -> tuple[Any, ...]:
    arn = request.get("executionArn", "")
    execution = stepfunctions._executions.get(arn)
    if not execution:
        return error_response_json("ExecutionDoesNotExist", f"Execution Does Not Exist: '{arn}'", 400)
    if reason := _not_redrivable(execution):
        return error_response_json("ExecutionNotRedrivable", reason, 400)
    execution["redriveCount"] = execution.get("redriveCount", 0) + 1
    execution["redriveDate"] = now_iso()
    execution.update(status="RUNNING", stopDate=None, output=None, error=None, cause=None)
    details = {"redriveCount": execution["redriveCount"]}
    stepfunctions._add_event(execution, "ExecutionRedriven", {"executionRedrivenEventDetails": details})
    stepfunctions._emit_execution_status_event(execution)
    context = contextvars.copy_context()
    context.run(_resumes.set, execution["entered"])
    threading.Thread(target=context.run, args=(stepfunctions._run_execution, arn), daemon=True).start()
    return json_response({"redriveDate": execution["redriveDate"]})


def _not_redrivable(execution: dict[str, Any]) -> str | None:
    if execution["status"] in ("RUNNING", "SUCCEEDED"):
        return f"Execution is {execution['status']} and cannot be redriven."
    if len(execution["events"]) >= _MOST_EVENTS:
        return "Execution history event limit exceeded."
    return None


def _start_execution(start: Any, request: dict[str, Any]) -> tuple[Any, ...]:
    status, headers, body = start(request)
    if status == 200:
        execution = stepfunctions._executions[json.loads(body)["executionArn"]]
        execution.setdefault("redriveCount", 0)
    return status, headers, body


def _describe_execution(describe: Any, request: dict[str, Any]) -> tuple[Any, ...]:
    status, headers, body = describe(request)
    if status != 200:
        return status, headers, body
    answer = json.loads(body)
    execution = stepfunctions._executions[answer["executionArn"]]
    reason = _not_redrivable(execution)
    answer["redriveCount"] = execution.get("redriveCount", 0)
    answer["redriveStatus"] = "NOT_REDRIVABLE" if reason else "REDRIVABLE"
    if reason:
        answer["redriveStatusReason"] = reason
    if "redriveDate" in execution:
        answer["redriveDate"] = execution["redriveDate"]
    if answer.get("stopDate") is None:
        answer.pop("stopDate", None)
    return status, headers, json.dumps(answer).encode()


def _add_event(add_event: Any, execution: dict[str, Any], event_type: str, details: Any = None) -> dict[str, Any]:
    if event_type == "FailStateEntered":
        _resumes.set(None)
        entered = details["stateEnteredEventDetails"]
        _note(execution, entered["name"], json.loads(entered["input"]), execution.get("variables", {}))
    # The first state is only passed through on the way to the one that is run again.
    if _resumes.get() is not None and event_type.endswith(("StateEntered", "StateExited")):
        return {}
    return add_event(execution, event_type, details)


def _execute(execute: Any, state: dict[str, Any], state_input: Any, context: Any = None) -> tuple[Any, ...]:
    return _enter(context, state_input) or execute(state, state_input, context)


def _execute_task(
    execute: Any, state: dict[str, Any], state_input: Any, execution: dict[str, Any], context: Any
) -> tuple[Any, ...]:
    return _enter(context, state_input) or execute(state, state_input, execution, context)


def _enter(context: dict[str, Any] | None, state_input: Any) -> tuple[Any, ...] | None:
    """Note where the execution is; in a redriven one that begins, the way to where it was."""
    if not context or "Execution" not in context:
        return None
    execution = stepfunctions._executions.get(context["Execution"]["Id"])
    if execution is None:
        return None
    context["Execution"]["RedriveCount"] = execution.get("redriveCount", 0)
    if "redriveDate" in execution:
        context["Execution"]["RedriveTime"] = execution["redriveDate"]
    if resumes := _resumes.get():
        if not resumes.get("found"):
            context["variables"] = copy.deepcopy(resumes["variables"])
            _resumes.set({**resumes, "found": True})
            return resumes["input"], resumes["state"]
        _resumes.set(None)
    # Those of now, for a Fail state, which is entered without a call of its own.
    execution["variables"] = context["variables"]
    _note(execution, context["State"]["Name"], state_input, context["variables"])
    return None


def _note(execution: dict[str, Any], state: str, state_input: Any, variables: dict[str, Any]) -> None:
    execution["entered"] = copy.deepcopy({"state": state, "input": state_input, "variables": variables})
