"""The services that functions call, on one port of this machine and without TLS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs

from benches import apis
from benches.http_server import Handler, serving

PLANETSCALE = "/v1/"
_SERVICES = {
    "DynamoDB_20120810": "DynamoDB",
    "AmazonEC2ContainerRegistry_V20150921": "ECR",
    "secretsmanager": "Secrets Manager",
    "AWSStepFunctions": "Step Functions",
    "Lightsail_20161128": "Lightsail",
}


class LocalServer:
    """Answers each call, and keeps what was called, and what it could not answer."""

    def __init__(self) -> None:
        # The API of each call and what it asked for, in order.
        self.calls: list[tuple[str, str]] = []
        self.failures: list[str] = []

    @contextmanager
    def serve(self) -> Iterator[str]:
        """Serve; the URL."""
        with serving(lambda *arguments: _Handler(self, *arguments)) as address:
            yield f"http://{address}"


class _Handler(Handler):
    def __init__(self, server_: LocalServer, *arguments: Any) -> None:
        self._server = server_
        super().__init__(*arguments)

    def _serve(self) -> None:
        body = self.body()
        try:
            api, status, kind, answer = self._answered(body)
        except (KeyError, IndexError, ValueError) as error:
            target = self.headers.get("X-Amz-Target", "")
            self._server.failures.append(f"no answer to {self.command} {self.path} {target}: {error!r}")
            return self.answer(501, b"{}", {"Content-Type": "application/json"})
        self._server.calls.append((api, self._asked_for(body)))
        return self.answer(status, answer, {"Content-Type": kind, "x-amzn-RequestId": "benchmark"})

    do_GET = do_POST = do_PATCH = do_PUT = _serve

    def _asked_for(self, body: bytes) -> str:
        """The operation, or the method and the path."""
        if target := self.headers.get("X-Amz-Target"):
            return target.rsplit(".", 1)[1]
        path = self.path.split("?")[0]
        return parse_qs(body.decode())["Action"][0] if path == "/" else f"{self.command} {path}"

    def _answered(self, body: bytes) -> tuple[str, int, str, bytes]:
        """The API's name, the status, the content type and the body."""
        path = self.path.split("?")[0]
        if path.startswith(PLANETSCALE):
            answer = apis.planetscale(self.command, path.removeprefix(PLANETSCALE))
            status = 201 if self.command == "POST" and path.endswith("/deploy-requests") else 200
            return "PlanetScale", status, "application/json", json.dumps(answer).encode()
        if path == "/layer":
            return "ECR", 200, "application/octet-stream", apis.layer()
        if path == "/cloudformation":
            return "CloudFormation", 200, "application/xml", b""
        if target := self.headers.get("X-Amz-Target"):
            url = f"http://{self.headers['Host']}"
            answer = apis.aws_json(target, json.loads(body), url)
            kind = self.headers["Content-Type"]
            return _SERVICES[target.split(".")[0]], 200, kind, json.dumps(answer).encode()
        return "SNS", 200, "text/xml", apis.sns(body)
