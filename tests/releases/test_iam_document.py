"""docs/iam.md names every role of the template with its actions, and lets the installer make every kind of resource."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path

from roles import RESOURCES

CHECKOUT = Path(__file__).resolve().parents[2]
DOCUMENT = (CHECKOUT / "docs" / "iam.md").read_text()

# Said once, above the table.
LOG = {"logs:CreateLogStream", "logs:PutLogEvents"}
ACTION = re.compile(r"`([a-z-]+:[A-Za-z]+)`")
# Where IAM's name of a service is not the one in the resource's type.
SERVICES = {"serverless": {"lambda", "states"}, "custom": {"lambda"}}


def test_the_table_has_every_action_of_every_role_and_no_other() -> None:
    assert documented() == granted()


def test_the_installer_may_make_every_kind_of_resource() -> None:
    policy = json.loads(DOCUMENT.partition("```json\n")[2].partition("```")[0])
    allowed = {
        action.partition(":")[0]
        for statement in policy["Statement"]
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }
    for name, resource in RESOURCES.items():
        parts = resource["Type"].lower().split("::")
        service = parts[1] if parts[0] == "aws" else parts[0]
        assert SERVICES.get(service, {service}) <= allowed, f"{name} is a {resource['Type']}"


def documented() -> dict[str, set[tuple[str, bool]]]:
    """For each role its actions, and whether each is for `*`."""
    found: dict[str, set[tuple[str, bool]]] = defaultdict(set)
    role = ""
    for line in DOCUMENT.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|") or len(cells) != 4 or not ACTION.search(cells[1]):
            continue
        role = cells[0].strip("`") or role
        found[role] |= {(action, cells[2] == "`*`") for action in ACTION.findall(cells[1])}
    return dict(found)


def granted() -> dict[str, set[tuple[str, bool]]]:
    found: dict[str, set[tuple[str, bool]]] = defaultdict(set)
    for name, resource in RESOURCES.items():
        if resource["Type"] != "AWS::IAM::Role":
            continue
        for policy in resource["Properties"]["Policies"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                statement = statement.get("Fn::If", [None, statement])[1]
                actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
                anything = statement["Resource"] == "*"
                found[name] |= {(action, anything) for action in actions if action not in LOG}
    return dict(found)
