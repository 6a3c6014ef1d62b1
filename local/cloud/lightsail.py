"""The Lightsail emulator, directed by its control API."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from cloud.local_aws import LocalAws


class Lightsail:
    """What becomes of images, what calls were made, and what runs."""

    def __init__(self, aws: LocalAws) -> None:
        self.api = aws.lightsail
        self._cleared: Counter[str] = Counter()

    def clear(self) -> None:
        """No more failing images, bad answers and faults; calls are counted anew. Services stay as they are."""
        self.api.delete("/_control/verdicts")
        self.api.delete("/_control/answers")
        self.api.delete("/_control/faults")
        self._cleared = self._all_calls()

    def next_image_fails(self, *log: str) -> None:
        """From now on, images fail their health check; the application logs these lines."""
        self._judge("failsHealthCheck", log)

    def next_image_hangs(self) -> None:
        """From now on, deployments neither succeed nor fail."""
        self._judge("hangs", ())

    def answers(self, path: str | None = None, *, image: str | None = None, **more: Any) -> None:
        """What is answered at a path of the public URL, by one image reference's tag or by all; the fields are in the
        emulator's README."""
        selector = {} if image is None else {"tag": image.rsplit(":", 1)[1]}
        rule = {"image": selector, **({} if path is None else {"path": path}), **more}
        self.api.put("/_control/answers", rule)

    def fault(self, kind: str, operation: str, **more: Any) -> None:
        """Play a fault at the next call of an operation; the kinds are in the emulator's README."""
        self.api.post("/_control/faults", {"kind": kind, "operation": operation, **more})

    def pending_faults(self) -> list[dict[str, Any]]:
        """The faults still to be played. One that holds its call has been played."""
        return self.api.get("/_control/faults")

    def durations(self, *, deployment: int | None = None, failure: int | None = None) -> None:
        """How many milliseconds a deployment takes, and how many more until a failure shows."""
        changes: dict[str, int] = {}
        if deployment is not None:
            phases = ("creatingDeploymentMs", "evaluatingHealthCheckMs", "activatingDeploymentMs")
            changes |= dict.fromkeys(phases, deployment // len(phases))
        if failure is not None:
            changes["failureMs"] = failure
        self.settings(**changes)

    def settings(self, **changes: Any) -> dict[str, Any]:
        """Change settings by their names in the emulator's README, and read them all."""
        return self.api.post("/_control/settings", changes)

    def person(self, operation: str, **request: Any) -> None:
        """A person acts beside the pipeline, by an operation of the API."""
        self.api.post(f"/_control/act/{operation}", request)

    def service(self, name: str) -> dict[str, Any]:
        """A container service as the API shows it, and more."""
        return next(s for s in self.api.get("/_control/services") if s["containerServiceName"] == name)

    def calls(self) -> dict[str, int]:
        """How often each operation was called since `clear`."""
        return dict(self._all_calls() - self._cleared)

    def active_image(self, service: str) -> str | None:
        """The image reference of the service's active deployment, which has one container."""
        found: Iterator[dict[str, Any]] = (
            s for s in self.api.get("/_control/services") if s["containerServiceName"] == service
        )
        deployment = next(found, {}).get("currentDeployment")
        return next(iter(deployment["containers"].values()))["image"] if deployment else None

    def public_url(self, service: str) -> str:
        """Where the service is reached: its containers answer, or rules when the local AWS runs none."""
        found: Iterator[dict[str, Any]] = (
            s for s in self.api.get("/_control/services") if s["containerServiceName"] == service
        )
        return next(found)["url"]

    def log(self, service: str, container: str) -> list[str]:
        """The lines of a container's log."""
        found: Iterator[dict[str, Any]] = (
            s for s in self.api.get("/_control/services") if s["containerServiceName"] == service
        )
        return [line["message"] for line in next(found)["logs"].get(container, [])]

    def _judge(self, verdict: str, log: tuple[str, ...]) -> None:
        self.api.put("/_control/verdicts", {"image": {}, "verdict": verdict, "log": list(log)})

    def _all_calls(self) -> Counter[str]:
        counts = self.api.get("/_control/counts")
        return Counter({operation: count["total"] for operation, count in counts.items()})
