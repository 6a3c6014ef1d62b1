"""`get-deploy-request` in Python with boto3, as far as the benchmark's invocation goes."""

from __future__ import annotations

from typing import Any

from planetscale import Database, report
from runtime import serve


def handle(event: dict[str, Any]) -> dict[str, Any]:
    request = Database(event["release"]).call("GET", f"/deploy-requests/{event['number']}")
    decided = step(request, event["waited"], event["release"]["deadlines"]["validation"])
    return {**decided, "deployRequest": report(request)}


def step(request: dict[str, Any], waited: int, deadline: int) -> dict[str, Any]:
    deployment = request["deployment"]
    if deployment["state"] == "pending":
        if waited >= deadline:
            return {"step": "End", "outcome": "TimedOut", "because": "It was not validated in time."}
        return {"step": "Wait", "seconds": max(5, waited // 10), "because": "PlanetScale validates it."}
    if deployment["state"] == "no_changes":
        return {"step": "NothingToApply", "because": "There is nothing to apply."}
    if deployment["state"] != "ready" or not deployment["deployable"] or deployment["lint_errors"]:
        return {"step": "Refuse", "outcome": "SchemaRefused", "because": "It cannot be deployed."}
    if any(operation["can_drop_data"] for operation in deployment["deploy_operations"]):
        return {"step": "Refuse", "outcome": "SchemaRefused", "because": "It can drop data."}
    return {"step": "SchemaFirst", "because": "Nothing is dropped."}


serve(handle)
