"""From the journals of the emulators, of Step Functions and of DynamoDB to what happened."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

from chaos import plan
from chaos.facts import LOCKED, STOPPED, Deployment, Environment, Execution, Push, SchemaChange, Write
from chaos.site import SECRETS, Site

_MARKER = "RELEASE_EXECUTION"
_ADDED = re.compile(r"ADD COLUMN `(\w+)`|CREATE TABLE `(\w+)`", re.IGNORECASE)
_DROPPED = re.compile(r"DROP COLUMN `(\w+)`|DROP TABLE `(\w+)`", re.IGNORECASE)


def collect(site: Site) -> Environment:
    """Everything that is known about one environment."""
    place = Environment(site.place.name)
    verdicts = _verdicts(site)
    place.pushes = [
        Push(
            at=push["at"],
            commit=push["commit"],
            digest=push["digest"],
            healthy=verdicts[push["image"]] == plan.HEALTHY,
            needs=frozenset(push["needs"]) if site.planetscale else frozenset(),
            execution=_name(site, push),
        )
        for push in site.pushes
    ]
    histories = {e["name"]: site.environment.history(e["executionArn"]) for e in site.environment.executions()}
    place.executions = [_execution(e, histories[e["name"]]) for e in site.environment.executions()]
    place.executions.sort(key=lambda execution: execution.started)
    place.finish_disturbed = {name for name, events in histories.items() if _failed(events, "FinishRelease")}
    place.stopped_by_hand, place.redriven = set(site.stopped), set(site.redriven)
    place.deployments, place.serving = _deployments(site)
    if site.planetscale:
        place.writes = list(_writes(site))
        place.schema_changes = list(_schema_changes(site))
        place.open_requests = site.planetscale.open_requests()
    records = site.environment.records()
    place.lock = next((record["holder"] for record in records if record["kind"] == "lock"), None)
    for record in records:
        if record["kind"] == "release":
            place.recorded.setdefault(record["id"].split(" ", 1)[1], []).append(record["outcome"])
    messages = [note["message"] for note in site.environment.notifications() if isinstance(note["message"], str)]
    place.notified = _notified([execution.name for execution in place.executions], messages)
    place.leaks = list(_leaks(site, histories, records, messages))
    return place


def faults_played(sites: list[Site]) -> Counter[str]:
    """How many faults of each kind really met a call, by the journals of those that played them."""
    played: Counter[str] = Counter()
    aws = sites[0].aws
    for request in aws.planetscale.get("/_control/requests"):
        if fault := request.get("fault"):
            played[f"PlanetScale: {fault} {request.get('status') or ''}".strip()] += 1
    for request in aws.lightsail.get("/_control/requests"):
        if fault := request.get("fault"):
            played[f"Lightsail: {fault}"] += 1
        if request.get("person") and request["status"] == 200:
            played["people: container services changed"] += 1
    for error, count in aws.control.post("/_local/function-faults", {"show": True})["played"].items():
        if count:
            played[f"functions: {error}"] += count
    for site in sites:
        played["people: releases stopped"] += len(site.stopped)
        played["people: releases redriven"] += len(site.redriven)
        played["people: tokens replaced"] += site.rotations
        lost = Counter(push["event"] for push in site.pushes)
        for how in ("twice", "late", "never"):
            played[f"events: {how}"] += lost[how]
    return +played


def _verdicts(site: Site) -> dict[int, str]:
    found: dict[int, str] = {}
    for step in site.place.script:
        if isinstance(step, plan.Push):
            found.setdefault(step.image, plan.FAILS if step.verdict == plan.HANGS else step.verdict)
        elif isinstance(step, plan.Resolve):
            found[step.image] = step.verdict
    return found


def _name(site: Site, push: dict[str, Any]) -> str | None:
    """The name that the event's execution has, if the event came."""
    if push["event"] == "never":
        return None
    prefix = f"{site.place.name}-{push['digest'].removeprefix('sha256:')[:12]}-"
    # ECR's event has the second of the push, which is one of these.
    names = [f"{prefix}{push[when].strftime('%Y%m%dT%H%M%SZ')}" for when in ("at", "moved")]
    existing = {execution["name"] for execution in site.environment.executions()}
    return next((name for name in names if name in existing), names[-1])


