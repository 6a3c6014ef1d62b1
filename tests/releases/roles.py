"""The roles of the template: what they allow, and taking a permission away."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cloud import Environment
from samcli.yamlhelper import yaml_parse

CHECKOUT = Path(__file__).resolve().parents[2]
TEMPLATE: dict[str, Any] = yaml_parse((CHECKOUT / "template.yaml").read_text())
RESOURCES: dict[str, dict[str, Any]] = TEMPLATE["Resources"]
PARAMETERS: dict[str, dict[str, Any]] = TEMPLATE["Parameters"]


def statements(role: str) -> list[dict[str, Any]]:
    """The statements of a role of the template, those under a condition included."""
    (policy,) = RESOURCES[role]["Properties"]["Policies"]
    return [s["Fn::If"][1] if "Fn::If" in s else s for s in policy["PolicyDocument"]["Statement"]]


def actions(statement: dict[str, Any]) -> list[str]:
    action = statement["Action"]
    return [action] if isinstance(action, str) else action


def roles() -> dict[str, list[str]]:
    """The actions of every role of the template, by the role's name there."""
    names = [name for name, resource in RESOURCES.items() if resource["Type"] == "AWS::IAM::Role"]
    return {name: [action for s in statements(name) for action in actions(s)] for name in names}


# What only AWS itself does with a role, so that nothing here calls it.
_BY_AWS = {
    "logs": "Lambda, Step Functions and CodeBuild write their logs",
    "sqs:SendMessage": "Lambda sends on an event with which start-release failed",
    "codeconnections": "CodeBuild clones the source",
    "codestar-connections": "CodeBuild clones the source of an older connection",
}


def not_called_here(role: str, action: str) -> str | None:
    """Why the local AWS sees no call with this permission, if it sees none."""
    return _BY_AWS.get(action) or _BY_AWS.get(action.partition(":")[0])


def function_of(role: str) -> str | None:
    """The name of the function that has this role, without its environment."""
    for resource in RESOURCES.values():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::Serverless::Function" and properties["Role"] == {"Fn::GetAtt": [role, "Arn"]}:
            return properties["FunctionName"]["Fn::Sub"].partition("${Environment}-")[2]
    return None


def role_name(environment: Environment, role: str) -> str:
    """The name that a role of the template has in a stack."""
    answer = environment.aws.client("cloudformation").describe_stack_resource(
        StackName=environment.stack_name, LogicalResourceId=role
    )
    return answer["StackResourceDetail"]["PhysicalResourceId"]


@contextmanager
def without(environment: Environment, role: str, action: str, resource: str = "") -> Iterator[None]:
    """Take an action from a role, for every resource or for those whose ARN ends so."""
    client = environment.aws.client("iam")
    name = role_name(environment, role)
    document = client.get_role_policy(RoleName=name, PolicyName="calls")["PolicyDocument"]
    less = [_less(statement, action, resource) for statement in document["Statement"]]
    assert less != document["Statement"], f"{role} does not allow {action} on {resource or 'anything'}"
    put(client, name, {**document, "Statement": [statement for statement in less if statement]})
    try:
        yield
    finally:
        put(client, name, document)


def put(client: Any, role: str, document: dict[str, Any]) -> None:
    client.put_role_policy(RoleName=role, PolicyName="calls", PolicyDocument=json.dumps(document))


def _less(statement: dict[str, Any], action: str, resource: str) -> dict[str, Any] | None:
    if action not in actions(statement):
        return statement
    if resource:
        left = [arn for arn in statement["Resource"] if not arn.endswith(resource)]
        return {**statement, "Resource": left}
    left = [other for other in actions(statement) if other != action]
    return {**statement, "Action": left} if left else None
