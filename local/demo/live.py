"""Showing an execution in the terminal while it moves through its states."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

from cloud import Environment
from rich.console import Console
from rich.text import Text

_POLL_SECONDS = 0.15
_COLUMN = 28


def follow(console: Console, environment: Environment, after: set[str], within_seconds: float = 120) -> dict[str, Any]:
    """Show the next execution, whose ARN is not among `after`, from its start to its end.

    Returns it as DescribeExecution says. Raises TimeoutError when it does not start or end in time.
    """
    deadline = time.monotonic() + within_seconds
    arn = _next_execution(environment, after, deadline)
    console.print(f"  execution [bold]{arn.rsplit(':', 1)[1]}[/]")
    shown = ""
    for event in _events(environment, arn, deadline):
        line = _line(event)
        # A wait that finds nothing new is not shown again.
        if line is not None and line.plain[10:] != shown:
            shown = line.plain[10:]
            console.print(line)
    return environment.aws.client("stepfunctions").describe_execution(executionArn=arn)


def _next_execution(environment: Environment, after: set[str], deadline: float) -> str:
    while time.monotonic() < deadline:
        for execution in environment.executions():
            if execution["executionArn"] not in after:
                return execution["executionArn"]
        time.sleep(_POLL_SECONDS)
    raise TimeoutError("The push started no execution. Look at the functions' logs.")


def _events(environment: Environment, arn: str, deadline: float) -> Iterator[dict[str, Any]]:
    """The events as they happen, each with the seconds since the execution's start."""
    client = environment.aws.client("stepfunctions")
    seen, start = 0, None
    while time.monotonic() < deadline:
        ended = client.describe_execution(executionArn=arn)["status"] != "RUNNING"
        events = environment.history(arn)
        for event in events[seen:]:
            start = start or event["timestamp"]
            yield {**event, "seconds": (event["timestamp"] - start).total_seconds()}
        seen = len(events)
        if ended:
            return
        time.sleep(_POLL_SECONDS)
    raise TimeoutError(f"{arn} is still running.")


def _line(event: dict[str, Any]) -> Text | None:
    """What a state found, or the end state; nothing for what only routes."""
    kind = event["type"]
    if kind == "TaskStateExited":
        details = event["stateExitedEventDetails"]
        return _text(event, details["name"], _found(details.get("output")), "cyan")
    if kind == "SucceedStateEntered":
        return _text(event, event["stateEnteredEventDetails"]["name"], "", "bold green")
    if kind == "FailStateEntered":
        return _text(event, event["stateEnteredEventDetails"]["name"], "", "bold red")
    return None


def _found(output: str | None) -> str:
    answer = json.loads(output) if output else {}
    if not isinstance(answer, dict):
        return ""
    if "whatToDo" in answer:
        return "The release is recorded, the lock is free, and a message is sent."
    if deployment := answer.get("deployment"):
        return f"Deployment {deployment['version']} of {deployment['service']} is created."
    if answer.get("closed"):
        return f"Deploy request #{answer['deployRequest']['number']} is closed."
    return answer.get("because") or ""


def _text(event: dict[str, Any], state: str, found: str, style: str) -> Text:
    line = Text(f"  {event['seconds']:5.1f} s ")
    line.append(f" {state:<{_COLUMN}}", style)
    line.append(found)
    return line
