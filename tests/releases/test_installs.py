"""Environments side by side: a third one is one more section, and one that goes leaves the others as they were."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import tomlkit
from cloud import install
from cloud.local_aws import REPOSITORY as CHECKOUT

from stage import REPOSITORY, Stage

MOVING_TAGS = {"MovingTags": "qa,prod,staging"}


def test_a_third_environment_is_one_more_section_and_goes_alone(stage: Stage, tmp_path: Path) -> None:
    released = stage.release(stage.qa)
    version = deployment(stage, "bookings-api-qa")["version"]

    install(stage.aws, "qa", MOVING_TAGS)
    assert sids(stage) == {"LightsailPullBookingsApiQa"}, "the repository's update took its policy, as on AWS"
    install(stage.aws, "prod", {**MOVING_TAGS, "PlanetScaleApiUrl": f"{stage.aws.planetscale_url}/v1"})
    assert sids(stage) == {"LightsailPullBookingsApiQa", "LightsailPullBookingsApiProd"}
    assert deployment(stage, "bookings-api-qa")["version"] == version, "an update deploys nothing"

    staging = install(stage.aws, "staging", configuration=with_a_third_section(tmp_path))
    stage.aws.put_secret("bookings-api/staging/connection-string", "mysql://emulated@127.0.0.1/bookings_api")
    assert sids(stage) == {"LightsailPullBookingsApiQa", "LightsailPullBookingsApiProd", "LightsailPullBookingsApiStaging"}
    digest = stage.push("staging")
    assert stage.ended(staging, digest).outcome == "Released"

    staging.delete()
    assert sids(stage) == {"LightsailPullBookingsApiQa", "LightsailPullBookingsApiProd"}
    assert left_of(stage, "bookings-api-staging") == []
    assert deployment(stage, "bookings-api-qa")["version"] == version
    assert stage.lightsail.active_image("bookings-api-qa") == released.report["image"]
    assert stage.release(stage.qa).outcome == "Released"


def with_a_third_section(folder: Path) -> Path:
    document = tomlkit.parse((CHECKOUT / "samconfig.toml").read_text()).unwrap()
    parameters = {
        **document["qa"]["deploy"]["parameters"],
        "stack_name": "bookings-api-staging",
        "parameter_overrides": [
            *("Application=bookings-api", "Environment=staging", "CreateRepository=false"),
            *(f"{name}={value}" for name, value in MOVING_TAGS.items()),
        ],
    }
    document["staging"] = {"deploy": {"parameters": parameters}}
    path = folder / "samconfig.toml"
    path.write_text(tomlkit.dumps(document))
    return path


def deployment(stage: Stage, service: str) -> dict[str, Any]:
    services = stage.lightsail.api.get("/_control/services")
    return next(s["currentDeployment"] for s in services if s["containerServiceName"] == service)


def sids(stage: Stage) -> set[str]:
    policy = stage.aws.client("ecr").get_repository_policy(repositoryName=REPOSITORY)["policyText"]
    return {statement["Sid"] for statement in json.loads(policy)["Statement"]}


def left_of(stage: Stage, stack: str) -> list[str]:
    """What bears the stack's name, of every kind that the template makes."""
    client = stage.aws.client
    found = [
        *(f["FunctionName"] for page in client("lambda").get_paginator("list_functions").paginate() for f in page["Functions"]),
        *(r["RoleName"] for page in client("iam").get_paginator("list_roles").paginate() for r in page["Roles"]),
        *(m["name"] for m in client("stepfunctions").list_state_machines()["stateMachines"]),
        *(r["Name"] for r in client("events").list_rules()["Rules"]),
        *(t["TopicArn"] for t in client("sns").list_topics()["Topics"]),
        *client("sqs").list_queues().get("QueueUrls", []),
        *client("dynamodb").list_tables()["TableNames"],
        *(a["AlarmName"] for a in client("cloudwatch").describe_alarms()["MetricAlarms"]),
        *(s["containerServiceName"] for s in stage.lightsail.api.get("/_control/services")),
        *(g["logGroupName"].strip("/").replace("/", "-") for g in client("logs").describe_log_groups()["logGroups"]),
        *(s["Name"].replace("/", "-") for s in client("secretsmanager").list_secrets()["SecretList"]),
    ]
    return [name for name in found if stack in name]
