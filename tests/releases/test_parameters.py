"""docs/parameters.md has each parameter of template.yaml, with its default, what it takes and what it means."""

from __future__ import annotations

import re
from typing import Any

from cloud.local_aws import REPOSITORY
from samcli.yamlhelper import yaml_parse

PAGE = REPOSITORY / "docs" / "parameters.md"
README = REPOSITORY / "README.md"
PARAMETERS: dict[str, dict[str, Any]] = yaml_parse((REPOSITORY / "template.yaml").read_text())["Parameters"]


def takes(parameter: dict[str, Any]) -> str:
    """What CloudFormation lets through, in words."""
    said = []
    if "AllowedValues" in parameter:
        said.append(", ".join(f"`{value}`" for value in parameter["AllowedValues"]))
    if "AllowedPattern" in parameter:
        said.append("`{}`".format(parameter["AllowedPattern"].replace("|", "\\|")))
    for least, most, unit in (("MinValue", "MaxValue", ""), ("MinLength", "MaxLength", " characters")):
        if least in parameter and most in parameter:
            said.append(f"{parameter[least]} to {parameter[most]}{unit}")
        elif least in parameter:
            said.append(f"at least {parameter[least]}{unit}")
        elif most in parameter:
            said.append(f"at most {parameter[most]}{unit}")
    return "; ".join(said)


def default(parameter: dict[str, Any]) -> str:
    if "Default" not in parameter:
        return "none: it has to be given"
    return f"`{parameter['Default']}`" if str(parameter["Default"]) else "empty"


def row(name: str, parameter: dict[str, Any]) -> str:
    meaning = " ".join(parameter["Description"].split()).replace("|", "\\|")
    return f"| `{name}` | {default(parameter)} | {takes(parameter)} | {meaning} |"


def test_the_page_has_every_parameter_as_the_template_has_it() -> None:
    told = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    assert told == [row(name, parameter) for name, parameter in PARAMETERS.items()]


def test_the_readme_names_only_parameters_of_the_template() -> None:
    section = README.read_text().split("\n## Parameters\n")[1].split("\n## ")[0]
    named = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    assert named and set(named) <= set(PARAMETERS)
