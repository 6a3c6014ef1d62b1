"""What a release costs, and how soon it notices what it waits for.

Real executions of the installed state machine. Waits are not waited: the clocks of both emulators go along with them,
so a migration of 14 days takes minutes here, and every look finds it where it would be.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from cloud import Environment, PlanetScale, install
from cloud.bookings import DATABASE, HOTELS, ORGANIZATION, TOKEN

from benches.table import Table
from benches.world import CONNECTION_STRING, BusyAws, Push, Show, calls, outcome, push, seconds, short, transitions

MINUTE, HOUR, DAY = 60, 3_600, 86_400

# How long PlanetScale validates a deploy request here; how long it really takes differs.
VALIDATION_SECONDS = 10

# AWS price pages, 2026-11, us-east-1: Step Functions Standard; Lambda x86; CodeBuild general1.small, Linux.
PRICES = {
    "step_functions_dollars_per_transition": 0.025 / 1_000,
    "lambda_dollars_per_request": 0.20 / 1_000_000,
    "lambda_dollars_per_gigabyte_second": 0.0000166667,
    "code_build_dollars_per_minute": 0.005,
}
# API reference of CodeBuild: a build may take at most so many minutes, and 60 unless told otherwise.
CODE_BUILD_MOST_MINUTES = 2_160
CODE_BUILD_USUAL_MINUTES = 60

# What is waited for is to be noticed within this part of the time waited, or within so many seconds.
GOAL_SHARE, GOAL_SECONDS = 0.10, 5
# What the look itself may take on top, of real time.
_LOOK_SECONDS = 0.5
# For waits that are shorter, the goal is in seconds.
_SHORT_SECONDS = GOAL_SECONDS / GOAL_SHARE

# How long one simulated release may really take.
_MOST_SECONDS = 1_200
_REPOSITORY = "bookings-api"
# The longest that the stack's parameter takes.
_LONGEST_CONTAINERS_DEADLINE = DAY


@dataclass(frozen=True)
class Kind:
    """One row of the cost table."""

    title: str
    environment: str
    # None: no change of the schema.
    migration_seconds: int | None
    containers_seconds: int = 3 * MINUTE

    @property
    def validation_seconds(self) -> int:
        return VALIDATION_SECONDS if self.environment == "prod" else 0


# The longest is one second short of the deadline that the template sets.
KINDS = (
    Kind("QA, without a deploy request", "qa", None),
    Kind("prod, without a schema change", "prod", None),
    Kind("prod, with a migration of five minutes", "prod", 5 * MINUTE),
    Kind("prod, with a migration of one hour", "prod", HOUR),
    Kind("prod, with a migration of 14 days", "prod", 14 * DAY - 1),
)


def durations(shortest: float, longest: float, number: int) -> list[float]:
    """So many durations in seconds, each longer than the one before by the same factor."""
    factor = (longest / shortest) ** (1 / (number - 1))
    return [round(shortest * factor**step, 3) for step in range(number)]


SCHEMA_SECONDS = durations(3, 14 * DAY - 1, 20)
CONTAINERS_SECONDS = durations(3, _LONGEST_CONTAINERS_DEADLINE - 1, 20)


def measure(show: Show, options: argparse.Namespace) -> dict[str, Any]:
    """The cost of each kind of release, and the lag of each wait."""
    with BusyAws(wait_scale=0) as aws:
        stage = _Stage(aws, show)
        costs = [cost for kind in KINDS for cost in stage.tried(kind.title, partial(stage.costs, kind))]
        reactions = stage.reactions(list(zip(SCHEMA_SECONDS, CONTAINERS_SECONDS)))
        failures = stage.failures
    return {
        "prices": PRICES,
        "costs": costs,
        "reactions": reactions,
        "worst": _worst(reactions),
        "failures": failures,
    }


def rows(results: dict[str, Any]) -> list[Table]:
    """What releases cost, what sleeping in CodeBuild would, and how soon a release goes on."""
    cost = Table(
        "What one release costs, at the prices of us-east-1. Function time is measured in this local AWS, from "
        "TaskStarted to TaskSucceeded, each function started anew, and rounded up to a millisecond. Not counted: "
        "logs, and requests of DynamoDB, ECR, Secrets Manager and SNS, below $0.0001 together, with a migration of "
        "14 days below $0.01",
        ["release", "transitions", "events", "calls", "billed", "GB-s", "Step Functions", "Lambda", "together"],
        [
            [
                each["title"],
                f"{each['state_transitions']:,}",
                f"{each['history_events']:,}",
                f"{each['function_calls']:,}",
                f"{each['billed_milliseconds']:,} ms",
                f"{each['gigabyte_seconds']:.3f}",
                _dollars(each["step_functions_dollars"]),
                _dollars(each["lambda_dollars"]),
                _dollars(each["dollars"]),
            ]
            for each in results["costs"]
        ],
    )
    sleeping = Table(
        "The same waits, slept in CodeBuild (general1.small). The tutorial's script sleeps 5 s at a time while the "
        "request is pending, and waits neither for the schema nor for the containers",
        ["release", "waits", "the script as it stands", "if it slept for all of them", "this release"],
        [
            [
                each["title"],
                _time(each["waited_for_seconds"]),
                _slept(each["validation_seconds"]),
                _slept(each["waited_for_seconds"]),
                _dollars(each["dollars"]),
            ]
            for each in results["costs"]
        ],
    )
    reaction = Table(
        f"From the end of what is waited for to the function that sees it; "
        f"the goal is {GOAL_SHARE:.0%} of the time waited, or {GOAL_SECONDS} s, beside up to {_LOOK_SECONDS} s of the "
        "look itself",
        ["waited for", "waits", "within the goal", "largest part", f"longest, of waits below {_time(_SHORT_SECONDS)}"],
        [
            [
                what,
                f"{worst['waits']}, of {_time(worst['shortest_seconds'])} to {_time(worst['longest_seconds'])}",
                f"{worst['within_goal']} of {worst['waits']}",
                f"{worst['share_percent']:.1f} %, after {_time(worst['share_after_seconds'])}",
                f"{worst['short_lag_seconds']:.1f} s",
            ]
            for what, worst in results["worst"].items()
        ],
    )
    tables = [cost, sleeping, reaction]
    if results["failures"]:
        tables.append(Table("Not measured", ["what, and why"], [[failure] for failure in results["failures"]]))
    return tables


def _slept(waited_seconds: float) -> str:
    """What a build costs for as long as it sleeps; CodeBuild rounds up to a minute."""
    minutes = math.ceil(waited_seconds / MINUTE)
    if minutes > CODE_BUILD_MOST_MINUTES:
        return f"not possible: a build ends after at most {CODE_BUILD_MOST_MINUTES // 60} h"
    more = f", if the build may take longer than {_time(CODE_BUILD_USUAL_MINUTES * MINUTE)}"
    cost = _dollars(minutes * PRICES["code_build_dollars_per_minute"])
    return cost + (more if minutes > CODE_BUILD_USUAL_MINUTES else "")


def _dollars(amount: float) -> str:
    if amount == 0:
        return "$0"
    return f"${amount:.2f}" if amount >= 0.1 else f"${amount:.4f}" if amount >= 0.001 else f"${amount:.6f}"


def _time(duration: float) -> str:
    for length, unit in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if duration >= length:
            return f"{duration / length:.3g} {unit}"
    return f"{duration:.3g} s"


class _Stage:
    """Both environments, as the tests of releases install them."""

    def __init__(self, aws: BusyAws, show: Show) -> None:
        # What could not be measured, and why.
        self.failures: list[str] = []
        self._aws = aws
        self._show = show
        self._planetscale = PlanetScale(aws, ORGANIZATION, DATABASE)
        parameters = {"PlanetScaleApiUrl": f"{aws.planetscale_url}/v1"}
        self._environments: dict[str, Environment] = {}
        for name, more in (("qa", {}), ("prod", parameters)):
            show(f"installing {name}")
            self._environments[name] = install(aws, name, more, show=lambda _: None)
            aws.put_secret(f"bookings-api/{name}/connection-string", CONNECTION_STRING)
        aws.put_secret("bookings-api/prod/planetscale", json.dumps(TOKEN))
        aws.deliver_image_events("never")

    def tried(self, title: str, measured: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
        """What was measured; nothing when it failed, which is told and does not end the run."""
        try:
            return measured()
        except Exception as error:
            self.failures.append(f"{title}: {short(error)}")
            self._show(self.failures[-1])
            return []

    def costs(self, kind: Kind) -> list[dict[str, Any]]:
        return [self.cost(kind)]

    def cost(self, kind: Kind) -> dict[str, Any]:
        """One release of this kind, each of whose functions starts anew, as it would after a pause."""
        environment = self._environments[kind.environment]
        for function in environment.functions():
            self._aws.control.post("/_local/kill", {"function": function})
        pushed, start_milliseconds = self._release(environment, kind.migration_seconds, kind.containers_seconds)
        history = environment.history(pushed.execution_arn)
        if outcome(history) != "Released":
            raise RuntimeError(f"{kind.title}: {pushed.execution_name} ended as {outcome(history)}")
        # The function that starts the release is in no history.
        took = [("start-release", start_milliseconds), *((call.function, call.milliseconds) for call in calls(history))]
        billed = [(f"{environment.stack_name}-{name}", math.ceil(milliseconds)) for name, milliseconds in took]
        memory = self._memory(environment)
        gigabyte_seconds = sum(memory[name] / 1024 * milliseconds / 1000 for name, milliseconds in billed)
        waited = kind.validation_seconds + (kind.migration_seconds or 0) + kind.containers_seconds
        result = {
            **asdict(kind),
            "state_transitions": transitions(history),
            "history_events": len(history),
            "function_calls": len(billed),
            "billed_milliseconds": sum(milliseconds for _, milliseconds in billed),
            "gigabyte_seconds": round(gigabyte_seconds, 4),
            "validation_seconds": kind.validation_seconds,
            "waited_for_seconds": waited,
            "step_functions_dollars": transitions(history) * PRICES["step_functions_dollars_per_transition"],
            "lambda_dollars": len(billed) * PRICES["lambda_dollars_per_request"]
            + gigabyte_seconds * PRICES["lambda_dollars_per_gigabyte_second"],
        }
        result["dollars"] = result["step_functions_dollars"] + result["lambda_dollars"]
        self._show(f"{kind.title}: {result['state_transitions']} transitions, {_dollars(result['dollars'])}")
        return result

    def reactions(self, waits: Sequence[tuple[float, float]]) -> list[dict[str, Any]]:
        """The lag behind the schema and behind the containers, for releases that take so many seconds with each."""
        found = []
        with self._longer_containers_deadline():
            for schema, containers in waits:
                title = f"a migration of {_time(schema)}, containers of {_time(containers)}"
                found += self.tried(title, partial(self._lags, schema, containers))
        return found

    def _lags(self, schema: float, containers: float) -> list[dict[str, Any]]:
        self._release(self._environments["prod"], schema, containers)
        lags = [self._schema_lag(), self._containers_lag(containers)]
        for lag in lags:
            self._show(f"{lag['what']} after {_time(lag['waited_seconds'])}: seen {lag['lag_seconds']:.1f} s later")
        return lags

    def _release(
        self, environment: Environment, migration_seconds: float | None, containers_seconds: float
    ) -> tuple[Push, float]:
        """A release that ended, and the milliseconds of the function that started it."""
        self._planetscale.reset(schema=HOTELS, token=TOKEN)
        self._planetscale.durations(pending=VALIDATION_SECONDS * 1000)
        if migration_seconds is not None:
            self._planetscale.durations(in_progress=round(migration_seconds * 1000))
            self._planetscale.sql("dev", "ALTER TABLE hotels ADD description VARCHAR(400)")
        # A deployment passes its phases one after the other; this one takes all the time.
        phases = {"creatingDeploymentMs": 0, "activatingDeploymentMs": 0}
        phases["evaluatingHealthCheckMs"] = round(containers_seconds * 1000)
        self._aws.lightsail.post("/_control/settings", phases)
        name = environment.stack_name.removeprefix("bookings-api-")
        pushed = push(environment, _REPOSITORY, name)
        with self._aws.time_passes(pushed.execution_name):
            began = time.monotonic()
            environment.invoke(pushed.function, pushed.event)
            milliseconds = (time.monotonic() - began) * 1000
            try:
                environment.wait_for_execution(pushed.execution_arn, within_seconds=_MOST_SECONDS)
            except TimeoutError:
                # Its lock is free for the next one then.
                self._aws.client("stepfunctions").stop_execution(executionArn=pushed.execution_arn)
                raise
        return pushed, milliseconds

    @contextmanager
    def _longer_containers_deadline(self) -> Iterator[None]:
        """As the parameter ContainersDeadline would set it."""
        client = self._aws.client("lambda")
        name = f"{self._environments['prod'].stack_name}-start-release"
        before = client.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        longer = {**before, "CONTAINERS_DEADLINE": str(_LONGEST_CONTAINERS_DEADLINE)}
        client.update_function_configuration(FunctionName=name, Environment={"Variables": longer})
        try:
            yield
        finally:
            client.update_function_configuration(FunctionName=name, Environment={"Variables": before})

    def _memory(self, environment: Environment) -> dict[str, int]:
        """The megabytes of each function, as the template sets them."""
        client = self._aws.client("lambda")
        return {
            name: client.get_function_configuration(FunctionName=name)["MemorySize"] for name in environment.functions()
        }

    def _schema_lag(self) -> dict[str, Any]:
        """From PlanetScale's own records, by its own clock."""
        states = [effect for effect in self._planetscale.effects() if effect["kind"] == "state_changed"]
        asked = next(seconds(effect["time"]) for effect in states if effect["to"] == "queued")
        ends = ("complete_pending_revert", "complete")
        applied = next(seconds(effect["time"]) for effect in states if effect["to"] in ends)
        looks = (seconds(request["time"]) for request in self._planetscale.call_log() if request["method"] == "GET")
        return _lag("the schema is applied", asked, applied, looks)

    def _containers_lag(self, containers_seconds: float) -> dict[str, Any]:
        """From Lightsail's own records, by its own clock."""
        effects = [e for e in self._aws.lightsail.get("/_control/effects") if e["service"] == "bookings-api-prod"]
        asked = [effect["time"] for effect in effects if effect["kind"] == "deploymentStarted"][-1]
        # An effect is noted when the clock has been moved past it: at the end of a wait, not where it was due.
        noted = [effect["time"] for effect in effects if effect["kind"] == "deploymentActive"][-1]
        requests = self._aws.lightsail.get("/_control/requests")
        times = (r["time"] for r in requests if r["operation"] == "GetContainerServiceDeployments")
        looks = (time_ for time_ in times if time_ >= noted)
        return _lag("the deployment is ACTIVE", asked, asked + containers_seconds, looks)


