"""What holds of the template as it is written, for every resource that it has now or gets later."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from roles import CHECKOUT, RESOURCES, TEMPLATE
from samcli.yamlhelper import yaml_parse

# Lambda documents no source ARN or account in the context in which it takes on a function's role: with a condition on
# them the function could not start. Nobody can give the role to a function of another account.
TRUSTS_WITHOUT_A_SOURCE = {"lambda.amazonaws.com"}


# What EventBridge's guide says of its conditions is in the local AWS, which does the same: `eventbridge_delivery`.
EVENTS = "events.amazonaws.com"


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
    service, action = statement["Principal"]["Service"], statement["Action"]
    if service in TRUSTS_WITHOUT_A_SOURCE:
        return
    if (service, action) == (EVENTS, "sns:Publish"):
        assert "Condition" not in statement, "EventBridge publishes under none"
        return
    condition = statement["Condition"]
    if service == EVENTS:
        assert list(condition) == ["ArnEquals"], "EventBridge names the rule and not the account"
    else:
        assert condition["StringEquals"]["aws:SourceAccount"] == {"Ref": "AWS::AccountId"}
    arns = condition.get("ArnEquals", condition.get("ArnLike", {}))["aws:SourceArn"]
    for arn in arns if isinstance(arns, list) else [arns]:
        assert "Fn::GetAtt" in arn or "${Application}-${Environment}" in arn["Fn::Sub"], "only this environment's own"


@pytest.mark.parametrize("name", of_type("AWS::Lambda::Permission"))
def test_a_function_is_invoked_only_for_a_rule_of_this_stack(name: str) -> None:
    permission = RESOURCES[name]["Properties"]
    assert "SourceAccount" not in permission, "with it EventBridge invokes nothing"
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
    description = alarm["AlarmDescription"]
    assert len(description["Fn::Sub"] if isinstance(description, dict) else description) > 60, "says what to do"
    watched = (json.dumps(alarm["Namespace"]), alarm["MetricName"])
    ours = {
        (json.dumps(transformation["MetricNamespace"]), transformation["MetricName"])
        for properties in of_type("AWS::Logs::MetricFilter").values()
        for transformation in properties["MetricTransformations"]
    }
    assert watched in ours or (alarm["Namespace"], alarm["MetricName"]) in METRICS_OF_AWS


# From the monitoring chapters of the services' guides.
METRICS_OF_AWS = {
    ("AWS/Events", "FailedInvocations"),
    ("AWS/Events", "InvocationsFailedToBeSentToDlq"),
    ("AWS/SQS", "NumberOfMessagesSent"),
}


def test_every_rule_that_starts_releases_has_its_two_alarms() -> None:
    to_functions = {
        name
        for name, rule in of_type("AWS::Events::Rule").items()
        if any("Function" in target["Arn"].get("Fn::GetAtt", [""])[0] for target in rule["Targets"])
    }
    watched = {
        (alarm["Dimensions"][0]["Value"]["Ref"], alarm["MetricName"])
        for alarm in of_type("AWS::CloudWatch::Alarm").values()
        if alarm["Namespace"] == "AWS/Events"
    }
    metrics = ("FailedInvocations", "InvocationsFailedToBeSentToDlq")
    assert watched == {(rule, metric) for rule in to_functions for metric in metrics} and len(to_functions) == 2


def test_what_told_its_own_end_is_not_told_as_cut_short() -> None:
    definition = yaml_parse((CHECKOUT / "statemachine" / "release.asl.yaml").read_text())
    ends = {state["Error"] for state in definition["States"].values() if state["Type"] == "Fail"}
    _, failed, untold = RESOURCES["ReleaseCutShortRule"]["Properties"]["EventPattern"]["detail"]["$or"]
    assert set(failed["error"][-1]["anything-but"]) == ends
    said = untold["cause"][0]["wildcard"].strip("*")
    assert said in definition["States"]["FinishRelease"]["Catch"][0]["Assign"]["report"]["whatHappened"]


def test_nothing_needs_a_table_of_this_stack_s_own() -> None:
    """A stack that takes a table over has none: only what asks whether it does may refer to it."""
    for name, resource in {**RESOURCES, "Outputs": TEMPLATE["Outputs"]}.items():
        text = json.dumps(resource)
        assert "Releases.Arn" not in text and '"Fn::GetAtt": ["Releases"' not in text, name
        assert text.count('{"Ref": "Releases"}') == text.count('{"Fn::If": ["CreatesTable", {"Ref": "Releases"}'), name


def test_every_function_that_a_rule_invokes_lets_it() -> None:
    invoked = {
        (target["Arn"]["Fn::GetAtt"][0], name)
        for name, rule in of_type("AWS::Events::Rule").items()
        for target in rule["Targets"]
        if "Fn::GetAtt" in target["Arn"]
    }
    permitted = {
        (permission["FunctionName"]["Ref"], permission["SourceArn"]["Fn::GetAtt"][0])
        for permission in of_type("AWS::Lambda::Permission").values()
    }
    assert invoked == permitted
