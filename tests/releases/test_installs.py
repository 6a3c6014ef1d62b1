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
LOOK = {"source": "aws.events", "detail-type": "Scheduled Event", "time": "2026-11-23T03:46:53Z", "detail": {}}
PROD = {"Repository": REPOSITORY, "Service": "bookings-api-prod"}


def test_a_third_environment_is_one_more_section_and_goes_alone(stage: Stage, tmp_path: Path) -> None:
    released = stage.release(stage.qa)
    version = deployment(stage, "bookings-api-qa")["version"]

    install(stage.aws, "qa", MOVING_TAGS)
    assert sids(stage) == {"LightsailPullBookingsApiQa"}, "the repository's update took its policy, as on AWS"
    install(stage.aws, "prod", {**MOVING_TAGS, "PlanetScaleApiUrl": f"{stage.aws.planetscale_url}/v1"})
    assert sids(stage) == {"LightsailPullBookingsApiQa", "LightsailPullBookingsApiProd"}
    assert deployment(stage, "bookings-api-qa")["version"] == version, "an update deploys nothing"

    # ECR knows a role only some seconds after Lightsail made it.
    stage.aws.control.post("/_local/principals", {"youngSeconds": 4})
    try:
        staging = install(stage.aws, "staging", configuration=with_a_third_section(tmp_path))
    finally:
        stage.aws.control.post("/_local/principals", {})
    stage.aws.put_secret("bookings-api/staging/connection-string", "mysql://emulated@127.0.0.1/bookings_api")
    assert sids(stage) == {
        "LightsailPullBookingsApiQa",
        "LightsailPullBookingsApiProd",
        "LightsailPullBookingsApiStaging",
    }
    digest = stage.push("staging")
    assert stage.ended(staging, digest).outcome == "Released"

    staging.delete()
    assert sids(stage) == {"LightsailPullBookingsApiQa", "LightsailPullBookingsApiProd"}
    assert left_of(stage, "bookings-api-staging") == ["bookings-api-staging-releases"]
    assert deployment(stage, "bookings-api-qa")["version"] == version
    assert stage.lightsail.active_image("bookings-api-qa") == released.report["image"]
    assert stage.release(stage.qa).outcome == "Released"

    records = len(staging.records())
    digest = stage.push("staging")
    again = install(stage.aws, "staging", {"CreateTable": "false"}, configuration=with_a_third_section(tmp_path))
    assert len(again.records()) == records, "what was released before is still told"
    assert "was seen before" in again.invoke("bookings-api-staging-start-release", LOOK)["because"]
    # The local AWS keeps the executions of the state machine that was deleted.
    assert stage.executions_of(again, digest) == [], "an install releases nothing"
    stage.aws.put_secret("bookings-api/staging/connection-string", "mysql://emulated@127.0.0.1/bookings_api")
    assert stage.release_by_hand(again).outcome == "Released"
    again.delete()
    stage.aws.client("dynamodb").delete_table(TableName="bookings-api-staging-releases")


def test_a_grant_that_was_lost_is_made_again_by_the_look(stage: Stage) -> None:
    ecr, before = stage.aws.client("ecr"), sids(stage)
    (target,) = [
        target
        for target in stage.aws.client("events").list_targets_by_rule(Rule="bookings-api-qa-look")["Targets"]
        if target["Id"] == "grant-image-pull"
    ]
    function = target["Arn"].rpartition(":")[2]
    ecr.delete_repository_policy(repositoryName=REPOSITORY)
    stage.qa.invoke(function, json.loads(target["Input"]))
    assert sids(stage) == {"LightsailPullBookingsApiQa"}

    # prod's puller role is deleted: ECR takes no policy any more that names it.
    stage.prod.invoke("bookings-api-prod-grant-image-pull", PROD)
    assert sids(stage) == before
    (puller,) = [s["Principal"]["AWS"] for s in statements(stage) if s["Sid"] == "LightsailPullBookingsApiProd"]
    only_prod = [s for s in statements(stage) if s["Sid"] == "LightsailPullBookingsApiProd"]
    ecr.set_repository_policy(repositoryName=REPOSITORY, policyText=json.dumps({"Statement": only_prod}))
    stage.aws.control.post("/_local/principals", {"deleted": [puller]})
    try:
        stage.qa.invoke(function, json.loads(target["Input"]))
        assert sids(stage) == {"LightsailPullBookingsApiQa"}
    finally:
        stage.aws.control.post("/_local/principals", {})
    stage.prod.invoke("bookings-api-prod-grant-image-pull", PROD)
    assert sids(stage) == before


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
    return {statement["Sid"] for statement in statements(stage)}


def statements(stage: Stage) -> list[dict[str, Any]]:
    policy = stage.aws.client("ecr").get_repository_policy(repositoryName=REPOSITORY)["policyText"]
    return json.loads(policy)["Statement"]


def left_of(stage: Stage, stack: str) -> list[str]:
    """What bears the stack's name, of every kind that the template makes."""
    client = stage.aws.client
    found = [
        *(
            f["FunctionName"]
            for page in client("lambda").get_paginator("list_functions").paginate()
            for f in page["Functions"]
        ),
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
