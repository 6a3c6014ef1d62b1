"""`create-deploy-request` in Python with boto3, as far as the benchmark's invocation goes."""

from __future__ import annotations

from typing import Any

from planetscale import Database, report
from runtime import serve


def handle(event: dict[str, Any]) -> dict[str, Any]:
    release = event["release"]
    head, base = release["database"]["headBranch"], release["database"]["baseBranch"]
    database = Database(release)
    if database.open_requests():
        raise NotImplementedError("adopting an open request is not part of the benchmark")
    body = {"branch": head, "into_branch": base, "notes": notes(event), "auto_cutover": True}
    created = database.call("POST", "/deploy-requests", body)
    return {"deployRequest": report(created), "because": f"Created from {head} into {base}."}


def notes(event: dict[str, Any]) -> str:
    release, image = event["release"], event["release"]["image"]
    return (
        f"Release of {release['application']} into {release['environment']}\n\nCommit: {image['commit']}\n"
        f"Image: {image['uri']}@{image['digest']}\nExecution: {event['execution']['arn']}"
    )


serve(handle)
