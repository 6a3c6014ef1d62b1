"""The environments of a run, installed in one local AWS."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from cloud import Environment, LocalAws, PlanetScale, install
from cloud.bookings import HOTELS, ORGANIZATION, TOKEN
from cloud.json_http import JsonApi

from chaos.plan import Place, Plan

APPLICATION = "bookings-api"
# None of them is real; each is searched for wherever people and tools read.
PASSWORD = "only-for-the-emulator"
SECRETS = (TOKEN["token"], PASSWORD)


class Timeline:
    """What was done, and when; also a file in the log folder."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", buffering=1)
        self._lock = threading.Lock()

    def add(self, place: str, what: dict[str, Any]) -> None:
        line = {"at": datetime.now(timezone.utc).isoformat(timespec="milliseconds"), "place": place, **what}
        with self._lock:
            self._file.write(json.dumps(line) + "\n")


@dataclass
class Site:
    """One installed environment."""

    place: Place
    environment: Environment
    # The branches of its database; none when it has no database.
    planetscale: PlanetScale | None
    api: JsonApi
    timeline: Timeline
    pushes: list[dict[str, Any]] = field(default_factory=list)
    # The releases that people stopped, the last one last, and those of them that went on.
    stopped: list[str] = field(default_factory=list)
    redriven: list[str] = field(default_factory=list)
    # How often its service token was replaced.
    rotations: int = 0
    # Deliveries that are still to come.
    late: list[threading.Thread] = field(default_factory=list)

    @property
    def database(self) -> PlanetScale:
        """The branches of its database, where what is asked for needs one."""
        assert self.planetscale is not None, f"{self.place.name} has no database"
        return self.planetscale

    @property
    def aws(self) -> LocalAws:
        return self.environment.aws

    @property
    def service(self) -> str:
        return self.environment.stack_name

    @property
    def token(self) -> dict[str, str]:
        """The service token of its database; the text of every one begins with that of the first."""
        return {
            "id": f"{TOKEN['id']}-{self.place.name}-{self.rotations}",
            "token": f"{TOKEN['token']}-{self.place.name}-{self.rotations}",
        }

    def grant_token(self) -> None:
        """Make the service token at PlanetScale, and fill the secret with it."""
        told = {"token": self.token["token"], "organization": ORGANIZATION}
        self.api.put(f"/_control/tokens/{self.token['id']}", told)
        self.aws.put_secret(f"{APPLICATION}/{self.place.name}/planetscale", json.dumps(self.token))

    @property
    def machine(self) -> str:
        return self.environment.outputs["StateMachineArn"]

    def function(self, name: str) -> str:
        return f"{self.service}-{name}"

    def running(self) -> list[str]:
        """The ARNs of the releases that run, the oldest first."""
        client = self.aws.client("stepfunctions")
        pages = client.get_paginator("list_executions").paginate(stateMachineArn=self.machine, statusFilter="RUNNING")
        found = [execution for page in pages for execution in page["executions"]]
        return [execution["executionArn"] for execution in sorted(found, key=lambda e: e["startDate"])]

    def quiet(self, within_seconds: float) -> bool:
        """Wait until no release runs for a second, as one may be about to start; say whether that came true."""
        ran = time.monotonic()

        def rests() -> bool:
            nonlocal ran
            if self.running():
                ran = time.monotonic()
            return time.monotonic() - ran > 1

        return until(rests, within_seconds)


def until(come: Callable[[], bool], within_seconds: float) -> bool:
    """Wait until something came true, and say whether it did."""
    deadline = time.monotonic() + within_seconds
    while not come():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def install_all(aws: LocalAws, plan: Plan, timeline: Timeline, show: Callable[[str], None]) -> list[Site]:
    """Every environment of the plan, with its database and its secrets."""
    aws.planetscale.post("/_control/reset")
    aws.planetscale.patch("/_control/settings", {"still_validating": {"count": plan.still_validating}})
    for place in plan.places:
        if place.database:
            path = f"/_control/organizations/{ORGANIZATION}/databases/{place.database}"
            aws.planetscale.put(path, {"schema": HOTELS, "branches": ["dev"]})
            aws.planetscale.put(f"{path}/branches/main", {"production": True, "safe_migrations": True})
            aws.planetscale.put(path, {"require_approval_for_deploy": place.requires_approval})
    return [_install(aws, plan, place, timeline, show) for place in plan.places]


def _install(aws: LocalAws, plan: Plan, place: Place, timeline: Timeline, show: Callable[[str], None]) -> Site:
    sharing = [other.name for other in plan.places if other.repository == place.repository]
    parameters = {
        "Application": APPLICATION,
        "Environment": place.name,
        "RepositoryName": place.repository,
        "CreateRepository": "true" if place.creates_repository else "false",
        "MovingTags": ",".join(sharing),
        "DestructiveChanges": place.destructive_changes,
        "OnContainerFailure": place.on_container_failure,
        # Its releases are many, and no image of theirs serves badly.
        "VerifyFor": "0",
        # Short, so that deployments which hang pass it.
        "ContainersDeadline": "90",
    }
    if place.database:
        parameters |= {
            "PlanetScaleApiUrl": f"{aws.planetscale_url}/v1",
            "PlanetScaleOrganization": ORGANIZATION,
            "PlanetScaleDatabase": place.database,
        }
    stack_name = f"{APPLICATION}-{place.name}"
    environment = install(aws, "qa", parameters, stack_name=stack_name, show=show)
    secret = f"{APPLICATION}/{place.name}"
    aws.put_secret(f"{secret}/connection-string", f"mysql://emulated:{PASSWORD}@127.0.0.1/{place.name}")
    environment.subscribe()
    planetscale = PlanetScale(aws, ORGANIZATION, place.database) if place.database else None
    site = Site(place, environment, planetscale, aws.planetscale, timeline)
    if place.database:
        site.grant_token()
    return site
