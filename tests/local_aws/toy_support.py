"""What the tests share: the toy stack's folder, waiting, and reading queues."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cloud import LocalAws

TOY = Path(__file__).with_name("toy")

_received: dict[str, list[dict[str, Any]]] = {}


def wait_for(look: Callable[[], Any], within_seconds: int = 300) -> Any:
    """The first answer of `look` that is not empty."""
    deadline = time.monotonic() + within_seconds
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)
    return found


def messages(aws: LocalAws, queue_url: str) -> list[Any]:
    """All messages a queue ever had, parsed."""
    return [json.loads(message["Body"]) for message in raw_messages(aws, queue_url)]


def raw_messages(aws: LocalAws, queue_url: str) -> list[dict[str, Any]]:
    """All messages a queue ever had."""
    client = aws.client("sqs")
    received = _received.setdefault(queue_url, [])
    while answer := client.receive_message(
        QueueUrl=queue_url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
    ).get("Messages"):
        for message in answer:
            received.append(message)
            client.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
    return list(received)
