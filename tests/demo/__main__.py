"""Four releases on a local AWS: qa; prod with a new column; prod without a change; prod whose containers fail."""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import time
from dataclasses import dataclass

from harness import Environment, Lightsail, LocalAws, PlanetScale, emulator, install, push_image
from harness.bookings import DATABASE, HOTELS, ORGANIZATION, TOKEN
from harness.processes import ProcessFailed
from rich.console import Console
from rich.table import Table
from rich.text import Text

from demo.live import follow

# Only the emulator takes it.
CONNECTION_STRING = "mysql://emulated:only-for-the-emulator@127.0.0.1/bookings_api"


@dataclass
class Story:
    title: str
    environment: str
    statement: str = ""
    healthy: bool = True


STORIES = [
    Story("qa: no deploy request, the containers only", "qa"),
    Story("prod: with an added column", "prod", "ALTER TABLE hotels ADD description VARCHAR(400)"),
    Story("prod: without a schema change", "prod"),
    Story("prod: an image that fails its health check", "prod", "ALTER TABLE hotels ADD rooms INT", healthy=False),
]


def main() -> int:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="keep the local AWS running until Enter is pressed")
    arguments = parser.parse_args()
    console = Console(highlight=False, soft_wrap=True)
    try:
        return run(console, arguments.keep)
    except ProcessFailed as error:
        console.print(f"[bold red]The demo stopped.[/] {error}", markup=True)
        return 1
    except KeyboardInterrupt:
        console.print("Stopped.")
        return 130


def run(console: Console, keep: bool) -> int:
    console.print("[bold]Starting a local AWS, a PlanetScale and a Lightsail emulator[/]")
    aws = LocalAws(
        planetscale=emulator("planetscale-emulator"), lightsail=emulator("lightsail-emulator"), wait_scale=0.1
    )
    with aws:
        planetscale, lightsail = prepare(aws)
        environments = {
            "qa": installed(console, aws, "qa", {}),
            "prod": installed(console, aws, "prod", {"PlanetScaleApiUrl": f"{aws.planetscale_url}/v1"}),
        }
        aws.put_secret("bookings-api/prod/planetscale", json.dumps(TOKEN))
        started = time.monotonic()
        outcomes = [
            tell(console, number, story, aws, environments[story.environment], planetscale, lightsail)
            for number, story in enumerate(STORIES, 1)
        ]
        summary(console, outcomes, time.monotonic() - started)
        closer(console, aws, environments["prod"], keep)
    console.print("Everything that was started is stopped.")
    expected = ["Released", "Released", "Released", "SchemaReverted"]
    return 0 if [outcome for _, outcome, _ in outcomes] == expected else 1


def prepare(aws: LocalAws) -> tuple[PlanetScale, Lightsail]:
    planetscale = PlanetScale(aws, ORGANIZATION, DATABASE)
    planetscale.reset(schema=HOTELS, token=TOKEN)
    planetscale.durations(pending=600, queued=300, in_progress=2_500, in_progress_revert=800)
    lightsail = Lightsail(aws)
    lightsail.durations(deployment=1_500)
    return planetscale, lightsail


def installed(console: Console, aws: LocalAws, name: str, parameters: dict[str, str]) -> Environment:
    """The environment, installed as a person would. The first time compiles the functions."""
    console.print(f"[bold]Installing the environment {name}[/]: sam build, sam deploy --config-env {name}")
    with console.status("") as status:

        def show(line: str) -> None:
            status.update(f"[dim]{line.strip()[: console.width - 8]}[/]")

        environment = install(aws, name, parameters, show=show)
    aws.put_secret(f"bookings-api/{name}/connection-string", CONNECTION_STRING)
    return environment


def tell(
    console: Console,
    number: int,
    story: Story,
    aws: LocalAws,
    environment: Environment,
    planetscale: PlanetScale,
    lightsail: Lightsail,
) -> tuple[str, str, float]:
    """Push an image, show its release, and show the report. Returns title, outcome and seconds."""
    console.rule(f"[bold]{number} of {len(STORIES)} · {story.title}", align="left")
    if story.statement:
        planetscale.sql("dev", story.statement)
        console.print(f"  on branch dev: [green]{story.statement}[/]")
    if not story.healthy:
        lightsail.next_image_fails()
    before = {execution["executionArn"] for execution in environment.executions()}
    commit = secrets.token_hex(20)
    digest = push_image(aws, "bookings-api", [commit, story.environment], unique=True)
    console.print(f"  pushed bookings-api:{commit[:8]} and :{story.environment}, {digest[:19]}")
    started = time.monotonic()
    execution = follow(console, environment, before)
    report(console, environment, execution)
    return story.title, environment.end_state(execution["executionArn"]), time.monotonic() - started


def report(console: Console, environment: Environment, execution: dict) -> None:
    told = environment.report(execution["executionArn"])
    console.print()
    lines = [
        ("outcome", told["outcome"]),
        ("what happened", told["whatHappened"]),
        ("what to do", told["whatToDo"]),
        ("commit", told["commit"] or "unknown"),
    ]
    if request := told["deployRequest"]:
        lines.append(("deploy request", f"#{request['number']}, {request['state']}"))
        lines += [("", statement) for statement in request["statements"]]
    if told["order"]:
        lines.append(("order", told["order"]))
    if deployment := told["deployment"]:
        lines.append(("deployment", f"{deployment['version']} of {deployment['service']}, {deployment['url']}"))
    for label, text in lines:
        line = Text(f"  {label:<16}", "dim")
        line.append(text, "bold not dim" if label == "outcome" else "not dim")
        console.print(line)


def summary(console: Console, outcomes: list[tuple[str, str, float]], seconds: float) -> None:
    console.rule("[bold]Four releases, each started by a push", align="left")
    table = Table.grid(padding=(0, 2))
    for title, outcome, took in outcomes:
        style = "green" if outcome == "Released" else "red"
        table.add_row(f"  {title}", f"[{style}]{outcome}[/]", f"{took:.1f} s")
    console.print(table)
    console.print(f"  in {seconds:.1f} s; waits are shortened to a tenth")


def closer(console: Console, aws: LocalAws, environment: Environment, keep: bool) -> None:
    newest = environment.executions()[0]["executionArn"]
    console.print("\nTo look closer at a release:")
    console.print(f"  aws stepfunctions get-execution-history --execution-arn {newest}")
    if not keep:
        console.print("  (run `make demo KEEP=1` to keep the local AWS for it)")
        return
    console.print("With these variables:")
    for name, value in aws.environment().items():
        console.print(f"  export {name}={value}")
    input("Press Enter to stop. ")


if __name__ == "__main__":
    sys.exit(main())
