"""What the parts of the benchmarks share: a local AWS that many threads call, and releases in it."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cache
from typing import Any, ClassVar, TypeVar

import yaml
from cloud import Environment, ThreadedAws, emulator, push_event, push_image
from cloud.local_aws import REPOSITORY

# Only the emulators take it.
CONNECTION_STRING = "mysql://emulated:only-for-the-emulator@127.0.0.1/bookings_api"

Show = Callable[[str], None]
_Answer = TypeVar("_Answer")

# A busy machine may take this long to answer, and is asked this often.
_PATIENCE_SECONDS = 120
_TRIES = 5


class BusyAws(ThreadedAws):
    """A local AWS that many threads call, on a machine that may be busy."""

    client_settings: ClassVar[Mapping[str, Any]] = {
        "retries": {"total_max_attempts": _TRIES},
        "connect_timeout": _PATIENCE_SECONDS,
        "read_timeout": _PATIENCE_SECONDS,
        "max_pool_connections": 32,
    }

    def __init__(self, *, wait_scale: float) -> None:
        super().__init__(
            planetscale=emulator("planetscale-emulator"),
            lightsail=emulator("lightsail-emulator"),
            wait_scale=wait_scale,
        )


def patiently(call: Callable[[], _Answer]) -> _Answer:
    """What the call returns, which is made again when the machine was too busy to answer."""
    for _ in range(_TRIES - 1):
        try:
            return call()
        except OSError:
            time.sleep(5)
    return call()


@dataclass(frozen=True)
class Push:
    """An image that was pushed, and whose release is yet to be started."""

    environment: Environment
    repository: str
    tag: str
    digest: str
    at: datetime

    @property
    def event(self) -> dict[str, Any]:
        """ECR's event of the push, as far as `start-release` reads it."""
        return push_event(self.repository, self.digest, self.tag, self.at)

    @property
    def function(self) -> str:
        """The function that starts the release."""
        return f"{self.environment.stack_name}-start-release"

    @property
    def execution_name(self) -> str:
        """The name of the release's execution, which is a function of the event."""
        return f"{self.tag}-{self.digest.removeprefix('sha256:')[:12]}-{self.at:%Y%m%dT%H%M%SZ}"

    @property
    def execution_arn(self) -> str:
        machine = self.environment.outputs["StateMachineArn"]
        return f"{machine.replace(':stateMachine:', ':execution:')}:{self.execution_name}"


def push(environment: Environment, repository: str, tag: str) -> Push:
    """Push a new image by its commit and by its moving tag. With events delivered "never" this starts nothing."""

    def once() -> str:
        return push_image(environment.aws, repository, [secrets.token_hex(20), tag], unique=True)

    return Push(environment, repository, tag, patiently(once), datetime.now(timezone.utc))


@cache
def functions_of_states() -> dict[str, str]:
    """The function that each state of the definition calls."""
    states = yaml.safe_load((REPOSITORY / "statemachine" / "release.asl.yaml").read_text())["States"]
    arns = {name: state.get("Arguments", {}).get("FunctionName", "") for name, state in states.items()}
    found = {name: re.fullmatch(r"\$\{(\w+)FunctionArn\}", arn) for name, arn in arns.items()}
    return {name: re.sub(r"(?<!^)(?=[A-Z])", "-", arn[1]).lower() for name, arn in found.items() if arn}


@dataclass(frozen=True)
class Call:
    """One call of a function by a state machine, from its history."""

    state: str
    # Seconds since 1970.
    began: float
    ended: float

    @property
    def function(self) -> str:
        """The function's name, without the stack's: several states may call one."""
        return functions_of_states()[self.state]

    @property
    def milliseconds(self) -> float:
        return (self.ended - self.began) * 1000


def calls(history: list[dict[str, Any]]) -> list[Call]:
    """The calls of functions in an execution's history, in order: each retry is one more."""
    found: list[Call] = []
    state, began, is_function = "", 0.0, False
    for event in history:
        kind = event["type"]
        if kind == "TaskStateEntered":
            state = event["stateEnteredEventDetails"]["name"]
        elif kind == "TaskStarted":
            began = event["timestamp"].timestamp()
            is_function = event["taskStartedEventDetails"]["resourceType"] == "lambda"
        elif kind in ("TaskSucceeded", "TaskFailed", "TaskTimedOut") and is_function:
            found.append(Call(state, began, event["timestamp"].timestamp()))
    return found


def transitions(history: list[dict[str, Any]]) -> int:
    """State transitions as Step Functions bills them: each state that is entered, and each retry."""
    entered = sum("stateEnteredEventDetails" in event for event in history)
    tasks = sum(event["type"] == "TaskStateEntered" for event in history)
    tried = sum(event["type"] == "TaskScheduled" for event in history)
    return entered + tried - tasks


def outcome(history: list[dict[str, Any]]) -> str:
    """The last state that was entered, which is the outcome once the execution has ended."""
    entered = [event["stateEnteredEventDetails"]["name"] for event in history if "stateEnteredEventDetails" in event]
    return (entered or ["(no state)"])[-1]


def seconds(time_: str) -> float:
    """Seconds since 1970 of a time as PlanetScale writes it, with as many digits after the second as it takes."""
    whole, _, fraction = time_.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{whole}+00:00").timestamp() + float(f"0.{fraction or 0}")


def short(error: Exception) -> str:
    """An error in one line."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text if len(text) <= 300 else f"{text[:150]} … {text[-150:]}"
