"""`POST /_local/consistency {"seconds": n}`: DescribeExecution and ListExecutions know nothing younger than n seconds.

Both are eventually consistent, and their answers best effort (API reference, "DescribeExecution" and "ListExecutions").
How far behind they may be is not said: n is a setting, 0 at the start. StartExecution is not behind, and refuses a name
that it has just given away.

Only roles are answered so. The root of the account, which tests use, sees everything at once.
"""

import json
from datetime import datetime, timezone
from typing import Any

from ministack.core.iam_evaluator import caller_arn
from ministack.core.responses import error_response_json
from ministack.services import stepfunctions

from additions import control
from additions.wrapping import wrap

_behind = {"seconds": 0.0}


def install() -> None:
    wrap(stepfunctions, "_describe_execution", _describe_execution)
    wrap(stepfunctions, "_list_executions", _list_executions)
    control.register("consistency", _set)


def _set(request: dict[str, Any]) -> dict[str, Any]:
    seconds = request.get("seconds")
    if not isinstance(seconds, (int, float)) or seconds < 0:
        raise ValueError("'seconds' must be a number from 0")
    _behind["seconds"] = seconds
    return dict(_behind)


def _describe_execution(describe: Any, request: dict[str, Any]) -> tuple[Any, ...]:
    arn = request.get("executionArn", "")
    if _is_unknown(stepfunctions._executions.get(arn)):
        return error_response_json("ExecutionDoesNotExist", f"Execution Does Not Exist: '{arn}'", 400)
    return describe(request)


def _list_executions(list_executions: Any, request: dict[str, Any]) -> tuple[Any, ...]:
    status, headers, body = list_executions(request)
    if status != 200:
        return status, headers, body
    answer = json.loads(body)
    known = [e for e in answer["executions"] if not _is_unknown(stepfunctions._executions.get(e["executionArn"]))]
    return status, headers, json.dumps({**answer, "executions": known}).encode()


def _is_unknown(execution: dict[str, Any] | None) -> bool:
    if execution is None or ":assumed-role/" not in caller_arn():
        return False
    started = datetime.fromisoformat(execution["startDate"].replace("Z", "+00:00"))
    return (datetime.now(timezone.utc) - started).total_seconds() < _behind["seconds"]
