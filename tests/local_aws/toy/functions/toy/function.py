"""The functions of the toy stack: a custom runtime on the Lambda Runtime API, one handler for each name."""

import json
import os
import sys
import traceback
import urllib.request
from typing import Any

import boto3

RUNTIME = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime/invocation"


class Refused(Exception):
    """A named error that the state machine catches."""


def start(event: dict[str, Any]) -> dict[str, Any]:
    """Start an execution for a push; its name is a pure function of the event."""
    detail = event["detail"]
    name = f"{detail['image-tag']}-{detail['image-digest'].removeprefix('sha256:')[:12]}"
    request = {"work": detail.get("work", "succeed"), "function": os.environ["WORK_FUNCTION"]}
    answer = boto3.client("stepfunctions").start_execution(
        stateMachineArn=os.environ["STATE_MACHINE_ARN"], name=name, input=json.dumps(request)
    )
    return {"executionArn": answer["executionArn"]}


def work(event: dict[str, Any]) -> dict[str, Any]:
    """Do what the event asks for."""
    for line in event.get("lines", []):
        print(json.dumps(line), flush=True)
    if event["work"] == "refuse":
        raise Refused("not today")
    if event["work"] == "write":
        boto3.client("dynamodb").put_item(TableName=os.environ["TABLE_NAME"], Item={"id": {"S": "1"}})
    if event["work"] == "deploy":
        boto3.client("lightsail").create_container_service_deployment(serviceName="toy", containers={})
    return {"logFormat": os.environ.get("AWS_LAMBDA_LOG_FORMAT"), "looks": 1}


def answer_stack(event: dict[str, Any]) -> dict[str, Any]:
    """A custom resource that tells the stack what it was asked."""
    answer = {
        "Status": "SUCCESS",
        "PhysicalResourceId": "greeting",
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
        "Data": {"Greeting": f"hello {event['ResourceProperties']['Name']}"},
    }
    request = urllib.request.Request(event["ResponseURL"], json.dumps(answer).encode(), method="PUT")
    urllib.request.urlopen(request, timeout=10).close()
    return {}


def main() -> None:
    handler = {"start": start, "work": work, "answer": answer_stack}[os.environ["HANDLES"]]
    while True:
        with urllib.request.urlopen(f"{RUNTIME}/next") as response:
            request_id = response.headers["Lambda-Runtime-Aws-Request-Id"]
            event = json.load(response)
        print(f"handling {json.dumps(event)}", flush=True)
        try:
            send(f"{request_id}/response", handler(event))
        except Exception as error:
            traceback.print_exc(file=sys.stdout)
            send(f"{request_id}/error", {"errorType": type(error).__name__, "errorMessage": str(error)})


def send(path: str, body: dict[str, Any]) -> None:
    urllib.request.urlopen(urllib.request.Request(f"{RUNTIME}/{path}", json.dumps(body).encode())).close()


if __name__ == "__main__":
    main()
