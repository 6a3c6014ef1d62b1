"""The way that one execution took through the states."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any


@dataclass
class Journey:
    """The states that were entered, with the seconds in each, and the ways between them."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    ways: set[tuple[str, str]] = field(default_factory=set)


def journey(events: Iterable[dict[str, Any]]) -> Journey:
    """What the events of GetExecutionHistory tell, as the AWS CLI or boto3 gives them, the oldest first.

    A state that a redrive runs again is not entered again: its time goes on.
    """
    told = [(event.get("stateEnteredEventDetails", {}).get("name"), _time(event["timestamp"])) for event in events]
    if not told:
        return Journey()
    entered = [(name, at) for name, at in told if name] + [("", told[-1][1])]
    found = Journey()
    for (name, at), (following, then) in pairwise(entered):
        found.seconds.setdefault(name, []).append((then - at).total_seconds())
        if following:
            found.ways.add((name, following))
    return found


def _time(timestamp: Any) -> datetime:
    if isinstance(timestamp, (int, float)):
        return datetime.fromtimestamp(timestamp)
    return timestamp if isinstance(timestamp, datetime) else datetime.fromisoformat(timestamp.replace("Z", "+00:00"))
