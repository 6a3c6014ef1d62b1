"""The role of a state machine, enforced for what the state machine itself calls.

ministack lets every service integration pass.
Checked are `lambda:invoke`, `dynamodb:*`, `sns:publish` and `sqs:sendMessage`; SDK integrations
(`aws-sdk:…`) and nested executions are not.
"""

import contextvars
from typing import Any

from ministack import app
from ministack.core import iam_evaluator
from ministack.core.iam_actions import identity_denial_message
from ministack.core.responses import get_account_id, get_region
from ministack.services import stepfunctions

from additions.wrapping import wrap

_role: contextvars.ContextVar[str] = contextvars.ContextVar("role", default="")
_execution: contextvars.ContextVar[str] = contextvars.ContextVar("execution", default="")


def install() -> None:
    wrap(stepfunctions, "_run_execution", _run_execution)
    wrap(stepfunctions, "_invoke_resource", _invoke_resource)


def _run_execution(run_execution: Any, execution_arn: str) -> None:
    execution = stepfunctions._executions.get(execution_arn) or {}
    machine = stepfunctions._state_machines.get(execution.get("stateMachineArn")) or {}
    _role.set(machine.get("roleArn", ""))
    _execution.set(execution.get("name", ""))
    run_execution(execution_arn)


def _invoke_resource(invoke_resource: Any, resource: str, arguments: Any) -> Any:
    call = _call(resource, arguments) if isinstance(arguments, dict) else None
    if app.AUTH and _role.get() and call:
        error, action, target = call
        _require(error, action, target)
    return invoke_resource(resource, arguments)


def _call(resource: str, arguments: dict[str, Any]) -> tuple[str, str, str] | None:
    """The error name of a refusal, the action and the resource of a service integration."""
    region, account = get_region(), get_account_id()
    service, _, operation = resource.removeprefix("arn:aws:states:::").partition(":")
    operation = operation.split(".")[0]
    if (service, operation) == ("lambda", "invoke"):
        function = arguments.get("FunctionName", "")
        if not function.startswith("arn:"):
            function = f"arn:aws:lambda:{region}:{account}:function:{function}"
        return "Lambda.AWSLambdaException", "lambda:InvokeFunction", function
    if service == "dynamodb":
        table = arguments.get("TableName", "")
        if not table.startswith("arn:"):
            table = f"arn:aws:dynamodb:{region}:{account}:table/{table}"
        return "DynamoDB.AmazonDynamoDBException", f"dynamodb:{operation[0].upper()}{operation[1:]}", table
    if (service, operation) == ("sns", "publish"):
        return "SNS.AuthorizationErrorException", "sns:Publish", arguments.get("TopicArn", "*")
    if (service, operation) == ("sqs", "sendMessage"):
        queue = arguments.get("QueueUrl", "").rstrip("/").rpartition("/")[2]
        return "SQS.SqsException", "sqs:SendMessage", f"arn:aws:sqs:{region}:{account}:{queue}"
    return None


def _require(error: str, action: str, resource: str) -> None:
    account = get_account_id()
    role = _role.get().rpartition("/")[2]
    session = f"arn:aws:sts::{account}:assumed-role/{role}/{_execution.get()}"
    context = iam_evaluator.EvalContext(
        principal_arn=session,
        principal_type="AssumedRole",
        principal_account=account,
        action=action,
        resource_arn=resource,
        region=get_region(),
    )
    result = iam_evaluator.evaluate(context, iam_evaluator._gather_role_policies(role, account))
    if result.decision != "Allow":
        denied = identity_denial_message(action, session, resource, result.decision == "Deny")
        raise stepfunctions._ExecutionError(error, denied)


def running_execution() -> str:
    """The name of the execution that runs in this thread."""
    return _execution.get()
