"""The 25,000 events of an execution's history, and the 256 KiB of a state's input or output.

Source: Step Functions guide, "Service quotas" and "Handling errors in workflows". The event that would be one too many
ends the execution with States.Runtime. Data of more than 256 KiB, as UTF-8 text, is States.DataLimitExceeded.
States.ALL and States.TaskFailed match neither of the two.

`POST /_local/execution-limits {"events", "bytes"}` makes them smaller for a test; `{}` sets them back.
"""

from typing import Any

from ministack.services import stepfunctions

from additions import control
from additions.wrapping import wrap

_QUOTAS = {"events": 25_000, "bytes": 256 * 1024}
_TERMINAL = ("States.Runtime", "States.DataLimitExceeded")
# Where events carry data that counts.
_DATA = (
    ("stateEnteredEventDetails", "input"),
    ("stateExitedEventDetails", "output"),
    ("taskSucceededEventDetails", "output"),
)

_limits = dict(_QUOTAS)


def install() -> None:
    wrap(stepfunctions, "_add_event", _add_event)
    wrap(stepfunctions, "_error_matches", _error_matches)
    control.register("execution-limits", _set)


def _set(request: dict[str, Any]) -> dict[str, Any]:
    if unknown := request.keys() - _QUOTAS.keys():
        raise ValueError(f"there is no {sorted(unknown)}; there are {sorted(_QUOTAS)}")
    _limits.update({**_QUOTAS, **request})
    return dict(_limits)


def _add_event(add_event: Any, execution: dict[str, Any], event_type: str, details: Any = None) -> dict[str, Any]:
    if not event_type.startswith("Execution"):
        # One is left for ExecutionFailed.
        if len(execution["events"]) >= _limits["events"] - 1:
            cause = f"The execution reached the maximum number of history events ({_limits['events']})."
            raise stepfunctions._ExecutionError("States.Runtime", cause)
        for kind, field in _DATA:
            text = (details or {}).get(kind, {}).get(field) or ""
            if len(text.encode()) > _limits["bytes"]:
                name = details[kind].get("name") or details[kind].get("resource")
                cause = f"The {field} of '{name}' exceeded the maximum number of bytes ({_limits['bytes']})."
                raise stepfunctions._ExecutionError("States.DataLimitExceeded", cause)
    return add_event(execution, event_type, details)


def _error_matches(matches: Any, error_equals: list[str], error: str) -> bool:
    if error in _TERMINAL:
        return error in error_equals
    return matches(error_equals, error)
