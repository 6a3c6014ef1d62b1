"""The picture of the state machine is that of the definition, and can be read."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from cloud import machine
from picture.__main__ import DEFINITION, OUTCOMES, PICTURE, executed
from picture.drawing import Picture, draw
from picture.journey import journey
from picture.page import DRAWN, page
from picture.runs import GOLDEN, outcomes, read, runs


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
    assert ">3.5 s in 2<" in drawn and ">5 s<" in drawn


def test_the_documents_show_the_golden_runs(picture: Picture) -> None:
    assert OUTCOMES.read_text() == page(runs()), "make picture writes it again"
    for outcome in DRAWN:
        run = read(GOLDEN / f"{outcome}.txt")
        assert executed(run).read_text() == picture.svg(run.journey()), "make picture draws it again"
    assert {path.stem for path in executed(runs()[0]).parent.iterdir()} == set(DRAWN)


def test_every_outcome_has_its_section() -> None:
    sections = [line.removeprefix("## ") for line in OUTCOMES.read_text().splitlines() if line.startswith("## ")]
    assert sections == outcomes() and len(sections) > 10


@pytest.mark.skipif(machine.browser() is None, reason="no browser; make setup installs one")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("drawn", ["release", *(f"runs/{outcome}" for outcome in DRAWN)])
def test_a_browser_shows_every_text_whole_and_with_contrast(drawn: str, scheme: str, tmp_path: Path) -> None:
    texts = seen(PICTURE.parent / f"{drawn}.svg", scheme, tmp_path)
    assert len(texts) > 60
    assert [text for text in texts if not text["inside"]] == []
    # As the Web Content Accessibility Guidelines ask of text; what was not entered stands back.
    assert [text for text in texts if text["contrast"] < (4.5 if text["opacity"] == 1 else 1.4)] == []


# Of each text: whether it is drawn inside its box, or inside the picture where it has none; how opaque it is; and the
# contrast with what is under it.
_LOOK = """
const luminance = (colour) => {
  const parts = colour.match(/\\d+/g).slice(0, 3).map((part) => part / 255);
  const linear = parts.map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
};
const mixed = (colour, under, opacity) => {
  const [above, below] = [colour, under].map((one) => one.match(/\\d+/g).map(Number));
  return `rgb(${above.slice(0, 3).map((part, n) => Math.round(part * opacity + below[n] * (1 - opacity)))})`;
};
const svg = document.querySelector("svg");
const fill = (part) => getComputedStyle(part).fill;
const paper = fill(svg.querySelector(".paper"));
const band = fill(svg.querySelector(".band"));
const picture = svg.viewBox.baseVal;
const looked = [...svg.querySelectorAll("text")].map((text) => {
  const box = text.previousElementSibling?.classList.contains("box") ? text.previousElementSibling : null;
  const {x, y, width, height} = text.getBBox();
  const room = box ? box.getBBox() : picture;
  const opacity = Number(getComputedStyle(text.parentElement).opacity);
  const under = text.classList.contains("note") ? paper : band;
  const ground = box ? mixed(fill(box), under, opacity) : under;
  const tones = [luminance(mixed(fill(text), ground, opacity)), luminance(ground)].sort((a, b) => b - a);
  return {
    text: text.textContent, opacity, contrast: (tones[0] + 0.05) / (tones[1] + 0.05),
    inside: (width > 0 || !text.textContent) && x >= room.x && x + width <= room.x + room.width
      && y >= room.y && y + height <= room.y + room.height,
  };
});
const dark = matchMedia("(prefers-color-scheme: dark)").matches;
document.body.textContent = JSON.stringify({scheme: dark ? "dark" : "light", texts: looked});
"""


def seen(picture: Path, scheme: str, folder: Path) -> Sequence[dict[str, Any]]:
    """What a browser shows of the texts of a picture."""
    page = folder / "page.html"
    page.write_text(f"<!doctype html><meta charset=utf-8><body>{picture.read_text()}<script>{_LOOK}</script>")
    browser = machine.browser()
    assert browser is not None
    command = [browser, "--headless", "--disable-gpu", f"--user-data-dir={folder / 'profile'}", "--dump-dom"]
    command.append(f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}")
    # Chromium's sandbox refuses to run as root.
    command += ["--no-sandbox"] if os.geteuid() == 0 else []
    shown = subprocess.run([*command, page.as_uri()], capture_output=True, text=True, check=True).stdout
    told = json.loads(shown.partition("<body>")[2].partition("</body>")[0].replace("&gt;", ">").replace("&lt;", "<"))
    assert told["scheme"] == scheme
    return list(told["texts"])
