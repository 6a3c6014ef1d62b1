"""`deploy-deploy-request` in Python with boto3, as far as the benchmark's invocation goes."""

from __future__ import annotations

from typing import Any

from planetscale import Database, report
from runtime import serve


def handle(event: dict[str, Any]) -> dict[str, Any]:
    database, path = Database(event["release"]), f"/deploy-requests/{event['number']}"
    request = database.call("GET", path)
    if request["deployment_state"] not in ("pending", "ready"):
        return {"because": "It was queued before.", "deployRequest": report(request)}
    request = database.call("POST", f"{path}/deploy")
    return {"because": "It is in the deploy queue.", "deployRequest": report(request)}


serve(handle)
