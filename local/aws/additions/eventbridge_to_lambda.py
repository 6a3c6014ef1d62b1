"""EventBridge's delivery to a Lambda function: asked for permission, retried, and dead-lettered.

Facts: EventBridge guide, "Using dead-letter queues" and "Troubleshooting"; Lambda guide,
"Asynchronous invocation".
ministack runs the function once and forgets it.
Here a missing function or a missing AWS::Lambda::Permission sends the event to the target's
dead-letter queue at once, as neither is retried; a failing function is retried as Lambda
retries an asynchronous invocation, and ends in the function's own destination or dead-letter queue.
"""

import contextvars
import json
import logging
from typing import Any

from ministack.core.arn import parse_arn
from ministack.core.iam_evaluator import EvalContext, evaluate_resource_policy
from ministack.core.responses import get_account_id, get_region
from ministack.services import eventbridge, lambda_svc, sqs

from additions.wrapping import wrap

SERVICE = "events.amazonaws.com"

_logger = logging.getLogger("eventbridge")
_delivery: contextvars.ContextVar[tuple[dict, dict] | None] = contextvars.ContextVar("delivery", default=None)


def install() -> None:
    wrap(eventbridge, "_invoke_target", _invoke_target)
    eventbridge._dispatch_to_lambda = _dispatch_to_lambda


def _invoke_target(invoke_target: Any, target: dict, event: dict, rule: dict, view: Any = None) -> None:
    token = _delivery.set((target, rule))
    try:
        invoke_target(target, event, rule, view)
    finally:
        _delivery.reset(token)


def _dispatch_to_lambda(function_arn: str, payload: str) -> None:
    target, rule = _delivery.get() or ({}, {})
    function, config, name = lambda_svc._get_func_record_for_ref(function_arn)
    if not function or not config:
        _dead_letter(target, rule, payload, "NO_RESOURCE", f"Function not found: {function_arn}")
    elif not _may_invoke(function, config["FunctionArn"], rule):
        message = f"Lambda function {name} does not allow {rule.get('Arn')} to invoke it"
        _dead_letter(target, rule, payload, "NO_PERMISSIONS", message)
    else:
        record = lambda_svc._execution_record_for_config(function, config)
        lambda_svc.invoke_async_with_retry(record, json.loads(payload))


def _may_invoke(function: dict, function_arn: str, rule: dict) -> bool:
    context = EvalContext(
        principal_arn=SERVICE,
        principal_type="Service",
        principal_account=get_account_id(),
        action="lambda:InvokeFunction",
        resource_arn=function_arn,
        region=get_region(),
        service_context={"aws:sourcearn": rule.get("Arn", ""), "aws:sourceaccount": get_account_id()},
    )
    return evaluate_resource_policy(function["policy"], context, SERVICE).decision == "Allow"


def _dead_letter(target: dict, rule: dict, payload: str, code: str, message: str) -> None:
    _logger.warning("EventBridge did not deliver to %s: %s", target.get("Arn"), message)
    queue_arn = (target.get("DeadLetterConfig") or {}).get("Arn")
    if not queue_arn or not sqs.queue_policy_allows(queue_arn, SERVICE, rule["Arn"], get_account_id()):
        return
    attributes = {
        "RULE_ARN": rule["Arn"],
        "TARGET_ARN": target["Arn"],
        "ERROR_CODE": code,
        "ERROR_MESSAGE": message,
        "RETRY_ATTEMPTS": "0",
    }
    queue = sqs._queue_by_arn(queue_arn)
    eventbridge._dispatch_to_sqs(parse_arn(queue_arn), payload)
    queue["messages"][-1]["message_attributes"] = {
        name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
    }
