"""The tables of the part `functions`: the figures, and which goals they meet."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

from benches.payloads import EMPTY
from benches.table import Table

# Instructions until it asks for work, as a multiple of the function that does nothing.
MOST_INIT = 2.5
# Instructions to the end of the first invocation, as a multiple of the same, for each API that it calls.
MOST_FIRST_ANSWER = 10
# Python's instructions to the end of the first invocation, as a multiple of the function's.
LEAST_PYTHON = 200
# One million bytes is 1 MB.
MOST_MEMORY, MOST_ZIPPED = 12_000_000, 2_200_000

_SPANS = ["ready", "first answer", "warm"]

Function = Mapping[str, Any]


def rows(results: dict[str, Any]) -> list[Table]:
    """What each function costs, the goals, the counterparts, and what an SDK client costs."""
    return [_figures(results), _goals(results), _counterparts(results), _clients(results)]


def init(function: Function, empty: Function) -> float:
    return float(function["instructions"]["init"] / empty["instructions"]["init"])


def first_answer(function: Function, empty: Function) -> float:
    return float(function["instructions"]["first_answer"] / empty["instructions"]["first_answer"])


def clients(functions: Mapping[str, Function]) -> dict[int, list[int]]:
    """The instructions of the functions' starts, by how many SDK clients they build."""
    found: dict[int, list[int]] = {}
    for function in functions.values():
        found.setdefault(function["clients"], []).append(function["instructions"]["init"])
    return dict(sorted(found.items()))


def _figures(results: dict[str, Any]) -> Table:
    return Table(
        "Each function: from its start until it is ready and until its first answer, and a warm invocation; "
        "the last three are millions of instructions for the same",
        ["function", "binary", "zipped", "memory", *_SPANS, *_SPANS],
        [
            [
                name,
                f"{each['binary_bytes'] / 1e6:.2f} MB",
                f"{each['zipped_bytes'] / 1e6:.2f} MB",
                f"{each['peak_memory_bytes'] / 1e6:.1f} MB",
                f"{each['ready_milliseconds']:.1f} ms",
                f"{each['first_answer_milliseconds']:.1f} ms",
                f"{each['warm_milliseconds']:.1f} ms",
                *(f"{each['instructions'][key] / 1e6:.2f} M" for key in ("init", "first_answer", "warm")),
            ]
            for name, each in results["functions"].items()
        ],
    )


def _goals(results: dict[str, Any]) -> Table:
    functions = results["functions"]
    empty = functions[EMPTY]
    lines = []
    for name, each in functions.items():
        if name == EMPTY:
            continue
        apis = len(each["apis"])
        python = results["counterparts"].get(name, {}).get("Python")
        ratio = python and python["instructions"]["first_answer"] / each["instructions"]["first_answer"]
        start, answer = init(each, empty), first_answer(each, empty) / apis
        lines.append(
            [
                name,
                f"{start:.1f} {_met(start <= MOST_INIT)}",
                f"{answer:.1f} × {apis} {_met(answer <= MOST_FIRST_ANSWER)}",
                f"{ratio:.0f} {_met(ratio >= LEAST_PYTHON)}" if ratio else "",
                f"{each['peak_memory_bytes'] / 1e6:.1f} MB {_met(each['peak_memory_bytes'] < MOST_MEMORY)}",
                f"{each['zipped_bytes'] / 1e6:.2f} MB {_met(each['zipped_bytes'] < MOST_ZIPPED)}",
            ]
        )
    return Table(
        "Goals, in instructions as multiples of the function that does nothing",
        [
            "function",
            f"init (≤ {MOST_INIT})",
            f"first answer (≤ {MOST_FIRST_ANSWER} × APIs)",
            f"Python (≥ {LEAST_PYTHON})",
            f"memory (< {MOST_MEMORY // 10**6} MB)",
            f"zipped (< {MOST_ZIPPED / 10**6} MB)",
        ],
        lines,
    )


def _counterparts(results: dict[str, Any]) -> Table:
    lines = []
    for name, found in results["counterparts"].items():
        ours = results["functions"][name]
        lines.append([name, "this function", *_figures_of(ours, ours)])
        lines += [["", language, *_figures_of(each, ours)] for language, each in found.items()]
    return Table(
        "The same job in other languages, to the end of the first invocation; in brackets as multiples of ours. "
        "bash's instructions are in programs that it starts: processor time stands for them",
        ["function", "in", "to first answer", "processor time", "instructions", "warm", "memory"],
        lines,
    )


def _figures_of(each: Function, ours: Function) -> list[str]:
    def beside(value: float, own: float, text: str) -> str:
        return text if each is ours else f"{text} ({value / own:.0f} ×)"

    def milliseconds(key: str) -> str:
        return beside(each[key], ours[key], f"{each[key]:.1f} ms")

    count = each.get("instructions", {}).get("first_answer")
    memory = each.get("peak_memory_bytes")
    return [
        milliseconds("first_answer_milliseconds"),
        milliseconds("processor_milliseconds"),
        beside(count, ours["instructions"]["first_answer"], f"{count / 1e6:,.1f} M") if count else "",
        milliseconds("warm_milliseconds"),
        beside(memory, ours["peak_memory_bytes"], f"{memory / 1e6:.1f} MB") if memory else "",
    ]


def _clients(results: dict[str, Any]) -> Table:
    found = clients(results["functions"])
    empty = results["functions"][EMPTY]["instructions"]["init"]
    return Table(
        "Init by how many SDK clients a function builds: the median of such functions",
        ["clients", "functions", "init", "of the function that does nothing"],
        [
            [str(number), str(len(counts)), f"{middle / 1e6:.2f} M", f"{middle / empty:.1f} ×"]
            for number, counts in found.items()
            for middle in [statistics.median(counts)]
        ],
    )


def _met(met: bool) -> str:
    return "met" if met else "missed"
