"""An environment that is held: what is pushed is kept back, told once, and released afterwards."""

from __future__ import annotations

import datetime
import json
import subprocess
from typing import Any

from stage import ADD_DESCRIPTION, Ended, Stage
from test_events import LOOK
from test_outcomes import check


def start(stage: Stage, payload: dict[str, Any]) -> dict[str, str]:
    return stage.prod.invoke("bookings-api-prod-start-release", payload)


def started(stage: Stage, told: dict[str, str]) -> Ended:
    machine = stage.prod.outputs["StateMachineArn"]
    return stage.execution_ended(stage.prod, f"{machine.replace(':stateMachine:', ':execution:')}:{told['started']}")


def messages(stage: Stage, digest: str) -> list[str]:
    return [n["message"] for n in stage.prod.notifications() if f"Image: {digest}" in str(n["message"])]


def test_a_held_push_touches_nothing_is_told_once_and_is_released_when_the_hold_is_cleared(stage: Stage) -> None:
    stage.release(stage.prod)
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.lightsail.clear()
    calls = stage.planetscale.calls()
    assert start(stage, {"hold": "The sale."})["because"].endswith("The sale.")
    digest = stage.push("prod")
    ended = stage.ended(stage.prod, digest)
    check(stage, stage.prod, ended, "Held")
    assert "The sale." in ended.report["whatHappened"]
    assert "ClearHold" in ended.report["whatToDo"]
    assert stage.planetscale.calls() == calls
    assert "CreateContainerServiceDeployment" not in stage.lightsail.calls()
    # A look starts nothing more, and a release of it by another event tells nobody again.
    assert "as was told" in start(stage, LOOK)["because"]
    time = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    push = {"result": "SUCCESS", "repository-name": "bookings-api", "image-digest": digest, "action-type": "PUSH"}
    event = {
        "source": "aws.ecr",
        "detail-type": "ECR Image Action",
        "time": time,
        "detail": {**push, "image-tag": "prod"},
    }
    again = started(stage, start(stage, event))
    assert again.outcome == "Held"
    assert len(messages(stage, digest)) == 1
    cleared = start(stage, {"hold": None})
    assert cleared["started"].endswith("-look"), cleared
    released = started(stage, cleared)
    check(stage, stage.prod, released, "Released")
    assert "description" in stage.planetscale.schema("main")
    assert stage.lightsail.active_image("bookings-api-prod") == released.report["image"]


def test_a_release_that_waits_for_its_turn_is_held_and_one_at_work_goes_on(stage: Stage) -> None:
    first, second = stage.two_pushes()
    start(stage, {"hold": "An incident."})
    assert stage.ended(stage.prod, second).outcome == "Held"
    assert stage.ended(stage.prod, first).outcome == "Released"


def test_a_release_by_hand_goes_through_a_hold(stage: Stage) -> None:
    start(stage, {"hold": "An incident."})
    digest = stage.push("prod")
    assert stage.ended(stage.prod, digest).outcome == "Held"
    assert stage.release_by_hand(stage.prod).outcome == "Released"


def test_a_hold_with_an_end_is_over_by_itself_and_the_look_finds_what_it_kept_back(stage: Stage) -> None:
    until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=20)
    start(stage, {"hold": "The sale.", "until": until.strftime("%Y-%m-%dT%H:%M:%S.%fZ")})
    digest = stage.push("prod")
    assert stage.ended(stage.prod, digest).outcome == "Held"
    stage.until(lambda: datetime.datetime.now(datetime.timezone.utc) > until, "end of the hold")
    assert started(stage, start(stage, LOOK)).outcome == "Released"


def test_a_hold_that_is_over_before_it_begins_or_says_nothing_is_refused(stage: Stage) -> None:
    client = stage.aws.client("lambda")
    for payload, words in (
        ({"hold": "The sale.", "until": "2020-01-01T00:00:00Z"}, "is past"),
        ({"hold": ""}, "says why"),
        ({"hold": "The sale.", "until": "tomorrow"}, "to release by hand"),
    ):
        answer = client.invoke(FunctionName="bookings-api-prod-start-release", Payload=json.dumps(payload).encode())
        error = json.loads(answer["Payload"].read())
        assert error["errorType"] == "Misconfigured"
        assert words in error["errorMessage"]
    assert stage.ended(stage.prod, stage.push("prod")).outcome == "Released"


def test_the_stack_prints_both_commands_with_a_payload_that_is_taken(stage: Stage) -> None:
    for output, filled in (
        ("Hold", {"<why>": "A drill.", "<2030-12-31T18:00:00Z>": "2099-12-31T18:00:00Z"}),
        ("ClearHold", {}),
    ):
        command = stage.prod.outputs[output]
        for placeholder, value in filled.items():
            assert placeholder in command
            command = command.replace(placeholder, value)
        words = subprocess.run(["bash", "-c", f"printf '%s\\n' {command}"], capture_output=True, text=True, check=True)
        arguments = words.stdout.splitlines()
        assert arguments[:3] == ["aws", "lambda", "invoke"]
        payload = json.loads(arguments[arguments.index("--payload") + 1])
        function = arguments[arguments.index("--function-name") + 1]
        assert ("is not held" in stage.prod.invoke(function, payload)["because"]) == (output == "ClearHold")
