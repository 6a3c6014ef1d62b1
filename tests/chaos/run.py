"""One run: install, do every script, settle, collect, judge."""

from __future__ import annotations

import json
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from cloud import ThreadedAws, emulator

from chaos.act import act
from chaos.collect import collect, faults_played
from chaos.invariants import INVARIANTS, broken
from chaos.plan import Plan, plan
from chaos.settle import WINDOW_MS, Attendant, settle
from chaos.site import Site, Timeline, install_all

# Waits of a release are shortened by this factor: five seconds take a tenth of one.
WAIT_SCALE = 0.02
# How old an execution is before functions see it: Step Functions' reads are eventually consistent.
BEHIND_SECONDS = 2

Show = Callable[[str], None]


@dataclass
class Result:
    """What a run came to."""

    plan: Plan
    logs: Path
    broken: list[str] = field(default_factory=list)
    pushes: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def replay(self) -> str:
        places = len(self.plan.places)
        return f"make chaos SEED={self.plan.seed} RELEASES={self.plan.releases} ENVIRONMENTS={places}"

    def told(self) -> str:
        """The summary, to be read by a person."""
        lines = [
            (
                f"{self.pushes} pushes and {sum(self.outcomes.values())} releases over {len(self.plan.places)} environments"
                f" (seed {self.plan.seed})"
            ),
            "outcomes:",
            *_table(self.outcomes),
            f"faults that met a call, {sum(self.faults.values())}:",
            *_table(self.faults),
            f"invariants checked for each environment: {len(INVARIANTS)}; broken: {len(self.broken)}",
            *(f"  {what}" for what in self.broken),
            "seconds: " + ", ".join(f"{what} {seconds:.0f}" for what, seconds in self.seconds.items()),
            f"plan.json, timeline.jsonl and facts.json: {self.logs}",
            f"to replay: {self.replay}",
        ]
        return "\n".join(lines)


def run(seed: int, releases: int, environments: int, show: Show) -> Result:
    """Make the plan of the seed, do it on a local AWS of its own, and judge what happened."""
    made = plan(seed, releases, environments)
    aws = ThreadedAws(
        planetscale=emulator("planetscale-emulator"),
        lightsail=emulator("lightsail-emulator"),
        wait_scale=WAIT_SCALE,
    )
    result = Result(made, aws.logs)
    (aws.logs / "plan.json").write_text(json.dumps(made.told(), indent=1))
    timeline = Timeline(aws.logs / "timeline.jsonl")
    show(f"chaos: {result.replay}")
    with aws:
        sites = _timed(result, "install", lambda: install_all(aws, made, timeline, lambda _: None))
        show(f"installed {len(sites)} environments in {result.seconds['install']:.0f} s")
        # From now on functions do not see executions that have just begun.
        aws.control.post("/_local/consistency", {"seconds": BEHIND_SECONDS})
        _timed(result, "run", lambda: _play(result, sites, show))
        _timed(result, "settle", lambda: _settle(result, sites, show))
        _timed(result, "judge", lambda: _judge(result, sites))
    return result


def _play(result: Result, sites: list[Site], show: Show) -> None:
    ended = threading.Event()
    watcher = threading.Thread(target=_watch, args=(sites, ended, show))
    watcher.start()
    _each(result, sites, _script)
    ended.set()
    watcher.join()


def _script(site: Site) -> list[str]:
    with Attendant(site):
        for step in site.place.script:
            act(site, step)
    return []


def _settle(result: Result, sites: list[Site], show: Show) -> None:
    aws = sites[0].aws
    aws.lightsail.delete("/_control/faults")
    aws.planetscale.delete("/_control/faults")
    aws.control.post("/_local/function-faults", {})
    for site in sites:
        if site.planetscale:
            site.planetscale.nothing_fails()
    show("no more faults; settling")
    _each(result, sites, _settle_one)
    aws.planetscale.post("/_control/clock", {"advance_ms": WINDOW_MS})


def _settle_one(site: Site) -> list[str]:
    with Attendant(site):
        return settle(site)


def _judge(result: Result, sites: list[Site]) -> None:
    places = [collect(site) for site in sites]
    told = json.dumps([asdict(place) for place in places], default=_plain, indent=1)
    (result.logs / "facts.json").write_text(told)
    result.broken += broken(places)
    result.pushes = sum(len(site.pushes) for site in sites)
    result.faults = faults_played(sites)
    for place in places:
        result.outcomes.update(
            execution.status if execution.status == "ABORTED" else execution.end_state for execution in place.executions
        )


def _each(result: Result, sites: list[Site], work: Callable[[Site], list[str]]) -> None:
    """Do something in every environment at once."""

    def do(site: Site) -> None:
        try:
            result.broken += work(site)
        except Exception:  # The run goes on in the others, and fails at its end.
            result.broken.append(f"{site.place.name}: the suite itself failed: {traceback.format_exc()}")

    threads = [threading.Thread(target=do, args=(site,)) for site in sites]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _watch(sites: list[Site], ended: threading.Event, show: Show) -> None:
    planned = sum(site.place.pushes() for site in sites)
    while not ended.wait(10):
        pushed = ", ".join(f"{site.place.name} {len(site.pushes)}/{site.place.pushes()}" for site in sites)
        show(f"pushed {sum(len(site.pushes) for site in sites)} of {planned}: {pushed}")


def _timed(result: Result, what: str, work: Callable[[], list[Site] | None]) -> list[Site]:
    before = time.monotonic()
    try:
        return work() or []
    finally:
        result.seconds[what] = time.monotonic() - before


def _plain(value: object) -> object:
    return sorted(value) if isinstance(value, (set, frozenset)) else str(value)


def _table(counts: Counter[str]) -> list[str]:
    return [f"  {count:5}  {what}" for what, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))]
