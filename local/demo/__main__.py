"""Releases on a local AWS, shown live: with a real database, a real build and real containers where the machine has what they need."""

from __future__ import annotations

import argparse
import sys

from cloud import machine
from cloud.processes import ProcessFailed
from rich.console import Console

from demo import short, whole


def main() -> int:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="keep the local AWS running until Enter is pressed")
    parser.add_argument("--short", action="store_true", help="without a real database, build and containers")
    arguments = parser.parse_args()
    console = Console(highlight=False, soft_wrap=True)
    missing = machine.missing()
    try:
        if arguments.short or missing:
            code = short.run(console, arguments.keep)
        else:
            code = whole.run(console, arguments.keep)
    except (ProcessFailed, RuntimeError) as error:
        console.print(f"[bold red]The demo stopped.[/] {error}", markup=True)
        return 1
    except KeyboardInterrupt:
        console.print("Stopped.")
        return 130
    if missing:
        console.print("\nThe full story has a real database and a real build. `make setup` installs what it needs:")
        console.print(*(f"  {line}" for line in machine.advice(missing)), sep="\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
