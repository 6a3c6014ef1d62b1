"""The checks that `docs/contributing.md` names exist, and so do its places."""

from __future__ import annotations

import re
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
PAGE = (CHECKOUT / "docs" / "contributing.md").read_text()


def rows() -> list[list[str]]:
    rows = [line.strip("|").split(" | ") for line in PAGE.splitlines() if line.startswith("| ")]
    return [row for row in rows if row[0].strip() != "place"]


def test_every_check_that_the_page_names_exists() -> None:
    sources = [
        path.read_text()
        for folder in ("tests", "shared/tests")
        for path in (CHECKOUT / folder).rglob("*")
        if path.suffix in (".py", ".rs")
    ]
    named = [name for row in rows() for name in re.findall(r"`([a-z_]{20,})`", row[-1])]
    assert len(named) > 15
    for name in named:
        assert any(re.search(rf"\b(def|fn) {name}\(", source) for source in sources), name


def test_every_place_that_the_page_names_exists() -> None:
    named = [name for row in rows() for name in re.findall(r"`([\w./-]+/[\w./-]+)`", row[0])]
    assert len(named) > 10
    for name in named:
        assert (CHECKOUT / name).exists(), name
