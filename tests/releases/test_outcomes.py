"""One whole release for each row of the outcome table."""

from __future__ import annotations

from cloud import Environment
from stage import ADD_DESCRIPTION, DROP_STARS, Ended, Stage


def check(stage: Stage, environment: Environment, ended: Ended, outcome: str) -> None:
    """What every release leaves: its end state, one record, one message, and a free lock."""
    assert ended.outcome == outcome, ended.report["whatHappened"]
    assert ended.status == ("SUCCEEDED" if outcome in ("Released", "Superseded", "Held") else "FAILED")
    assert ended.report["outcome"] == outcome
    assert ended.report["whatToDo"]
    assert stage.lock(environment) is None
    messages = stage.notifications(environment, ended)
    assert len(messages) == 1, messages
    assert f": {outcome}\n" in messages[0]


def test_an_environment_without_a_database_releases_the_containers(stage: Stage) -> None:
    ended = stage.release(stage.qa)
    check(stage, stage.qa, ended, "Released")
    assert ended.report["deployRequest"] is None
    assert stage.lightsail.active_image("bookings-api-qa") == ended.report["image"]
    assert ended.report["image"].endswith(":" + ended.report["commit"])
    assert stage.planetscale.calls() == {}


def test_an_added_column_is_applied_before_the_containers_start(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    ended = stage.release(stage.prod)
    check(stage, stage.prod, ended, "Released")
    assert "description" in stage.planetscale.schema("main")
    assert ended.report["schema"] == "Permanent", "its window is closed"
    assert ended.report["order"].startswith("Schema, then containers.")
    assert "ADD COLUMN `description`" in ended.report["deployRequest"]["statements"][0]
    assert ended.states.index("DeployDeployRequest") < ended.states.index("CreateContainerDeployment")
    request = stage.planetscale.request(ended.report["deployRequest"]["number"])
    assert (request["state"], request["deployment_state"]) == ("closed", "complete")
    assert ended.report["commit"] in request["notes"] and ended.arn in request["notes"]
    calls = stage.planetscale.calls()
    assert calls["POST deploy-requests"] == calls["POST deploy"] == calls["POST skip-revert"] == 1
    assert stage.lightsail.calls()["CreateContainerServiceDeployment"] == 1


def test_equal_schemas_close_the_request_and_release_the_containers(stage: Stage) -> None:
    ended = stage.release(stage.prod)
    check(stage, stage.prod, ended, "Released")
    assert ended.report["schema"] == "None"
    request = stage.planetscale.request(ended.report["deployRequest"]["number"])
    assert (request["state"], request["deployment_state"]) == ("closed", "no_changes")
    assert "POST deploy" not in stage.planetscale.calls()
    assert stage.lightsail.active_image("bookings-api-prod") == ended.report["image"]


def test_overtaken_releases_step_aside_and_the_last_push_wins(stage: Stage) -> None:
    first, second, third = stage.overtake()
    overtaken = stage.ended(stage.prod, second)
    check_superseded(stage, overtaken)
    assert stage.ended(stage.prod, first).outcome == "Released"
    last = stage.ended(stage.prod, third)
    check(stage, stage.prod, last, "Released")
    assert stage.lightsail.active_image("bookings-api-prod") == last.report["image"]
    assert stage.lightsail.calls()["CreateContainerServiceDeployment"] == 2


def check_superseded(stage: Stage, ended: Ended) -> None:
    assert (ended.status, ended.outcome) == ("SUCCEEDED", "Superseded")
    assert "now points at" in ended.report["whatHappened"]
    assert not {"CreateDeployRequest", "CreateContainerDeployment"} & set(ended.states)
    assert len(stage.notifications(stage.prod, ended)) == 1


def test_a_dropped_column_is_refused_and_nothing_is_touched(stage: Stage) -> None:
    stage.planetscale.sql("dev", DROP_STARS)
    before = stage.lightsail.active_image("bookings-api-prod")
    ended = stage.release(stage.prod)
    check(stage, stage.prod, ended, "SchemaRefused")
    assert "DROP COLUMN `stars`" in ended.report["whatHappened"]
    assert "stars" in stage.planetscale.schema("main")
    assert stage.planetscale.request(ended.report["deployRequest"]["number"])["state"] == "closed"
    assert stage.lightsail.active_image("bookings-api-prod") == before
    assert "CreateContainerServiceDeployment" not in stage.lightsail.calls()


def test_a_table_without_a_unique_key_is_refused_with_the_lint_error(stage: Stage) -> None:
    stage.planetscale.sql("dev", "CREATE TABLE notes (text VARCHAR(20))")
    ended = stage.release(stage.prod)
    check(stage, stage.prod, ended, "SchemaRefused")
    assert "NO_UNIQUE_KEY" in ended.report["whatHappened"]
    assert "notes" not in stage.planetscale.schema("main")


def test_a_request_that_a_person_closes_is_rejected(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.planetscale.durations(pending=60_000)
    digest = stage.push("prod")
    stage.wait_for_state(stage.prod, digest, "WaitForValidation")
    stage.planetscale.person("close")
    ended = stage.ended(stage.prod, digest)
    check(stage, stage.prod, ended, "SchemaRejected")
    assert "closed by a person" in ended.report["whatHappened"]
    assert "description" not in stage.planetscale.schema("main")


def test_an_approval_is_waited_for_and_asked_for(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.planetscale.require_approval(True)
    digest = stage.push("prod")
    arn = stage.wait_for_state(stage.prod, digest, "WaitForApproval")
    asked = [note for note in stage.prod.notifications() if "approval needed" in (note["subject"] or "")]
    assert any(arn.rsplit(":", 1)[1] in note["message"] for note in asked)
    stage.planetscale.person("approve")
    ended = stage.ended(stage.prod, digest)
    assert ended.outcome == "Released", ended.report["whatHappened"]
    assert "description" in stage.planetscale.schema("main")


def test_an_approval_that_never_comes_is_a_rejection(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.planetscale.require_approval(True)
    with stage.settings(stage.prod, "start-release", APPROVAL_DEADLINE="60"):
        ended = stage.release(stage.prod)
    check(stage, stage.prod, ended, "SchemaRejected")
    assert "deadline for approval (1 min)" in ended.report["whatHappened"]
    assert stage.planetscale.request(ended.report["deployRequest"]["number"])["state"] == "closed"


def test_a_migration_that_fails_leaves_the_containers_alone(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.planetscale.next_deploy_fails()
    ended = stage.release(stage.prod)
    check(stage, stage.prod, ended, "SchemaFailed")
    assert "description" not in stage.planetscale.schema("main")
    assert "CreateContainerServiceDeployment" not in stage.lightsail.calls()


def test_containers_that_fail_without_a_schema_change_leave_the_old_ones_serving(stage: Stage) -> None:
    good = stage.release(stage.prod)
    stage.lightsail.next_image_fails()
    ended = stage.release(stage.prod)
    check(stage, stage.prod, ended, "ContainersFailed")
    assert stage.lightsail.active_image("bookings-api-prod") == good.report["image"]
    assert "RevertDeployRequest" not in ended.states


def test_containers_that_fail_take_the_schema_back(stage: Stage) -> None:
    good = stage.release(stage.prod)
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.lightsail.next_image_fails()
    ended = stage.release(stage.prod)
    check(stage, stage.prod, ended, "SchemaReverted")
    assert "description" not in stage.planetscale.schema("main")
    assert stage.lightsail.active_image("bookings-api-prod") == good.report["image"]
    request = stage.planetscale.request(ended.report["deployRequest"]["number"])
    assert (request["state"], request["deployment_state"]) == ("closed", "complete_revert")
    assert stage.planetscale.calls()["POST revert"] == 1


def test_a_schema_that_cannot_go_back_needs_a_person(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.planetscale.next_revert_is_refused()
    stage.lightsail.next_image_fails()
    ended = stage.release(stage.prod)
    check(stage, stage.prod, ended, "RevertRefused")
    assert "description" in stage.planetscale.schema("main")
    assert "FAILED" in ended.report["whatHappened"], "both reasons are told"


def test_a_schema_is_kept_where_the_policy_says_so(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.lightsail.next_image_fails()
    with stage.settings(stage.prod, "start-release", ON_CONTAINER_FAILURE="keep-schema"):
        ended = stage.release(stage.prod)
    check(stage, stage.prod, ended, "ContainersFailed")
    assert "description" in stage.planetscale.schema("main")
    assert "POST revert" not in stage.planetscale.calls()


def test_containers_that_never_become_active_time_out(stage: Stage) -> None:
    stage.lightsail.next_image_hangs()
    with stage.settings(stage.prod, "start-release", CONTAINERS_DEADLINE="60"):
        ended = stage.release(stage.prod)
    check(stage, stage.prod, ended, "TimedOut")
    assert "deadline for the containers (1 min)" in ended.report["whatHappened"]


def test_something_unforeseen_says_what(stage: Stage) -> None:
    stage.planetscale.token_without("read_deploy_request")
    ended = stage.release(stage.prod)
    check(stage, stage.prod, ended, "ReleaseError")
    assert "404" in ended.report["whatHappened"]
    assert "lacks the permission" in ended.report["whatHappened"]


def test_every_drop_goes_after_the_containers_where_the_policy_lets_it(stage: Stage) -> None:
    stage.planetscale.sql("dev", DROP_STARS)
    with stage.settings(stage.prod, "start-release", DESTRUCTIVE_CHANGES="after-containers"):
        ended = stage.release(stage.prod)
    check(stage, stage.prod, ended, "Released")
    assert "stars" not in stage.planetscale.schema("main")
    assert ended.report["order"].startswith("Containers, then schema.")
    assert ended.states.index("CreateContainerDeployment") < ended.states.index("DeployDeployRequest")


def test_containers_that_fail_before_a_drop_close_the_request(stage: Stage) -> None:
    stage.planetscale.sql("dev", DROP_STARS)
    stage.lightsail.next_image_fails()
    with stage.settings(stage.prod, "start-release", DESTRUCTIVE_CHANGES="after-containers"):
        ended = stage.release(stage.prod)
    check(stage, stage.prod, ended, "ContainersFailed")
    assert "stars" in stage.planetscale.schema("main")
    assert stage.planetscale.request(ended.report["deployRequest"]["number"])["state"] == "closed"
