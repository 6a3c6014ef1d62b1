"""PlanetScale's rate limit in virtual time: any number of releases at once, with the state machine's own retries.

Every release makes the calls of one that was measured, with its pauses. The API refuses a call when the 60 seconds
before it had as many calls of the organization as the limit allows; refused calls do not count. A refused call fails
the function's try; the state machine calls the function again after its backoff, and all calls of that try are made
anew. Calls take no time of their own. A release whose tries are used up ends there; the calls with which it would
clean up are left out.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

# Calls per organization and minute that PlanetScale allows.
LIMIT = 600
SEED = 2026

_WINDOW_SECONDS = 60.0


@dataclass(frozen=True)
class Step:
    """One function of a release that calls PlanetScale."""

    # Seconds since the step before it ended: waits, and functions that call something else.
    after_seconds: float
    calls: int


@dataclass(frozen=True)
class Retry:
    """What the state machine does about a refused call."""

    errors: str
    interval_seconds: float
    backoff_rate: float
    most_attempts: int
    most_seconds: float
    full_jitter: bool

    def wait(self, attempt: int, chance: random.Random) -> float:
        """Seconds before this attempt; the first retry is 0."""
        # So many doublings are more than any bound, and more than a float holds.
        seconds = min(self.interval_seconds * self.backoff_rate ** min(attempt, 500), self.most_seconds)
        return chance.uniform(0, seconds) if self.full_jitter else seconds


def retry_of_a_refused_call(state_machine: Path) -> Retry:
    """The retry of a 429 in the state machine, that of `RateLimited`."""
    retries = yaml.safe_load(state_machine.read_text())["States"]["GetDeployRequest"]["Retry"]
    retry = next(retry for retry in retries if "RateLimited" in retry["ErrorEquals"])
    return Retry(
        errors="RateLimited",
        interval_seconds=retry["IntervalSeconds"],
        backoff_rate=retry["BackoffRate"],
        most_attempts=retry["MaxAttempts"],
        most_seconds=retry["MaxDelaySeconds"],
        full_jitter=retry.get("JitterStrategy") == "FULL",
    )


def simulate(releases: int, steps: list[Step], retry: Retry, *, limit: int = LIMIT, seed: int = SEED) -> dict[str, Any]:
    """What becomes of so many releases that start at once."""
    chance = random.Random(seed)
    accepted: deque[float] = deque()
    total = refused = given_up = most_in_window = 0
    most_tries = 1
    done: list[float] = []
    # When, which release, which step, and how often it was tried again.
    due = [(steps[0].after_seconds, release, 0, 0) for release in range(releases)] if steps else []
    heapq.heapify(due)
    while due:
        now, release, step, retries = heapq.heappop(due)
        while accepted and accepted[0] + _WINDOW_SECONDS <= now:
            accepted.popleft()
        room = limit - len(accepted)
        calls = steps[step].calls
        accepted.extend([now] * min(calls, room))
        total += min(calls, room)
        most_in_window = max(most_in_window, len(accepted))
        most_tries = max(most_tries, retries + 1)
        if calls > room:
            refused += 1
            if retries == retry.most_attempts:
                given_up += 1
                done.append(now)
            else:
                heapq.heappush(due, (now + retry.wait(retries, chance), release, step, retries + 1))
        elif step + 1 < len(steps):
            heapq.heappush(due, (now + steps[step + 1].after_seconds, release, step + 1, 0))
        else:
            done.append(now)
    return {
        "releases": releases,
        "minutes_until_all_ended": round(max(done, default=0) / 60, 1),
        "accepted_calls": total,
        "refused_calls": refused,
        "most_accepted_calls_in_60_seconds": most_in_window,
        "most_tries_of_one_function": most_tries,
        "releases_given_up": given_up,
    }
