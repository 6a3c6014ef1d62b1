"""The limits of executions, reads that are behind, and services that refuse."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from local_aws.toy_support import wait_for

CATCHES_ALL = [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]


@pytest.fixture(scope="module")
def role(aws: Any) -> Any:
    """A function that makes clients with the credentials of a role that may do anything."""
    iam = aws.client("iam")
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{aws.account}:root"}, "Action": "sts:AssumeRole"}
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    arn = iam.create_role(RoleName="limits", AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))["Role"]["Arn"]
    iam.put_role_policy(RoleName="limits", PolicyName="all", PolicyDocument=json.dumps({"Statement": [everything]}))
    session = aws.client("sts").assume_role(RoleArn=arn, RoleSessionName="limits")["Credentials"]

    def client(service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=aws.endpoint_url,
            region_name=aws.region,
            aws_access_key_id=session["AccessKeyId"],
            aws_secret_access_key=session["SecretAccessKey"],
            aws_session_token=session["SessionToken"],
            config=Config(proxies={}, retries={"total_max_attempts": 1}),
        )

    return client


@pytest.fixture
def run(aws: Any, toy: Any) -> Iterator[Any]:
    """Runs a definition of these states; its execution once it has ended."""
    client = aws.client("stepfunctions")
    machine = client.describe_state_machine(stateMachineArn=toy.outputs["StateMachineArn"])
    arns: list[str] = []

    def start(states: dict[str, Any], **input: Any) -> str:
        definition = {"QueryLanguage": "JSONata", "StartAt": next(iter(states)), "States": states}
        name = f"limits-{len(arns)}"
        arn = client.create_state_machine(name=name, definition=json.dumps(definition), roleArn=machine["roleArn"])
        arns.append(arn["stateMachineArn"])
        return client.start_execution(stateMachineArn=arns[-1], input=json.dumps(input))["executionArn"]

    yield start
    for arn in arns:
        client.delete_state_machine(stateMachineArn=arn)
    aws.control.post("/_local/execution-limits", {})
    aws.control.post("/_local/consistency", {"seconds": 0})
    aws.control.post("/_local/service-faults", {})


def work(toy: Any, **more: Any) -> dict[str, Any]:
    function = f"arn:aws:lambda:{toy.aws.region}:{toy.aws.account}:function:toy-work"
    task = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Catch": CATCHES_ALL}
    return {**task, "Arguments": {"FunctionName": function, "Payload": {"work": "succeed"}}, **more}


def test_a_history_that_is_full_ends_the_execution_and_no_catch_sees_it(aws: Any, toy: Any, run: Any) -> None:
    aws.control.post("/_local/execution-limits", {"events": 40})
    states = {"Work": work(toy, Next="Again"), "Again": {"Type": "Pass", "Next": "Work"}, "Caught": {"Type": "Succeed"}}
    execution = toy.wait_for_execution(run(states))
    assert (execution["status"], execution["error"]) == ("FAILED", "States.Runtime")
    history = toy.history(execution["executionArn"])
    assert len(history) == 40 and history[-1]["type"] == "ExecutionFailed"


def test_data_of_more_than_256_kib_is_caught_by_no_wildcard(toy: Any, run: Any) -> None:
    output = "{% $join([1..$states.input.kib].($pad('', 1024, 'x'))) %}"
    states = {"Work": work(toy, Output=output, Next="Caught"), "Caught": {"Type": "Succeed", "Output": "ok"}}
    assert toy.wait_for_execution(run(states, kib=255))["status"] == "SUCCEEDED"
    execution = toy.wait_for_execution(run(states, kib=257))
    assert (execution["status"], execution["error"]) == ("FAILED", "States.DataLimitExceeded")


@pytest.mark.parametrize("error", ["States.DataLimitExceeded", "States.Runtime"])
def test_a_terminal_error_of_a_task_is_caught_by_no_wildcard(aws: Any, toy: Any, run: Any, error: str) -> None:
    aws.control.post("/_local/function-faults", {"function": "toy-work", "error": error})
    states = {"Work": work(toy, Next="Caught"), "Caught": {"Type": "Succeed"}}
    execution = toy.wait_for_execution(run(states))
    assert (execution["status"], execution["error"]) == ("FAILED", error)


def test_a_young_execution_is_unknown_to_roles_and_has_its_name(aws: Any, role: Any, run: Any, toy: Any) -> None:
    aws.control.post("/_local/consistency", {"seconds": 3_600})
    arn = run({"Wait": {"Type": "Wait", "Seconds": 80_000, "End": True}})
    client = role("stepfunctions")
    with pytest.raises(ClientError, match="ExecutionDoesNotExist"):
        client.describe_execution(executionArn=arn)
    machine = aws.client("stepfunctions").describe_execution(executionArn=arn)["stateMachineArn"]
    assert client.list_executions(stateMachineArn=machine)["executions"] == []
    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        client.start_execution(stateMachineArn=machine, name=arn.rsplit(":", 1)[1], input='{"other": 1}')
    aws.control.post("/_local/consistency", {"seconds": 0})
    assert client.describe_execution(executionArn=arn)["status"] == "RUNNING"
    aws.client("stepfunctions").stop_execution(executionArn=arn)


def test_a_service_refuses_the_calls_of_roles_as_often_as_it_is_told(aws: Any, role: Any, run: Any, toy: Any) -> None:
    fault = {"operation": "GetItem", "error": "ProvisionedThroughputExceededException", "skip": 1, "count": 2}
    aws.control.post("/_local/service-faults", fault)
    request = {"TableName": toy.outputs["TableName"], "Key": {"id": {"S": "1"}}}
    client = role("dynamodb")
    answers = []
    for _ in range(4):
        aws.client("dynamodb").get_item(**request)
        try:
            client.get_item(**request)
            answers.append("ok")
        except ClientError as error:
            answers.append(error.response["Error"]["Code"])
    assert answers == ["ok", fault["error"], fault["error"], "ok"]
    assert aws.control.post("/_local/service-faults", {"show": True})["pending"] == []


@pytest.mark.parametrize("longest", [64, 65])
def test_a_stack_with_a_rule_whose_name_is_too_long_fails(aws: Any, longest: int) -> None:
    rule = {"Type": "AWS::Events::Rule", "Properties": {"Name": "n" * longest, "ScheduleExpression": "rate(1 day)"}}
    client = aws.client("cloudformation")
    name = f"long-{longest}"
    client.create_stack(StackName=name, TemplateBody=json.dumps({"Resources": {"Rule": rule}}), OnFailure="DO_NOTHING")
    found = wait_for(
        lambda: [s for s in client.describe_stacks(StackName=name)["Stacks"] if "PROGRESS" not in s["StackStatus"]]
    )
    assert found[0]["StackStatus"] == ("CREATE_COMPLETE" if longest == 64 else "CREATE_FAILED")
    client.delete_stack(StackName=name)


def test_a_policy_is_refused_while_its_principal_is_young_and_when_it_was_deleted(aws: Any, toy: Any) -> None:
    ecr, arn = aws.client("ecr"), f"arn:aws:iam::{aws.account}:role/puller-of-the-limits"
    ecr.create_repository(repositoryName="principals")
    statement = {"Sid": "Pull", "Effect": "Allow", "Principal": {"AWS": arn}, "Action": "ecr:BatchGetImage"}
    request = {"repositoryName": "principals", "policyText": json.dumps({"Statement": [statement]})}
    try:
        aws.control.post("/_local/principals", {"youngSeconds": 3_600})
        with pytest.raises(ClientError, match="InvalidParameterException.*Principal not found"):
            ecr.set_repository_policy(**request)
        aws.control.post("/_local/principals", {"youngSeconds": 0})
        ecr.set_repository_policy(**request)
        aws.control.post("/_local/principals", {"deleted": [arn]})
        stored = ecr.get_repository_policy(repositoryName="principals")["policyText"]
        assert arn not in stored and '"AROA' in stored
        with pytest.raises(ClientError, match="Principal not found"):
            ecr.set_repository_policy(**{**request, "policyText": stored})
    finally:
        aws.control.post("/_local/principals", {})


@pytest.mark.parametrize(
    ("level", "kept"),
    [("INFO", ["no time", "info", "error"]), ("ERROR", ["error"]), ("DEBUG", ["no time", "info", "debug", "error"])],
)
def test_a_line_without_a_timestamp_is_info_whatever_it_says(aws: Any, toy: Any, level: str, kept: list[str]) -> None:
    now = "2026-11-23T03:46:53.000001Z"
    lines = [
        {"level": "ERROR", "message": f"{level} no time"},
        *(
            {"timestamp": now, "level": name, "message": f"{level} {name.lower()}"}
            for name in ("INFO", "DEBUG", "ERROR")
        ),
    ]
    logging = {"LogFormat": "JSON", "ApplicationLogLevel": level}
    aws.client("lambda").update_function_configuration(FunctionName="toy-work", LoggingConfig=logging)
    toy.invoke("toy-work", {"work": "succeed", "lines": lines})
    wanted = [f"{level} {name}" for name in kept]
    written = wait_for(lambda: [message for line in toy.logs() if (message := said(line)).startswith(f"{level} ")])
    assert sorted(written) == sorted(wanted)


def said(line: str) -> str:
    try:
        return json.loads(line).get("message", "")
    except (ValueError, AttributeError):
        return ""


@pytest.mark.parametrize("condition", ["$states.input.missing", "'a text'", "[true]", "$nobody"])
def test_a_condition_that_is_not_true_or_false_fails_its_execution(toy: Any, run: Any, condition: str) -> None:
    choice = {
        "Type": "Choice",
        "Choices": [{"Condition": f"{{% {condition} %}}", "Next": "Over"}],
        "Default": "Over",
    }
    execution = toy.wait_for_execution(run({"Asks": choice, "Over": {"Type": "Succeed"}}))
    assert (execution["status"], execution["error"]) == ("FAILED", "States.QueryEvaluationError")


def test_an_expression_without_a_value_fails_its_execution(toy: Any, run: Any) -> None:
    told = {"Type": "Pass", "Output": {"there": "{% $states.input.there %}", "missing": "{% $states.input.missing %}"}}
    execution = toy.wait_for_execution(run({"Tells": {**told, "End": True}}, there=None))
    assert (execution["status"], execution["error"]) == ("FAILED", "States.QueryEvaluationError")
