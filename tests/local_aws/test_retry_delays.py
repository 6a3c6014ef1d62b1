"""How long a state waits before it is tried again."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from cloud import Environment, LocalAws

ERROR = "Lambda.TooManyRequestsException"
TRIES = 3


@pytest.fixture
def waited(aws: LocalAws, toy: Environment) -> Iterator[Callable[..., float]]:
    """Seconds that an execution waits before its retries, with other fields in its Retry."""
    client = aws.client("stepfunctions")
    made = client.describe_state_machine(stateMachineArn=toy.outputs["StateMachineArn"])
    function = aws.client("lambda").get_function(FunctionName="toy-work")["Configuration"]["FunctionArn"]
    machines = []

    def run(name: str, **retry: Any) -> float:
        definition = yaml.safe_load(made["definition"])
        definition["States"]["Work"]["Retry"] = [{"ErrorEquals": [ERROR], "MaxAttempts": TRIES, **retry}]
        machine = client.create_state_machine(name=name, definition=json.dumps(definition), roleArn=made["roleArn"])[
            "stateMachineArn"
        ]
        machines.append(machine)
        clock = {"follow": [], "execution": name}
        aws.control.post("/_local/clock", clock)
        aws.control.post("/_local/function-faults", {"function": "toy-work", "error": ERROR, "count": TRIES})
        body = json.dumps({"work": "succeed", "function": function, "wait": 0})
        arn = client.start_execution(stateMachineArn=machine, name=name, input=body)["executionArn"]
        toy.wait_for_execution(arn)
        return aws.control.post("/_local/clock", clock)["seconds"]

    yield run
    aws.control.post("/_local/clock", {})
    for machine in machines:
        client.delete_state_machine(stateMachineArn=machine)


def test_a_delay_grows_by_the_backoff_rate(waited: Callable[..., float]) -> None:
    assert waited("grows", IntervalSeconds=40, BackoffRate=2) == 40 + 80 + 160


def test_a_delay_is_at_most_the_longest(waited: Callable[..., float]) -> None:
    assert waited("capped", IntervalSeconds=40, BackoffRate=2, MaxDelaySeconds=100) == 40 + 80 + 100


def test_with_full_jitter_a_delay_is_a_part_of_itself(waited: Callable[..., float]) -> None:
    times = {waited(f"jitter-{run}", IntervalSeconds=40, BackoffRate=2, JitterStrategy="FULL") for run in range(3)}
    assert len(times) == 3
    assert all(0 < seconds < 40 + 80 + 160 for seconds in times)
