"""docs/outcomes.md: one release of each outcome, from the golden runs."""

from __future__ import annotations

from collections.abc import Iterable

from picture.runs import Run, Step

# The runs whose way is drawn over the definition, each for another part of it.
DRAWN = ("Released", "SchemaReverted", "Undone")

_HEAD = """# One release of each outcome

What a person sees of a release: in the Step Functions console the states that it entered, and what each found; then the mail.
`make golden` makes this page from [`tests/golden`](../tests/golden/README.md), where each release stands state by state: the
real handlers and the real definition, in the [simulation](../tests/simulation), on virtual time.
Each comes after a release whose containers serve; migrations last 20 seconds and containers start in 100, where nothing else is said.

Questions and waits are left out here. A state that was entered again and again is one row: how often, and what it found last.
"""


def page(runs: Iterable[Run]) -> str:
    """The page, as Markdown."""
    return "\n".join([_HEAD, *(_section(run) for run in runs)])


def _section(run: Run) -> str:
    parts = [f"## {run.outcome}", "", run.about, f"It took {_duration(run.seconds)} and {len(run.steps)} states.", ""]
    if run.outcome in DRAWN:
        parts += [f"![The way of a release that ends as {run.outcome}](runs/{run.outcome}.svg)", ""]
    parts += ["| after | state | what it found |", "|---|---|---|"]
    parts += [_row(steps) for steps in _visits(run.steps)]
    for mail in run.mails:
        subject, text = mail.split("\n", 1)
        parts += ["", "```text", f"Subject: {subject}", "", text, "```"]
    return "\n".join([*parts, ""])


def _visits(steps: Iterable[Step]) -> list[list[Step]]:
    """Those that found something; what was entered again before any other did is together."""
    visits: list[list[Step]] = []
    for step in steps:
        if not step.found:
            continue
        if visits and visits[-1][-1].state == step.state:
            visits[-1].append(step)
        else:
            visits.append([step])
    return visits


def _row(steps: list[Step]) -> str:
    times = f", {len(steps)} times" if len(steps) > 1 else ""
    found = "<br>".join(steps[-1].found).replace("|", "\\|")
    return f"| {_duration(steps[0].at)} | `{steps[0].state}`{times} | {found} |"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
