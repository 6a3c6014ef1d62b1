"""The install that the README tells, run as it stands there on a local AWS of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER, ResourceNotFoundError
from cloud import Environment, Lightsail, LocalAws, PlanetScale, build, emulator, push_image
from cloud.bookings import DATABASE, HOTELS, ORGANIZATION, TOKEN
from cloud.install import build_directory
from cloud.local_aws import LOCAL, REPOSITORY

# What a person writes in place of the README's placeholders.
FILLED = {
    "<connection string>": "mysql://emulated:only-for-the-emulator@127.0.0.1/bookings_api",
    "<id>": TOKEN["id"],
    "<token>": TOKEN["token"],
}


@dataclass
class Person:
    """Somebody with a copy of the repository and a shell."""

    aws: LocalAws
    folder: Path

    def run(self, command: str) -> str:
        """What a command writes. Raises CalledProcessError, with its output shown, when it fails."""
        tools = [str(LOCAL / name / "bin") for name in ("tools", "aws-cli")]
        variables = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTHON"))},
            **self.aws.environment(),
            "PATH": os.pathsep.join([*tools, os.environ["PATH"]]),
            "SAM_CLI_POLL_DELAY": "0.3",
            "SAM_CLI_TELEMETRY": "0",
        }
        process = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command], cwd=self.folder, env=variables, text=True, capture_output=True
        )
        print(f"$ {command}\n{process.stdout}{process.stderr}")
        process.check_returncode()
        return process.stdout

    def fill_in(self, command: str) -> str:
        for placeholder, value in FILLED.items():
            command = command.replace(placeholder, value)
        assert "<" not in command, f"a placeholder that this test does not know: {command}"
        return command

    def preflight(self, environment: str) -> dict[str, Any]:
        self.run(command_with(f"{environment}-preflight"))
        return json.loads((self.folder / "preflight.json").read_text())


def install_commands() -> list[str]:
    """The commands of the README's section Install, one for each line."""
    section = (REPOSITORY / "README.md").read_text().split("\n## Install\n")[1].split("\n## ")[0]
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```", section, re.DOTALL | re.MULTILINE)
    return [line.strip() for block in blocks for line in block.splitlines()]


def command_with(words: str) -> str:
    return next(command for command in install_commands() if words in command)


def test_the_regions_of_the_readme_have_container_services() -> None:
    text = (REPOSITORY / "README.md").read_text()
    found = re.search(r"CloudFormation has them in ([^.]+), and not in (\S+),", text)
    assert found
    named, without = found.groups()
    regions = re.findall(r"[a-z]{2}-[a-z]+-\d", named)
    assert len(regions) > 10
    for region in regions:
        PROVIDER_SCHEMA_MANAGER.get_resource_schema(region, "AWS::Lightsail::Container")
    with pytest.raises(ResourceNotFoundError):
        PROVIDER_SCHEMA_MANAGER.get_resource_schema(without, "AWS::Lightsail::Container")


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    folder = tmp_path_factory.mktemp("checkout")
    with LocalAws(
        planetscale=emulator("planetscale-emulator"), lightsail=emulator("lightsail-emulator"), wait_scale=0.02
    ) as aws:
        planetscale = PlanetScale(aws, ORGANIZATION, DATABASE)
        planetscale.reset(schema=HOTELS, token=TOKEN)
        configuration = (REPOSITORY / "samconfig.toml").read_text()
        # The one thing of a local AWS: where PlanetScale is.
        parameter = f"    \"PlanetScaleApiUrl='{aws.planetscale_url}/v1'\",\n]"
        (folder / "samconfig.toml").write_text(re.sub(r"^\]", parameter, configuration, flags=re.MULTILINE))
        yield Person(aws, folder)


def test_the_install_has_at_most_seven_steps() -> None:
    section = (REPOSITORY / "README.md").read_text().split("\n## Install\n")[1].split("\n## ")[0]
    steps = re.findall(r"^(\d)\. ", section, re.MULTILINE)
    assert steps == [str(number) for number in range(1, len(steps) + 1)] and len(steps) <= 7


def test_the_install_of_the_readme_leads_to_a_release(person: Person) -> None:
    commands = install_commands()
    assert commands[:3] == ["sam build", "sam deploy --config-env qa", "sam deploy --config-env prod"]

    # `sam build` makes what Lambda runs and takes long; `cloud` makes the same for this machine.
    build(person.aws.logs)
    copy = person.folder / ".aws-sam" / "build"
    shutil.copytree(build_directory(), copy)
    for command in commands[1:3]:
        person.run(command)
    prod = Environment(person.aws, "bookings-api-prod")
    before = prod.outputs
    assert "has no value" in before["PreflightReport"]

    fill = [command for command in commands if "put-secret-value" in command]
    printed = [
        *(Environment(person.aws, f"bookings-api-{name}").outputs["FillConnectionString"] for name in ("qa", "prod")),
        before["FillPlanetScaleSecret"],
    ]
    assert fill == printed
    for command in fill:
        person.run(person.fill_in(command))

    assert commands[-1] == before["PreflightCommand"]
    answer = person.preflight("prod")
    problems = [check for check in answer["checks"] if check["status"] == "problem"]
    assert [check["check"] for check in problems] == ["notifications"], problems
    queue = f"arn:aws:sqs:{person.aws.region}:{person.aws.account}:somebody"
    person.aws.client("sqs").create_queue(QueueName="somebody")
    person.aws.client("sns").subscribe(TopicArn=prod.outputs["TopicArn"], Protocol="sqs", Endpoint=queue)
    assert person.preflight("prod")["ready"]

    Lightsail(person.aws).clear()
    push_image(person.aws, "bookings-api", ["3f2a9c1d", "prod"], unique=True)
    execution = prod.wait_for_execution()
    assert prod.end_state(execution["executionArn"]) == "Released"
    assert person.preflight("prod")["ready"]


def test_a_deploy_again_reports_again_only_when_a_parameter_changed(person: Person) -> None:
    person.run(command_with("sam deploy --config-env prod"))
    unchanged = Environment(person.aws, "bookings-api-prod").outputs["PreflightReport"]
    assert "has no value" in unchanged

    configuration = person.folder / "samconfig.toml"
    present = configuration.read_text()
    configuration.write_text(
        present.replace("\"Environment='prod'\",", "\"Environment='prod'\",\n    \"PlanetScaleHeadBranch='nowhere'\",")
    )
    person.run(command_with("sam deploy --config-env prod"))
    changed = Environment(person.aws, "bookings-api-prod").outputs["PreflightReport"]
    assert "head branch: bookings_api has no branch nowhere." in changed and "has no value" not in changed