def _execution(execution: dict[str, Any], events: list[dict[str, Any]]) -> Execution:
    entered = [
        (name, event["timestamp"].astimezone(timezone.utc))
        for event in events
        for name in [_noted(event) or _entered(event)]
        if name
    ]
    return Execution(
        name=execution["name"],
        status=execution["status"],
        started=execution["startDate"].astimezone(timezone.utc),
        states=entered,
    )


def _noted(event: dict[str, Any]) -> str:
    if event["type"] == "ExecutionAborted":
        return STOPPED
    return LOCKED if event.get("taskFailedEventDetails", {}).get("error") == "LockNotUsableYet" else ""


def _entered(event: dict[str, Any]) -> str:
    return event.get("stateEnteredEventDetails", {}).get("name", "")


def _failed(events: list[dict[str, Any]], state: str) -> bool:
    inside = ""
    for event in events:
        inside = _entered(event) or inside
        if inside == state and event["type"] in ("TaskFailed", "TaskTimedOut"):
            return True
    return False


def _deployments(site: Site) -> tuple[list[Deployment], str | None]:
    services = site.aws.lightsail.get("/_control/services?environment=true")
    service = next(s for s in services if s["containerServiceName"] == site.service)
    found: dict[int, Deployment] = {}
    for shown in service["deployments"]:
        container = next(iter(shown["containers"].values()))
        commit = container["image"].rpartition(":")[2]
        marker = container["environment"].get(_MARKER, "")
        found[shown["version"]] = Deployment(
            shown["version"], commit, marker, datetime.max.replace(tzinfo=timezone.utc)
        )
    for effect in site.aws.lightsail.get("/_control/effects"):
        deployment = found.get(effect.get("version"))
        if effect["service"] != site.service or deployment is None:
            continue
        match effect["kind"]:
            case "deploymentStarted":
                deployment.started = _time(effect["time"])
            case "deploymentActive":
                deployment.active = _time(effect["time"])
            case "deploymentInactive" | "deploymentFailed":
                deployment.ended = _time(effect["time"])
    current = service.get("currentDeployment")
    serving = next(iter(current["containers"].values()))["image"].rpartition(":")[2] if current else None
    return [found[version] for version in sorted(found)], serving


def _writes(site: Site) -> Iterator[Write]:
    for request in site.api.get("/_control/requests"):
        path = request["path"].split("?")[0]
        ours = f"/databases/{site.place.database}/" in path
        if ours and request["method"] != "GET":
            yield Write(_time(request["time"]), f"{request['method']} {path.rpartition('/databases/')[2]}")


def _schema_changes(site: Site) -> Iterator[SchemaChange]:
    for effect in site.database.effects():
        ours = effect["database"] == site.place.database and effect["kind"] == "schema_changed"
        if not ours or effect["branch"] != "main":
            continue
        text = "\n".join(effect["statements"])
        yield SchemaChange(
            at=_time(effect["time"]),
            cause=effect["cause"],
            deploy_request=effect["deploy_request"],
            added=_named(_ADDED, text),
            dropped=_named(_DROPPED, text),
        )


def _named(pattern: re.Pattern[str], text: str) -> frozenset[str]:
    return frozenset(name for match in pattern.findall(text) for name in match if name)


def _notified(names: list[str], messages: list[str]) -> dict[str, int]:
    # A name may be the beginning of another: `…Z` and `…Z-look`. Questions for an approval are no outcomes.
    told = Counter(
        name
        for message in messages
        if "waits for a person to approve" not in message
        for name in [_longest(names, message)]
        if name
    )
    return dict(told)


def _longest(names: list[str], message: str) -> str | None:
    # The page of the execution is the last thing that both kinds of message name.
    found = [name for name in names if f":{name}" in message]
    return max(found, key=len, default=None)


def _leaks(site: Site, histories: dict[str, Any], records: list[dict[str, Any]], messages: list[str]) -> Iterator[str]:
    readable = {f"the history of {name}": json.dumps(events, default=str) for name, events in histories.items()}
    readable |= {
        "the functions' logs": "\n".join(site.environment.logs()),
        "the records": json.dumps(records, default=str),
        "the messages": "\n".join(messages),
    }
    for path in site.aws.logs.glob("*.log"):
        readable[path.name] = path.read_text(errors="replace")
    for where, text in readable.items():
        if any(secret in text for secret in SECRETS):
            yield where


def _time(told: str | float) -> datetime:
    """Lightsail tells seconds since 1970, PlanetScale ISO 8601."""
    if isinstance(told, str):
        return datetime.fromisoformat(told)
    return datetime.fromtimestamp(told, timezone.utc)
