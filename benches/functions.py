"""What each function costs beside a function that does nothing, and beside the same job in Python and in bash."""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import subprocess
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benches import callgrind
from benches.failed import Failed
from benches.goals import rows
from benches.local_server import LocalServer
from benches.payloads import EMPTY, JOBS, Job, environment
from benches.program import Program
from benches.runtime_api import RuntimeApi

__all__ = ["measure", "rows"]

REPOSITORY = Path(__file__).parents[1]
Show = Callable[[str], None]

# Starts, and invocations of each after the first.
_STARTS, _WARM = 15, 20
# The counterparts take a hundred times longer.
_COUNTERPART_STARTS, _COUNTERPART_WARM = 3, 2
# Instructions hardly differ from one warm invocation to the next.
_COUNTED = 3

_TOOLS = REPOSITORY / ".local" / "tools" / "bin"
_COUNTERPARTS = Path(__file__).with_name("counterparts")
_LANGUAGES: dict[str, tuple[str | Path, str]] = {"Python": (_TOOLS / "python", ".py"), "bash": ("bash", ".sh")}
# Function, language, command.
COUNTERPARTS: list[tuple[str, str, list[str | Path]]] = [
    (name, language, [program, path])
    for name in JOBS
    for language, (program, suffix) in _LANGUAGES.items()
    for path in [_COUNTERPARTS / f"{name.replace('-', '_')}{suffix}"]
    if path.exists()
]


def measure(show: Show, _: argparse.Namespace) -> dict[str, Any]:
    """Sizes in bytes, times in milliseconds, memory in bytes, and instructions, by function.

    Raises Failed when valgrind is missing, or when an invocation does not do its job.
    """
    callgrind.require()
    programs = {name: [path] for name, path in _built(show).items()}
    results: dict[str, Any] = {"functions": {}, "counterparts": {}}
    for name, command in programs.items():
        data = command[0].read_bytes()
        results["functions"][name] = {
            "clients": JOBS[name].clients,
            "binary_bytes": len(data),
            "zipped_bytes": _zipped(data),
            **_timed(command, JOBS[name], _STARTS, _WARM),
        }
        show(f"{name}: {_told(results['functions'][name])}")
    for name, language, words in COUNTERPARTS:
        found = _timed(words, JOBS[name], _COUNTERPART_STARTS, _COUNTERPART_WARM)
        if found["calls"] != results["functions"][name]["calls"]:
            raise Failed(f"{name} in {language} does not make the function's calls, but {found['calls']}")
        if language == "bash":
            # The memory is in the programs that it starts.
            del found["peak_memory_bytes"]
        results["counterparts"].setdefault(name, {})[language] = found
        show(f"{name} in {language}: {_told(found)}")
    _count(programs, results, show)
    return results


def _built(show: Show) -> dict[str, Path]:
    """The release binaries by function's name."""
    show("cargo build --release")
    emulators = ["--exclude", "planetscale-emulator", "--exclude", "lightsail-emulator"]
    command = ["cargo", "build", "--quiet", "--release", "--workspace", "--exclude", "simulation", *emulators]
    if subprocess.run(command, cwd=REPOSITORY).returncode:
        raise Failed(f"{' '.join(command)} failed")
    target = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    functions = {folder.parent.name for folder in REPOSITORY.glob("functions/*/Cargo.toml")}
    if missing := functions.symmetric_difference(JOBS.keys() - {EMPTY}):
        raise Failed(f"benches/payloads.py and functions/ differ in {', '.join(sorted(missing))}")
    return {name: REPOSITORY / target / "release" / name for name in JOBS}


def _zipped(data: bytes) -> int:
    """The size of the deployment package, in bytes."""
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        file.writestr("bootstrap", data)
    return len(package.getvalue())


