"""JSON over HTTP, for the control APIs of the local AWS and the emulators."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

# Local addresses only: a proxy of the machine must not be asked.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class RequestFailed(Exception):
    """An answer other than 2xx. The message shows it."""


class JsonApi:
    """A base URL with JSON behind it."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url.rstrip("/")

    def get(self, path: str) -> Any:
        return self._call("GET", path, None)

    def post(self, path: str, body: Any = None) -> Any:
        return self._call("POST", path, {} if body is None else body)

    def put(self, path: str, body: Any = None) -> Any:
        return self._call("PUT", path, {} if body is None else body)

    def patch(self, path: str, body: Any) -> Any:
        return self._call("PATCH", path, body)

    def delete(self, path: str) -> Any:
        return self._call("DELETE", path, None)

    def is_up(self, path: str) -> bool:
        try:
            self.get(path)
        except (RequestFailed, OSError):
            return False
        return True

    def _call(self, method: str, path: str, body: Any) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.base_url + path, data, {"content-type": "application/json"}, method=method
        )
        try:
            with _opener.open(request, timeout=300) as response:
                answer = response.read()
        except urllib.error.HTTPError as error:
            text = error.read().decode(errors="replace")
            raise RequestFailed(f"{method} {self.base_url}{path} answered {error.code}: {text}") from None
        return json.loads(answer) if answer else None
