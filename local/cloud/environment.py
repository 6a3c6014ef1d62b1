"""One installed environment: its executions, notifications, logs and records."""

from __future__ import annotations

import json
import time
from functools import cached_property
from typing import Any

from boto3.dynamodb.types import TypeDeserializer

from cloud.local_aws import LocalAws

_POLL_SECONDS = 0.1


class Environment:
    """A stack of the template, by its name."""

    def __init__(self, aws: LocalAws, stack_name: str) -> None:
        self.aws = aws
        self.stack_name = stack_name
        self._received: list[Any] = []
        self._queue = ""

    @cached_property
    def outputs(self) -> dict[str, str]:
        """The outputs of the stack by name."""
        stack = self.aws.client("cloudformation").describe_stacks(StackName=self.stack_name)["Stacks"][0]
        return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}

    def delete(self) -> None:
        """Delete the stack and wait for it. Raises botocore's WaiterError when it fails."""
        client = self.aws.client("cloudformation")
        client.delete_stack(StackName=self.stack_name)
        waiter = client.get_waiter("stack_delete_complete")
        waiter.wait(StackName=self.stack_name, WaiterConfig={"Delay": 1, "MaxAttempts": 600})

    # Executions

    def executions(self) -> list[dict[str, Any]]:
        """The executions of the state machine, the newest first."""
        client = self.aws.client("stepfunctions")
        pages = client.get_paginator("list_executions").paginate(stateMachineArn=self.outputs["StateMachineArn"])
        return [execution for page in pages for execution in page["executions"]]

    def wait_for_execution(self, arn: str | None = None, *, within_seconds: float = 300) -> dict[str, Any]:
        """The execution once it has ended, as DescribeExecution says.

        Without an `arn` it is the newest, which may have yet to start.
        Raises TimeoutError, naming the state it is in.
        """
        client = self.aws.client("stepfunctions")
        deadline = time.monotonic() + within_seconds
        while time.monotonic() < deadline:
            if arn is None:
                arn = next((execution["executionArn"] for execution in self.executions()), None)
            if arn is not None:
                execution = client.describe_execution(executionArn=arn)
                if execution["status"] != "RUNNING":
                    return execution
            time.sleep(_POLL_SECONDS)
        where = f"{arn} is still in {self.end_state(arn)}" if arn else "no execution started"
        raise TimeoutError(f"{where} after {within_seconds:.0f} s")

    def history(self, arn: str) -> list[dict[str, Any]]:
        """The events of an execution, the oldest first."""
        pages = self.aws.client("stepfunctions").get_paginator("get_execution_history").paginate(executionArn=arn)
        return [event for page in pages for event in page["events"]]

    def states(self, arn: str) -> list[str]:
        """The names of the states an execution entered, in order."""
        entered = (event.get("stateEnteredEventDetails") for event in self.history(arn))
        return [details["name"] for details in entered if details]

    def end_state(self, arn: str) -> str:
        """The last state an execution entered: once it has ended, its outcome."""
        return (self.states(arn) or ["(no state)"])[-1]

    # Functions

    def invoke(self, function: str, payload: Any = None) -> Any:
        """Invoke a function of the stack by its name and return its answer.

        Raises FunctionError when the function fails.
        """
        answer = self.aws.client("lambda").invoke(FunctionName=function, Payload=json.dumps(payload or {}).encode())
        result = json.loads(answer["Payload"].read() or b"null")
        if answer.get("FunctionError"):
            raise FunctionError(function, result)
        return result

    def functions(self) -> list[str]:
        """The names of the stack's functions."""
        return self._physical_ids("AWS::Lambda::Function")

    def logs(self) -> list[str]:
        """What the stack's functions and its other log groups logged, in the order of time."""
        groups = set(self._physical_ids("AWS::Logs::LogGroup"))
        groups |= {f"/aws/lambda/{function}" for function in self.functions()}
        client = self.aws.client("logs")
        existing = {
            group["logGroupName"]
            for page in client.get_paginator("describe_log_groups").paginate()
            for group in page["logGroups"]
        }
        events = [
            event
            for group in sorted(groups & existing)
            for page in client.get_paginator("filter_log_events").paginate(logGroupName=group)
            for event in page["events"]
        ]
        return [event["message"] for event in sorted(events, key=lambda event: event["timestamp"])]

    def _physical_ids(self, resource_type: str) -> list[str]:
        client = self.aws.client("cloudformation")
        pages = client.get_paginator("list_stack_resources").paginate(StackName=self.stack_name)
        resources = [resource for page in pages for resource in page["StackResourceSummaries"]]
        return [r["PhysicalResourceId"] for r in resources if r["ResourceType"] == resource_type]

    # Records and notifications

    def records(self) -> list[dict[str, Any]]:
        """All items of the table."""
        pages = self.aws.client("dynamodb").get_paginator("scan").paginate(TableName=self.outputs["TableName"])
        deserialize = TypeDeserializer().deserialize
        return [{key: deserialize(value) for key, value in item.items()} for page in pages for item in page["Items"]]

    def report(self, arn: str) -> dict[str, Any]:
        """The report that a release recorded. Raises LookupError unless there is exactly one."""
        name = arn.rsplit(":", 1)[1]
        found = [record for record in self.records() if record["kind"] == "release" and name in record["id"]]
        if len(found) != 1:
            raise LookupError(f"{name} is recorded {len(found)} times")
        return json.loads(found[0]["report"])

    def subscribe(self) -> None:
        """Collect the topic's notifications from now on, in a queue."""
        if not self._queue:
            self._queue = self._new_queue()

    def notifications(self) -> list[Any]:
        """The notifications since `subscribe`, the oldest first; JSON where they are JSON."""
        client = self.aws.client("sqs")
        while messages := client.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                self._received.append(_notification(json.loads(message["Body"])))
                client.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])
        return list(self._received)

    def _new_queue(self) -> str:
        topic = self.outputs["TopicArn"]
        sqs = self.aws.client("sqs")
        url = sqs.create_queue(QueueName=f"{self.stack_name}-notifications")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
        self.aws.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        return url


class FunctionError(Exception):
    """A function ended with an error. `error_type` is what a state machine's Retry and Catch see."""

    def __init__(self, function: str, error: Any) -> None:
        super().__init__(f"{function} failed: {json.dumps(error)}")
        self.error_type = error.get("errorType") if isinstance(error, dict) else None


def _notification(envelope: dict[str, Any]) -> dict[str, Any]:
    message = envelope["Message"]
    try:
        message = json.loads(message)
    except ValueError:
        pass  # Plain text.
    return {"subject": envelope.get("Subject"), "message": message}
