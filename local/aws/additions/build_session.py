"""`POST /_local/build-session {"project"}`: the credentials that CodeBuild gives to a build.

CodeBuild assumes the project's service role, and the role's trust must allow it: for the service
`codebuild.amazonaws.com` with the project as its source.
Facts: CodeBuild guide, "Cross-service confused deputy prevention".
Answer: `{"AccessKeyId", "SecretAccessKey", "SessionToken"}`.
"""

import time
from typing import Any

from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id, get_region
from ministack.services import codebuild, iam, sts

from additions import control

_HOURS = 8


def install() -> None:
    control.register("build-session", _build_session)


def _build_session(request: dict[str, Any]) -> dict[str, Any]:
    name = request.get("project", "")
    project = codebuild._projects.get(name)
    if project is None:
        raise ValueError(f"there is no project '{name}'")
    account = get_account_id()
    role_name = project["serviceRole"].rpartition("/")[2]
    role = iam._roles.get(role_name)
    if role is None or not _trusts_codebuild(role, project["serviceRole"], codebuild._project_arn(name)):
        raise ValueError(f"CodeBuild is not authorized to perform: sts:AssumeRole on {project['serviceRole']}")
    session = f"AWSCodeBuild-{int(time.time() * 1000)}"
    credentials = {
        "AccessKeyId": sts._gen_session_access_key(),
        "SecretAccessKey": sts._gen_secret(),
        "SessionToken": sts._gen_session_token(),
    }
    sts.register_session(
        credentials["AccessKeyId"],
        {
            "Arn": f"arn:aws:sts::{account}:assumed-role/{role_name}/{session}",
            "UserId": f"{sts._role_id(project['serviceRole'])}:{session}",
            "SecretAccessKey": credentials["SecretAccessKey"],
            "SessionToken": credentials["SessionToken"],
            "Expiration": time.time() + _HOURS * 3600,
            "AccountId": account,
            "PrincipalType": "AssumedRole",
            "SourceAccessKeyId": "",
            "SourcePrincipalArn": f"arn:aws:iam::{account}:root",
            "SessionTags": [],
            "SessionPolicies": None,
        },
    )
    return credentials


def _trusts_codebuild(role: dict[str, Any], role_arn: str, project_arn: str) -> bool:
    account = get_account_id()
    # ministack knows a service as the root of the account, so root itself must not be trusted.
    context = iam_evaluator.EvalContext(
        principal_arn=f"arn:aws:iam::{account}:root",
        principal_type="Root",
        principal_account=account,
        action="sts:AssumeRole",
        resource_arn=role_arn,
        region=get_region(),
        service_context={"aws:sourceaccount": account, "aws:sourcearn": project_arn},
    )
    document = role.get("AssumeRolePolicyDocument", "{}")
    trusted = iam_evaluator.evaluate_trust_policy(document, context.principal_arn, context)
    return trusted and "codebuild.amazonaws.com" in str(document)
