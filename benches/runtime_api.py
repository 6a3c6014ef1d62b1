"""A Lambda Runtime API for one function process (Lambda developer guide, "Using the Lambda runtime API")."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Queue
from typing import Any

from benches.http_server import Handler, serving

VERSION = "2018-06-01"
FUNCTION_ARN = "arn:aws:lambda:us-east-1:123456789012:function:benchmark"
# As long as Lambda allows.
_DEADLINE_SECONDS = 900


@dataclass(frozen=True)
class Answer:
    """How an invocation ended."""

    at: float
    succeeded: bool
    body: bytes


class RuntimeApi:
    """Holds each request for work until there is some; times are those of `time.perf_counter`."""

    def __init__(self) -> None:
        self.asked: Queue[float] = Queue()
        self.answers: Queue[Answer] = Queue()
        # None ends the connection.
        self._payloads: Queue[bytes | None] = Queue()

    def deliver(self, payload: bytes) -> None:
        self._payloads.put(payload)

    @contextmanager
    def serve(self) -> Iterator[str]:
        """Serve; the address is what `AWS_LAMBDA_RUNTIME_API` names."""
        with serving(lambda *arguments: _Handler(self, *arguments)) as address:
            try:
                yield address
            finally:
                self._payloads.put(None)

    def take(self) -> bytes | None:
        self.asked.put(time.perf_counter())
        return self._payloads.get()


class _Handler(Handler):
    def __init__(self, api: RuntimeApi, *arguments: Any) -> None:
        self._api = api
        super().__init__(*arguments)

    def do_GET(self) -> None:
        if self.path != f"/{VERSION}/runtime/invocation/next":
            return self.answer(404, b"{}", {})
        payload = self._api.take()
        if payload is None:
            self.close_connection = True
            return None
        return self.answer(
            200,
            payload,
            {
                "Content-Type": "application/json",
                "Lambda-Runtime-Aws-Request-Id": str(uuid.uuid4()),
                "Lambda-Runtime-Deadline-Ms": str(int((time.time() + _DEADLINE_SECONDS) * 1000)),
                "Lambda-Runtime-Invoked-Function-Arn": FUNCTION_ARN,
                "Lambda-Runtime-Trace-Id": "Root=1-6560f0aa-0123456789abcdef01234567;Parent=0123456789abcdef;Sampled=0",
            },
        )

    def do_POST(self) -> None:
        body = self.body()
        # …/invocation/<id>/response, …/invocation/<id>/error, and …/init/error.
        succeeded = self.path.endswith("/response")
        self._api.answers.put(Answer(time.perf_counter(), succeeded, body))
        self.answer(202, b'{"status":"OK"}', {"Content-Type": "application/json"})
