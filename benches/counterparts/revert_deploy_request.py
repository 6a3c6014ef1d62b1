"""`revert-deploy-request` in Python with boto3, as far as the benchmark's invocation goes."""

from __future__ import annotations

from typing import Any

from planetscale import Database
from runtime import serve


def handle(event: dict[str, Any]) -> dict[str, Any]:
    database, path = Database(event["release"]), f"/deploy-requests/{event['number']}"
    state = database.call("GET", path)["deployment_state"]
    if state == "complete_pending_revert":
        database.call("POST", f"{path}/revert")
    elif state not in ("in_progress_revert", "complete_revert"):
        raise RuntimeError(f"Deploy request #{event['number']} is {state}: its revert window is not open.")
    return {"because": f"PlanetScale reverts deploy request #{event['number']}."}


serve(handle)
