"""What people and the schedule do while a run goes on, and until it has settled.

During the run: where a release asks for an approval, a person gives it; a gated request is applied; a failed one is
cleared from the queue; the hold that a rollback sets is cleared.

After the last step no new fault comes. What settles an environment is then no more than: the scheduled look, and a
person who does what the last release's message says: release again, at most three times, or close a request that could
not be closed. At the end PlanetScale's clock passes the 30 minutes after which it closes a revert window by itself.
"""

from __future__ import annotations

import threading
from datetime import datetime, timezone
from typing import Any

from cloud.environment import FunctionError
from cloud.json_http import RequestFailed

from chaos import plan
from chaos.act import judge, update_service
from chaos.site import Site

WINDOW_MS = 31 * 60 * 1000
# After these, the message says to release again; after a refusal, when `dev` was changed, which its script has done.
AGAIN = frozenset({"SchemaRefused", "SchemaRejected", "SchemaFailed", "TimedOut", "ReleaseError", "ABORTED"})


class Attendant:
    """A person who does what deploy requests wait for."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._gone = threading.Event()
        self._thread = threading.Thread(target=self._attend)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._gone.set()
        self._thread.join()

    def _attend(self) -> None:
        while not self._gone.wait(0.7):
            if self._site.planetscale:
                attend(self._site)
            clear_hold(self._site)


def clear_hold(site: Site) -> None:
    """End the hold that a rollback set, so that what was pushed after it is released."""
    hold = next((record for record in site.environment.records() if record["kind"] == "hold"), None)
    if hold is None or "until" in hold:
        return
    try:
        went = site.environment.invoke(site.function("start-release"), {"hold": None})
    except FunctionError as error:
        went = str(error)
    site.timeline.add(site.place.name, {"step": "ClearHold", "hold": hold["why"], "went": went})


def attend(site: Site) -> None:
    for request in site.database.requests():
        action = _asked(request, site.place)
        if action is None:
            continue
        try:
            site.database.person(action, number=request["number"], person="grace")
            went = "done"
        except RequestFailed as error:
            went = f"refused: {error}"
        told = {"step": "Attend", "request": request["number"], "action": action, "went": went}
        site.timeline.add(site.place.name, told)


def _asked(request: dict[str, Any], place: plan.Place) -> str | None:
    if request["state"] != "open":
        return None
    match request["deployment_state"]:
        case "ready" if place.requires_approval and not request["approved"]:
            return "approve"
        case "pending_cutover":
            return "apply"
        case "complete_error" | "complete_revert_error":
            return "complete_deploy"
    return None


def settle(site: Site) -> list[str]:
    """Bring the environment to rest; what it could not do is returned."""
    for thread in site.late:
        thread.join()
    for push in site.pushes:
        if push["verdict"] == plan.HANGS and not _resolved(site, push["image"]):
            judge(site, push["image"], plan.FAILS)
    if not site.quiet(240):
        return [f"{site.place.name}: {arn} still runs" for arn in site.running()]
    if refused := update_service(site, isDisabled=False):
        return [f"{site.place.name}: the container service cannot be enabled: {refused}"]
    _look(site)
    site.quiet(240)
    for _ in range(3):
        if not _says_to_release_again(site):
            break
        told = site.environment.invoke(site.function("start-release"), {})
        site.timeline.add(site.place.name, {"step": "ReleaseByHand", "went": told})
        site.quiet(240)
    _close_what_a_message_names(site)
    return [f"{site.place.name}: {arn} still runs" for arn in site.running()]


def _close_what_a_message_names(site: Site) -> None:
    messages = "\n".join(str(note["message"]) for note in site.environment.notifications())
    for number in site.planetscale.open_requests() if site.planetscale else []:
        if f"Deploy request #{number} could not be closed" in messages:
            site.database.person("close", number=number, person="grace")
            site.timeline.add(site.place.name, {"step": "CloseByHand", "request": number})


def _resolved(site: Site, image: int) -> bool:
    return any(isinstance(step, plan.Resolve) and step.image == image for step in site.place.script)


def _look(site: Site) -> None:
    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    look = {"source": "aws.events", "detail-type": "Scheduled Event", "time": now, "detail": {}}
    try:
        told = site.environment.invoke(site.function("start-release"), look)
    except FunctionError as error:
        told = str(error)
    site.timeline.add(site.place.name, {"step": "Look", "went": told})


def _says_to_release_again(site: Site) -> bool:
    """Whether the newest release that did not step aside tells a person to release again."""
    for execution in sorted(site.environment.executions(), key=lambda e: e["startDate"], reverse=True):
        if execution["status"] == "ABORTED":
            return True
        outcome = site.environment.end_state(execution["executionArn"])
        if outcome not in ("Superseded", "Held"):
            return outcome in AGAIN or "is disabled" in str(site.environment.report(execution["executionArn"]))
    return False
