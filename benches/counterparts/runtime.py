"""The least that a Python function needs to be run by Lambda; the runtime that Lambda brings does more."""

from __future__ import annotations

import http.client
import json
import os
from collections.abc import Callable
from typing import Any


def serve(handler: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Run the handler for each invocation until the process is ended."""
    api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    root = "/2018-06-01/runtime/invocation"
    while True:
        api.request("GET", f"{root}/next")
        answer = api.getresponse()
        event = json.loads(answer.read())
        invocation = answer.headers["Lambda-Runtime-Aws-Request-Id"]
        try:
            end, body = "response", handler(event)
        except Exception as error:
            end, body = "error", {"errorType": type(error).__name__, "errorMessage": str(error)}
        api.request("POST", f"{root}/{invocation}/{end}", json.dumps(body))
        api.getresponse().read()
