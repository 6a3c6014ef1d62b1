"""The telling for any machine: schemas in memory, an image assembled without a builder, containers that are not started."""

from __future__ import annotations

import json
import secrets
import time
from contextlib import ExitStack
from dataclasses import dataclass

from cloud import Environment, Lightsail, LocalAws, PlanetScale, emulator, install, push_image
from cloud.bookings import DATABASE, HOTELS, ORGANIZATION, TOKEN
from rich.console import Console

from demo.live import follow
from demo.show import closer, progress, report, summary

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


def run(console: Console, keep: bool) -> int:
    console.print("[bold]Starting a local AWS, a PlanetScale and a Lightsail emulator[/]")
    aws = LocalAws(
        planetscale=emulator("planetscale-emulator"), lightsail=emulator("lightsail-emulator"), wait_scale=0.1
    )
    with ExitStack() as stack:
        with progress(console, "starting"):
            stack.enter_context(aws)
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
    with progress(console) as show:
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
