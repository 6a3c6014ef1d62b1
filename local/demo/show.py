"""What every telling shows: a report, the releases at the end, and how to look closer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from cloud import Environment, LocalAws
from rich.console import Console
from rich.table import Table
from rich.text import Text

# Ten seconds are promised, and a loaded machine is late.
_EVERY_SECONDS = 5


@contextmanager
def progress(console: Console, first: str = "") -> Iterator[Callable[[str], None]]:
    """The last line of something long, which begins as `first`: in place, or every few seconds where no terminal is."""
    if console.is_terminal:
        with console.status(first) as status:
            yield lambda line: status.update(f"[dim]{_plain(line)[: console.width - 8]}[/]")
        return
    last, ended, began = [first], threading.Event(), time.monotonic()

    def tell() -> None:
        while not ended.wait(_EVERY_SECONDS):
            console.print(f"  {time.monotonic() - began:.0f} s  {_plain(last[0])[:100]}")

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield lambda line: last.__setitem__(0, line)
    finally:
        ended.set()
        thread.join()


def report(console: Console, environment: Environment, execution: dict[str, Any]) -> None:
    told = environment.report(execution["executionArn"])
    console.print()
    lines = [
        ("outcome", told["outcome"]),
        ("what happened", told["whatHappened"]),
        ("what to do", told["whatToDo"]),
        ("commit", told["commit"] or "unknown"),
    ]
    if request := told["deployRequest"]:
        lines.append(("deploy request", f"#{request['number']}, {request['state']}"))
        lines += [("", statement) for statement in request["statements"]]
    if told["order"]:
        lines.append(("order", told["order"]))
    if deployment := told["deployment"]:
        lines.append(("deployment", f"{deployment['version']} of {deployment['service']}, {deployment['url']}"))
    for label, text in lines:
        line = Text(f"  {label:<16}", "dim")
        line.append(text, "bold not dim" if label == "outcome" else "not dim")
        console.print(line)


def summary(console: Console, outcomes: list[tuple[str, str, float]], seconds: float) -> None:
    console.rule(f"[bold]{len(outcomes)} releases, each started by a push", align="left")
    table = Table.grid(padding=(0, 2))
    for title, outcome, took in outcomes:
        style = "green" if outcome == "Released" else "red"
        table.add_row(f"  {title}", f"[{style}]{outcome}[/]", f"{took:.1f} s")
    console.print(table)
    console.print(f"  in {seconds:.1f} s; waits are shortened to a tenth")


def closer(console: Console, aws: LocalAws, environment: Environment, keep: bool) -> None:
    newest = environment.executions()[0]["executionArn"]
    console.print("\nTo look closer at a release:")
    console.print(f"  aws stepfunctions get-execution-history --execution-arn {newest}")
    if not keep:
        console.print("  (run `make demo KEEP=1` to keep the local AWS for it)")
        return
    console.print("With these variables:")
    for name, value in aws.environment().items():
        console.print(f"  export {name}={value}")
    input("Press Enter to stop. ")


def _plain(line: str) -> str:
    return line.strip().replace("[", "\\[")
