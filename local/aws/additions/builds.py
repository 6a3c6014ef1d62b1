"""`POST /_local/build {"project", "succeeded", "exported", "startTime", "endTime", "resolvedSourceVersion"}`: a build ran.

ListBuildsForProject and BatchGetBuilds answer it from then on, with the variables that it exported and the link of its log.
BatchGetBuilds needs its permission on the project of the builds, whose names their ids begin with.
Facts: CodeBuild API reference, `Build`, `ExportedEnvironmentVariable` and `LogsLocation`; service authorization
reference, "Actions, resources, and condition keys for AWS CodeBuild".
Answer: `{"id", "buildNumber"}`.
"""

import json
import uuid
from typing import Any

from ministack.core import iam_actions
from ministack.core.responses import get_region
from ministack.services import codebuild

from additions import control
from additions.wrapping import wrap


def install() -> None:
    control.register("build", _build)
    wrap(iam_actions, "extract_resource_arn", _resource)


def _resource(
    extract_resource_arn: Any, service: str, method: str, path: str, headers: Any, body: bytes, *more: Any
) -> str:
    resource = extract_resource_arn(service, method, path, headers, body, *more)
    if service != "codebuild" or resource != "*":
        return resource
    try:
        ids = json.loads(body or b"{}").get("ids") or []
    except ValueError:
        return resource
    projects = {identifier.rpartition(":")[0] for identifier in ids}
    return codebuild._project_arn(projects.pop()) if len(projects) == 1 else resource


def _build(request: dict[str, Any]) -> dict[str, Any]:
    project = codebuild._projects.get(request["project"])
    if project is None:
        raise ValueError(f"there is no project '{request['project']}'")
    identifier = f"{request['project']}:{uuid.uuid4()}"
    build = codebuild._make_build_record(project, identifier, request.get("resolvedSourceVersion"))
    exported = request.get("exported", {})
    build |= {
        "startTime": request["startTime"],
        "endTime": request["endTime"],
        "buildComplete": True,
        "buildStatus": "SUCCEEDED" if request.get("succeeded", True) else "FAILED",
        "exportedEnvironmentVariables": [{"name": name, "value": value} for name, value in exported.items()],
    }
    if "resolvedSourceVersion" in request:
        build["resolvedSourceVersion"] = request["resolvedSourceVersion"]
    region = get_region()
    group, stream = (build["logs"][name].replace("/", "$252F") for name in ("groupName", "streamName"))
    build["logs"]["deepLink"] = (
        f"https://console.aws.amazon.com/cloudwatch/home?region={region}#logsV2:log-groups/log-group/{group}/log-events/{stream}"
    )
    codebuild._builds[identifier] = build
    return {"id": identifier, "buildNumber": build["buildNumber"]}
