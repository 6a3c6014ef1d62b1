"""The principals of a repository's policy: those that ECR does not know yet, and those that were deleted.

Facts: IAM guide, "Troubleshooting IAM" (changes are not always immediately visible) and "AWS JSON policy elements:
Principal" (a deleted role is shown by its unique id, and a policy that names one cannot be saved); ECR's words as
reported in terraform-provider-aws issues 1164, 39064 and 26622.

`POST /_local/principals {"youngSeconds": n, "deleted": [arn]}`: a principal is refused until it is n seconds old, counted
from when a policy first named it, because the roles of the Lightsail emulator are not ministack's; 0 at the start. A
deleted one is refused for ever, and stored policies show it by an id.
"""

import hashlib
import json
import time
from typing import Any

from ministack.core.responses import error_response_json
from ministack.services import ecr

from additions import control
from additions.wrapping import wrap

_settings: dict[str, Any] = {"youngSeconds": 0, "deleted": []}
_first_named: dict[str, float] = {}


def install() -> None:
    wrap(ecr, "_set_repository_policy", _set_repository_policy)
    wrap(ecr, "_get_repository_policy", _get_repository_policy)
    control.register("principals", _set)


def _set(request: dict[str, Any]) -> dict[str, Any]:
    _settings.update({"youngSeconds": 0, "deleted": [], **request})
    return dict(_settings)


def _set_repository_policy(set_policy: Any, request: dict[str, Any]) -> tuple[Any, ...]:
    for principal in _principals(request.get("policyText", "")):
        first_named = _first_named.setdefault(principal, time.monotonic())
        age = time.monotonic() - first_named
        if principal.startswith("AROA") or principal in _settings["deleted"] or age < _settings["youngSeconds"]:
            message = "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Principal not found'"
            return error_response_json("InvalidParameterException", message)
    return set_policy(request)


def _get_repository_policy(get_policy: Any, request: dict[str, Any]) -> tuple[Any, ...]:
    status, headers, body = get_policy(request)
    text = body.decode() if isinstance(body, bytes) else body
    for arn in _settings["deleted"]:
        text = text.replace(arn, "AROA" + hashlib.sha256(arn.encode()).hexdigest()[:17].upper())
    return status, headers, text.encode()


def _principals(policy: str) -> list[str]:
    try:
        statements = json.loads(policy).get("Statement", [])
    except (ValueError, AttributeError):
        return []
    named = []
    for statement in statements if isinstance(statements, list) else [statements]:
        principal = statement.get("Principal")
        arns = principal.get("AWS", []) if isinstance(principal, dict) else []
        named += arns if isinstance(arns, list) else [arns]
    return [arn for arn in named if arn and arn != "*"]
