"""What holds of the template as it is written, for every resource that it has now or gets later."""

from __future__ import annotations

import json
from typing import Any, Iterator

import pytest

from roles import RESOURCES

# Lambda documents no source ARN or account in the context in which it takes on a function's role: with a condition on
# them the function could not start. Nobody can give the role to a function of another account.
TRUSTS_WITHOUT_A_SOURCE = {"lambda.amazonaws.com"}


def of_type(kind: str) -> dict[str, dict[str, Any]]:
    return {name: resource["Properties"] for name, resource in RESOURCES.items() if resource["Type"] == kind}


def statements_for_services() -> Iterator[Any]:
    """Every statement that lets an AWS service do something, in a trust or in a resource's policy."""
    for name, resource in RESOURCES.items():
        properties = resource["Properties"]
        for field in ("AssumeRolePolicyDocument", "PolicyDocument"):
            for number, statement in enumerate(properties.get(field, {}).get("Statement", [])):
                if "Service" in statement.get("Principal", {}):
                    yield pytest.param(statement, id=f"{name}-{number}")


@pytest.mark.parametrize("statement", list(statements_for_services()))
def test_a_service_acts_only_for_a_source_in_this_account(statement: dict[str, Any]) -> None:
    if statement["Principal"]["Service"] in TRUSTS_WITHOUT_A_SOURCE:
        return
    condition = statement["Condition"]
    assert condition["StringEquals"]["aws:SourceAccount"] == {"Ref": "AWS::AccountId"}
    arns = condition.get("ArnEquals", condition.get("ArnLike", {}))["aws:SourceArn"]
    for arn in arns if isinstance(arns, list) else [arns]:
        assert "Fn::GetAtt" in arn or "${Application}-${Environment}" in arn["Fn::Sub"], "only this environment's own"


@pytest.mark.parametrize("name", of_type("AWS::Lambda::Permission"))
def test_a_function_is_invoked_only_for_a_source_in_this_account(name: str) -> None:
    permission = RESOURCES[name]["Properties"]
    assert permission["SourceAccount"] == {"Ref": "AWS::AccountId"}
    assert "Fn::GetAtt" in permission["SourceArn"]


def test_every_function_has_a_role_of_its_own() -> None:
    roles = [properties["Role"]["Fn::GetAtt"] for properties in of_type("AWS::Serverless::Function").values()]
    assert len(roles) == len({json.dumps(role) for role in roles})


@pytest.mark.parametrize("name", of_type("AWS::IAM::Role"))
def test_a_role_names_single_actions_on_single_resources(name: str) -> None:
    for policy in RESOURCES[name]["Properties"]["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            statement = statement.get("Fn::If", [None, statement])[1]
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            assert not [action for action in actions if "*" in action]
            if statement["Resource"] == "*":
                assert set(actions) <= WITHOUT_A_RESOURCE_LEVEL


# From the service authorization reference: these take no resource.
WITHOUT_A_RESOURCE_LEVEL = {
    "ecr:GetAuthorizationToken",
    "lightsail:GetContainerLog",
    "lightsail:GetContainerServiceDeployments",
    "lightsail:GetContainerServices",
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
}


@pytest.mark.parametrize("name", of_type("AWS::CloudWatch::Alarm"))
def test_an_alarm_watches_a_metric_that_there_is_and_tells_the_topic_what_to_do(name: str) -> None:
    alarm = RESOURCES[name]["Properties"]
    assert alarm["AlarmActions"] == [{"Ref": "Topic"}]
    assert alarm["TreatMissingData"] == "notBreaching"
    assert len(alarm["AlarmDescription"]) > 60, "says what happened and what to do"
    watched = (json.dumps(alarm["Namespace"]), alarm["MetricName"])
    ours = {
        (json.dumps(transformation["MetricNamespace"]), transformation["MetricName"])
        for properties in of_type("AWS::Logs::MetricFilter").values()
        for transformation in properties["MetricTransformations"]
    }
    assert watched in ours or (alarm["Namespace"], alarm["MetricName"]) in METRICS_OF_AWS


# From the monitoring chapters of the services' guides.
METRICS_OF_AWS = {("AWS/SQS", "ApproximateNumberOfMessagesVisible"), ("AWS/States", "ExecutionsFailed")}
