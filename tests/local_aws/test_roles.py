"""Every caller may do what its role allows, and is told what it does not."""

import json
from pathlib import Path
from typing import Any

import pytest
from cloud import Environment, LocalAws
from cloud.environment import FunctionError


def run(aws: LocalAws, toy: Environment, request: dict[str, Any]) -> dict[str, Any]:
    client = aws.client("stepfunctions")
    arn = client.start_execution(stateMachineArn=toy.outputs["StateMachineArn"], input=json.dumps(request))
    return toy.wait_for_execution(arn["executionArn"])


def function_arn(aws: LocalAws, name: str) -> str:
    return aws.client("lambda").get_function(FunctionName=name)["Configuration"]["FunctionArn"]


def role_of(aws: LocalAws, name: str) -> str:
    return aws.client("lambda").get_function(FunctionName=name)["Configuration"]["Role"].rpartition("/")[2]


def test_a_functions_call_without_permission_is_refused_by_name(aws: LocalAws, toy: Environment) -> None:
    with pytest.raises(FunctionError, match="AccessDeniedException") as refusal:
        toy.invoke("toy-work", {"work": "write"})
    session = f"arn:aws:sts::{aws.account}:assumed-role/{role_of(aws, 'toy-work')}/toy-work"
    assert f"User: {session} is not authorized to perform: dynamodb:PutItem" in str(refusal.value)


def test_a_state_machines_call_without_permission_is_refused_by_name(aws: LocalAws, toy: Environment) -> None:
    target = function_arn(aws, "toy-answer")

    execution = run(aws, toy, {"work": "succeed", "function": target})

    assert (execution["status"], execution["error"]) == ("FAILED", "Lambda.AWSLambdaException")
    assert f"is not authorized to perform: lambda:InvokeFunction on resource: {target}" in execution["cause"]


def test_a_function_error_is_caught_by_its_name(aws: LocalAws, toy: Environment) -> None:
    execution = run(aws, toy, {"work": "refuse", "function": function_arn(aws, "toy-work")})
    assert (execution["status"], execution["error"]) == ("FAILED", "Refused")
    assert "not today" in execution["cause"]


def test_another_emulator_can_ask_what_a_role_allows(aws: LocalAws) -> None:
    root = {"accessKeyId": "test", "action": "lightsail:GetContainerServices", "resource": "*"}
    unknown = {**root, "accessKeyId": "ASIAUNKNOWN"}
    assert aws.control.post("/_local/authorize", root) == {"allowed": True}
    assert aws.control.post("/_local/authorize", unknown)["code"] == "UnrecognizedClientException"


def test_a_lightsail_call_without_permission_is_refused_by_name(
    aws: LocalAws, toy: Environment, lightsail_emulator: Path | None
) -> None:
    if lightsail_emulator is None:
        pytest.skip("the Lightsail emulator is not built")
    with pytest.raises(FunctionError, match="AccessDeniedException") as refusal:
        toy.invoke("toy-work", {"work": "deploy"})
    assert "is not authorized to perform: lightsail:CreateContainerServiceDeployment" in str(refusal.value)
