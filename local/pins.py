"""Ask pip whether every pin of `local/requirements` installs on every Python that the README names.

`make pins` asks, which takes minutes where the index sends whole wheels, and notes what installs in
`requirements/asked.sha256`. `make lint` (`--check`) asks nobody: it fails where a pin was changed and not asked for.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from pathlib import Path

from packaging.requirements import Requirement
from progress import CommandFailed, run, say

HERE = Path(__file__).resolve().parent
# The first of each minor version, so that a package that wants a later patch is refused.
PYTHONS = ("3.10.0", "3.11.0", "3.12.0", "3.13.0", "3.14.0")
ASKED = HERE / "requirements" / "asked.sha256"


def main() -> int:
    check = sys.argv[1:] == ["--check"]
    known = set(ASKED.read_text().split()) if ASKED.is_file() else set()
    installing = set()
    refused = []
    for requirements in sorted(HERE.glob("requirements/*.txt")):
        lines = requirements.read_text().splitlines()
        pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
        for python in PYTHONS:
            wanted = for_python(pins, python)
            answer = digest(wanted, python)
            if answer in known or (not check and installs(requirements.stem, wanted, python)):
                installing.add(answer)
            else:
                refused.append(f"{requirements.name} on Python {python}")
    for line in refused:
        problem = "were changed since pip was asked for them; run: make pins" if check else "do not install"
        print(f"error: the pins of {line} {problem}", file=sys.stderr)
    if not check:
        ASKED.write_text("".join(f"{answer}\n" for answer in sorted(installing)))
    return 1 if refused else 0


def for_python(pins: list[Requirement], python: str) -> list[str]:
    """The pins that count for this Python, without their conditions: pip would judge those by its own Python."""
    # Wheels for Linux on x86-64 are asked for.
    environment = {
        "python_version": python.rpartition(".")[0],
        "python_full_version": python,
        "sys_platform": "linux",
        "platform_machine": "x86_64",
        "implementation_name": "cpython",
    }
    return [f"{pin.name}{pin.specifier}" for pin in pins if pin.marker is None or pin.marker.evaluate(environment)]


def installs(name: str, pins: list[str], python: str) -> bool:
    """Whether pip finds a wheel of each for this Python; says what pip says where it does not."""
    with tempfile.TemporaryDirectory() as folder:
        asked = Path(folder, "pins.txt")
        asked.write_text("\n".join(pins))
        command = [
            *(
                sys.executable,
                "-m",
                "pip",
                "--disable-pip-version-check",
                "--no-input",
                "install",
                "--dry-run",
                "--no-deps",
            ),
            *("--ignore-installed", "--target", folder, "--python-version", python, "--only-binary=:all:"),
            *("--requirement", str(asked)),
        ]
        try:
            run(f"Asking for {name} on Python {python}", command, packages=len(pins))
        except CommandFailed as failed:
            say(str(failed))
            return False
    return True


def digest(pins: list[str], python: str) -> str:
    """What names these pins on this Python in `asked.sha256`."""
    return hashlib.sha256("\n".join([python, *sorted(pins)]).encode()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
