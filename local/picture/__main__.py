"""`make picture` writes docs/release.svg, the picture of the state machine, and what the documents show of the golden runs.

With HISTORY=FILE, the answer of `aws stepfunctions get-execution-history`, it writes FILE.svg instead: the way that the
execution took, how often it entered each state, and for how long.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from cloud.local_aws import REPOSITORY

from picture.drawing import Picture, draw
from picture.journey import journey
from picture.page import DRAWN, page
from picture.runs import Run, runs

DEFINITION = REPOSITORY / "statemachine" / "release.asl.yaml"
PICTURE = REPOSITORY / "docs" / "release.svg"
OUTCOMES = REPOSITORY / "docs" / "outcomes.md"


def executed(run: Run) -> Path:
    """The picture of a run."""
    return REPOSITORY / "docs" / "runs" / f"{run.outcome}.svg"


def main(arguments: list[str]) -> None:
    if not arguments:
        PICTURE.write_text(draw(DEFINITION))
        golden = runs()
        OUTCOMES.write_text(page(golden))
        for run in golden:
            if run.outcome in DRAWN:
                executed(run).write_text(Picture(DEFINITION).svg(run.journey()))
        return
    history = Path(arguments[0])
    events = json.loads(history.read_text())["events"]
    history.with_suffix(".svg").write_text(Picture(DEFINITION).svg(journey(events)))


if __name__ == "__main__":
    main(sys.argv[1:])
