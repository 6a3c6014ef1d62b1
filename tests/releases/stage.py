"""What a test of a release starts from and looks at."""

from __future__ import annotations

import json
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import figures
from cloud import Environment, Lightsail, LocalAws, PlanetScale, push_image
from cloud.bookings import DATABASE, HOTELS, ORGANIZATION, TOKEN

REPOSITORY = "bookings-api"

# Waits of a release are shortened by this factor: five seconds take a tenth of one.
WAIT_SCALE = 0.02

# None of them is real; each is searched for in histories and logs.
CONNECTION_STRINGS = {
    "qa": "mysql://emulated:only-for-the-emulator-qa@127.0.0.1/bookings_api",
    "prod": "mysql://emulated:only-for-the-emulator-prod@127.0.0.1/bookings_api",
}
SECRETS = [TOKEN["token"], "only-for-the-emulator-qa", "only-for-the-emulator-prod"]

ADD_DESCRIPTION = "ALTER TABLE hotels ADD description VARCHAR(400)"
DROP_STARS = "ALTER TABLE hotels DROP COLUMN stars"


@dataclass
class Ended:
    """A release that ended."""

    arn: str
    status: str
    outcome: str
    states: list[str]
    report: dict[str, Any]


@dataclass
class Stage:
    """Both environments, the two emulators and the repository."""

    aws: LocalAws
    qa: Environment
    prod: Environment

    def set(self) -> None:
        """Every emulator without faults; `dev` and `main` with the same schema; every secret filled."""
        self.planetscale = PlanetScale(self.aws, ORGANIZATION, DATABASE)
        self.lightsail = Lightsail(self.aws)
        self.planetscale.reset(schema=HOTELS, token=TOKEN)
        self.lightsail.clear()
        self.aws.deliver_image_events("once")
        self.aws.put_secret("bookings-api/prod/planetscale", json.dumps(TOKEN))
        self._present = {
            environment.stack_name: {execution["executionArn"] for execution in environment.executions()}
            for environment in (self.qa, self.prod)
        }

    def clear(self) -> None:
        """Nothing of this test goes on into the next one."""
        faults = (request.get("fault") for request in self.planetscale.api.get("/_control/requests"))
        figures.count("faults of PlanetScale", Counter(filter(None, faults)))
        self.lightsail.clear()
        self.planetscale.clear_faults()
        self.clear_function_faults()
        client = self.aws.client("stepfunctions")
        for environment in (self.qa, self.prod):
            for execution in environment.executions():
                if execution["status"] == "RUNNING":
                    client.stop_execution(executionArn=execution["executionArn"])
            self._settle(environment)

    def push(self, environment: str, **image: Any) -> str:
        """Push a new image as CodeBuild does: its commit tag first, the moving tag last."""
        commit = secrets.token_hex(20)
        return push_image(self.aws, REPOSITORY, [commit, environment], unique=True, **image)

    def retag(self, environment: str, digest: str) -> dict[str, Any]:
        """Move the moving tag to an image that is in the repository; the execution that this starts."""
        before = {e["executionArn"] for e in self.executions_of(getattr(self, environment), digest)}
        self.move_tag(environment, digest)

        def new() -> dict[str, Any] | None:
            found = self.executions_of(getattr(self, environment), digest)
            return next((e for e in found if e["executionArn"] not in before), None)

        return self.until(new, "execution")

    def move_tag(self, tag: str, digest: str) -> None:
        """Move a tag as `aws ecr put-image` does."""
        ecr = self.aws.client("ecr")
        [image] = ecr.batch_get_image(repositoryName=REPOSITORY, imageIds=[{"imageDigest": digest}])["images"]
        ecr.put_image(repositoryName=REPOSITORY, imageTag=tag, imageManifest=image["imageManifest"])

    def push_only_moving_tag(self, environment: str) -> str:
        return push_image(self.aws, REPOSITORY, [environment], unique=True)

    def fill_connection_strings(self) -> None:
        for name, value in CONNECTION_STRINGS.items():
            self.aws.put_secret(f"bookings-api/{name}/connection-string", value)

    def release(self, environment: Environment, **image: Any) -> Ended:
        """Push a new image, and wait for the release that the push starts."""
        digest = self.push(self._name(environment), **image)
        return self.ended(environment, digest)

    def overtake(self) -> tuple[str, str, str]:
        """Three pushes to prod: one that is at work, one that waits for it and is overtaken, and the last. Their digests."""
        first, second = self.two_pushes()
        return first, second, self.push("prod")

    def two_pushes(self) -> tuple[str, str]:
        """Two pushes to prod: one that is at work, and one that waits for it. Their digests."""
        self.planetscale.sql("dev", ADD_DESCRIPTION)
        self.planetscale.durations(in_progress=10_000)
        first = self.push("prod")
        self.wait_for_state(self.prod, first, "WaitForSchema")
        second = self.push("prod")
        self.wait_for_state(self.prod, second, "WaitForTurn")
        return first, second

    def release_by_hand(self, environment: Environment) -> Ended:
        """Release what the moving tag points at, as the stack's output ReleaseByHand does."""
        started = environment.invoke(f"{environment.stack_name}-start-release", {})["started"]
        machine = environment.outputs["StateMachineArn"]
        return self.execution_ended(environment, f"{machine.replace(':stateMachine:', ':execution:')}:{started}")

    def executions_of(self, environment: Environment, digest: str) -> list[dict[str, Any]]:
        """The executions that release this digest, the newest first."""
        short = digest.removeprefix("sha256:")[:12]
        return [execution for execution in environment.executions() if short in execution["name"]]

    def ended(self, environment: Environment, digest: str, within_seconds: float = 300) -> Ended:
        """The release of this digest, once it has ended."""
        found = self.until(lambda: self.executions_of(environment, digest), "an execution", within_seconds)
        return self.execution_ended(environment, found[0]["executionArn"], within_seconds)

    def execution_ended(self, environment: Environment, arn: str, within_seconds: float = 300) -> Ended:
        """The release that this execution runs, once it has ended."""
        execution = environment.wait_for_execution(arn, within_seconds=within_seconds)
        return Ended(
            arn=arn,
            status=execution["status"],
            outcome=environment.end_state(arn),
            states=environment.states(arn),
            report=environment.report(arn),
        )

    def stop(self, arn: str) -> None:
        """Stop an execution, as a person does in the console."""
        self.aws.client("stepfunctions").stop_execution(executionArn=arn)

    def redrive(self, arn: str) -> None:
        """Redrive an execution, as a person does in the console."""
        self.aws.client("stepfunctions").redrive_execution(executionArn=arn)

    def function_fault(self, environment: Environment, function: str, error: str, **more: Any) -> None:
        """Let Lambda fail a call of a function; the fields are in `additions/function_faults.py`."""
        name = f"{environment.stack_name}-{function}"
        self.aws.control.post("/_local/function-faults", {"function": name, "error": error, **more})

    def pending_function_faults(self) -> list[dict[str, Any]]:
        return self.aws.control.post("/_local/function-faults", {"show": True})["pending"]

    def kill_function(self, environment: Environment, function: str) -> int:
        """Kill the processes of a function; how many were at work."""
        return self.aws.control.post("/_local/kill", {"function": f"{environment.stack_name}-{function}"})["atWork"]

    def task_errors(self, arn: str) -> list[str]:
        """The names of the errors with which tasks of an execution failed, in order."""
        failed = ("taskFailedEventDetails", "taskTimedOutEventDetails")
        events = self.prod.history(arn)
        return [event[details]["error"] for event in events for details in failed if details in event]

    def clear_function_faults(self) -> None:
        self.aws.control.post("/_local/function-faults", {})

    def lock(self, environment: Environment) -> str | None:
        """The execution that holds the environment's lock."""
        return next((record["holder"] for record in environment.records() if record["kind"] == "lock"), None)

    def notifications(self, environment: Environment, ended: Ended) -> list[str]:
        """The messages about a release."""
        return [
            note["message"]
            for note in environment.notifications()
            if isinstance(note["message"], str) and ended.arn in note["message"]
        ]

    def until(self, found: Callable[[], Any], what: str, within_seconds: float = 300) -> Any:
        """What `found` returns, as soon as it is something."""
        deadline = time.monotonic() + within_seconds
        while time.monotonic() < deadline:
            if value := found():
                return value
            time.sleep(0.1)
        raise TimeoutError(f"no {what} after {within_seconds:.0f} s")

    def wait_for_state(self, environment: Environment, digest: str, state: str) -> str:
        """The ARN of the release of this digest, as soon as it has entered this state."""

        def entered() -> str | None:
            for execution in self.executions_of(environment, digest):
                if state in environment.states(execution["executionArn"]):
                    return execution["executionArn"]
            return None

        return self.until(entered, f"execution in {state}")

    @contextmanager
    def waits(self, scale: float) -> Iterator[None]:
        """Shorter waits than usual."""
        self.aws.scale_waits(scale)
        try:
            yield
        finally:
            self.aws.scale_waits(WAIT_SCALE)

    @contextmanager
    def settings(self, environment: Environment, function: str, **variables: str) -> Iterator[None]:
        """Other environment variables of a function, as other parameters of the stack would set them."""
        client = self.aws.client("lambda")
        name = f"{environment.stack_name}-{function}"
        before = client.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        client.update_function_configuration(FunctionName=name, Environment={"Variables": {**before, **variables}})
        try:
            yield
        finally:
            client.update_function_configuration(FunctionName=name, Environment={"Variables": before})

    @contextmanager
    def fresh(self, environment: Environment, function: str | None) -> Iterator[None]:
        """A function that remembers nothing, during and after."""
        if function is None:
            yield
            return
        with self.settings(environment, function, FRESH=secrets.token_hex(4)):
            yield

    def _name(self, environment: Environment) -> str:
        return "qa" if environment is self.qa else "prod"

    def _settle(self, environment: Environment) -> None:
        table = environment.outputs["TableName"]
        client = self.aws.client("dynamodb")
        for kind in ("lock", "hold"):
            client.delete_item(TableName=table, Key={"kind": {"S": kind}, "id": {"S": kind}})


def one_writer_at_a_time(stage: Stage) -> bool:
    """Whether no deployment of prod started before the one before it had ended, by the emulator's own log."""
    running = 0
    for effect in stage.lightsail.api.get("/_control/effects"):
        if effect["service"] == "bookings-api-prod":
            running += effect["kind"] == "deploymentStarted"
            running -= effect["kind"] in ("deploymentActive", "deploymentFailed")
            if running > 1:
                return False
    return True
