"""What a person gets wrong: each ends in a sentence that says what, where and what to do."""

from __future__ import annotations

import pytest
from cloud import install
from cloud.bookings import DATABASE
from cloud.processes import ProcessFailed
from stage import ADD_DESCRIPTION, Ended, Stage


def check(stage: Stage, ended: Ended, outcome: str, *words: str) -> None:
    """The outcome and the words of its sentence; a free lock; nothing half done."""
    told = ended.report["whatHappened"]
    assert ended.outcome == outcome, told
    for word in words:
        assert word in told, told
    assert stage.lock(stage.prod) is None
    assert "description" not in stage.planetscale.schema("main")
    assert "CreateContainerServiceDeployment" not in stage.lightsail.calls()
    assert stage.planetscale.open_requests() == []


def test_a_secret_without_a_token(stage: Stage) -> None:
    for value in ("{}", "not json", '{"id": "", "token": ""}'):
        stage.aws.put_secret("bookings-api/prod/planetscale", value)
        ended = stage.release(stage.prod)
        check(stage, ended, "ReleaseError", "is not a JSON object", "FillPlanetScaleSecret")


def test_a_wrong_token(stage: Stage) -> None:
    stage.aws.put_secret("bookings-api/prod/planetscale", '{"id": "emulatortokn", "token": "wrong"}')
    check(stage, stage.release(stage.prod), "ReleaseError", "401", "FillPlanetScaleSecret")


def test_a_token_that_must_not_create_requests(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.planetscale.token_without("create_deploy_request")
    check(stage, stage.release(stage.prod), "ReleaseError", "POST", "404", "lacks the permission")


@pytest.mark.parametrize(
    ("variable", "value"),
    [("PLANETSCALE_DATABASE", "other"), ("PLANETSCALE_ORGANIZATION", "other"), ("PLANETSCALE_HEAD_BRANCH", "other")],
)
def test_an_unknown_organization_database_or_branch(stage: Stage, variable: str, value: str) -> None:
    with stage.settings(stage.prod, "start-release", **{variable: value}):
        check(stage, stage.release(stage.prod), "ReleaseError", "404", "is missing")


def test_a_base_branch_without_safe_migrations(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.planetscale.safe_migrations("main", False)
    check(stage, stage.release(stage.prod), "SchemaRefused", "safe migrations")


def test_a_connection_string_that_is_not_filled_takes_the_schema_back(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.aws.put_secret("bookings-api/prod/connection-string", " ")
    try:
        ended = stage.release(stage.prod)
    finally:
        stage.fill_connection_strings()
    check(stage, ended, "SchemaReverted", "connection-string", "FillConnectionString")
    assert ended.report["whatHappened"].startswith("No new containers were created")
    assert ended.report["whatToDo"].startswith("Mend what the reason names")
    assert ended.report["needsAPerson"]


def test_an_environment_of_the_container_that_is_not_json(stage: Stage) -> None:
    with stage.settings(stage.prod, "create-container-deployment", CONTAINER_ENVIRONMENT="LISTEN=80"):
        ended = stage.release(stage.prod)
    check(stage, ended, "ReleaseError", "ContainerEnvironment", '{"LISTEN":"0.0.0.0:80"}')


def test_a_setting_that_is_missing_is_named(stage: Stage) -> None:
    with stage.settings(stage.prod, "create-container-deployment", CONTAINER_PORT=""):
        ended = stage.release(stage.prod)
    check(stage, ended, "ReleaseError", "CONTAINER_PORT", "deploy the stack again")


def test_a_container_service_that_does_not_exist(stage: Stage) -> None:
    with stage.settings(stage.prod, "start-release", SERVICE_NAME="nowhere"):
        ended = stage.release(stage.prod)
    check(stage, ended, "ContainersFailed", "nowhere", "does not exist")


def test_an_image_with_the_moving_tag_only(stage: Stage) -> None:
    digest = stage.push_only_moving_tag("prod")
    check(stage, stage.ended(stage.prod, digest), "ContainersFailed", "Push a commit tag before")


def test_an_image_for_another_processor(stage: Stage) -> None:
    ended = stage.release(stage.prod, architecture="arm64")
    assert ended.outcome == "ContainersFailed"
    assert "exec format error" in ended.report["whatHappened"]


def test_parameters_that_contradict_each_other_are_refused_at_the_install(stage: Stage) -> None:
    with pytest.raises(ProcessFailed, match="PlanetScaleOrganization is needed"):
        install(
            stage.aws, "prod", {"PlanetScaleDatabase": DATABASE, "PlanetScaleOrganization": ""}, show=lambda _: None
        )
