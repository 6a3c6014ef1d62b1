"""A build as CodeBuild runs it: the commands of the real buildspec.yml, with the project's environment and role.

Facts: CodeBuild guide, "Build specification reference", "Environment variables in build environments"
and "GitHub webhook events". The guide says that all commands run in one instance of the shell. Seen
in the environments of public builds: each command is a script of its own that takes over variables
and directory, and nothing else, from the one before. A buildspec should be right both ways, so both
are here.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import boto3
import yaml

from cloud.local_aws import FOLDER, LOCAL, LocalAws
from cloud.processes import Process, ProcessFailed

PHASES = ("install", "pre_build", "build", "post_build")
Shell = Literal["one", "each"]

# Variables, functions' absence and directory go on; options such as `set -e` do not.
_ONE_SCRIPT_EACH = """\
cd "$(cat {state}/directory)"
set -a
. {state}/environment
{command}
CODEBUILD_LAST_EXIT=$?
export -p > {state}/environment
pwd > {state}/directory
exit $CODEBUILD_LAST_EXIT
"""


@dataclass
class Build:
    """A build that ended."""

    succeeded: bool
    log: str
    exported: dict[str, str]


class CodeBuild:
    """The CodeBuild project of an environment."""

    def __init__(self, aws: LocalAws, project: str) -> None:
        self.aws = aws
        self.project = aws.client("codebuild").batch_get_projects(names=[project])["projects"][0]
        self._folder = aws.logs / f"builds-{project}"
        self._folder.mkdir(exist_ok=True)

    def checkout(self, repository: Path, version: str) -> Path:
        """A clone with the whole history, at a branch or commit."""
        clone = self._folder / f"source-{len(list(self._folder.iterdir()))}"
        for command in (
            ["clone", "--quiet", str(repository), str(clone)],
            ["-C", str(clone), "checkout", "--quiet", version],
        ):
            subprocess.run(["git", *command], check=True)
        return clone

    def client(self, service: str) -> Any:
        """A boto3 client with the credentials of a build."""
        credentials = self._credentials()
        return boto3.client(
            service,
            endpoint_url=self.aws.lightsail_url if service == "lightsail" else self.aws.endpoint_url,
            region_name=self.aws.region,
            aws_access_key_id=credentials["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=credentials["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=credentials["AWS_SESSION_TOKEN"],
        )

    def build(
        self,
        source: Path,
        webhook: Mapping[str, str] | None = None,
        *,
        shell: Shell = "each",
        show: Callable[[str], None] = lambda line: None,
    ) -> Build:
        """Run the build in a checkout. `webhook` are the variables CODEBUILD_WEBHOOK_….

        Raises ValueError for what a buildspec may say and this does not know.
        """
        specification = yaml.safe_load((source / self.project["source"]["buildspec"]).read_text(encoding="utf-8"))
        state = Path(f"{source}.state")
        state.mkdir()
        log = state / "log"
        variables = self.environment(source, specification, webhook or {})
        _write_commands(state, _commands(specification), shell, variables, source)
        process = Process("build", ["bash", "driver"], log, variables, state)
        begin = time.time()
        try:
            process.wait(show)
            succeeded = True
        except ProcessFailed:
            succeeded = False
        finally:
            process.stop()
        names = specification.get("env", {}).get("exported-variables", [])
        exported = _exported(state, names)
        self.record(exported, succeeded=succeeded, begin=begin, commit=variables["CODEBUILD_RESOLVED_SOURCE_VERSION"])
        return Build(succeeded, log.read_text(encoding="utf-8", errors="replace"), exported)

    def record(self, exported: Mapping[str, str], *, succeeded: bool = True, begin: float, commit: str = "") -> int:
        """Let CodeBuild's API answer a build that ended now; its number. `begin` is in seconds since 1970."""
        build = {
            "project": self.project["name"],
            "succeeded": succeeded,
            "exported": dict(exported),
            "startTime": begin,
            "endTime": time.time(),
            **({"resolvedSourceVersion": commit} if commit else {}),
        }
        return self.aws.control.post("/_local/build", build)["buildNumber"]

    def environment(self, source: Path, specification: dict[str, Any], webhook: Mapping[str, str]) -> dict[str, str]:
        """What the commands see."""
        head = subprocess.run(
            ["git", "-C", str(source), "rev-parse", "HEAD"], check=True, capture_output=True, text=True
        )
        machine = {name: os.environ[name] for name in _OF_THE_MACHINE if name in os.environ}
        variables = {
            **machine,
            **self.aws.environment(),
            **self._credentials(),
            "CODEBUILD_BUILD_SUCCEEDING": "1",
            "CODEBUILD_RESOLVED_SOURCE_VERSION": head.stdout.strip(),
            "CODEBUILD_SRC_DIR": str(source),
            **webhook,
            **specification.get("env", {}).get("variables", {}),
            **self._project_variables(),
        }
        variables["PATH"] = os.pathsep.join([*_tools(), variables["PATH"]])
        return variables

    def _project_variables(self) -> dict[str, str]:
        variables = {}
        for entry in self.project["environment"]["environmentVariables"]:
            if entry.get("type", "PLAINTEXT") == "PLAINTEXT":
                variables[entry["name"]] = entry["value"]
            elif entry["type"] == "SECRETS_MANAGER":
                variables[entry["name"]] = self._secret(entry["value"])
            else:
                raise ValueError(f"variables of type {entry['type']} are not known here")
        # ECR's host is not there; its registry is the same port as everything else.
        _, _, repository = variables["REPOSITORY_URI"].partition("/")
        return {**variables, "REPOSITORY_URI": f"{self.registry}/{repository}"}

    @property
    def registry(self) -> str:
        """Where the local ECR speaks the registry protocol."""
        return self.aws.endpoint_url.removeprefix("http://")

    def _secret(self, reference: str) -> str:
        # An ARN has seven parts; the key in the secret's JSON follows.
        parts = reference.split(":")
        secret_id, key = (":".join(parts[:7]), parts[7]) if parts[0] == "arn" else (parts[0], parts[1])
        value = self.client("secretsmanager").get_secret_value(SecretId=secret_id)["SecretString"]
        return json.loads(value)[key]

    def _credentials(self) -> dict[str, str]:
        answer = self.aws.control.post("/_local/build-session", {"project": self.project["name"]})
        return {
            "AWS_ACCESS_KEY_ID": answer["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": answer["SecretAccessKey"],
            "AWS_SESSION_TOKEN": answer["SessionToken"],
        }


# Of them, those about certificates and proxies let a build download its dependencies.
_OF_THE_MACHINE = (
    *("PATH", "HOME", "LANG", "LC_ALL", "CARGO_HOME", "RUSTUP_HOME", "DOCKER_HOST"),
    *("SSL_CERT_FILE", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "XDG_RUNTIME_DIR"),
    *("DOCKER_STAND_IN_HOME", "DOCKER_STAND_IN_HUB"),
)


def has_docker_engine() -> bool:
    """Whether a Docker engine answers; the stand-in is for where none does."""
    if not shutil.which("docker"):
        return False
    return subprocess.run(["docker", "info"], capture_output=True).returncode == 0


def _tools() -> list[str]:
    command_line = LOCAL / "aws-cli" / "bin"
    if not (command_line / "aws").is_file():
        raise FileNotFoundError(f"{command_line / 'aws'} does not exist; create it with {FOLDER.parent / 'setup'} demo")
    return [str(command_line)] if has_docker_engine() else [str(FOLDER / "docker"), str(command_line)]


def _commands(specification: dict[str, Any]) -> list[str]:
    if str(specification["version"]) != "0.2":
        raise ValueError("only buildspec version 0.2 is known here")
    if specification.get("env", {}).get("shell") != "bash":
        raise ValueError("only buildspecs with `shell: bash` are known here")
    commands = []
    for name, phase in specification["phases"].items():
        # With ABORT the first command that fails is the last of the build.
        if name not in PHASES or set(phase) != {"on-failure", "commands"} or phase["on-failure"] != "ABORT":
            raise ValueError(f"the phase {name} says more, or less, than `on-failure: ABORT` and commands")
    for name in PHASES:
        commands += specification["phases"].get(name, {}).get("commands", [])
    return commands


def _write_commands(state: Path, commands: list[str], shell: Shell, variables: Mapping[str, str], source: Path) -> None:
    (state / "directory").write_text(f"{source}\n")
    (state / "environment").write_text(
        "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())
    )
    driver = [f"cd {shlex.quote(str(source))}"]
    quoted = shlex.quote(str(state))
    for number, command in enumerate(commands):
        script = state / f"{number:02}.sh"
        script.write_text(command if shell == "one" else _ONE_SCRIPT_EACH.format(state=quoted, command=command))
        run = "." if shell == "one" else "bash"
        # Not `|| exit`, which would switch `set -e` off inside the command.
        driver += [f"echo {shlex.quote('[Container] Running command ' + command)}"]
        driver += [f"{run} {shlex.quote(str(script))}", 'status=$?; [ "$status" = 0 ] || exit "$status"']
    if shell == "one":
        driver.append(f"export -p > {quoted}/environment")
    (state / "driver").write_text("\n".join(driver) + "\n")


def _exported(state: Path, names: list[str]) -> dict[str, str]:
    script = '. "$1"; shift; for name; do printf "%s=%s\\0" "$name" "${!name-}"; done'
    command = ["bash", "-c", script, "bash", str(state / "environment"), *names]
    output = subprocess.run(
        command, capture_output=True, text=True, check=True, env={"PATH": os.environ["PATH"]}
    ).stdout
    return dict(entry.split("=", 1) for entry in output.split("\0") if entry)
