"""A folder that `sam deploy` installs from without Rust: `make package` leaves it in `dist/`.

It holds a zip for each function, the template that names them, the state machine, samconfig.toml, a bill of materials and
the checksums of all of it. Installs on the local AWS use the same with programs that are not optimized.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

from progress import CommandFailed, run, say
from samcli.yamlhelper import yaml_dump, yaml_parse

from cloud.bill import bill_of_materials
from cloud.local_aws import LOCAL, REPOSITORY, target_directory

# Rust's targets by Lambda's names of the architectures.
TARGETS = {"x86_64": "x86_64-unknown-linux-gnu", "arm64": "aarch64-unknown-linux-gnu"}
CHECKSUMS = "SHA256SUMS"
BILL = "bill-of-materials.cdx.json"
# Zips of the same programs are the same bytes: a zip's first possible time.
_TIME = (1980, 1, 1, 0, 0, 0)


def package(project: Path, directory: Path, binaries: Path, *, architecture: str = "", level: int = 1) -> list[str]:
    """Fill `directory` with what `sam deploy` needs of `project`, but the bill and the checksums.

    `binaries` has the functions' programs, as `<name>` or as `<name>/bootstrap`. `architecture` becomes the template's
    default; `level` is the zips' compression, 1 to 9. Returns the functions' programs by name.

    Raises FileNotFoundError when a program is missing.
    """
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    template = yaml_parse((project / "template.yaml").read_text())
    programs = []
    for name, resource in template["Resources"].items():
        if resource["Type"] == "AWS::Serverless::Function":
            program = resource["Metadata"]["BuildProperties"]["Binary"]
            programs.append(program)
            _zip(_program(binaries, program), directory / "functions" / f"{name}.zip", level)
            del resource["Metadata"]["BuildMethod"], resource["Metadata"]["BuildProperties"]
            resource["Properties"]["CodeUri"] = f"functions/{name}.zip"
        elif "DefinitionUri" in resource.get("Properties", {}):
            definition = resource["Properties"]["DefinitionUri"]
            (directory / definition).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(project / definition, directory / definition)
    if architecture:
        template["Parameters"]["Architecture"]["Default"] = architecture
    (directory / "template.yaml").write_text(yaml_dump(template))
    for name in ("samconfig.toml", "LICENSE"):
        if (project / name).is_file():
            shutil.copyfile(project / name, directory / name)
    return programs


def complete(project: Path, directory: Path, programs: list[str], target: str) -> None:
    """Add the bill of materials of these programs, and the checksums of every file."""
    bill = bill_of_materials(project, programs, target)
    (directory / BILL).write_text(json.dumps(bill, indent=1) + "\n")
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(directory)}\n"
        for path in _files(directory)
    ]
    (directory / CHECKSUMS).write_text("".join(lines))


def _files(directory: Path) -> Iterator[Path]:
    return (path for path in sorted(directory.rglob("*")) if path.is_file())


def _program(binaries: Path, name: str) -> Path:
    for program in (binaries / name / "bootstrap", binaries / name):
        if program.is_file():
            return program
    raise FileNotFoundError(f"{binaries / name} does not exist; `make emulators` or `make package` makes it")


def _zip(program: Path, archive: Path, level: int) -> None:
    """An archive with the program as `bootstrap`, which Lambda's provided.al2023 starts."""
    archive.parent.mkdir(exist_ok=True)
    stripped = archive.with_suffix(".program")
    shutil.copyfile(program, stripped)
    # A tenth of the size without debug information. What has none stays as it is; a machine without `strip` keeps it.
    if strip := shutil.which("strip"):
        subprocess.run([strip, str(stripped)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    entry = zipfile.ZipInfo("bootstrap", _TIME)
    entry.external_attr = (stat.S_IFREG | 0o755) << 16
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(entry, stripped.read_bytes(), zipfile.ZIP_DEFLATED, level)
    stripped.unlink()


def is_installed(target: str) -> bool:
    """Whether this machine's Rust compiles for a target."""
    library = subprocess.run(
        ["rustc", "--print", "target-libdir", "--target", target], cwd=REPOSITORY, capture_output=True, text=True
    )
    return library.returncode == 0 and any(Path(library.stdout.strip()).glob("libstd-*"))


def _build(project: Path, architecture: str) -> Path:
    """Build the functions for Lambda with cargo-lambda, which links with Zig for Amazon Linux's C library."""
    functions = sorted(path.parent.name for path in project.glob("functions/*/Cargo.toml"))
    output = target_directory() / "lambda" / architecture
    command = [
        *("cargo", "lambda", "build", "--release", "--locked", "--lambda-dir", str(output)),
        *("--target", TARGETS[architecture], *(part for name in functions for part in ("--package", name))),
    ]
    path = os.pathsep.join([str(LOCAL / "package" / "bin"), os.environ.get("PATH", "")])
    run(f"Compiling the functions for {architecture}", command, environment={"PATH": path})
    return output


def main() -> int:
    parser = argparse.ArgumentParser(prog="make package", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--architecture", choices=TARGETS, help="only this one; else each that this machine compiles for"
    )
    wanted = parser.parse_args().architecture
    # x86_64 is at the top, because it is the template's default.
    folders = {"x86_64": REPOSITORY / "dist", "arm64": REPOSITORY / "dist" / "arm64"}
    for architecture, target in TARGETS.items():
        if wanted not in (None, architecture):
            continue
        if not is_installed(target):
            say(
                f"{architecture}: left out, because this Rust has no target {target}. `rustup target add {target}` adds it."
            )
            if wanted or architecture == "x86_64":
                return 1
            continue
        folder = folders[architecture]
        try:
            programs = package(REPOSITORY, folder, _build(REPOSITORY, architecture), architecture=architecture, level=9)
        except CommandFailed as failed:
            print(failed, file=sys.stderr)
            return 1
        complete(REPOSITORY, folder, programs, target)
        say(f"{architecture}: {folder.relative_to(REPOSITORY)}/ is complete. In it: sam deploy --config-env qa")
    return 0


if __name__ == "__main__":
    sys.exit(main())
