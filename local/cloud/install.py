"""Installing a project as a person would: a build, then `sam deploy --config-env`."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import tomlkit
from samcli.cli.types import CfnParameterOverridesType

from cloud.environment import Environment
from cloud.local_aws import LOCAL, REPOSITORY, LocalAws, target_directory
from cloud.package import package
from cloud.processes import Process

Show = Callable[[str], None]

# What the build reads. A change of any of it is built again.
_SOURCES = (
    *("template.yaml", "samconfig.toml", "Cargo.toml", "Cargo.lock", "rust-toolchain.toml", ".cargo"),
    *("functions", "shared", "statemachine"),
)

# Seconds, as in the template.
_LAST_CALL = 70


def install(
    aws: LocalAws,
    environment: str,
    parameters: Mapping[str, str] | None = None,
    *,
    stack_name: str = "",
    project: Path = REPOSITORY,
    configuration: Path | None = None,
    show: Show = print,
) -> Environment:
    """Build if needed, and deploy the section `environment` of the project's samconfig.toml, or of `configuration`.

    `stack_name` installs another stack than the section names.
    `parameters` come on top of the section's `parameter_overrides`, as sam replaces all of them
    by those of its command line. Output is shown line by line and kept in the log folder.

    Raises ProcessFailed with the end of the output when sam fails.
    """
    build(aws.logs, project=project, show=show)
    configuration = configuration or project / "samconfig.toml"
    section = _deploy_section(configuration, environment)
    overrides = {**_overrides(section), **(parameters or {})}
    command = [
        *("sam", "deploy", "--config-file", str(configuration), "--config-env", environment),
        *("--no-confirm-changeset", "--no-progressbar"),
        *("--template-file", str(build_directory(project) / "template.yaml")),
    ]
    if stack_name:
        command += ["--stack-name", stack_name]
    if overrides:
        command += ["--parameter-overrides", *(f"{name}={_quoted(value)}" for name, value in overrides.items())]
    variables = {**_tools_environment(), **aws.environment(), "SAM_CLI_POLL_DELAY": "0.3"}
    stack_name = stack_name or str(section["stack_name"])
    _run(f"sam deploy {stack_name}", command, aws.logs, variables, project, show)
    installed = Environment(aws, stack_name)
    if aws.wait_scale < 1:
        _shorten_times(installed)
    return installed


def _shorten_times(environment: Environment) -> None:
    """Let what functions go by be as short as all other waits are: the last call of a stopped execution, and the tries
    of a look at the public URL."""
    scale = environment.aws.wait_scale
    _set_variable(environment, "start-release", "LAST_CALL", round(_LAST_CALL * scale))
    _set_variable(environment, "verify-service", "TRY_EVERY_MS", round(1000 * scale))


def _set_variable(environment: Environment, function: str, variable: str, value: int) -> None:
    client, name = environment.aws.client("lambda"), f"{environment.stack_name}-{function}"
    if name not in environment.functions():
        return
    variables = client.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    variables[variable] = str(value)
    client.update_function_configuration(FunctionName=name, Environment={"Variables": variables})


def build(logs: Path, *, project: Path = REPOSITORY, show: Show = print) -> None:
    """Build the functions and the template that names them, unless nothing changed since the last time.

    A cargo workspace is built without optimization and for this machine only, by the same `cargo build` that the
    tests of the functions use, so that nothing is compiled twice. Any other project is built by `sam build`.
    The result is for local use only, so it is kept apart from `.aws-sam`.
    """
    directory = build_directory(project)
    directory.parent.mkdir(parents=True, exist_ok=True)
    stamp = directory.parent / "sources.sha256"
    with (directory.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = fingerprint(project)
        if stamp.is_file() and stamp.read_text() == wanted:
            return
        stamp.unlink(missing_ok=True)
        if (project / "Cargo.toml").is_file():
            command = ["cargo", "build", "--workspace", "--exclude", "simulation", "--bins"]
            _run("cargo build", command, logs, _tools_environment(), project, show)
            package(project, directory, target_directory() / "debug")
        else:
            command = ["sam", "build", "--build-dir", str(directory), "--template-file", "template.yaml"]
            _run("sam build", command, logs, _tools_environment(), project, show)
        stamp.write_text(wanted)


def _run(name: str, command: list[str], logs: Path, variables: dict[str, str], project: Path, show: Show) -> None:
    show(f"$ {' '.join(command)}")
    temporary = logs / "tmp"
    temporary.mkdir(exist_ok=True)
    variables = {**variables, "TMPDIR": str(temporary)}
    process = Process(name, command, logs / f"{name.replace(' ', '-')}.log", variables, project)
    try:
        process.wait(show)
    finally:
        process.stop()


def _tools_environment() -> dict[str, str]:
    tools = LOCAL / "tools" / "bin"
    if not (tools / "sam").is_file():
        raise FileNotFoundError(f"{tools / 'sam'} does not exist; create it with local/setup demo")
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "PATH": f"{tools}{os.pathsep}{os.environ.get('PATH', '')}",
        "SAM_CLI_TELEMETRY": "0",
    }


def build_directory(project: Path = REPOSITORY) -> Path:
    """Where `build` leaves the template and the functions."""
    name = hashlib.sha256(str(project).encode()).hexdigest()[:8]
    return LOCAL / "build" / f"{project.name}-{name}" / "build"


def fingerprint(project: Path) -> str:
    """What `build` reads, in one number."""
    digest = hashlib.sha256()
    for path in _files(project):
        digest.update(str(path.relative_to(project)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _files(project: Path) -> Iterator[Path]:
    for name in _SOURCES:
        source = project / name
        if source.is_file():
            yield source
        else:
            yield from (path for path in sorted(source.rglob("*")) if path.is_file())


def _deploy_section(path: Path, environment: str) -> dict[str, Any]:
    configuration = tomlkit.parse(path.read_text()).unwrap()
    if environment not in configuration:
        known = ", ".join(name for name in configuration if isinstance(configuration[name], dict))
        raise KeyError(f"{path.name} has no section '{environment}'; it has {known}")
    return configuration[environment]["deploy"]["parameters"]


def _overrides(section: dict[str, Any]) -> dict[str, str]:
    return CfnParameterOverridesType().convert(section.get("parameter_overrides", ""), None, None)


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
