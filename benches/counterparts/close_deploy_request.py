"""`close-deploy-request` in Python with boto3, as far as the benchmark's invocation goes."""

from __future__ import annotations

from typing import Any

from planetscale import Database, report
from runtime import serve


def handle(event: dict[str, Any]) -> dict[str, Any]:
    database, path = Database(event["release"]), f"/deploy-requests/{event['number']}"
    request = database.call("GET", path)
    if request["deployment_state"] in ("queued", "submitting"):
        raise NotImplementedError("taking it out of the queue is not part of the benchmark")
    if request["state"] != "closed" and request["deployment_state"] in ("pending", "ready", "no_changes", "error"):
        request = database.call("PATCH", path, {"state": "closed"})
    return {"closed": request["state"] == "closed", "deployRequest": report(request)}


serve(handle)
