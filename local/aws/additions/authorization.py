"""`POST /_local/authorize`: may these credentials do this?

For emulators beside ministack, so that they enforce the same roles.
Request: `{"accessKeyId", "sessionToken", "action", "resource"}`, the action as IAM spells
it (`lightsail:CreateContainerServiceDeployment`).
Answer: `{"allowed": true}` or `{"allowed": false, "code", "message"}` in AWS's words.
Signatures are not checked here.
"""

from typing import Any

from ministack.core import iam_evaluator
from ministack.core.iam_actions import identity_denial_message
from ministack.core.responses import get_account_id, get_region

from additions import control

_REFUSED = (iam_evaluator.AuthError, iam_evaluator.CredentialResolutionError)


def install() -> None:
    control.register("authorize", _authorize)


def _authorize(request: dict[str, Any]) -> dict[str, Any]:
    for field in ("accessKeyId", "action"):
        if not request.get(field):
            raise ValueError(f"'{field}' is missing")
    access_key, session_token = request["accessKeyId"], request.get("sessionToken") or ""
    refusal = decide(access_key, session_token, request["action"], request.get("resource") or "*")
    return {"allowed": False, **refusal} if refusal else {"allowed": True}


def decide(access_key: str, session_token: str, action: str, resource: str) -> dict[str, str] | None:
    """Nothing if these credentials may do this, else AWS's code and message."""
    principal = _principal(access_key, session_token)
    if isinstance(principal, _REFUSED):
        return {"code": principal.code, "message": principal.message}
    if principal.policies is None:  # The root of the account.
        return None

    context = iam_evaluator.EvalContext(
        principal_arn=principal.arn,
        principal_type=principal.type,
        principal_account=principal.account,
        action=action,
        resource_arn=resource,
        region=get_region(),
        service_context={"aws:tagkeys": None},
        principal_keys=principal.keys,
    )
    result = iam_evaluator.evaluate(context, principal.policies, *principal.limits)
    if result.decision == "Allow":
        return None
    message = identity_denial_message(action, principal.arn, resource, result.decision == "Deny")
    return {"code": "AccessDeniedException", "message": message}


def _principal(access_key: str, session_token: str) -> Any:
    principal = iam_evaluator.resolve_principal(access_key, get_account_id())
    if isinstance(principal, _REFUSED):
        return principal
    credential = iam_evaluator.resolve_credential(access_key, principal.account, session_token)
    return credential if isinstance(credential, _REFUSED) else principal
