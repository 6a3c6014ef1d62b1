"""What the tests did, for the summary at their end."""

from __future__ import annotations

from collections import Counter
from typing import Any

# By name: a number of things by kind, or a sentence.
figures: dict[str, Any] = {}


def count(name: str, kinds: Counter[str]) -> None:
    figures[name] = figures.get(name, Counter()) + kinds


def lines() -> list[str]:
    return [f"{name}: {_text(value)}" for name, value in sorted(figures.items())]


def _text(value: Any) -> str:
    if not isinstance(value, Counter):
        return str(value)
    kinds = ", ".join(f"{kind} {number}" for kind, number in sorted(value.items()))
    return f"{value.total()} ({kinds})"
