"""`finish-release` in Python with boto3, as far as the benchmark's invocation goes."""

from __future__ import annotations

import json
import os
from datetime import datetime, timezone
from typing import Any

import boto3
from runtime import serve

dynamodb = boto3.client("dynamodb")
sns = boto3.client("sns")
TABLE = os.environ["TABLE_NAME"]
LOCK = {"kind": {"S": "lock"}, "id": {"S": "lock"}}


def handle(event: dict[str, Any]) -> dict[str, Any]:
    told, execution = report(event), event["execution"]
    key = {"kind": {"S": "release"}, "id": {"S": f"{execution['startedAt']} {execution['name']}"}}
    notified = (get(key) or {}).get("notified") == {"BOOL": True}
    write(key, told, notified)
    holder = get(LOCK)
    if holder and holder["holder"]["S"] == execution["arn"]:
        free(event, told)
    if not notified:
        subject = f"{told['application']} {told['environment']}: {told['outcome']}"
        text = message(told)
        chat = {
            "version": "1.0",
            "source": "custom",
            "content": {"textType": "client-markdown", "title": subject, "description": text},
            "metadata": {"threadId": told["execution"]},
        }
        both = json.dumps({"default": text, "https": json.dumps(chat)})
        sns.publish(TopicArn=os.environ["TOPIC_ARN"], Subject=subject, MessageStructure="json", Message=both)
        write(key, told, True)
    return told


def report(event: dict[str, Any]) -> dict[str, Any]:
    release, execution = event["release"], event["execution"]
    return {
        "outcome": event["outcome"],
        "whatHappened": event["because"],
        "application": release["application"],
        "environment": release["environment"],
        "commit": release["image"]["commit"],
        "digest": release["image"]["digest"],
        "order": event["order"],
        "schema": event["schema"],
        "deployRequest": event["deployRequest"],
        "deployment": event["deployment"],
        "execution": execution["name"],
        "startedAt": execution["startedAt"],
        "endedAt": f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}",
    }


def message(told: dict[str, Any]) -> str:
    return "\n".join(f"{name}: {value}" for name, value in told.items())


def get(key: dict[str, Any]) -> dict[str, Any] | None:
    return dynamodb.get_item(TableName=TABLE, Key=key, ConsistentRead=True).get("Item")


def write(key: dict[str, Any], told: dict[str, Any], notified: bool) -> None:
    item = {
        "outcome": {"S": told["outcome"]},
        "digest": {"S": told["digest"]},
        "notified": {"BOOL": notified},
        "report": {"S": json.dumps(told)},
    }
    dynamodb.put_item(TableName=TABLE, Item={**key, **item})


def free(event: dict[str, Any], told: dict[str, Any]) -> None:
    mine = {
        "TableName": TABLE,
        "Key": LOCK,
        "ConditionExpression": "holder = :me AND redrives <= :mine AND usableFrom <= :now",
        "ExpressionAttributeValues": {
            ":me": {"S": event["execution"]["arn"]},
            ":mine": {"N": str(event["redrives"])},
            ":now": {"S": f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%S}.000Z"},
        },
    }
    items = [{"Delete": mine}]
    if told["outcome"] != "Superseded":
        last = {name: {"S": told[name]} for name in ("digest", "execution", "startedAt", "outcome")}
        items.append({"Put": {"TableName": TABLE, "Item": {"kind": {"S": "last"}, "id": {"S": "last"}, **last}}})
    try:
        dynamodb.transact_write_items(TransactItems=items)
    except dynamodb.exceptions.TransactionCanceledException as error:
        if all(reason["Code"] != "ConditionalCheckFailed" for reason in error.response["CancellationReasons"]):
            raise


serve(handle)
