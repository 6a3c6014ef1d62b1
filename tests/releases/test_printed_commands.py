"""The commands that a stack prints have nothing unquoted that bash or zsh would expand."""

from __future__ import annotations

import re

import pytest
from cloud.local_aws import REPOSITORY
from samcli.yamlhelper import yaml_parse


def printed_commands() -> dict[str, str]:
    """The commands among the template's outputs, with a word in place of each reference."""
    outputs = yaml_parse((REPOSITORY / "template.yaml").read_text())["Outputs"]
    commands = {
        name: output["Value"]["Fn::Sub"]
        for name, output in outputs.items()
        if "The command that" in output["Description"]
    }
    return {name: re.sub(r"\$\{[A-Za-z:]+\}", "name", command) for name, command in commands.items()}


def test_the_stack_prints_commands() -> None:
    assert {"ReleaseByHand", "RollBack", "Hold", "ClearHold", "FillConnectionString", "PreflightCommand"} <= set(
        printed_commands()
    )


@pytest.mark.parametrize("name", printed_commands())
def test_nothing_outside_single_quotes_is_expanded(name: str) -> None:
    command = printed_commands()[name]
    assert command.count("'") % 2 == 0
    unquoted = "".join(command.split("'")[::2])
    assert re.fullmatch(r"[A-Za-z0-9 ./_-]+(&& [A-Za-z0-9 ./_-]+)*", unquoted), unquoted
