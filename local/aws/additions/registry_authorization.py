"""The registry protocol of ECR, with the permissions of whoever asked for the token.

Without it anybody may push. As on AWS, a token stands for the credentials that GetAuthorizationToken
was called with, a request without one is asked to log in, and each step of a push or pull needs its
permission.
Facts: ECR guide, "Private registry authentication" and "Required IAM permissions for pushing an
image"; Service Authorization Reference.
The tests' own pushes and the Lightsail emulator hold root's token, which may do everything. Requests
other than the first (`GET /v2/`) pass without a token, for a registry client sends one once asked.
"""

import base64
import contextvars
import json
from typing import Any

from ministack import app
from ministack.core.responses import get_account_id, get_region
from ministack.core.router import extract_access_key_id
from ministack.services import ecr

from additions.authorization import decide
from additions.wrapping import wrap

_caller: contextvars.ContextVar[tuple[str, str]] = contextvars.ContextVar("caller", default=("", ""))

_ACTIONS = {
    ("POST", "blob_uploads"): "ecr:InitiateLayerUpload",
    ("PATCH", "blob_upload_session"): "ecr:UploadLayerPart",
    ("PUT", "blob_upload_session"): "ecr:CompleteLayerUpload",
    ("HEAD", "blob"): "ecr:BatchCheckLayerAvailability",
    ("GET", "blob"): "ecr:GetDownloadUrlForLayer",
    ("PUT", "manifest"): "ecr:PutImage",
    ("GET", "manifest"): "ecr:BatchGetImage",
    ("HEAD", "manifest"): "ecr:BatchGetImage",
    ("DELETE", "manifest"): "ecr:BatchDeleteImage",
    ("GET", "tags_list"): "ecr:ListImages",
}


def install() -> None:
    wrap(ecr, "handle_request", _remember_caller)
    wrap(ecr, "_get_authorization_token", _get_authorization_token)
    wrap(ecr, "handle_registry_request", _handle_registry_request)


async def _remember_caller(
    handle_request: Any, method: str, path: str, headers: dict[str, Any], *rest: Any
) -> tuple[Any, ...]:
    _caller.set((extract_access_key_id(headers) or "", headers.get("x-amz-security-token", "")))
    return await handle_request(method, path, headers, *rest)


def _get_authorization_token(get_authorization_token: Any, request: dict[str, Any]) -> tuple[Any, ...]:
    status, headers, body = get_authorization_token(request)
    answer = json.loads(body)
    password = base64.urlsafe_b64encode(json.dumps(_caller.get()).encode()).decode()
    for entry in answer["authorizationData"]:
        entry["authorizationToken"] = base64.b64encode(f"AWS:{password}".encode()).decode()
    return status, headers, json.dumps(answer).encode()


async def _handle_registry_request(
    handle: Any, method: str, path: str, headers: dict[str, Any], body: Any, query_params: Any
) -> tuple[Any, ...]:
    authorization = next((value for name, value in headers.items() if name.lower() == "authorization"), "")
    verb, name, _ = ecr._parse_v2_path(path) or ("", "", "")
    if app.AUTH and authorization:
        caller = _holder(authorization)
        if caller is None:
            return _log_in("Your Authorization Token is invalid.")
        action = _ACTIONS.get((method.upper(), verb))
        repository = f"arn:aws:ecr:{get_region()}:{get_account_id()}:repository/{name}"
        refusal = decide(*caller, action, repository) if action else None
        if refusal:
            return ecr._registry_error(403, "DENIED", refusal["message"])
    elif app.AUTH and verb == "ping":
        return _log_in("no basic auth credentials")
    return await handle(method, path, headers, body, query_params)


def _holder(authorization: str) -> tuple[str, str] | None:
    """The access key and session token that a token stands for."""
    try:
        _, password = base64.b64decode(authorization.removeprefix("Basic ")).decode().split(":", 1)
        access_key, session_token = json.loads(base64.urlsafe_b64decode(password))
    except ValueError:
        return None
    return access_key, session_token


def _log_in(message: str) -> tuple[Any, ...]:
    status, headers, body = ecr._registry_error(401, "UNAUTHORIZED", message)
    realm = (
        f'Basic realm="https://{get_account_id()}.dkr.ecr.{get_region()}.amazonaws.com/",service="ecr.amazonaws.com"'
    )
    return status, {**headers, "Www-Authenticate": realm}, body
