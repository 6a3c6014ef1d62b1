"""The PlanetScale emulator, directed by its control API."""

from __future__ import annotations

from collections import Counter
from typing import Any

from cloud.local_aws import LocalAws

_USUAL = ("read_database", "read_branch", "read_deploy_request", "create_deploy_request")


class PlanetScale:
    """One database with the branches `main` and `dev`."""

    def __init__(self, aws: LocalAws, organization: str, database: str) -> None:
        self.api = aws.planetscale
        self._organization = organization
        self._database = f"/_control/organizations/{organization}/databases/{database}"
        self._token: dict[str, str] = {}

    def reset(self, *, schema: str, token: dict[str, str]) -> None:
        """Nothing but this database, `main` and `dev` with the same schema, and this service token."""
        self.api.post("/_control/reset")
        self.api.put(self._database, {"schema": schema, "branches": ["dev"]})
        self.api.put(f"{self._database}/branches/main", {"production": True, "safe_migrations": True})
        self._token = token
        self._put_token(_USUAL)

    def token_without(self, permission: str) -> None:
        """Take a permission from the token."""
        self._put_token(tuple(name for name in _USUAL if name != permission))

    def branch(self, name: str) -> None:
        """Another branch, with the schema of `main`."""
        self.api.put(f"{self._database}/branches/{name}", {"parent": "main"})

    def sql(self, branch: str, statements: str, *, force: bool = False) -> None:
        """Run DDL on a branch, as in PlanetScale's web console; with `force` also past safe migrations."""
        self.api.post(f"{self._database}/branches/{branch}/sql", {"sql": statements, "force": force})

    def connection(self, branch: str) -> dict[str, str]:
        """How to connect to a branch that is a database: `url`, `dsn`, `database`, `access_host_url`, `username`, `plain_text`."""
        return self.api.get(f"{self._database}/branches/{branch}/connection")

    def schema(self, branch: str) -> str:
        """All CREATE TABLE statements of a branch."""
        tables = self.api.get(f"{self._database}/branches/{branch}/schema")
        return "\n".join(statement for _, statement in sorted(tables.items()))

    def requests(self) -> list[dict[str, Any]]:
        """Every deploy request as the API shows it."""
        return self.api.get(f"{self._database}/deploy-requests")

    def request(self, number: int) -> dict[str, Any]:
        return self.api.get(f"{self._database}/deploy-requests/{number}")

    def open_requests(self) -> list[int]:
        return [request["number"] for request in self.requests() if request["state"] == "open"]

    def person(self, action: str, *, number: int | None = None, **more: Any) -> None:
        """A person acts on a deploy request, the newest unless told; the actions are in the emulator's README."""
        number = number or max(request["number"] for request in self.requests())
        self.api.post(f"{self._database}/deploy-requests/{number}/act", {"action": action, **more})

    def create_request(self, **more: Any) -> int:
        """A person creates a deploy request from `dev` into `main`."""
        body = {"branch": "dev", "into_branch": "main", **more}
        return self.api.post(f"{self._database}/deploy-requests", body)["number"]

    def show(self, number: int, **states: str) -> None:
        """Show these states of a deploy request whatever its real one: state, deployment_state, deployment."""
        self.api.put(f"{self._database}/deploy-requests/{number}/shown", states)

    def require_approval(self, required: bool) -> None:
        self.api.put(self._database, {"require_approval_for_deploy": required})

    def safe_migrations(self, branch: str, enabled: bool) -> None:
        self.api.put(f"{self._database}/branches/{branch}", {"safe_migrations": enabled})

    def change_branch(self, branch: str, **changes: Any) -> None:
        """What a branch says of itself: production, state, ready."""
        self.api.put(f"{self._database}/branches/{branch}", changes)

    def change_state(self, state: str) -> None:
        """The state of the database, such as sleeping."""
        self.api.put(self._database, {"state": state})

    def next_deploy_fails(self, error: str = "the emulator was told to fail") -> None:
        self.api.put(f"{self._database}/next", {"deploy_error": error})

    def next_revert_is_refused(self, message: str = "This deploy request cannot be reverted.") -> None:
        self.api.put(f"{self._database}/next", {"revert_refused": message})

    def next_revert_fails(self, error: str = "the emulator was told to fail") -> None:
        self.api.put(f"{self._database}/next", {"revert_error": error})

    def nothing_fails(self) -> None:
        """Take back what was said about the next deploy or revert."""
        self.api.put(f"{self._database}/next", {})

    def durations(self, **milliseconds: int) -> None:
        """Milliseconds in deployment states by the states' names."""
        self.settings(durations=milliseconds)

    def settings(self, **changes: Any) -> dict[str, Any]:
        """Change settings by their names in the emulator's README, and read them all."""
        return self.api.patch("/_control/settings", changes)

    def fault(self, kind: str, **more: Any) -> None:
        """Play a fault; the kinds are in the emulator's README."""
        self.api.post("/_control/faults", {"kind": kind, **more})

    def pending_faults(self) -> list[dict[str, Any]]:
        """The faults still to be played. One that holds its request has been played."""
        return self.api.get("/_control/faults")

    def clear_faults(self) -> None:
        self.api.delete("/_control/faults")

    def calls(self) -> dict[str, int]:
        """How often each endpoint was called since `reset`, such as `POST deploy` or `GET deploy-requests`."""
        calls: Counter[str] = Counter()
        for endpoint, count in self.api.get("/_control/counts").items():
            method, _, path = endpoint.partition(" ")
            calls[f"{method} {path.removeprefix('deploy-requests/{number}/')}"] += count
        return dict(calls)

    def call_log(self) -> list[dict[str, Any]]:
        """Every request since `reset`, the oldest first."""
        return self.api.get("/_control/requests")

    def effects(self) -> list[dict[str, Any]]:
        """What changed since `reset`, the oldest first."""
        return self.api.get("/_control/effects")

    def _put_token(self, permissions: tuple[str, ...]) -> None:
        body = {"token": self._token["token"], "organization": self._organization, "permissions": list(permissions)}
        self.api.put(f"/_control/tokens/{self._token['id']}", body)
