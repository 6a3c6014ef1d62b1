"""Whom EventBridge reaches: the policies of functions, queues and topics as it has them evaluated."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from local_aws.toy_support import raw_messages, wait_for

ACCOUNT = "123456789012"
RULE = "policies"


@dataclass
class Rule:
    """A rule with one target, and a dead-letter queue that takes every message of the rule."""

    aws: Any
    arn: str
    dead_letters: str

    def fire(self, target_arn: str, marker: str) -> None:
        dead_letter_arn = arn_of(self.aws, self.dead_letters)
        target = {"Id": "target", "Arn": target_arn, "DeadLetterConfig": {"Arn": dead_letter_arn}}
        self.aws.client("events").put_targets(Rule=RULE, Targets=[target])
        entry = {"Source": "toy.policies", "DetailType": "toy", "Detail": json.dumps({"marker": marker})}
        assert self.aws.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0

    def count(self, metric: str) -> float:
        now = datetime.datetime.now(datetime.timezone.utc)
        points = self.aws.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/Events",
            MetricName=metric,
            Dimensions=[{"Name": "RuleName", "Value": RULE}],
            StartTime=now - datetime.timedelta(hours=1),
            EndTime=now + datetime.timedelta(minutes=1),
            Period=3600,
            Statistics=["Sum"],
        )["Datapoints"]
        return sum(point["Sum"] for point in points)

    def dead_letters_of(self, marker: str) -> list[dict[str, Any]]:
        return [message for message in raw_messages(self.aws, self.dead_letters) if marker in message["Body"]]


@pytest.fixture
def rule(aws: Any) -> Iterator[Rule]:
    events, sqs = aws.client("events"), aws.client("sqs")
    arn = events.put_rule(Name=RULE, EventPattern=json.dumps({"source": ["toy.policies"]}))["RuleArn"]
    queue = sqs.create_queue(QueueName="policies-dead-letters")["QueueUrl"]
    allow(aws, queue, {"ArnEquals": {"aws:SourceArn": arn}})
    yield Rule(aws, arn, queue)
    events.remove_targets(Rule=RULE, Ids=["target"])
    events.delete_rule(Name=RULE)


@pytest.mark.parametrize("condition", [{}, {"SourceAccount": ACCOUNT}], ids=["arn", "arn and account"])
def test_a_permission_with_a_source_account_lets_no_rule_invoke(
    aws: Any, toy: Any, rule: Rule, condition: dict[str, Any]
) -> None:
    permission = {"Action": "lambda:InvokeFunction", "Principal": "events.amazonaws.com", "SourceArn": rule.arn}
    client = aws.client("lambda")
    client.add_permission(FunctionName="toy-answer", StatementId=RULE, **permission, **condition)
    function = client.get_function_configuration(FunctionName="toy-answer")["FunctionArn"]
    failed, marker = rule.count("FailedInvocations"), f"permission-{len(condition)}"
    try:
        rule.fire(function, marker)
        if condition:
            (message,) = wait_for(lambda: rule.dead_letters_of(marker))
            assert message["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_PERMISSIONS"
            assert rule.count("FailedInvocations") == failed + 1
        else:
            wait_for(lambda: [line for line in toy.logs() if marker in line])
            assert rule.count("FailedInvocations") == failed
    finally:
        client.remove_permission(FunctionName="toy-answer", StatementId=RULE)


def test_a_dead_letter_queue_that_asks_for_the_account_gets_nothing_and_that_is_counted(
    aws: Any, toy: Any, rule: Rule
) -> None:
    allow(
        aws,
        rule.dead_letters,
        {"ArnEquals": {"aws:SourceArn": rule.arn}, "StringEquals": {"aws:SourceAccount": ACCOUNT}},
    )
    lost = rule.count("InvocationsFailedToBeSentToDlq")
    function = aws.client("lambda").get_function_configuration(FunctionName="toy-answer")["FunctionArn"]

    rule.fire(function, "account-of-the-queue")

    wait_for(lambda: rule.count("InvocationsFailedToBeSentToDlq") == lost + 1)
    assert rule.dead_letters_of("account-of-the-queue") == []


@pytest.mark.parametrize("condition", [None, "arn"])
def test_a_queue_is_reached_by_the_arn_of_its_rule_and_by_that_of_no_other(
    aws: Any, rule: Rule, condition: str | None
) -> None:
    queue = aws.client("sqs").create_queue(QueueName="policies-target")["QueueUrl"]
    source = rule.arn if condition else f"{rule.arn}-another"
    allow(aws, queue, {"ArnEquals": {"aws:SourceArn": source}})
    marker = f"queue-{condition}"

    rule.fire(arn_of(aws, queue), marker)

    reached = queue if condition else rule.dead_letters
    wait_for(lambda: [message for message in raw_messages(aws, reached) if marker in message["Body"]])


@pytest.mark.parametrize("with_condition", [False, True])
def test_a_topic_whose_policy_has_a_condition_hears_of_no_event(aws: Any, rule: Rule, with_condition: bool) -> None:
    sns, sqs = aws.client("sns"), aws.client("sqs")
    topic = sns.create_topic(Name="policies")["TopicArn"]
    queue = sqs.create_queue(QueueName="policies-topic")["QueueUrl"]
    allow(aws, queue, {"ArnEquals": {"aws:SourceArn": topic}}, service="sns.amazonaws.com")
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn_of(aws, queue))
    condition = {"Condition": {"ArnLike": {"aws:SourceArn": rule.arn}}} if with_condition else {}
    policy = policy_for("events.amazonaws.com", "sns:Publish", topic, condition)
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy)
    failed, marker = rule.count("FailedInvocations"), f"topic-{with_condition}"

    rule.fire(topic, marker)

    if with_condition:
        wait_for(lambda: rule.count("FailedInvocations") == failed + 1)
        assert not [m for m in raw_messages(aws, queue) if marker in m["Body"]]
    else:
        wait_for(lambda: [m for m in raw_messages(aws, queue) if marker in m["Body"]])


def allow(aws: Any, queue: str, condition: dict[str, Any], service: str = "events.amazonaws.com") -> None:
    policy = policy_for(service, "sqs:SendMessage", arn_of(aws, queue), {"Condition": condition})
    aws.client("sqs").set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})


def policy_for(service: str, action: str, resource: str, more: dict[str, Any]) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": action, "Resource": resource, **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def arn_of(aws: Any, queue: str) -> str:
    return aws.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
