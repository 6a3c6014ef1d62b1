"""The control path: `POST /_local/<name>` with a JSON object, on ministack's own port.

Unsigned, as it stands for no AWS service.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from ministack import app

Handler = Callable[[dict[str, Any]], dict[str, Any]]
PREFIX = "/_local/"

_handlers: dict[str, Handler] = {}


def register(name: str, handler: Handler) -> None:
    """Answer `POST /_local/<name>` with `handler`; a ValueError becomes a 400 with its text."""
    _handlers[name] = handler


def install() -> None:
    ministack = app.app

    async def with_control_path(
        scope: dict[str, Any], receive: Callable[..., Awaitable[Any]], send: Callable[..., Awaitable[Any]]
    ) -> None:
        if scope["type"] == "http" and scope["path"].startswith(PREFIX):
            status, answer = _answer(scope, await _body(receive))
            await _send(send, status, answer)
        else:
            await ministack(scope, receive, send)

    app.app = with_control_path


def _answer(scope: dict[str, Any], body: bytes) -> tuple[int, dict[str, Any]]:
    handler = _handlers.get(scope["path"].removeprefix(PREFIX))
    if handler is None:
        known = ", ".join(PREFIX + name for name in sorted(_handlers))
        return 404, {"error": f"no such control path; there are {known}"}
    if scope["method"] != "POST":
        return 405, {"error": "use POST"}
    try:
        arguments = json.loads(body or b"{}")
        if not isinstance(arguments, dict):
            raise ValueError("the body must be a JSON object")  # noqa: TRY004 - is answered as what is wrong with a value
        return 200, handler(arguments)
    except ValueError as error:
        return 400, {"error": str(error)}


async def _body(receive: Callable[[], Awaitable[dict[str, Any]]]) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


async def _send(send: Callable[[dict[str, Any]], Awaitable[None]], status: int, answer: dict[str, Any]) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(answer).encode()})
