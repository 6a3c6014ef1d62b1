"""What EventBridge and Lambda do with an event that cannot be handled."""

import json
from typing import Any

from cloud import Environment, LocalAws
from local_aws.toy_support import messages, raw_messages, wait_for


def put_event(aws: LocalAws, source: str, detail: dict[str, Any]) -> None:
    entry = {"Source": source, "DetailType": "toy", "Detail": json.dumps(detail)}
    assert aws.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0


def test_a_rule_without_permission_to_invoke_ends_in_the_dead_letter_queue(aws: LocalAws, toy: Environment) -> None:
    put_event(aws, "toy.unpermitted", {"marker": "unpermitted"})

    [message] = wait_for(
        lambda: [m for m in raw_messages(aws, toy.outputs["Undelivered"]) if "unpermitted" in m["Body"]]
    )

    assert message["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_PERMISSIONS"


def test_a_failing_function_is_retried_and_ends_in_its_destination(aws: LocalAws, toy: Environment) -> None:
    # Without a digest, the function fails.
    put_event(aws, "toy", {"action-type": "PUSH", "image-tag": "qa", "marker": "failing"})

    [message] = wait_for(lambda: [m for m in messages(aws, toy.outputs["Undelivered"]) if "failing" in str(m)])

    assert message["requestPayload"]["detail"]["marker"] == "failing"
    assert message["responsePayload"]["errorType"] == "KeyError"
    attempts = [line for line in toy.logs() if line.startswith("handling") and "failing" in line]
    assert len(attempts) == 2
