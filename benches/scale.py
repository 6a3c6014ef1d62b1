"""Many releases at once, each in its own environment, against one organization's rate limit.

Nothing is shortened: the state machine waits as it says, and the emulator refuses calls above 600 in 60 seconds as it
does by the real clock. Each environment is a stack of its own with its own repository, container service and database;
all databases belong to one organization.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from cloud import Environment, install
from cloud.bookings import HOTELS, ORGANIZATION, TOKEN
from cloud.local_aws import REPOSITORY

from benches import model
from benches.table import Table
from benches.world import CONNECTION_STRING, BusyAws, Call, Push, Show, calls, outcome, patiently, push, seconds, short

# How long the releases of one scale may take.
MOST_SECONDS = 3_600
MIGRATION_SECONDS = 20
CONTAINERS_SECONDS = 20
MODEL_RELEASES = (100, 500, 5_000)

_APPLICATION = "bookings-api"
_FAILURES = ("taskFailedEventDetails", "taskTimedOutEventDetails")
# How many causes are told, and how many characters of each.
_MOST_CAUSES, _MOST_CAUSE = 20, 300
_AT_A_TIME = 8
# How long a function without a call keeps its process.
_WARM_SECONDS = 3


def measure(show: Show, options: argparse.Namespace) -> dict[str, Any]:
    """Releases at each of `options.scale`, and the rate limit in virtual time with the calls of a measured one."""
    results: dict[str, Any] = {
        "rate_limit_calls_per_minute": model.LIMIT,
        "migration_seconds": MIGRATION_SECONDS,
        "containers_seconds": CONTAINERS_SECONDS,
        "most_seconds": MOST_SECONDS,
        "runs": [],
    }
    with BusyAws(wait_scale=1) as aws:
        site = _Site(aws, show)
        site.prepare()
        for number in sorted(set(options.scale)):
            try:
                results["runs"].append(site.run(number))
            except Exception as error:  # The figures of the smaller scales are kept, whatever happened.
                show(f"scale {number}: {short(error)}")
                results["runs"].append({"releases": number, "failure": short(error)})
        if site.steps:
            results["model"] = _modelled(site.steps, show)
    return results


def rows(results: dict[str, Any]) -> list[Table]:
    """The releases that were made, and those of the model."""
    measured = Table(
        "Releases at once, each in its own environment",
        [
            *("releases", "installed in", "all ended after", "outcomes", "functions worked"),
            *("PlanetScale calls", "of them 429", "most accepted in 60 s"),
        ],
        [_row(run) for run in results["runs"]],
    )
    if "model" not in results:
        return [measured]
    retry = results["model"]["retry"]
    modelled = Table(
        f"The rate limit in virtual time, {results['rate_limit_calls_per_minute']} calls in any 60 s: "
        f"the retry of {retry['errors']} makes a refused call again up to {retry['most_attempts']} times",
        ["releases at once", "all ended after", "most accepted in 60 s", "refused", "most tries", "given up"],
        [
            [
                f"{run['releases']:,}",
                f"{run['minutes_until_all_ended']} min",
                f"{run['most_accepted_calls_in_60_seconds']:,}",
                f"{run['refused_calls']:,}",
                str(run["most_tries_of_one_function"]),
                f"{run['releases_given_up']:,}",
            ]
            for run in results["model"]["runs"]
        ],
    )
    return [measured, modelled]


def _row(run: dict[str, Any]) -> list[str]:
    if "outcomes" not in run:
        return [f"{run['releases']:,}", run["failure"], *["–"] * 6]
    return [
        f"{run['releases']:,}",
        f"{run['install_seconds']:.0f} s",
        f"{run['seconds']:.0f} s",
        ", ".join(f"{count} {name}" for name, count in run["outcomes"].items()),
        f"{run['function_seconds']:.1f} s",
        f"{run['planetscale_calls']:,}",
        f"{run['planetscale_refused_calls']:,}",
        f"{run['most_accepted_calls_in_60_seconds']:,}",
    ]


@dataclass
class _Ended:
    """What became of one release."""

    outcome: str
    seconds: float
    calls: list[Call]
    # The errors of its functions, and what they said of all but refused calls.
    errors: Counter[str]
    causes: Counter[str]


class _Site:
    """The environments of a run, more of them with each scale."""

    def __init__(self, aws: BusyAws, show: Show) -> None:
        self.aws = aws
        # The calls of one release that met no 429.
        self.steps: list[model.Step] = []
        self._show = show
        self._environments: list[Environment] = []
        self._template = ""

    def prepare(self) -> None:
        self.aws.deliver_image_events("never")
        self.aws.planetscale.post("/_control/reset")
        token = {"token": TOKEN["token"], "organization": ORGANIZATION}
        self.aws.planetscale.put(f"/_control/tokens/{TOKEN['id']}", token)
        durations = {"in_progress": MIGRATION_SECONDS * 1000}
        settings = {"rate_limit_per_minute": model.LIMIT, "durations": durations}
        self.aws.planetscale.patch("/_control/settings", settings)
        self.aws.lightsail.post("/_control/settings", {"evaluatingHealthCheckMs": CONTAINERS_SECONDS * 1000})
        # As many functions as a thousand environments have cannot be kept warm on one machine.
        self.aws.control.post("/_local/idle-environments", {"seconds": _WARM_SECONDS})

    def run(self, number: int) -> dict[str, Any]:
        """So many releases at once."""
        result: dict[str, Any] = {"releases": number}
        with _timed(result, "install_seconds"):
            self._install(number)
        environments = self._environments[:number]
        with _timed(result, "push_seconds"):
            pushes = [push for push in self._each(self._push, environments, "pushed") if push]
        before = len(patiently(lambda: self.aws.planetscale.get("/_control/requests")))
        began = time.time()
        self._start(pushes)
        unfinished = self._wait(pushes, began)
        for late in unfinished:
            self._stop(late)
        ended = [found for found in self._each(lambda push: self._ended(push, began), pushes, "read") if found]
        requests = patiently(lambda: self.aws.planetscale.get("/_control/requests"))[before:]
        result |= _figures(number, ended, requests)
        if unfinished:
            result["failure"] = f"{len(unfinished)} releases had not ended after {MOST_SECONDS} s and were stopped"
            self._show(f"scale {number}: {result['failure']}")
        self._show(f"scale {number}: {json.dumps(result)}")
        if not self.steps and number == len(ended) and not result["planetscale_refused_calls"]:
            first = pushes[0]
            database = f"/databases/{_database(first.environment)}/"
            self.steps = _steps(ended[0].calls, [r for r in requests if database in r["path"]], began)
        return result

    def _install(self, number: int) -> None:
        if not self._environments:
            self._show("installing the first environment with sam build and sam deploy")
            name = _name(0)
            parameters = self._parameters(name)
            self._environments.append(
                install(self.aws, "qa", parameters, stack_name=f"{_APPLICATION}-{name}", show=lambda _: None)
            )
            self._fill(self._environments[0])
            # What sam deployed: its functions are in a bucket already, and the other stacks use the same.
            stack = f"{_APPLICATION}-{name}"
            answer = self.aws.client("cloudformation").get_template(StackName=stack, TemplateStage="Original")
            self._template = self._uploaded(str(answer["TemplateBody"]))
        missing = [_name(index) for index in range(len(self._environments), number)]
        self._environments += [found for found in self._each(self._create, missing, "installed") if found]

    def _uploaded(self, template: str) -> str:
        """Where CloudFormation reads it: it is too long to be in a request."""
        client = self.aws.client("s3")
        client.create_bucket(Bucket="benchmark", CreateBucketConfiguration={"LocationConstraint": self.aws.region})
        client.put_object(Bucket="benchmark", Key="template.yaml", Body=template.encode())
        return f"https://s3.{self.aws.region}.amazonaws.com/benchmark/template.yaml"

    def _create(self, name: str) -> Environment:
        client = self.aws.client("cloudformation")
        stack = f"{_APPLICATION}-{name}"
        client.create_stack(
            StackName=stack,
            TemplateURL=self._template,
            Parameters=[
                {"ParameterKey": key, "ParameterValue": value} for key, value in self._parameters(name).items()
            ],
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        )
        waiter = client.get_waiter("stack_create_complete")
        waiter.wait(StackName=stack, WaiterConfig={"Delay": 1, "MaxAttempts": 300})
        environment = Environment(self.aws, stack)
        self._fill(environment)
        return environment

    def _parameters(self, name: str) -> dict[str, str]:
        return {
            "Application": _APPLICATION,
            "Environment": name,
            "CreateRepository": "true",
            "RepositoryName": f"{_APPLICATION}-{name}",
            "MovingTags": name,
            "PlanetScaleApiUrl": f"{self.aws.planetscale_url}/v1",
            "PlanetScaleOrganization": ORGANIZATION,
            "PlanetScaleDatabase": f"db-{name}",
        }

    def _fill(self, environment: Environment) -> None:
        path = f"/_control/organizations/{ORGANIZATION}/databases/{_database(environment)}"
        patiently(lambda: self.aws.planetscale.put(path, {"schema": HOTELS, "branches": ["dev"]}))
        patiently(
            lambda: self.aws.planetscale.put(f"{path}/branches/main", {"production": True, "safe_migrations": True})
        )
        secret = environment.stack_name.replace(f"{_APPLICATION}-", f"{_APPLICATION}/", 1)
        self.aws.put_secret(f"{secret}/connection-string", CONNECTION_STRING)
        self.aws.put_secret(f"{secret}/planetscale", json.dumps(TOKEN))
        assert environment.outputs["StateMachineArn"]

    def _push(self, environment: Environment) -> Push:
        database = f"/_control/organizations/{ORGANIZATION}/databases/{_database(environment)}"
        column = f"column_{time.time_ns()}"
        statement = {"sql": f"ALTER TABLE hotels ADD {column} INT"}
        patiently(lambda: self.aws.planetscale.post(f"{database}/branches/dev/sql", statement))
        tag = environment.stack_name.removeprefix(f"{_APPLICATION}-")
        return push(environment, environment.stack_name, tag)

    def _start(self, pushes: Sequence[Push]) -> None:
        client = self.aws.client("lambda")

        def start(push: Push) -> bool:
            payload = json.dumps(push.event).encode()
            client.invoke(FunctionName=push.function, InvocationType="Event", Payload=payload)
            return True

        self._each(start, pushes, "started")

    def _wait(self, pushes: Sequence[Push], began: float) -> list[Push]:
        """Wait for the end of the releases; those that had none in time."""
        left = list(pushes)
        # Looking costs the machine as well: at most about ten looks a second.
        pause = max(5.0, len(pushes) / 10)
        while left and time.time() - began < MOST_SECONDS:
            time.sleep(pause)
            left = [push for push in left if self._runs(push)]
            self._show(f"{len(pushes) - len(left)} of {len(pushes)} ended after {time.time() - began:.0f} s")
        return left

    def _runs(self, push: Push) -> bool:
        """Whether the release runs, or has yet to start."""
        try:
            found = self.aws.client("stepfunctions").describe_execution(executionArn=push.execution_arn)
        except Exception:  # Not there yet, or the machine is too busy to answer: the next look tells.
            return True
        return bool(found["status"] == "RUNNING")

    def _stop(self, push: Push) -> None:
        try:
            self.aws.client("stepfunctions").stop_execution(executionArn=push.execution_arn)
        except Exception as error:  # It never started, or ends just now.
            self._show(f"{push.execution_name} was not stopped: {short(error)}")

    def _ended(self, push: Push, began: float) -> _Ended:
        history = push.environment.history(push.execution_arn)
        last: datetime = history[-1]["timestamp"]
        failures = [event[details] for event in history for details in _FAILURES if details in event]
        errors = Counter(failure["error"] for failure in failures)
        causes = Counter(
            f"{failure['error']}: {failure.get('cause', '')[:_MOST_CAUSE]}"
            for failure in [*failures, history[-1].get("executionFailedEventDetails", {})]
            if failure.get("error", "RateLimited") != "RateLimited"
        )
        ended = history[-1]["type"] not in ("ExecutionAborted", "ExecutionTimedOut")
        end = outcome(history) if ended else f"stopped in {outcome(history)}"
        return _Ended(end, last.timestamp() - began, calls(history), errors, causes)

    def _each(self, work: Any, things: Sequence[Any], done: str) -> list[Any]:
        """What the work returns for each, a few at a time; nothing for one that failed, which is told."""

        def one(thing: Any) -> Any:
            try:
                return work(thing)
            except Exception as error:  # One that fails must not end the run of a hundred.
                self._show(f"not {done}: {short(error)}")
                return None

        found = []
        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            for result in pool.map(one, things):
                found.append(result)
                if len(found) % 10 == 0:
                    self._show(f"{done}: {len(found)} of {len(things)}")
        return found


def _figures(number: int, ended: Sequence[_Ended], requests: Sequence[dict[str, Any]]) -> dict[str, Any]:
    outcomes = Counter(release.outcome for release in ended)
    if number > len(ended):
        outcomes["not started"] = number - len(ended)
    milliseconds = [call.milliseconds for release in ended for call in release.calls]
    errors: Counter[str] = sum((release.errors for release in ended), Counter())
    causes: Counter[str] = sum((release.causes for release in ended), Counter())
    took = sorted(release.seconds for release in ended)
    accepted = [seconds(request["time"]) for request in requests if request["status"] != 429]
    return {
        "outcomes": dict(outcomes.most_common()),
        "seconds": round(took[-1], 1) if took else 0.0,
        "median_seconds": round(statistics.median(took), 1) if took else 0.0,
        "function_calls": len(milliseconds),
        "function_seconds": round(sum(milliseconds) / 1000, 3),
        "function_median_milliseconds": round(statistics.median(milliseconds), 1) if milliseconds else 0.0,
        "function_errors": dict(errors.most_common()),
        "causes": dict(causes.most_common(_MOST_CAUSES)),
        "planetscale_calls": len(requests),
        "planetscale_refused_calls": len(requests) - len(accepted),
        "most_calls_in_60_seconds": _most_in_a_minute([seconds(request["time"]) for request in requests]),
        "most_accepted_calls_in_60_seconds": _most_in_a_minute(accepted),
    }


def _most_in_a_minute(times: Sequence[float]) -> int:
    """The most that any 60 seconds had."""
    window: deque[float] = deque()
    most = 0
    for at in sorted(times):
        while window and window[0] + 60 <= at:
            window.popleft()
        window.append(at)
        most = max(most, len(window))
    return most


def _steps(made: Sequence[Call], requests: Sequence[dict[str, Any]], began: float) -> list[model.Step]:
    """The functions of a release that called PlanetScale, with the pauses between them."""
    steps = []
    times = [seconds(request["time"]) for request in requests]
    for call in made:
        # The history's times are whole milliseconds.
        within = sum(call.began - 0.001 <= at <= call.ended + 0.001 for at in times)
        if within:
            steps.append(model.Step(round(max(call.began - began, 0), 3), within))
            began = call.ended
    return steps


def _modelled(steps: Sequence[model.Step], show: Show) -> dict[str, Any]:
    retry = model.retry_of_a_refused_call(REPOSITORY / "statemachine" / "release.asl.yaml")
    runs = []
    for number in MODEL_RELEASES:
        runs.append(model.simulate(number, list(steps), retry))
        show(f"virtual time: {json.dumps(runs[-1])}")
    return {"seed": model.SEED, "retry": asdict(retry), "steps": [asdict(step) for step in steps], "runs": runs}


@contextmanager
def _timed(result: dict[str, Any], name: str) -> Iterator[None]:
    began = time.monotonic()
    try:
        yield
    finally:
        result[name] = round(time.monotonic() - began, 1)


def _name(index: int) -> str:
    return f"e{index + 1:03}"


def _database(environment: Environment) -> str:
    return f"db-{environment.stack_name.removeprefix(f'{_APPLICATION}-')}"
