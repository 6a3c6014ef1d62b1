"""A state machine's definition file may be YAML; the service gets JSON.

Template reference of AWS::StepFunctions::StateMachine, `DefinitionS3Location`: "a JSON or YAML file".
ministack hands the file on as it is, and its executions then fail to parse it.
"""

import json
from typing import Any

import yaml
from ministack.services.cloudformation import provisioners

from additions.wrapping import wrap


def install() -> None:
    wrap(provisioners, "_sfn_definition", _resolve_definition)


def _resolve_definition(resolve_definition: Any, *arguments: Any) -> str:
    return json.dumps(yaml.safe_load(resolve_definition(*arguments)))
