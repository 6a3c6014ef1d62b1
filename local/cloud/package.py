"""A folder that `sam deploy` installs from: the template, and the binary of each of its functions."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from samcli.yamlhelper import yaml_dump, yaml_parse


def package(project: Path, directory: Path, binaries: Path) -> None:
    """Fill `directory` with the project's template and, for each function, a folder with its `bootstrap`.

    `binaries` is where cargo left the functions' programs.

    Raises FileNotFoundError when a program is missing.
    """
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    template = yaml_parse((project / "template.yaml").read_text())
    for name, resource in template["Resources"].items():
        if resource["Type"] == "AWS::Serverless::Function":
            folder = directory / name
            folder.mkdir()
            _strip(binaries / resource["Metadata"]["BuildProperties"]["Binary"], folder / "bootstrap")
            del resource["Metadata"]["BuildMethod"], resource["Metadata"]["BuildProperties"]
            resource["Properties"]["CodeUri"] = str(folder)
        elif "DefinitionUri" in resource.get("Properties", {}):
            resource["Properties"]["DefinitionUri"] = str(project / resource["Properties"]["DefinitionUri"])
    (directory / "template.yaml").write_text(yaml_dump(template))


def _strip(program: Path, copy: Path) -> None:
    if not program.is_file():
        raise FileNotFoundError(f"{program} does not exist; `cargo build --workspace --bins` makes it")
    shutil.copy2(program, copy)
    # A tenth of the size without debug information. A machine without `strip` installs the whole.
    if strip := shutil.which("strip"):
        subprocess.run([strip, str(copy)], check=True)
