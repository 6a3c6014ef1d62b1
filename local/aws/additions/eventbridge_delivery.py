"""EventBridge's delivery to functions, queues and topics: asked for permission, retried, counted and dead-lettered.

Facts, from the EventBridge guide:
- "Troubleshooting": a permission with a SourceAccount does not let EventBridge invoke a function. Its calls carry
  aws:SourceArn, and no aws:SourceAccount.
- "Using dead-letter queues": the policy of a dead-letter queue has aws:SourceArn alone. Whether another condition works
  is not said, so none does here.
- "Using resource-based policies", SNS: no Condition may stand in a topic policy's statement for EventBridge.
- "Using dead-letter queues": a missing target and a missing permission are not retried.
- "Monitoring": FailedInvocations, InvocationsSentToDlq and InvocationsFailedToBeSentToDlq count per rule.

A failing function is retried as Lambda retries an asynchronous invocation (Lambda guide, "Asynchronous invocation"), and
ends in the function's own destination or dead-letter queue.
ministack asks for no permission, runs a function once and forgets it.
"""

import contextvars
import json
import logging
from typing import Any

from ministack.core.arn import parse_arn
from ministack.core.iam_evaluator import EvalContext, evaluate_resource_policy
from ministack.core.responses import get_region
from ministack.services import cloudwatch, eventbridge, lambda_svc, sns, sqs

from additions.wrapping import wrap

SERVICE = "events.amazonaws.com"

_logger = logging.getLogger("eventbridge")
_delivery: contextvars.ContextVar[tuple[dict[str, Any], dict[str, Any]] | None] = contextvars.ContextVar(
    "delivery", default=None
)


def install() -> None:
    wrap(eventbridge, "_invoke_target", _invoke_target)
    wrap(eventbridge, "_dispatch_to_sqs", _dispatch_to_sqs)
    wrap(eventbridge, "_dispatch_to_sns", _dispatch_to_sns)
    eventbridge._dispatch_to_lambda = _dispatch_to_lambda


def _invoke_target(
    invoke_target: Any, target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any], view: Any = None
) -> None:
    token = _delivery.set((target, rule))
    try:
        invoke_target(target, event, rule, view)
    finally:
        _delivery.reset(token)


def _dispatch_to_lambda(function_arn: str, payload: str) -> None:
    function, config, _ = lambda_svc._get_func_record_for_ref(function_arn)
    if not function or not config:
        _fail(payload, "NO_RESOURCE", f"Function not found: {function_arn}")
    elif not _allows(function["policy"], "lambda:InvokeFunction", config["FunctionArn"]):
        _fail(payload, "NO_PERMISSIONS", f"{function_arn} does not let {SERVICE} invoke it")
    else:
        record = lambda_svc._execution_record_for_config(function, config)
        lambda_svc.invoke_async_with_retry(record, json.loads(payload))


def _dispatch_to_sqs(dispatch: Any, spec: Any, payload: str, parameters: dict[str, Any] | None = None) -> None:
    if _queue_allows(str(spec)):
        dispatch(spec, payload, parameters)
    else:
        _fail(payload, "NO_PERMISSIONS", f"{spec} does not let {SERVICE} send to it")


def _dispatch_to_sns(dispatch: Any, topic_arn: str, payload: str) -> None:
    topic = sns._topic_by_arn_any_scope(topic_arn) or {}
    policy = json.loads(topic.get("attributes", {}).get("Policy") or "{}")
    statements = policy.get("Statement", [])
    usable = {"Statement": [statement for statement in statements if "Condition" not in statement]}
    if _allows(usable, "sns:Publish", topic_arn):
        dispatch(topic_arn, payload)
    else:
        _fail(payload, "NO_PERMISSIONS", f"{topic_arn} does not let {SERVICE} publish without a condition")


def _queue_allows(queue_arn: str) -> bool:
    queue = sqs._queue_by_arn(queue_arn) or {}
    return _allows(queue.get("attributes", {}).get("Policy"), "sqs:SendMessage", queue_arn)


def _allows(policy: Any, action: str, resource_arn: str) -> bool:
    _, rule = _delivery.get() or ({}, {})
    context = EvalContext(
        principal_arn=SERVICE,
        principal_type="Service",
        principal_account="",
        action=action,
        resource_arn=resource_arn,
        region=get_region(),
        service_context={"aws:sourcearn": rule.get("Arn", "")},
    )
    return evaluate_resource_policy(policy, context, SERVICE).decision == "Allow"


def _fail(payload: str, code: str, message: str) -> None:
    target, rule = _delivery.get() or ({}, {})
    _logger.warning("EventBridge did not deliver to %s: %s", target.get("Arn"), message)
    _count(rule, "FailedInvocations")
    queue_arn = (target.get("DeadLetterConfig") or {}).get("Arn")
    if not queue_arn:
        return
    if not _queue_allows(queue_arn):
        _count(rule, "InvocationsFailedToBeSentToDlq")
        return
    attributes = {
        "RULE_ARN": rule["Arn"],
        "TARGET_ARN": target["Arn"],
        "ERROR_CODE": code,
        "ERROR_MESSAGE": message,
        "RETRY_ATTEMPTS": "0",
    }
    eventbridge._dispatch_to_sqs(parse_arn(queue_arn), payload)
    sqs._queue_by_arn(queue_arn)["messages"][-1]["message_attributes"] = {
        name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
    }
    _count(rule, "InvocationsSentToDlq")


def _count(rule: dict[str, Any], metric: str) -> None:
    cloudwatch.record_metric("AWS/Events", metric, 1, "Count", {"RuleName": rule["Name"]})
