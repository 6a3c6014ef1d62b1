"""The picture of the state machine is that of the definition, and can be read."""

from __future__ import annotations

from itertools import combinations

import pytest
import yaml
from picture.__main__ import DEFINITION, PICTURE
from picture.drawing import Picture, draw
from picture.journey import journey


@pytest.fixture(scope="module")
def picture() -> Picture:
    return Picture(DEFINITION)


def test_the_picture_is_that_of_the_definition() -> None:
    assert PICTURE.read_text() == draw(DEFINITION), "make picture draws it again"


def test_every_state_has_a_box_and_every_edge_a_line_or_a_mark(picture: Picture) -> None:
    definition = yaml.safe_load(DEFINITION.read_text())["States"]
    assert set(picture.states) == set(definition)
    for name, state in definition.items():
        targets = {state.get("Next"), state.get("Default")}
        targets |= {way["Next"] for way in [*state.get("Choices", []), *state.get("Catch", [])]}
        drawn = picture.states[name]
        for target in targets - {None}:
            assert target in drawn.edges or target == "FinishRelease" and (drawn.ends or drawn.fails), (name, target)


def test_the_architecture_tells_the_numbers_of_now() -> None:
    text = DEFINITION.read_text()
    definition = yaml.safe_load(text)["States"]
    edges = {
        (name, target)
        for name, state in definition.items()
        for way in [state, {"Next": state.get("Default")}, *state.get("Choices", []), *state.get("Catch", [])]
        if (target := way.get("Next"))
    }
    numbers = {"states": len(definition), "edges": len(edges), "lines": len(text.splitlines())}
    for block in ("Catch", "Retry"):
        numbers[f"{block} blocks"] = sum(len(state.get(block, [])) for state in definition.values())
    document = (PICTURE.parent / "architecture.md").read_text()
    for what, number in numbers.items():
        row = next(line for line in document.splitlines() if line.startswith(f"| {what} |"))
        assert row.split("|")[-2].strip() == f"{number:,}", what


def test_no_box_lies_on_another_and_all_are_inside(picture: Picture) -> None:
    boxes = [(s.x - s.width / 2, s.x + s.width / 2, s.y) for s in picture.states.values()]
    assert all(left >= 0 and right <= picture.width and 0 <= y <= picture.height for left, right, y in boxes)
    for (left, right, y), (other_left, other_right, other_y) in combinations(boxes, 2):
        assert abs(y - other_y) > 28 or right < other_left or other_right < left


def test_the_colours_of_both_schemes_can_be_read() -> None:
    def luminance(colour: str) -> float:
        parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    style = PICTURE.read_text().partition("<style>")[2].partition("text {")[0]
    schemes = [dict(word.split(": ") for word in scheme.split("; ")) for scheme in _schemes(style)]
    assert len(schemes) == 2
    for scheme in schemes:
        for ground in ("--paper", "--band", "--task", "--choice", "--good", "--bad"):
            lighter, darker = sorted((luminance(scheme["--ink"]), luminance(scheme[ground])), reverse=True)
            # As the Web Content Accessibility Guidelines ask of text.
            assert (lighter + 0.05) / (darker + 0.05) >= 4.5, ground


def _schemes(style: str) -> list[str]:
    return [" ".join(part.partition("}")[0].split()).rstrip(";") for part in style.split("svg {")[1:]]


def test_the_way_of_an_execution_is_drawn_over_it(picture: Picture) -> None:
    entered = [("BeginRelease", 0), ("AcquireLock", 0), ("IsItOurTurn?", 2), ("WaitForTurn", 2), ("AcquireLock", 7)]
    events = [{"timestamp": at, "stateEnteredEventDetails": {"name": name}} for name, at in entered]
    went = journey([*events, {"timestamp": 8.5}])
    assert went.seconds["AcquireLock"] == [2, 1.5]
    assert went.ways == {
        ("BeginRelease", "AcquireLock"), ("AcquireLock", "IsItOurTurn?"), ("IsItOurTurn?", "WaitForTurn"), ("WaitForTurn", "AcquireLock"),
    }  # fmt: skip
    drawn = picture.svg(went)
    # Four boxes and four edges.
    assert drawn.count('<g class="went">') == 8
    assert "2 × 3.5 s" in drawn and "5.0 s" in drawn
