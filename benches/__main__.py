"""Measure, write `benches/results/<part>.json`, and print the tables."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table as Printed

from benches import picture
from benches.failed import Failed
from benches.machine import machine
from benches.table import Table

PARTS = ["functions", "releases", "scale", "build"]
_RESULTS = Path(__file__).with_name("results")
# Progress is not in the output, so that the tables can be sent to a file.
_progress = Console(stderr=True, highlight=False)


def main() -> None:
    options = _options()
    for part in options.parts:
        try:
            _measure(part, options)
        except Failed as error:
            sys.exit(f"error: {part}: {error}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benches", description=__doc__)
    parser.add_argument(
        "--parts", type=_parts, default=PARTS[:2], metavar="PART,…",
        help=f"what to measure, of {','.join(PARTS)} (default: {','.join(PARTS[:2])})",
    )  # fmt: skip
    parser.add_argument(
        "--scale", type=_numbers, default=[1, 10, 100], metavar="NUMBER,…",
        help="how many releases at once the part scale makes (default: 1,10,100)",
    )  # fmt: skip
    return parser.parse_args()


def _parts(text: str) -> list[str]:
    parts = text.split(",")
    for part in parts:
        if part not in PARTS:
            raise argparse.ArgumentTypeError(f"{part!r} is none of {', '.join(PARTS)}")
    return parts


def _numbers(text: str) -> list[int]:
    numbers = [int(number) for number in text.split(",")]
    if min(numbers) < 1:
        raise argparse.ArgumentTypeError("a number of releases is at least 1")
    return numbers


def _measure(part: str, options: argparse.Namespace) -> None:
    module = importlib.import_module(f"benches.{part}")
    results: dict[str, Any] = module.measure(
        lambda text: _progress.print(f"{part}: {text}", markup=False, soft_wrap=True), options
    )
    command = f"python -m benches --parts {part}"
    if part == "scale":
        command += f" --scale {','.join(map(str, options.scale))}"
    document = {
        "date": f"{datetime.now(timezone.utc):%Y-%m-%d}",
        "command": command,
        "machine": machine(),
        "results": results,
    }
    _RESULTS.mkdir(exist_ok=True)
    (_RESULTS / f"{part}.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    if part == "functions":
        (_RESULTS / "speed.svg").write_text(picture.draw(results), encoding="utf-8")
    # Cut off by no width: the tables are for reading and for files.
    console = Console(width=None if sys.stdout.isatty() else 200, highlight=False)
    for table in module.rows(results):
        console.print(_printed(table))
        console.print()


def _printed(table: Table) -> Printed:
    printed = Printed(title=table.title, title_justify="left", box=box.SIMPLE_HEAD)
    for index, name in enumerate(table.head):
        printed.add_column(name, justify="right" if index else "left")
    for row in table.rows:
        printed.add_row(*row)
    return printed


if __name__ == "__main__":
    main()
