"""What people hear of: one message for each release that a person can read on a phone, and alarms that fire."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from cloud import install
from stage import ADD_DESCRIPTION, DROP_STARS, Ended, Stage
from test_verification import serve_badly, verified

SOURCE = {
    "SourceRepository": "https://github.com/my-organization/bookings-api",
    "SourceConnectionArn": "arn:aws:codeconnections:eu-central-1:123456789012:connection/only-for-the-emulator",
}


def released(stage: Stage) -> Ended:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    return stage.release(stage.prod)


def superseded(stage: Stage) -> Ended:
    _, second, last = stage.overtake()
    ended = stage.ended(stage.prod, second)
    stage.ended(stage.prod, last)
    return ended


def schema_refused(stage: Stage) -> Ended:
    stage.planetscale.sql("dev", DROP_STARS)
    return stage.release(stage.prod)


def schema_rejected(stage: Stage) -> Ended:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.planetscale.require_approval(True)
    with stage.settings(stage.prod, "start-release", APPROVAL_DEADLINE="60"):
        return stage.release(stage.prod)


def schema_failed(stage: Stage) -> Ended:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.planetscale.next_deploy_fails()
    return stage.release(stage.prod)


def containers_failed(stage: Stage) -> Ended:
    stage.lightsail.next_image_fails()
    return stage.release(stage.prod)


def schema_reverted(stage: Stage) -> Ended:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    return containers_failed(stage)


def revert_refused(stage: Stage) -> Ended:
    stage.planetscale.next_revert_is_refused()
    return schema_reverted(stage)


def timed_out(stage: Stage) -> Ended:
    stage.lightsail.next_image_hangs()
    with stage.settings(stage.prod, "start-release", CONTAINERS_DEADLINE="60"):
        return stage.release(stage.prod)


def release_error(stage: Stage) -> Ended:
    stage.planetscale.token_without("read_deploy_request")
    return stage.release(stage.prod)


def undone(stage: Stage) -> Ended:
    serve_badly(stage)
    with verified(stage):
        return stage.release(stage.prod)


def held(stage: Stage) -> Ended:
    stage.prod.invoke("bookings-api-prod-start-release", {"hold": "An incident."})
    return stage.release(stage.prod)


OUTCOMES: dict[str, Callable[[Stage], Ended]] = {
    "Released": released,
    "Superseded": superseded,
    "Held": held,
    "SchemaRefused": schema_refused,
    "SchemaRejected": schema_rejected,
    "SchemaFailed": schema_failed,
    "ContainersFailed": containers_failed,
    "SchemaReverted": schema_reverted,
    "RevertRefused": revert_refused,
    "Undone": undone,
    "TimedOut": timed_out,
    "ReleaseError": release_error,
}
NEEDS_A_PERSON = {"SchemaFailed", "RevertRefused", "TimedOut", "ReleaseError"}


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_an_outcome_gives_one_message_to_read_on_a_phone(stage: Stage, outcome: str) -> None:
    ended = OUTCOMES[outcome](stage)
    assert ended.outcome == outcome, ended.report["whatHappened"]
    notes = [note for note in stage.prod.notifications() if ended.arn in str(note["message"])]
    (note,) = notes
    assert note["subject"] == f"bookings-api prod: {outcome}"
    where, happened, to_do, *details = note["message"].split("\n")
    assert where == f"bookings-api in prod: {outcome}"
    assert happened == ended.report["whatHappened"]
    assert to_do == ended.report["whatToDo"]
    assert f"Commit: {ended.report['commit']}" in details
    assert any(
        re.fullmatch(rf"Execution: https://{stage.aws.region}\.console\.aws\S+{re.escape(ended.arn)}", line)
        for line in details
    )
    if request := ended.report["deployRequest"]:
        assert f"Deploy request #{request['number']}: {request['url']}" in details
    assert max(len(line) for line in (where, to_do, *details)) < 400
    assert counted(stage, ended) == (outcome in NEEDS_A_PERSON)


def counted(stage: Stage, ended: Ended) -> bool:
    """Whether the metric filter of the installed stack counts the line that this release's end was logged with."""
    (installed,) = stage.aws.client("logs").describe_metric_filters(logGroupName="/bookings-api/prod/functions")[
        "metricFilters"
    ]
    path = re.fullmatch(r"\{ \$\.([\w.]+) IS TRUE \}", installed["filterPattern"])
    assert path, f"this test does not know {installed['filterPattern']}"
    lines = [json.loads(line) for line in stage.prod.logs() if "release finished" in line]
    mine = [line for line in lines if line["fields"]["outcome"] == ended.outcome]
    value: Any = mine[-1]
    for name in path[1].split("."):
        value = value[name]
    assert isinstance(value, bool), "IS TRUE matches no text"
    return value


def test_a_build_that_fails_tells_the_topic(stage: Stage) -> None:
    install(stage.aws, "qa", SOURCE)
    log = "https://console.aws.amazon.com/cloudwatch/home#logEvent:group=/bookings-api/qa/build"
    for status in ("SUCCEEDED", "FAILED"):
        detail = {
            "build-status": status,
            "project-name": "bookings-api-qa",
            "additional-information": {"source-version": f"c0ffee-{status}", "logs": {"deep-link": log}},
        }
        event = {"source": "aws.codebuild", "detail-type": "CodeBuild Build State Change", "detail": detail}
        stage.aws.control.post("/_local/service-event", event)
    found = stage.until(
        lambda: [n["message"] for n in stage.qa.notifications() if "c0ffee" in str(n["message"])], "message"
    )
    (message,) = found
    assert message.startswith(f"bookings-api in qa ({stage.aws.region}): the build of c0ffee-FAILED ended as FAILED.")
    assert "Nothing was released" in message and log in message


def test_an_execution_that_tells_no_outcome_is_told_as_cut_short(stage: Stage) -> None:
    """A history that is full, which no Catch sees, is told by EventBridge; an outcome is told by itself alone."""
    stage.aws.control.post("/_local/execution-limits", {"events": 60})
    try:
        digest = stage.push("prod")
        found = stage.until(lambda: stage.executions_of(stage.prod, digest), "an execution")
        execution = stage.prod.wait_for_execution(found[0]["executionArn"])
    finally:
        stage.aws.control.post("/_local/execution-limits", {})
    assert (execution["status"], execution["error"]) == ("FAILED", "States.Runtime")
    name = execution["name"]
    (note,) = stage.until(lambda: [n for n in stage.prod.notifications() if name in str(n["message"])], "message")
    assert "was cut short (FAILED)" in note["message"]
