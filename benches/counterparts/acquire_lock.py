"""`acquire-lock` in Python with boto3, as far as the benchmark's invocation goes."""

from __future__ import annotations

import os
from typing import Any

import boto3
from botocore.exceptions import ClientError
from runtime import serve

dynamodb = boto3.client("dynamodb")
ecr = boto3.client("ecr")
states = boto3.client("stepfunctions")
TABLE = os.environ["TABLE_NAME"]


def handle(event: dict[str, Any]) -> dict[str, Any]:
    image, execution = event["release"]["image"], event["execution"]["arn"]
    ids = [{"imageTag": image["movingTag"]}]
    found = ecr.describe_images(repositoryName=image["repository"], imageIds=ids)["imageDetails"][0]
    if found["imageDigest"] != image["digest"]:
        return {"turn": "Superseded", "because": f"The tag now points at {found['imageDigest']}."}
    last = get("last")
    if last and last["digest"]["S"] == image["digest"] and last["startedAt"]["S"] > event["release"]["pushedAt"]:
        return {"turn": "Superseded", "because": f"This push was already released by {last['execution']['S']}."}
    if take(event, execution, event["redrives"]):
        return {"turn": "Ours", "because": "The environment was free."}
    lock = get("lock")
    if lock is None:
        raise RuntimeError("The lock was freed while it was being taken.")
    holder = lock["holder"]["S"]
    if states.describe_execution(executionArn=holder)["status"] in ("RUNNING", "PENDING_REDRIVE"):
        return wait(holder, event)
    if take(event, holder, int(lock["redrives"]["N"])):
        return {"turn": "Ours", "because": f"Taken over from {holder}, which does not run any more."}
    return wait(holder, event)


def get(kind: str) -> dict[str, Any] | None:
    key = {"kind": {"S": kind}, "id": {"S": kind}}
    return dynamodb.get_item(TableName=TABLE, Key=key, ConsistentRead=True).get("Item")


def take(event: dict[str, Any], dead: str, redrives: int) -> bool:
    me = {"S": event["execution"]["arn"]}
    try:
        dynamodb.put_item(
            TableName=TABLE,
            Item={
                "kind": {"S": "lock"},
                "id": {"S": "lock"},
                "holder": me,
                "redrives": {"N": str(event["redrives"])},
                "digest": {"S": event["release"]["image"]["digest"]},
            },
            ConditionExpression="attribute_not_exists(holder) OR holder = :me OR (holder = :dead AND redrives = :redrives)",
            ExpressionAttributeValues={":me": me, ":dead": {"S": dead}, ":redrives": {"N": str(redrives)}},
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
