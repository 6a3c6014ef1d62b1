"""The definition of the state machine as a picture: its phases one below the other, in plain SVG."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import yaml

from picture.journey import Journey

# What a state of each type looks like: the class of its box.
_CLASSES = {"Task": "task", "Choice": "choice", "Wait": "wait", "Pass": "task", "Succeed": "good", "Fail": "bad"}
# Pixels.
_CHARACTER, _PADDING, _HEIGHT, _GAP, _ROW, _PHASE, _MARGIN = 6.9, 22, 28, 26, 58, 34, 24
_SWEEPS = 24
# For the ways that run at both sides.
_SIDE = 90
# States beside one another.
_MOST = 5

_STYLE = """
  svg { --ink: #1f2328; --soft: #59636e; --paper: #ffffff; --band: #f6f8fa; --line: #8c959f;
        --task: #ddf4ff; --choice: #fff8c5; --good: #dafbe1; --bad: #ffebe9; --error: #bc4c00; }
  @media (prefers-color-scheme: dark) {
    svg { --ink: #f0f6fc; --soft: #9198a1; --paper: #0d1117; --band: #151b23; --line: #6e7681;
          --task: #0f3a63; --choice: #4d3c04; --good: #0f4424; --bad: #5d1a17; --error: #f0883e; }
  }
  text { font: 12px Helvetica, Arial, sans-serif; fill: var(--ink); }
  .phase { font-weight: bold; fill: var(--soft); }
  .note { fill: var(--soft); }
  .time { fill: var(--ink); font-weight: bold; stroke: var(--band); stroke-width: 4; paint-order: stroke; }
  .paper { fill: var(--paper); } .band { fill: var(--band); }
  .box { stroke: var(--line); stroke-width: 1; fill: var(--paper); }
  .task { fill: var(--task); } .choice { fill: var(--choice); } .good { fill: var(--good); } .bad { fill: var(--bad); }
  .wait { stroke-dasharray: 4 3; }
  .edge { fill: none; stroke: var(--line); stroke-width: 1.3; }
  .error { stroke: var(--error); stroke-dasharray: 3 3; }
  .tip { fill: var(--line); } .error-tip { fill: var(--error); }
  .went .box, .went .edge { stroke: var(--ink); stroke-width: 2.2; }
  .went .tip, .went .error-tip { fill: var(--ink); }
  .went circle { opacity: 0.3; } .went circle.left { opacity: 1; fill: var(--ink); }
  .not { opacity: 0.3; }
"""


@dataclass
class State:
    """A state and where it is drawn: the middle of its box, in pixels."""

    name: str
    kind: str
    phase: int
    row: int = 0
    x: float = 0
    y: float = 0
    # Whether a way leads from here to the end of the release, in order and by an error.
    ends: bool = False
    fails: bool = False
    # Where else it leads, and whether by an error alone.
    edges: dict[str, bool] = field(default_factory=dict)

    @property
    def width(self) -> float:
        return len(self.name) * _CHARACTER + _PADDING


def read(path: Path) -> tuple[list[str], dict[str, State]]:
    """The names of the phases, and the states in the order of the file.

    A phase begins at a comment such as `# ---- the turn ----`.
    """
    text = path.read_text()
    definition = yaml.safe_load(text)["States"]
    phases: list[str] = []
    states: dict[str, State] = {}
    for line in text.splitlines():
        if line.startswith("  # ---- "):
            phases.append(line.strip(" #-"))
        elif line.startswith("  ") and line.endswith(":") and line[2:-1] in definition:
            name = line[2:-1]
            states[name] = State(name, definition[name]["Type"], len(phases) - 1)
    for name, state in states.items():
        for target, is_error in _ways(definition[name]).items():
            # Every phase leads to the end: a mark says so better than a line.
            if target == "FinishRelease" and state.phase < states[target].phase:
                state.ends |= not is_error
                state.fails |= is_error
            else:
                state.edges[target] = is_error
    return phases, states


def _ways(state: dict[str, Any]) -> dict[str, bool]:
    own = [state.get("Next"), state.get("Default"), *(choice["Next"] for choice in state.get("Choices", []))]
    ways = {catch["Next"]: True for catch in state.get("Catch", [])}
    return ways | {target: False for target in own if target}


class Picture:
    """The definition at a path, with a place for each of its states. `width` and `height` are in pixels."""

    def __init__(self, path: Path) -> None:
        self.phases, self.states = read(path)
        self._rows = _rows(self.states)
        _place(self.states, self._rows)
        self.width = max(state.x + state.width / 2 for state in self.states.values()) + _SIDE
        self._bands, y = [], float(_MARGIN)
        for phase, title in enumerate(self.phases):
            rows = [row for row in self._rows if row[0].phase == phase]
            height = _PHASE + len(rows) * _ROW
            for number, row in enumerate(rows):
                for state in row:
                    state.y = y + _PHASE + number * _ROW + _HEIGHT / 2
            self._bands.append(_band(title, y, self.width, height))
            y += height + 12
        self.height = y + 30

    def svg(self, journey: Journey | None = None) -> str:
        """The picture, and over it the way that an execution took."""
        boxes = (
            _in_group(_box(state, journey), None if journey is None else state.name in journey.seconds)
            for state in self.states.values()
        )
        # Over the lines, which they would be lost under.
        times = (_time(state, journey.seconds.get(state.name, [])) for state in self.states.values() if journey)
        parts = [*self._bands, *_edges(self.states, self._rows, journey), *boxes, *times, _legend(self.height - 30)]
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width:.0f} {self.height:.0f}" role="img" '
            f'aria-label="The phases and states of a release">\n<style>{_STYLE}</style>\n'
            '<rect class="paper" width="100%" height="100%"/>\n' + "\n".join(parts) + "\n</svg>\n"
        )


def _in_group(part: str, went: bool | None) -> str:
    """Of a way that was taken or not; as it is where none is told."""
    return part if went is None else f'<g class="{"went" if went else "not"}">{part}</g>'


def draw(path: Path) -> str:
    """The picture of the definition at `path`; the same definition gives the same picture."""
    return Picture(path).svg()


def _rows(states: dict[str, State]) -> list[list[State]]:
    """The states of each row, from above: a state stands below those of its phase that lead to it."""
    order = list(states)
    for position, name in enumerate(order):
        before = [
            states[other]
            for other in order[:position]
            if name in states[other].edges and states[other].phase == states[name].phase
        ]
        states[name].row = max((state.row + 1 for state in before), default=0)
    found: dict[tuple[int, int], list[State]] = {}
    for state in states.values():
        found.setdefault((state.phase, state.row), []).append(state)
    rows = [found[key] for key in sorted(found)]
    return [row[start : start + _MOST] for row in rows for start in range(0, len(row), _MOST)]


def _place(states: dict[str, State], rows: list[list[State]]) -> None:
    """Give each state its x: near those that it leads to and that lead to it, without two boxes on one another."""
    near: dict[str, list[State]] = {name: [] for name in states}
    for state in states.values():
        for target in state.edges:
            near[state.name].append(states[target])
            near[target].append(state)
    for row in rows:
        _spread(row, [0.0] * len(row))
    for sweep in range(_SWEEPS):
        for row in rows if sweep % 2 else reversed(rows):
            wanted = {s.name: sum(n.x for n in near[s.name]) / max(len(near[s.name]), 1) for s in row}
            row.sort(key=lambda state: wanted[state.name])
            _spread(row, [wanted[state.name] for state in row])
    left = min(state.x - state.width / 2 for state in states.values())
    for state in states.values():
        state.x += _SIDE - left


def _spread(row: list[State], wanted: list[float]) -> None:
    at = 0.0
    for state in row:
        state.x = at + state.width / 2
        at += state.width + _GAP
    shift = sum(want - state.x for want, state in zip(wanted, row)) / len(row)
    for state in row:
        state.x += shift


def _band(title: str, y: float, width: float, height: float) -> str:
    return (
        f'<rect class="band" x="8" y="{y:.0f}" width="{width - 16:.0f}" height="{height:.0f}" rx="8"/>\n'
        f'<text class="phase" x="20" y="{y + 20:.0f}">{escape(title)}</text>'
    )


def _box(state: State, journey: Journey | None) -> str:
    x, y, width = state.x - state.width / 2, state.y - _HEIGHT / 2, state.width
    # A question is round; the mark at the right says that a way leads to the end.
    round_ = _HEIGHT / 2 if state.kind == "Choice" else 5
    marks = [("tip", state.ends), ("error-tip", state.fails)]
    shown = [kind for kind, has in marks if has]
    left = " left" if journey and (state.name, "FinishRelease") in journey.ways else ""
    circles = "".join(
        f'<circle class="{kind}{left}" cx="{x + width + 8 + 10 * number:.1f}" cy="{state.y:.1f}" r="4"/>'
        for number, kind in enumerate(shown)
    )
    return (
        f'<rect class="box {_CLASSES[state.kind]}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{_HEIGHT}" '
        f'rx="{round_}"/><text x="{state.x:.1f}" y="{state.y + 4:.1f}" text-anchor="middle">{escape(state.name)}</text>'
        + circles
    )


def _time(state: State, seconds: list[float]) -> str:
    """For how long a task or a wait was entered in all, and how often."""
    if not seconds or state.kind in ("Choice", "Pass", "Succeed", "Fail"):
        return ""
    lasted, times = f"{sum(seconds):,.1f}".removesuffix(".0") + " s", f" in {len(seconds)}" if len(seconds) > 1 else ""
    if lasted == "0 s":
        lasted, times = "", f"{len(seconds)} times" if times else ""
    x, y = state.x + state.width / 2, state.y - _HEIGHT / 2 - 4
    return f'<text class="time" x="{x:.1f}" y="{y:.1f}" text-anchor="end">{lasted}{times}</text>'


@dataclass
class Lane:
    """A vertical line at a side of the boxes, in which all ways run together that lead to one state from afar."""

    target: State
    sources: list[State]
    x: float = 0
    # The uppermost and the lowest of its ends.
    top: float = 0
    bottom: float = 0


def _edges(states: dict[str, State], rows: list[list[State]], journey: Journey | None) -> list[str]:
    row_of = {state.name: number for number, row in enumerate(rows) for state in row}
    lanes: dict[tuple[str, bool], Lane] = {}
    parts = []

    def add(source: State, target: State, line: str) -> None:
        parts.append(_in_group(line, None if journey is None else (source.name, target.name) in journey.ways))

    for state in states.values():
        for name, is_error in state.edges.items():
            target = states[name]
            if row_of[name] == row_of[state.name] + 1:
                add(state, target, _short(state, target, is_error))
            else:
                upwards = row_of[name] <= row_of[state.name]
                lanes.setdefault((name, upwards), Lane(target, [])).sources.append(state)
    taken: dict[bool, list[Lane]] = {True: [], False: []}
    for (_, upwards), lane in lanes.items():
        _place_lane(lane, upwards, rows, taken[upwards])
    # Later ones are drawn over the earlier: an error's way, which is dashed, first.
    for number, lane in enumerate(lanes.values()):
        for source in sorted(lane.sources, key=lambda source: not source.edges[lane.target.name]):
            add(source, lane.target, _long(source, lane, source.edges[lane.target.name], number))
    return parts


def _place_lane(lane: Lane, upwards: bool, rows: list[list[State]], taken: list[Lane]) -> None:
    ends = [lane.target.y, *(source.y for source in lane.sources)]
    lane.top, lane.bottom = min(ends) - _ROW / 2, max(ends) + _ROW / 2
    side = -1 if upwards else 1
    beside = [
        state.x + side * (state.width / 2 + (0 if upwards else 22))
        for row in rows
        for state in row
        if lane.top <= state.y <= lane.bottom
    ]
    lane.x = (min(beside) if upwards else max(beside)) + side * 12
    while any(abs(lane.x - o.x) < 9 and lane.top < o.bottom and o.top < lane.bottom for o in taken):
        lane.x += side * 10
    taken.append(lane)


def _short(source: State, target: State, is_error: bool) -> str:
    x, y, tx, ty = source.x, source.y + _HEIGHT / 2, target.x, target.y - _HEIGHT / 2 - 5
    half = (ty - y) / 2
    return _line(
        f"M{x:.1f},{y:.1f} C{x:.1f},{y + half:.1f} {tx:.1f},{ty - half:.1f} {tx:.1f},{ty:.1f}", tx, ty, is_error
    )


def _long(source: State, lane: Lane, is_error: bool, number: int) -> str:
    """Below its own row to the lane, along it, and above the row of the target: never through a box."""
    apart = number % 4 * 3
    side = 1 if lane.x > source.x else -1
    x, y = source.x + side * source.width / 4, source.y + _HEIGHT / 2
    tx, ty = (
        lane.target.x + (1 if lane.x > lane.target.x else -1) * lane.target.width / 4,
        lane.target.y - _HEIGHT / 2 - 5,
    )
    below, above = y + 6 + apart, ty - 3 - apart
    return _line(
        _rounded([(x, y), (x, below), (lane.x, below), (lane.x, above), (tx, above), (tx, ty)]), tx, ty, is_error
    )


def _rounded(points: list[tuple[float, float]]) -> str:
    path = f"M{points[0][0]:.1f},{points[0][1]:.1f}"
    for before, (x, y), after in zip(points, points[1:], points[2:]):
        path += f" L{_towards((x, y), before)} Q{x:.1f},{y:.1f} {_towards((x, y), after)}"
    return path + f" L{points[-1][0]:.1f},{points[-1][1]:.1f}"


def _towards(corner: tuple[float, float], other: tuple[float, float]) -> str:
    """The point of a line a few pixels from its corner."""
    (x, y), (ox, oy) = corner, other
    length = abs(ox - x) + abs(oy - y)
    part = min(5, length / 2) / length if length else 0
    return f"{x + (ox - x) * part:.1f},{y + (oy - y) * part:.1f}"


def _line(path: str, x: float, y: float, is_error: bool) -> str:
    kind, tip = ("edge error", "error-tip") if is_error else ("edge", "tip")
    points = f"{x - 4:.1f},{y - 2:.1f} {x + 4:.1f},{y - 2:.1f} {x:.1f},{y + 5:.1f}"
    return f'<path class="{kind}" d="{path}"/><polygon class="{tip}" points="{points}"/>'


def _legend(y: float) -> str:
    return (
        f'<circle class="tip" cx="24" cy="{y + 10:.0f}" r="4"/>'
        f'<text class="note" x="34" y="{y + 14:.0f}">also leads to FinishRelease</text>'
        f'<circle class="error-tip" cx="204" cy="{y + 10:.0f}" r="4"/>'
        f'<text class="note" x="214" y="{y + 14:.0f}">leads there by an error; other errors are dashed lines</text>'
    )