def _lag(what: str, asked: float, happened: float, looks: Iterator[float]) -> dict[str, Any]:
    seen = next(look for look in looks if look >= happened)
    waited, lag = happened - asked, seen - happened
    return {
        "what": what,
        "waited_seconds": round(waited, 3),
        "lag_seconds": round(lag, 3),
        "lag_share_percent": round(100 * lag / waited, 2),
        "within_goal": lag <= max(GOAL_SHARE * waited, GOAL_SECONDS) + _LOOK_SECONDS,
    }


def _worst(reactions: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """By what was waited for: the worst share where the share is the goal, and the longest lag of short waits."""
    found = {}
    for what in dict.fromkeys(reaction["what"] for reaction in reactions):
        these = [reaction for reaction in reactions if reaction["what"] == what]
        long = [each for each in these if each["waited_seconds"] > _SHORT_SECONDS] or these
        short = [each for each in these if each["waited_seconds"] <= _SHORT_SECONDS]
        worst = max(long, key=lambda each: each["lag_share_percent"])
        found[what] = {
            "waits": len(these),
            "within_goal": sum(each["within_goal"] for each in these),
            "shortest_seconds": min(each["waited_seconds"] for each in these),
            "longest_seconds": max(each["waited_seconds"] for each in these),
            "share_percent": worst["lag_share_percent"],
            "share_after_seconds": worst["waited_seconds"],
            "short_lag_seconds": max((each["lag_seconds"] for each in short), default=0.0),
        }
    return found
