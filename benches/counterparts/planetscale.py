"""PlanetScale's API as the counterparts call it: with the service token of the secret, by urllib."""

from __future__ import annotations

import json
import os
import urllib.parse
import urllib.request
from typing import Any

import boto3

secrets = boto3.client("secretsmanager")


class Database:
    """The database of a release."""

    def __init__(self, release: dict[str, Any]) -> None:
        database = release["database"]
        secret = secrets.get_secret_value(SecretId=os.environ["PLANETSCALE_SECRET_ARN"])
        self._token = json.loads(secret["SecretString"])
        self._path = f"/organizations/{database['organization']}/databases/{database['name']}"
        self._branches = {"branch": database["headBranch"], "into_branch": database["baseBranch"]}

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        return self._send(method, self._path + path, body)

    def open_requests(self) -> list[dict[str, Any]]:
        """Those from the head into the base branch."""
        query = urllib.parse.urlencode({"state": "open", **self._branches, "page": 1, "per_page": 100})
        return list(self.call("GET", f"/deploy-requests?{query}")["data"])

    def list_organizations(self) -> list[dict[str, Any]]:
        return list(self._send("GET", "/organizations?page=1&per_page=100")["data"])

    def _send(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        headers = {
            "Authorization": f"{self._token['id']}:{self._token['token']}",
            "Accept": "application/json",
            "Content-Type": "application/json",
        }
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(os.environ["PLANETSCALE_API_URL"] + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)


def report(request: dict[str, Any]) -> dict[str, Any]:
    """What a person reads of a deploy request."""
    return {
        "number": request["number"],
        "url": request["html_url"],
        "state": request["deployment_state"],
        "statements": [operation["ddl_statement"] for operation in request["deployment"]["deploy_operations"]],
    }
