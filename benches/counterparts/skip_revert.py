"""`skip-revert` in Python with boto3, as far as the benchmark's invocation goes."""

from __future__ import annotations

from typing import Any

from planetscale import Database, report
from runtime import serve


def handle(event: dict[str, Any]) -> dict[str, Any]:
    number = event["number"]
    database, path = Database(event["release"]), f"/deploy-requests/{number}"
    request = database.call("GET", path)
    because = f"Deploy request #{number} has no open revert window."
    if request["deployment_state"] == "complete_pending_revert":
        request = database.call("POST", f"{path}/skip-revert")
        because = f"The revert window of deploy request #{number} is closed."
    return {"deployRequest": report(request), "because": because}


serve(handle)
