"""docs/troubleshooting.md is complete and true: it has each message with a remedy, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from cloud.local_aws import REPOSITORY

# Errors that a person has to mend; the others are tried again, or tell of a defect.
WITH_REMEDY = "Misconfigured|SchemaRefused|ContainersRefused|RevertRefused"


def sources() -> dict[Path, str]:
    """The text of the product without its tests, as it is told: without the breaks of long literals."""
    files = [*REPOSITORY.glob("functions/*/src/*.rs"), *REPOSITORY.glob("shared/src/**/*.rs")]
    files = [path for path in files if path.name != "tests.rs"]
    code = {path: path.read_text().split("#[cfg(test)]\nmod")[0] for path in files}
    code = {path: re.sub(r"\\\n\s*", "", text) for path, text in code.items()}
    others = (REPOSITORY / "statemachine" / "release.asl.yaml", REPOSITORY / "template.yaml")
    return {**code, **{path: path.read_text() for path in others}}


def messages() -> list[list[str]]:
    """The parts of each message in the table's first column."""
    lines = (REPOSITORY / "docs" / "troubleshooting.md").read_text().splitlines()
    firsts = [line.split("|")[1] for line in lines if line.startswith("| `")]
    return [message.split(" … ") for first in firsts for message in re.findall(r"`([^`]+)`", first)]


def test_every_error_with_a_remedy_is_in_the_table() -> None:
    pattern = re.compile(rf'Error::({WITH_REMEDY})\(\s*(?:format!\(\s*)?"((?:[^"\\]|\\.)*)"')
    told = [(path, text) for path, code in sources().items() for _, text in pattern.findall(code)]
    assert len(told) > 20
    missing = [text for _, text in told if not any(has(text, parts) for parts in messages())]
    # What AWS itself says is passed on.
    assert missing == ["{call} answered {code}: {message}."]


def test_every_message_of_the_table_is_one_that_is_told() -> None:
    text = "\n".join(sources().values())
    told_by_others = {"exec format error", "safe migrations", "is still in_progress"}
    unknown = [parts for parts in messages() if not has(text, parts) and parts[0] not in told_by_others]
    assert unknown == []


def has(text: str, parts: list[str]) -> bool:
    text = text.replace('\\"', '"')
    return all(part in text for part in parts)


def test_every_output_that_a_message_names_is_one_of_the_stack() -> None:
    outputs = (REPOSITORY / "template.yaml").read_text().partition("\nOutputs:\n")[2]
    text = re.sub(r"\s+", " ", "\n".join(sources().values()))
    named = set(re.findall(r"stack's output ([A-Z]\w+)", text))
    assert {"ReleaseByHand", "FillPlanetScaleSecret", "ClearHold"} <= named
    assert {name for name in named if f"\n  {name}:\n" not in outputs} == set()
