"""No secret is written where people and tools read."""

from __future__ import annotations

import json

from stage import ADD_DESCRIPTION, SECRETS, Stage


def test_no_secret_is_in_histories_logs_records_or_messages(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.lightsail.next_image_fails()
    stage.release(stage.prod)
    stage.lightsail.clear()
    stage.release(stage.qa)
    searched = 0
    for environment in (stage.qa, stage.prod):
        places = [json.dumps(stage.aws.client("stepfunctions").describe_execution(executionArn=arn), default=str)
                  for arn in (execution["executionArn"] for execution in environment.executions())]
        places += [json.dumps(environment.history(execution["executionArn"]), default=str)
                   for execution in environment.executions()]
        places += environment.logs()
        places += [json.dumps(environment.records(), default=str), json.dumps(environment.notifications())]
        places += [path.read_text(errors="replace") for path in stage.aws.logs.glob("*.log")]
        searched += len(places)
        for secret in SECRETS:
            assert not any(secret in place for place in places), f"a secret that begins with {secret[:6]}"
    assert searched > 20, "there was something to search"
