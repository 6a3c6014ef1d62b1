"""Every parameter in samconfig.toml and in the documents arrives as it is written, by SAM's own parser.

SAM splits a text at spaces and at quotation marks, as a shell does: single quotes keep a value whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import tomlkit
from roles import CHECKOUT, PARAMETERS
from samcli.cli.types import CfnParameterOverridesType

WHOLE = re.compile(r"(?P<name>\w+)='(?P<value>[^']*)'")


def parsed(entry: str) -> dict[str, str]:
    return CfnParameterOverridesType().convert([entry], None, None)


def entries() -> Iterator[Any]:
    configuration = tomlkit.parse((CHECKOUT / "samconfig.toml").read_text()).unwrap()
    for section, commands in configuration.items():
        if isinstance(commands, dict):
            for command, settings in commands.items():
                for entry in settings["parameters"].get("parameter_overrides", []):
                    yield pytest.param(entry, id=f"samconfig.toml {section} {command} {entry.partition('=')[0]}")
    # Those in a comment of samconfig.toml too.
    documents = [
        "samconfig.toml",
        "README.md",
        *(f"docs/{path.name}" for path in (CHECKOUT / "docs").glob("*.md")),
        "examples/bookings-api/README.md",
    ]
    for document in documents:
        for line in (CHECKOUT / document).read_text().splitlines():
            if re.match(rf'^\s*#?\s*"({"|".join(PARAMETERS)})=.*",?$', line):
                value = tomlkit.parse(f"entry = {line.strip().lstrip('# ').rstrip(',')}").unwrap()["entry"]
                yield pytest.param(value, id=f"{document} {value.partition('=')[0]}")


@pytest.mark.parametrize("entry", list(entries()))
def test_a_value_arrives_whole(entry: str) -> None:
    written = WHOLE.fullmatch(entry)
    assert written, "a value stands in single quotes"
    assert written["name"] in PARAMETERS
    assert parsed(entry) == {written["name"]: written["value"]}


def test_sam_takes_a_value_without_quotes_apart() -> None:
    assert parsed("LookEvery=rate(5 minutes)") != {"LookEvery": "rate(5 minutes)"}
    assert parsed('ContainerEnvironment={"A":"b c"}') != {"ContainerEnvironment": '{"A":"b c"}'}
    assert parsed("""ContainerEnvironment='{"A":"b c"}'""") == {"ContainerEnvironment": '{"A":"b c"}'}
