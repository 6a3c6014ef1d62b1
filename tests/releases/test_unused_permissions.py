"""What the roles allow, compared with what was really called while all tests before this one ran."""

from __future__ import annotations

from collections import defaultdict

import pytest
import roles
from cloud import Environment, LocalAws

# Between them they call everything.
NEEDED = (
    "test_buildspec",
    "test_events",
    "test_outcomes",
    "test_permissions",
    "test_preflight",
    "test_redrive",
    "test_rollback",
    "test_verification",
)


def test_nothing_is_granted_that_is_never_called(
    request: pytest.FixtureRequest, aws: LocalAws, qa: Environment, prod: Environment
) -> None:
    ran = {item.path.stem for item in request.session.items}
    if missing := set(NEEDED) - ran:
        pytest.skip(f"only after {', '.join(sorted(missing))}")
    called = defaultdict(set)
    for call in aws.control.post("/_local/role-calls", {})["calls"]:
        for role in roles.roles():
            if call["allowed"] and f"-{role}-" in call["role"]:
                called[role].add(call["action"])
    unused = {
        f"{role} {action}"
        for role, actions in roles.roles().items()
        for action in actions
        if action not in called[role] and not roles.not_called_here(role, action)
    }
    assert unused == set()
