"""Every name that the template makes fits its service, for the longest application and environment that it takes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from roles import PARAMETERS, RESOURCES

# How many characters a service takes, from its API reference. The local AWS refuses more: `name_lengths`.
LONGEST = {
    "AWS::CloudWatch::Alarm": ("AlarmName", 255),
    "AWS::CodeBuild::Project": ("Name", 255),
    "AWS::DynamoDB::Table": ("TableName", 255),
    "AWS::ECR::Repository": ("RepositoryName", 256),
    "AWS::Events::Rule": ("Name", 64),
    "AWS::IAM::Role": ("RoleName", 64),
    "AWS::Lightsail::Container": ("ServiceName", 63),
    "AWS::Logs::LogGroup": ("LogGroupName", 512),
    "AWS::SNS::Topic": ("TopicName", 256),
    "AWS::SQS::Queue": ("QueueName", 80),
    "AWS::SecretsManager::Secret": ("Name", 512),
    "AWS::Serverless::Function": ("FunctionName", 64),
    "AWS::Serverless::StateMachine": ("Name", 80),
}


def named() -> Iterator[Any]:
    for logical_id, resource in RESOURCES.items():
        field, longest = LONGEST.get(resource["Type"], ("", 0))
        name = resource.get("Properties", {}).get(field, {})
        if isinstance(name, dict) and "Fn::Sub" in name:
            yield pytest.param(name["Fn::Sub"], longest, id=logical_id)


@pytest.mark.parametrize(("name", "longest"), list(named()))
def test_the_longest_name_fits(name: str, longest: int) -> None:
    for parameter in ("Application", "Environment"):
        name = name.replace(f"${{{parameter}}}", "x" * PARAMETERS[parameter]["MaxLength"])
    assert "$" not in name
    assert len(name) <= longest, name


@pytest.mark.parametrize(
    ("parameter", "value", "taken"),
    [
        ("Application", "bookings-api", True),
        ("Application", "a1", True),
        # Neither ECR takes these, whose repository has the application's name, nor Lightsail.
        ("Application", "bookings--api", False),
        ("Application", "bookings-", False),
        ("Application", "Bookings", False),
        ("Environment", "qa", True),
        ("Environment", "eu-1", True),
        ("Environment", "qa-", False),
        ("Environment", "1", False),
    ],
)
def test_a_name_that_a_service_would_refuse_is_refused_before(parameter: str, value: str, taken: bool) -> None:
    declared = PARAMETERS[parameter]
    matches = re.fullmatch(declared["AllowedPattern"], value) is not None
    assert (matches and declared["MinLength"] <= len(value) <= declared["MaxLength"]) == taken
