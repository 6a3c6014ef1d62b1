"""Step Functions as documented, where ministack differs and a release would notice.

Sources: API reference of AWS Step Functions, its guide's chapters on states, JSONata and variables.
"""

import json
import re
from typing import Any

from ministack.core.responses import error_response_json, json_response
from ministack.services import stepfunctions

from additions.wrapping import wrap

# What CloudWatch Logs and the console accept; the API itself refuses less.
_NAME = re.compile(r"[0-9A-Za-z_-]{1,80}")


def install() -> None:
    wrap(stepfunctions, "_start_execution", _start_execution)
    wrap(stepfunctions, "_describe_execution", _describe_execution)
    wrap(stepfunctions, "_apply_state_assign", _apply_state_assign)
    wrap(stepfunctions, "_apply_output_path", _apply_output_path)
    wrap(stepfunctions, "_execute_choice", _execute_choice)
    wrap(stepfunctions, "_evaluate_jsonata_choice_rule", _evaluate_choice_rule)


def _start_execution(start_execution: Any, request: dict[str, Any]) -> tuple[Any, ...]:
    name = request.get("name")
    if name is not None and not _NAME.fullmatch(name):
        return error_response_json("InvalidName", f"Invalid Name: '{name}'")
    # A standard workflow is idempotent: the same name and input while it runs is the same execution.
    machine = stepfunctions._resolve_state_machine_arn(request.get("stateMachineArn", ""))
    if name and machine:
        execution = stepfunctions._executions.get(machine.replace(":stateMachine:", ":execution:") + ":" + name)
        same_input = execution and execution["input"] == request.get("input", "{}")
        if same_input and execution["status"] == "RUNNING":
            started = {"executionArn": execution["executionArn"], "startDate": execution["startDate"]}
            return json_response(started)
    return start_execution(request)


def _describe_execution(describe_execution: Any, request: dict[str, Any]) -> tuple[Any, ...]:
    # Only a succeeded execution has an output.
    status, headers, body = describe_execution(request)
    answer = json.loads(body)
    if status == 200 and answer["status"] != "SUCCEEDED":
        answer.pop("output", None)
        answer.pop("outputDetails", None)
    return status, headers, json.dumps(answer).encode()


def _apply_state_assign(
    apply_assign: Any, state: dict[str, Any], raw_input: Any, ctx: dict[str, Any] | None, **results: Any
) -> None:
    # All of a state's assignments see the variables as they were when the state was entered.
    if ctx is None or not isinstance(state.get("Assign"), dict):
        return
    entered = ctx.setdefault("variables", {})
    assigned = {}
    for name, template in state["Assign"].items():
        alone = {**ctx, "variables": dict(entered)}
        apply_assign({**state, "Assign": {name: template}}, raw_input, alone, **results)
        if name in alone["variables"]:
            assigned[name] = alone["variables"][name]
    entered.update(assigned)


def _apply_output_path(apply_output_path: Any, state: dict[str, Any], data: Any, ctx: Any = None) -> Any:
    # A Succeed state has an Output like every other.
    if state.get("Type") == "Succeed" and stepfunctions._state_query_language(state, ctx) == "JSONata":
        return stepfunctions._apply_jsonata_output(state, data, ctx, default=data)
    return apply_output_path(state, data, ctx)


def _execute_choice(execute_choice: Any, state: dict[str, Any], raw_input: Any, ctx: Any = None) -> tuple[Any, ...]:
    # The state's own Output applies when no rule matched. It sees the variables before Assign.
    if stepfunctions._state_query_language(state, ctx) != "JSONata" or "Output" not in state:
        return execute_choice(state, raw_input, ctx)
    default_output = None
    if not any(stepfunctions._evaluate_jsonata_choice_rule(rule, raw_input, ctx) for rule in state.get("Choices", [])):
        default_output = stepfunctions._apply_jsonata_output(state, raw_input, ctx, default=raw_input)
    output, following = execute_choice(state, raw_input, ctx)
    return (output if default_output is None else default_output), following


def _evaluate_choice_rule(_evaluate: Any, rule: dict[str, Any], raw_input: Any, ctx: Any) -> bool:
    # A Condition evaluates to true or false (the guide's chapter on Choice); a value of another type is none.
    condition = rule["Condition"]
    if isinstance(condition, str):
        condition = stepfunctions._evaluate_jsonata(condition[2:-2].strip(), raw_input, ctx)
    if not isinstance(condition, bool):
        raise stepfunctions._ExecutionError(
            "States.QueryEvaluationError", f"The Condition {rule['Condition']} is not true or false."
        )
    return condition
