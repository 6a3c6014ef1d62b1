"""The golden runs, read back: what the documents show of them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from cloud.local_aws import REPOSITORY

from picture.journey import Journey

GOLDEN = REPOSITORY / "tests" / "golden"
_STEP = re.compile(r" *(\d+) s  (\S+)(?: +(.*))?")


@dataclass
class Step:
    """A state that was entered, in seconds after the start, and what it found: nothing for a question or a wait."""

    at: float
    state: str
    found: list[str] = field(default_factory=list)


@dataclass
class Run:
    """A release that ends as `outcome`; `about` says what happens to it."""

    outcome: str
    about: str
    steps: list[Step]
    mails: list[str]

    @property
    def seconds(self) -> float:
        """From its start to its end."""
        return self.steps[-1].at

    def journey(self) -> Journey:
        """The way that it took."""
        went = Journey()
        for step, following in pairwise(self.steps):
            went.seconds.setdefault(step.state, []).append(following.at - step.at)
            went.ways.add((step.state, following.state))
        went.seconds.setdefault(self.steps[-1].state, []).append(0)
        return went


def read(path: Path) -> Run:
    """The run that the simulation wrote to `path`."""
    told, *mails = path.read_text().split("\nA mail:\n\n")
    outcome, about, lines = told.split("\n\n", 2)
    steps: list[Step] = []
    for line in lines.splitlines():
        if found := _STEP.fullmatch(line):
            at, state, said = found.groups()
            steps.append(Step(float(at), state, [said] if said else []))
        elif line:
            steps[-1].found.append(line.strip())
    return Run(outcome, about, steps, [_without_indent(mail) for mail in mails])


def _without_indent(mail: str) -> str:
    return "\n".join(line.removeprefix("  ") for line in mail.rstrip().splitlines())


def outcomes() -> list[str]:
    """Their names, in the order of the enum."""
    text = (REPOSITORY / "shared" / "src" / "outcome.rs").read_text()
    listed = text.partition("pub const ALL")[2].partition("];")[0]
    return re.findall(r"Self::(\w+)", listed)


def runs() -> list[Run]:
    """Every run, in the order of the outcomes."""
    return [read(path) for name in outcomes() if (path := GOLDEN / f"{name}.txt").exists()]
