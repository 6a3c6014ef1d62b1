"""A table of results."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    title: str
    head: list[str]
    rows: list[list[str]]
