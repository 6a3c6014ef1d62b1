"""The events of a task, as many as Step Functions writes.

Source: API reference, HistoryEvent. A task has five events: its state is entered, the task is
scheduled, started, and succeeded, failed or timed out, and its state is exited; each retry has
three more. ministack leaves TaskStarted out and knows no TaskTimedOut. A history may have 25,000
events, so their number matters.
"""

from typing import Any

from ministack.services import stepfunctions

from additions.wrapping import wrap


def install() -> None:
    wrap(stepfunctions, "_add_event", _add_event)


def _add_event(add_event: Any, execution: dict[str, Any], event_type: str, details: Any = None) -> dict[str, Any]:
    if event_type == "TaskFailed" and details["taskFailedEventDetails"]["error"] == "States.Timeout":
        return add_event(execution, "TaskTimedOut", {"taskTimedOutEventDetails": details["taskFailedEventDetails"]})
    event = add_event(execution, event_type, details)
    if event_type == "TaskScheduled":
        add_event(execution, "TaskStarted", {"taskStartedEventDetails": dict(details["taskScheduledEventDetails"])})
    return event
