"""Doing the steps of a script."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from datetime import datetime, timezone
from functools import singledispatch

from cloud import push_event, push_image
from cloud.json_http import RequestFailed

from chaos import plan
from chaos.plan import Step
from chaos.site import Site, until

# ECR's events are switched for all repositories at once, so pushes go one after the other.
_pushing = threading.Lock()


def act(site: Site, step: Step) -> None:
    """Do one step, and write it to the timeline."""
    site.timeline.add(site.place.name, {**step.told(), "went": _do(step, site) or "done"})


def commit(site: Site, image: int) -> str:
    """The immutable tag of an image, the same in every run of the plan."""
    return hashlib.sha1(f"{site.place.name}/{image}".encode()).hexdigest()


@singledispatch
def _do(step: Step, site: Site) -> str | None:
    raise TypeError(f"nothing does {step}")


@_do.register
def _(step: plan.Pause, site: Site) -> None:
    time.sleep(step.milliseconds / 1000)


@_do.register
def _(step: plan.Quiet, site: Site) -> str | None:
    return None if site.quiet(180) else "a release still runs"


@_do.register
def _(step: plan.ChangeSchema, site: Site) -> None:
    site.database.sql("dev", step.sql)


@_do.register
def _(step: plan.PutBack, site: Site) -> str | None:
    here, there = (f"`{step.what}`" in site.database.schema(branch) for branch in ("dev", "main"))
    if here or not there:
        return "it was dropped"
    site.database.sql("dev", step.sql)
    return None


@_do.register
def _(step: plan.Push, site: Site) -> str | None:
    tag = commit(site, step.image)
    new = all(push["image"] != step.image for push in site.pushes)
    repository = site.place.repository
    if new:
        judge(site, step.image, step.verdict)
    with _pushing:
        site.aws.deliver_image_events("never" if step.event == "late" else step.event)
        at = datetime.now(timezone.utc)
        files = {"place": site.place.name, "image": str(step.image)}
        digest = push_image(site.aws, repository, [tag, site.place.name] if new else [site.place.name], files=files)
        moved = datetime.now(timezone.utc)
        site.aws.deliver_image_events("once")
    unchanged = bool(site.pushes) and site.pushes[-1]["digest"] == digest
    if unchanged:
        return "the tag was there"
    site.pushes.append({"at": at, "moved": moved, "digest": digest, "commit": tag, **step.told()})
    if step.event == "late":
        late = threading.Thread(target=_deliver, args=(site, digest, moved, step.late / 1000))
        late.start()
        site.late.append(late)
    return digest


def judge(site: Site, image: int, verdict: str) -> None:
    """From now on, this becomes of the image."""
    match = {"repository": site.place.repository, "tag": commit(site, image)}
    site.aws.lightsail.put("/_control/verdicts", {"image": match, "verdict": verdict, "log": ["it was told to fail"]})


def _deliver(site: Site, digest: str, pushed: datetime, after_seconds: float) -> None:
    """What EventBridge does with an event: it invokes the function asynchronously."""
    time.sleep(after_seconds)
    event = push_event(site.place.repository, digest, site.place.name, pushed)
    site.aws.client("lambda").invoke(
        FunctionName=site.function("start-release"), InvocationType="Event", Payload=json.dumps(event).encode()
    )


@_do.register
def _(step: plan.Resolve, site: Site) -> None:
    judge(site, step.image, step.verdict)


@_do.register
def _(step: plan.PlanetScaleFault, site: Site) -> None:
    path = f"databases/{site.place.database}/deploy-requests{step.path}"
    site.database.fault(step.kind, method=step.method, path=path, **step.more)


@_do.register
def _(step: plan.NextDeploy, site: Site) -> None:
    fails = {
        "deploy_error": site.database.next_deploy_fails,
        "revert_refused": site.database.next_revert_is_refused,
        "revert_error": site.database.next_revert_fails,
    }
    fails[step.how]()


@_do.register
def _(step: plan.LightsailFault, site: Site) -> None:
    fault = {"kind": step.kind, "operation": step.operation, "service": site.service, **step.more}
    site.aws.lightsail.post("/_control/faults", fault)


@_do.register
def _(step: plan.FunctionFault, site: Site) -> None:
    fault = {
        "function": site.function(step.function),
        "error": step.error,
        "worked": step.worked,
        "killed": step.killed,
        "count": step.count,
    }
    site.aws.control.post("/_local/function-faults", fault)


@_do.register
def _(step: plan.Kill, site: Site) -> str:
    killed = site.aws.control.post("/_local/kill", {"function": site.function(step.function)})
    return f"{killed['atWork']} at work"


@_do.register
def _(step: plan.Stop, site: Site) -> str:
    running = site.running()
    if not running:
        return "nothing ran"
    client = site.aws.client("stepfunctions")
    client.stop_execution(executionArn=running[0])
    if client.describe_execution(executionArn=running[0])["status"] == "ABORTED":
        site.stopped.append(running[0].rsplit(":", 1)[1])
    return running[0]


@_do.register
def _(step: plan.Redrive, site: Site) -> str:
    if not site.stopped:
        return "nothing was stopped"
    arn = f"{site.machine.replace(':stateMachine:', ':execution:')}:{site.stopped[-1]}"
    client = site.aws.client("stepfunctions")
    if client.describe_execution(executionArn=arn)["status"] != "ABORTED":
        return "it went on already"
    site.redriven.append(site.stopped[-1])
    client.redrive_execution(executionArn=arn)
    return arn


@_do.register
def _(step: plan.RotateToken, site: Site) -> None:
    old = site.token["id"]
    site.rotations += 1
    site.grant_token()
    time.sleep(step.milliseconds / 1000)
    site.api.delete(f"/_control/tokens/{old}")


@_do.register
def _(step: plan.Rescale, site: Site) -> str | None:
    return update_service(site, scale=step.scale)


@_do.register
def _(step: plan.Disable, site: Site) -> str | None:
    return update_service(site, isDisabled=step.disabled)


def update_service(site: Site, **change: object) -> str | None:
    """A person's update of the container service, tried until Lightsail, which is busy with a deployment, takes it."""
    refusals: list[str] = []

    def taken() -> bool:
        try:
            request = {"serviceName": site.service, **change}
            site.aws.lightsail.post("/_control/act/UpdateContainerService", request)
        except RequestFailed as error:
            refusals.append(str(error))
            return False
        return True

    # A deployment that hangs keeps it busy until its script, which waits here, goes on.
    return None if until(taken, 20) else f"refused: {refusals[-1]}"


@_do.register
def _(step: plan.Person, site: Site) -> str:
    if not until(lambda: bool(site.database.open_requests()), 2):
        return "no request was open"
    try:
        site.database.person(step.action, person="ada")
    except RequestFailed as error:
        return f"refused: {error}"
    return "done"
