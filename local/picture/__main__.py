"""`make picture` writes docs/release.svg, the picture of the state machine."""

from __future__ import annotations

from cloud.local_aws import REPOSITORY

from picture.drawing import draw

DEFINITION = REPOSITORY / "statemachine" / "release.asl.yaml"
PICTURE = REPOSITORY / "docs" / "release.svg"

if __name__ == "__main__":
    PICTURE.write_text(draw(DEFINITION))
