"""`get-deploy-request` in Python with boto3, as far as the benchmark's invocation goes."""

from __future__ import annotations

import json
import os
import urllib.request
from typing import Any

import boto3
from runtime import serve

secrets = boto3.client("secretsmanager")


def handle(event: dict[str, Any]) -> dict[str, Any]:
    database = event["release"]["database"]
    secret = secrets.get_secret_value(SecretId=os.environ["PLANETSCALE_SECRET_ARN"])
    token = json.loads(secret["SecretString"])
    url = (
        f"{os.environ['PLANETSCALE_API_URL']}/organizations/{database['organization']}/databases/{database['name']}"
        f"/deploy-requests/{event['number']}"
    )
    headers = {"Authorization": f"{token['id']}:{token['token']}", "Accept": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:
        request = json.load(answer)
    return {
        **step(request, event["waited"], event["release"]["deadlines"]["validation"]),
        "deployRequest": {
            "number": request["number"],
            "url": request["html_url"],
            "state": request["deployment_state"],
            "statements": [operation["ddl_statement"] for operation in request["deployment"]["deploy_operations"]],
        },
    }


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
