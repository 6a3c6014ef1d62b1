"""`POST /_local/service-faults`: an AWS service refuses calls of a role.

Request: `{"operation", "error", "status", "skip", "count"}`, with a status of 400, no calls that pass before and one
refused call where they are left out; `{}` clears all. The answer lists what is still to come.

It is for services that speak AWS's JSON protocols, such as DynamoDB, ECR and Step Functions, and for calls of functions
only: those of the root of the account pass. Which errors they are: DynamoDB guide, "Error handling" (throttling is a 400,
for on-demand tables too); AWS's "Common errors", RequestTimeout and RequestLimitExceeded.
"""

import json
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from ministack import app

from additions import control
from additions.faults import take

_ROOT = "Credential=test/"

_faults: list[dict[str, Any]] = []
_lock = threading.Lock()


def install() -> None:
    ministack = app.app

    async def with_faults(
        scope: dict[str, Any], receive: Callable[..., Awaitable[Any]], send: Callable[..., Awaitable[Any]]
    ) -> None:
        fault = _take(scope) if scope["type"] == "http" else None
        if fault is None:
            await ministack(scope, receive, send)
        else:
            await _refuse(fault, receive, send)

    app.app = with_faults
    control.register("service-faults", _add)


def _add(request: dict[str, Any]) -> dict[str, Any]:
    with _lock:
        if not request:
            _faults.clear()
        elif request.keys() - {"show"}:
            if not request.get("operation") or not request.get("error"):
                raise ValueError("'operation' and 'error' are needed")
            _faults.append({"status": 400, "skip": 0, "count": 1, **request})
        return {"pending": list(_faults)}


def _take(scope: dict[str, Any]) -> dict[str, Any] | None:
    headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
    operation = headers.get("x-amz-target", "").rpartition(".")[2]
    if not operation or _ROOT in headers.get("authorization", ""):
        return None
    with _lock:
        return take(_faults, lambda fault: fault["operation"] == operation)


async def _refuse(
    fault: dict[str, Any], receive: Callable[..., Awaitable[Any]], send: Callable[..., Awaitable[Any]]
) -> None:
    while (await receive()).get("more_body"):
        pass
    body = json.dumps({"__type": fault["error"], "message": "The local AWS was told to refuse this call."}).encode()
    headers = [(b"content-type", b"application/x-amz-json-1.0"), (b"x-amzn-errortype", fault["error"].encode())]
    await send({"type": "http.response.start", "status": fault["status"], "headers": headers})
    await send({"type": "http.response.body", "body": body})
