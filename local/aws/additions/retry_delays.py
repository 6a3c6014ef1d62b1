"""How long a state waits before it is tried again: `MaxDelaySeconds` and `JitterStrategy`.

Source: Step Functions guide, "Handling errors in workflows": the delay is capped at MaxDelaySeconds, and with
the jitter strategy FULL it is a random time between zero and that. ministack knows neither, and caps every
delay at a minute.
"""

import contextvars
import random
from typing import Any

from ministack.services import stepfunctions

from additions.wrapping import wrap

# What the next sleep of this thread is, if a retry was decided on.
_delay: contextvars.ContextVar[float | None] = contextvars.ContextVar("delay", default=None)


def install() -> None:
    wrap(stepfunctions, "_find_matching_retrier", _find_matching_retrier)
    wrap(stepfunctions, "_scaled_sleep", _scaled_sleep)


def _find_matching_retrier(
    find: Any, retriers: list[dict[str, Any]], error: str, counts: dict[int, int]
) -> tuple[Any, ...]:
    retrier, index = find(retriers, error, counts)
    _delay.set(None if retrier is None else _delay_of(retrier, counts.get(index, 0)))
    return retrier, index


def _scaled_sleep(scaled_sleep: Any, seconds: float) -> None:
    delay = _delay.get()
    _delay.set(None)
    scaled_sleep(seconds if delay is None else delay)


def _delay_of(retrier: dict[str, Any], tries: int) -> float:
    # Doubled more often, it would be longer than a float can be.
    delay = retrier.get("IntervalSeconds", 1) * retrier.get("BackoffRate", 2.0) ** min(tries, 64)
    delay = min(delay, retrier.get("MaxDelaySeconds", delay))
    return random.uniform(0, delay) if retrier.get("JitterStrategy", "NONE") == "FULL" else delay
