"""`start-release` in Python with boto3, as far as the benchmark's invocation goes."""

from __future__ import annotations

import json
import os
from typing import Any

import boto3
from runtime import serve

# For other events; the function builds it at its start as well.
dynamodb = boto3.client("dynamodb")
ecr = boto3.client("ecr")
states = boto3.client("stepfunctions")
REPOSITORY, TAG = os.environ["REPOSITORY_NAME"], os.environ["MOVING_TAG"]
DEADLINES = ("turn", "validation", "approval", "schema", "revert", "containers")


def handle(event: dict[str, Any]) -> dict[str, Any]:
    detail = event["detail"]
    if (detail["action-type"], detail["result"]) != ("PUSH", "SUCCESS"):
        return {"started": None, "because": "It is no push that succeeded."}
    if (detail["repository-name"], detail["image-tag"]) != (REPOSITORY, TAG):
        return {"started": None, "because": "It is another repository or tag."}
    digest, at = detail["image-digest"], event["time"]
    name = f"{TAG}-{digest.removeprefix('sha256:')[:12]}-{at.replace('-', '').replace(':', '')}"
    release = json.dumps(described(digest, at))
    try:
        states.start_execution(stateMachineArn=os.environ["STATE_MACHINE_ARN"], name=name, input=release)
    except states.exceptions.ExecutionAlreadyExists:
        return {"started": name, "because": "The release was started before."}
    return {"started": name, "because": "The release was started."}


def described(digest: str, at: str) -> dict[str, Any]:
    found = ecr.describe_images(repositoryName=REPOSITORY, imageIds=[{"imageDigest": digest}])["imageDetails"]
    moving = os.environ["MOVING_TAGS"].split(",")
    tags = [tag for image in found for tag in image["imageTags"] if tag not in moving]
    return {
        "application": os.environ["APPLICATION"],
        "environment": os.environ["ENVIRONMENT"],
        "cause": "push",
        "pushedAt": at,
        "image": {
            "repository": REPOSITORY,
            "uri": os.environ["REPOSITORY_URI"],
            "movingTag": TAG,
            "digest": digest,
            "commit": next(iter(tags), None),
        },
        "service": os.environ["SERVICE_NAME"],
        "database": {
            "organization": os.environ["PLANETSCALE_ORGANIZATION"],
            "name": os.environ["PLANETSCALE_DATABASE"],
            "headBranch": os.environ["PLANETSCALE_HEAD_BRANCH"],
            "baseBranch": os.environ["PLANETSCALE_BASE_BRANCH"],
        },
        "policy": {
            "destructiveChanges": os.environ["DESTRUCTIVE_CHANGES"],
            "onContainerFailure": os.environ["ON_CONTAINER_FAILURE"],
        },
        "deadlines": {name: int(os.environ[f"{name.upper()}_DEADLINE"]) for name in DEADLINES},
        "lastCall": int(os.environ["LAST_CALL"]),
        "verification": {
            "paths": [{"path": os.environ["HEALTH_CHECK_PATH"], "status": 200}],
            "seconds": int(os.environ["VERIFY_FOR"]),
            "onFailure": os.environ["ON_VERIFICATION_FAILURE"],
        },
    }


serve(handle)
