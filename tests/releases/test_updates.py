"""A stack that is deployed again, in the midst of a release, and one whose install fails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from cloud import Environment, install
from cloud.local_aws import REPOSITORY as CHECKOUT
from cloud.processes import ProcessFailed
from stage import ADD_DESCRIPTION, REPOSITORY, Stage
from test_installs import left_of, sids


def test_a_deploy_in_the_midst_of_a_release_changes_what_it_names_and_nothing_else(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.planetscale.require_approval(True)
    digest = stage.push("prod")
    arn = stage.wait_for_state(stage.prod, digest, "WaitForApproval")
    parameters = parameters_of(stage.prod)
    before = resources(stage)

    install(stage.aws, "prod", {**parameters, "ContainersDeadline": "3000"})

    after = resources(stage)
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert changed == {"lambda bookings-api-prod-start-release"}
    assert after["lambda bookings-api-prod-start-release"]["CONTAINERS_DEADLINE"] == "3000"
    stage.planetscale.person("approve")
    ended = stage.ended(stage.prod, digest)
    assert (ended.arn, ended.outcome) == (arn, "Released")
    install(stage.aws, "prod", parameters)
    assert resources(stage).keys() == before.keys()


def test_an_install_that_fails_leaves_nothing_behind(stage: Stage, tmp_path: Path) -> None:
    grants = sids(stage)
    # It is to pull from a repository that does not exist, which shows late: when most of the stack stands.
    parameters = ["Application=bookings-api", "Environment=broken", "CreateRepository=false", "RepositoryName=nowhere"]
    document = tomlkit.parse((CHECKOUT / "samconfig.toml").read_text()).unwrap()
    section = {
        **document["qa"]["deploy"]["parameters"],
        "stack_name": "bookings-api-broken",
        "parameter_overrides": parameters,
    }
    configuration = tmp_path / "samconfig.toml"
    configuration.write_text(tomlkit.dumps({**document, "broken": {"deploy": {"parameters": section}}}))

    with pytest.raises(ProcessFailed):
        install(stage.aws, "broken", configuration=configuration)

    client = stage.aws.client("cloudformation")
    events = client.describe_stack_events(StackName="bookings-api-broken")["StackEvents"]
    failed = [
        event
        for event in events
        if event["ResourceStatus"] == "CREATE_FAILED" and event["LogicalResourceId"] == "ImagePullGrant"
    ]
    assert "nowhere" in failed[0]["ResourceStatusReason"]
    assert left_of(stage, "bookings-api-broken") == []
    assert sids(stage) == grants
    stack = client.describe_stacks(StackName="bookings-api-broken")["Stacks"][0]
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"


def parameters_of(environment: Environment) -> dict[str, str]:
    client = environment.aws.client("cloudformation")
    stack = client.describe_stacks(StackName=environment.stack_name)["Stacks"][0]
    return {parameter["ParameterKey"]: parameter["ParameterValue"] for parameter in stack["Parameters"]}


def resources(stage: Stage) -> dict[str, Any]:
    """What the stacks are made of, as far as it could change: functions with their variables, the state machines, what runs."""
    client = stage.aws.client
    found: dict[str, Any] = {}
    for page in client("lambda").get_paginator("list_functions").paginate():
        for function in page["Functions"]:
            variables = function.get("Environment", {}).get("Variables", {})
            found[f"lambda {function['FunctionName']}"] = {
                **variables,
                "code": function["CodeSha256"],
                "role": function["Role"],
            }
    for machine in client("stepfunctions").list_state_machines()["stateMachines"]:
        described = client("stepfunctions").describe_state_machine(stateMachineArn=machine["stateMachineArn"])
        found[f"states {machine['name']}"] = {"definition": described["definition"], "role": described["roleArn"]}
    for role in (role for page in client("iam").get_paginator("list_roles").paginate() for role in page["Roles"]):
        names = client("iam").list_role_policies(RoleName=role["RoleName"])["PolicyNames"]
        policies = [
            client("iam").get_role_policy(RoleName=role["RoleName"], PolicyName=name)["PolicyDocument"]
            for name in names
        ]
        found[f"role {role['RoleName']}"] = policies
    for rule in client("events").list_rules()["Rules"]:
        found[f"rule {rule['Name']}"] = [rule.get("EventPattern"), rule.get("ScheduleExpression"), rule["State"]]
    for service in stage.lightsail.api.get("/_control/services"):
        deployments = [deployment["version"] for deployment in service["deployments"]]
        found[f"service {service['containerServiceName']}"] = [service["power"], service["scale"], deployments]
    found["repository"] = json.loads(client("ecr").get_repository_policy(repositoryName=REPOSITORY)["policyText"])
    return found
