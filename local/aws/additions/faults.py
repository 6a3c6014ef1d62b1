"""Faults that wait to be met: which of them a call meets."""

from collections.abc import Callable
from typing import Any


def take(faults: list[dict[str, Any]], matches: Callable[[dict[str, Any]], bool]) -> dict[str, Any] | None:
    """The first fault that matches, unless it lets this call pass; one that was met often enough is gone."""
    fault = next((fault for fault in faults if matches(fault)), None)
    if fault is None:
        return None
    if fault["skip"]:
        fault["skip"] -= 1
        return None
    fault["count"] -= 1
    if not fault["count"]:
        faults.remove(fault)
    return fault
