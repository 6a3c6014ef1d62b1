"""`POST /_local/role-calls`: what the roles were used for so far.

Answer: `{"calls": [{"role", "session", "action", "resource", "allowed", "count"}]}`, one entry for each
combination, for every caller that is an assumed role. Every decision of IAM is in it: ministack's own,
those for emulators beside it, and those for the state machine's role.
"""

from collections import Counter
from typing import Any

from ministack.core import iam_evaluator

from additions import control
from additions.wrapping import wrap

_calls: Counter[tuple[str, str, str, str, bool]] = Counter()


def install() -> None:
    wrap(iam_evaluator, "evaluate", _evaluate)
    control.register("role-calls", _show)


def _evaluate(evaluate: Any, context: Any, *rest: Any) -> Any:
    result = evaluate(context, *rest)
    _, separator, session = context.principal_arn.partition(":assumed-role/")
    if separator:
        role, _, name = session.partition("/")
        _calls[role, name, context.action, context.resource_arn, result.decision == "Allow"] += 1
    return result


def _show(_: dict[str, Any]) -> dict[str, Any]:
    fields = ("role", "session", "action", "resource", "allowed", "count")
    return {"calls": [dict(zip(fields, (*call, count))) for call, count in sorted(_calls.items())]}