@dataclass(frozen=True)
class _Site:
    """A Runtime API and services for one process, and the job that it does there."""

    api: RuntimeApi
    address: str
    services: LocalServer
    url: str
    job: Job

    def start(self, command: Sequence[str | Path]) -> Program:
        return Program(command, self._environment(), self.api, self.address)

    def invoke(self, program: Program) -> float:
        """Have the job done; when the answer came, by `time.perf_counter`."""
        answer = program.invoke(json.dumps(self.job.payload(self.url)).encode())
        if self.services.failures:
            raise Failed(f"a call got {self.services.failures[0]}")
        if self.job.answers:
            key, value = self.job.answers
            if json.loads(answer.body).get(key) != value:
                raise Failed(f"{key} is not {value!r} in the answer {answer.body.decode()}")
        return answer.at

    def _environment(self) -> Mapping[str, str]:
        variables = environment(self.url)
        # What the bash counterpart calls.
        variables["PATH"] = f"{REPOSITORY / '.local' / 'aws-cli' / 'bin'}{os.pathsep}{os.environ['PATH']}"
        return variables


@contextmanager
def _site(job: Job) -> Iterator[_Site]:
    api, services = RuntimeApi(), LocalServer()
    with services.serve() as url, api.serve() as address:
        yield _Site(api, address, services, url, job)


def _timed(command: Sequence[str | Path], job: Job, starts: int, warm: int) -> dict[str, Any]:
    """The fastest of several starts, and the median of several invocations of one more.

    Other work on the machine only adds to a start: the scheduler moves the process by whole milliseconds.
    """
    ready, first, processor = map(min, zip(*(_started(command, job) for _ in range(starts))))
    took = []
    with _site(job) as site, site.start(command) as program:
        program.ready()
        site.invoke(program)
        calls = list(site.services.calls)
        for _ in range(warm):
            asked = program.ready()
            took.append(site.invoke(program) - asked)
        program.ready()
        memory = program.peak_memory()
        program.stop()
    return {
        "apis": sorted({api for api, _ in calls}),
        "calls": sorted(what for _, what in calls),
        "ready_milliseconds": round(ready * 1000, 2),
        "first_answer_milliseconds": round(first * 1000, 2),
        "warm_milliseconds": round(statistics.median(took) * 1000, 2),
        "processor_milliseconds": round(processor * 1000, 2),
        "peak_memory_bytes": memory,
    }


def _started(command: Sequence[str | Path], job: Job) -> tuple[float, float, float]:
    """Seconds until it asks for work, and until the first answer; and all of its processor time until then."""
    with _site(job) as site, site.start(command) as program:
        ready = program.ready() - program.began
        first = site.invoke(program) - program.began
        program.ready()
        return ready, first, program.stop()


def _count(programs: Mapping[str, Sequence[Path]], results: dict[str, Any], show: Show) -> None:
    """Add the instructions to the results. Other work on the machine does not change them, so all cores count."""
    work: list[tuple[str, Sequence[str | Path], Job, list[int], dict[str, Any]]] = [
        (f"{name} in {language}", words, JOBS[name], [0, 1], results["counterparts"][name][language])
        for name, language, words in COUNTERPARTS
        if language == "Python"
    ]
    work += [
        (name, command, JOBS[name], [0, 1, 1 + _COUNTED], results["functions"][name])
        for name, command in programs.items()
    ]

    def count(one: tuple[str, Sequence[str | Path], Job, list[int], dict[str, Any]]) -> None:
        name, command, job, numbers, result = one
        counts = [_instructions(command, job, number) for number in numbers]
        result["instructions"] = {"init": counts[0], "first_answer": counts[1]}
        if len(counts) > 2:
            result["instructions"]["warm"] = (counts[2] - counts[1]) // _COUNTED
        show(f"{name}: instructions {json.dumps(result['instructions'])}")

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        list(pool.map(count, work))


def _instructions(command: Sequence[str | Path], job: Job, invocations: int) -> int:
    """The instructions from a process's start until it asks for work after so many invocations."""

    def run(before: list[str]) -> None:
        with _site(job) as site, site.start([*before, *command]) as program:
            program.ready()
            for _ in range(invocations):
                site.invoke(program)
                program.ready()
            program.stop()

    return callgrind.instructions(run)


def _told(result: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{result[f'{key}_milliseconds']} ms {words}"
        for key, words in (("ready", "to ready"), ("first_answer", "to the first answer"), ("warm", "warm"))
    )
