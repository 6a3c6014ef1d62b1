"""How executions start and end."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cloud import Environment, LocalAws
from local_aws.toy_support import wait_for


@pytest.fixture
def start(aws: LocalAws, toy: Environment) -> Callable[..., str]:
    def start_execution(name: str, **request: Any) -> str:
        function = aws.client("lambda").get_function(FunctionName="toy-work")["Configuration"]["FunctionArn"]
        body = json.dumps({"work": "succeed", "function": function, **request})
        answer = aws.client("stepfunctions").start_execution(
            stateMachineArn=toy.outputs["StateMachineArn"], name=name, input=body
        )
        return answer["executionArn"]

    return start_execution


def test_starting_a_running_execution_again_is_the_same_execution(aws: LocalAws, start: Callable[..., str]) -> None:
    arn = start("again", wait=80_000)
    assert start("again", wait=80_000) == arn
    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        start("again", wait=200)
    aws.client("stepfunctions").stop_execution(executionArn=arn)
    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        start("again", wait=80_000)


def test_a_name_is_at_most_80_characters(start: Callable[..., str]) -> None:
    with pytest.raises(ClientError, match="InvalidName"):
        start("n" * 81)


def test_a_stopped_execution_stays_stopped(aws: LocalAws, start: Callable[..., str], toy: Environment) -> None:
    arn = start("stopped", wait=500)
    wait_for(lambda: toy.end_state(arn) == "WaitABit")

    aws.client("stepfunctions").stop_execution(executionArn=arn, error="Stopped", cause="by a person")

    # Until the stopped one's Wait would have ended.
    following = start("after-the-stopped-one", wait=600)
    toy.wait_for_execution(following)
    execution = toy.wait_for_execution(arn)
    assert (execution["status"], execution["error"]) == ("ABORTED", "Stopped")
    assert toy.states(arn) == ["Work", "WaitABit"]
    assert toy.history(arn)[-1]["type"] == "ExecutionAborted"


def test_an_execution_times_out_by_the_full_length_of_its_waits(
    aws: LocalAws, start: Callable[..., str], toy: Environment
) -> None:
    # The machine's timeout is a day; the waits of the local AWS are a hundredth.
    aws.scale_waits(0)
    try:
        execution = toy.wait_for_execution(start("too-long", wait=100_000))
    finally:
        aws.scale_waits(0.01)
    assert execution["status"] == "TIMED_OUT"
    assert toy.history(execution["executionArn"])[-1]["type"] == "ExecutionTimedOut"


def test_a_stopped_execution_that_is_redriven_goes_on_where_it_was(
    aws: LocalAws, start: Callable[..., str], toy: Environment
) -> None:
    client = aws.client("stepfunctions")
    arn = start("redriven", wait=500)
    wait_for(lambda: toy.end_state(arn) == "WaitABit")
    with pytest.raises(ClientError, match="ExecutionNotRedrivable"):
        client.redrive_execution(executionArn=arn)
    client.stop_execution(executionArn=arn)
    stopped = client.describe_execution(executionArn=arn)
    assert (stopped["redriveStatus"], stopped["redriveCount"]) == ("REDRIVABLE", 0)

    client.redrive_execution(executionArn=arn)

    execution = toy.wait_for_execution(arn)
    assert (execution["redriveCount"], execution["redriveStatus"]) == (1, "NOT_REDRIVABLE")
    types = [event["type"] for event in toy.history(arn)]
    assert types[types.index("ExecutionAborted") :][:3] == ["ExecutionAborted", "ExecutionRedriven", "WaitStateExited"]
    assert toy.states(arn).count("Work") == 1
    assert types[-1] == "ExecutionSucceeded"
    with pytest.raises(ClientError, match="ExecutionNotRedrivable"):
        client.redrive_execution(executionArn=arn)


def test_a_failed_execution_that_is_redriven_enters_its_fail_state_again(
    aws: LocalAws, start: Callable[..., str], toy: Environment
) -> None:
    arn = start("failed", function="missing")
    failed = toy.wait_for_execution(arn)
    assert failed["status"] == "FAILED"
    before = len(toy.history(arn))
    aws.client("stepfunctions").redrive_execution(executionArn=arn)
    execution = wait_for(lambda: len(toy.history(arn)) > before + 1 and toy.wait_for_execution(arn))
    types = [event["type"] for event in toy.history(arn)[before:]]
    assert types == ["ExecutionRedriven", "FailStateEntered", "ExecutionFailed"]
    assert (execution["error"], execution["cause"]) == (failed["error"], failed["cause"])


def test_a_task_has_five_events(start: Callable[..., str], toy: Environment) -> None:
    arn = start("counted")
    toy.wait_for_execution(arn)
    types = [event["type"] for event in toy.history(arn)]
    assert types[1:6] == ["TaskStateEntered", "TaskScheduled", "TaskStarted", "TaskSucceeded", "TaskStateExited"]


def test_a_fault_of_lambda_is_met_by_the_next_calls(aws: LocalAws, start: Callable[..., str], toy: Environment) -> None:
    fault = {"function": "toy-work", "error": "Lambda.ServiceException", "count": 2, "worked": True, "killed": True}
    aws.control.post("/_local/function-faults", fault)
    arn = start("unlucky")
    assert toy.wait_for_execution(arn)["status"] == "SUCCEEDED"
    failed = [event["taskFailedEventDetails"]["error"] for event in toy.history(arn) if event["type"] == "TaskFailed"]
    assert failed == ["Lambda.ServiceException"] * 2
    assert aws.control.post("/_local/function-faults", {"show": True})["pending"] == []


def test_an_idle_environment_is_ended_and_the_next_call_has_another(
    aws: LocalAws, start: Callable[..., str], toy: Environment
) -> None:
    toy.wait_for_execution(start("warm"))
    assert environments(aws, "toy-work")
    aws.control.post("/_local/idle-environments", {"seconds": 0})
    try:
        wait_for(lambda: not environments(aws, "toy-work"))
    finally:
        aws.control.post("/_local/idle-environments", {})
    assert toy.wait_for_execution(start("cold"))["status"] == "SUCCEEDED"


def environments(aws: LocalAws, function: str) -> list[Path]:
    """The processes of a function in this local AWS."""
    marks = {f"AWS_LAMBDA_FUNCTION_NAME={function}".encode(), f"AWS_ENDPOINT_URL={aws.endpoint_url}".encode()}
    found = []
    for process in Path("/proc").glob("[0-9]*/environ"):
        try:
            if marks <= set(process.read_bytes().split(b"\0")):
                found.append(process)
        except OSError:  # It has just ended, or is another user's.
            continue
    return found
