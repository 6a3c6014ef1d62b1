"""No secret is written where people and tools read."""

from __future__ import annotations

import json

from stage import ADD_DESCRIPTION, SECRETS, Stage


def everything_told(stage: Stage) -> list[str]:
    """Executions, histories, logs, records and notifications of both environments."""
    places = [path.read_text(errors="replace") for path in stage.aws.logs.glob("*.log")]
    for environment in (stage.qa, stage.prod):
        for arn in (execution["executionArn"] for execution in environment.executions()):
            described = stage.aws.client("stepfunctions").describe_execution(executionArn=arn)
            places += [json.dumps(described, default=str), json.dumps(environment.history(arn), default=str)]
        places += environment.logs()
        places += [json.dumps(environment.records(), default=str), json.dumps(environment.notifications())]
    return places


def test_no_secret_is_in_histories_logs_records_or_messages(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.lightsail.next_image_fails()
    stage.release(stage.prod)
    stage.lightsail.clear()
    stage.release(stage.qa)
    places = everything_told(stage)
    for secret in SECRETS:
        assert not any(secret in place for place in places), f"a secret that begins with {secret[:6]}"
    assert len(places) > 20, "there was something to search"
