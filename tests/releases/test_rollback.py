"""Going back to an image that was released before: containers alone, unless the schema of now breaks its code."""

from __future__ import annotations

import json
import secrets
from typing import Any

import pytest
from cloud.environment import FunctionError
from stage import ADD_DESCRIPTION, DROP_STARS, REPOSITORY, Ended, Stage
from test_events import LOOK
from test_hold import start, started
from test_outcomes import check
from test_verification import serve_badly, verified

SCHEMA_STATES = {"CreateDeployRequest", "GetDeployRequest", "DeployDeployRequest", "FollowSchemaChange", "SkipRevert"}


def go_back(stage: Stage, digest: str) -> Ended:
    """The release that moving the tag back to this image starts."""
    return stage.execution_ended(stage.prod, stage.retag("prod", digest)["executionArn"])


def released(stage: Stage, change: str = "", policy: str = "after-containers") -> str:
    """The digest of an image that is released with a change of the schema."""
    if change:
        stage.planetscale.sql("dev", change)
    with stage.settings(stage.prod, "start-release", DESTRUCTIVE_CHANGES=policy):
        ended = stage.release(stage.prod)
    assert ended.outcome == "Released", ended.report["whatHappened"]
    return ended.report["digest"]


def untouched(stage: Stage, ended: Ended, serves: str | None) -> None:
    check(stage, stage.prod, ended, "RollbackRefused")
    assert "CreateContainerDeployment" not in ended.states
    assert not SCHEMA_STATES & set(ended.states)
    assert stage.lightsail.active_image("bookings-api-prod") == serves


def test_going_back_starts_the_containers_alone_whatever_dev_holds_and_holds_the_environment(stage: Stage) -> None:
    older = released(stage)
    newer = released(stage, ADD_DESCRIPTION)
    stage.planetscale.sql("dev", DROP_STARS)
    schema, requests = stage.planetscale.schema("main"), len(stage.planetscale.requests())
    ended = go_back(stage, older)
    check(stage, stage.prod, ended, "Released")
    assert not SCHEMA_STATES & set(ended.states)
    assert stage.planetscale.schema("main") == schema
    assert len(stage.planetscale.requests()) == requests
    assert stage.lightsail.active_image("bookings-api-prod") == ended.report["image"]
    assert ended.report["digest"] == older
    assert "breaks it (deploy requests #" in ended.report["whatHappened"]
    assert ended.report["rollback"] == {
        **ended.report["rollback"],
        "step": "Allowed",
        "insisted": False,
        "inTheWay": [],
    }
    # The next push waits for a person; going back further, or on to what was released, does not.
    held = stage.release(stage.prod)
    check(stage, stage.prod, held, "Held")
    assert f"{ended.arn.rpartition(':')[2]} rolled back to" in held.report["whatHappened"]
    check(stage, stage.prod, go_back(stage, newer), "Released")


@pytest.mark.parametrize("past_the_pipeline", [False, True])
def test_a_change_that_breaks_the_older_code_is_in_the_way_whoever_deployed_it(
    stage: Stage, past_the_pipeline: bool
) -> None:
    older = released(stage)
    if past_the_pipeline:
        stage.planetscale.sql("dev", DROP_STARS)
        number = stage.planetscale.create_request()
        stage.until(lambda: stage.planetscale.request(number)["deployment_state"] == "ready", "validated request")
        stage.planetscale.person("deploy", number=number)
        stage.until(lambda: "stars" not in stage.planetscale.schema("main"), "applied change")
        released(stage)
    else:
        released(stage, DROP_STARS)
        number = max(request["number"] for request in stage.planetscale.requests())
    serves = stage.lightsail.active_image("bookings-api-prod")
    ended = go_back(stage, older)
    untouched(stage, ended, serves)
    told = ended.report["whatHappened"]
    assert "ALTER TABLE `hotels` DROP COLUMN `stars`" in told
    assert f"deploy request #{number}, https://" in told
    assert "To bring back what it needs" in told
    assert [one["deployRequest"] for one in ended.report["rollback"]["inTheWay"]] == [number]
    assert "insist" in ended.report["whatToDo"]
    # A refused rollback holds nothing, and a look does not try it again.
    assert "was seen before" in start(stage, LOOK)["because"]
    insisted = started(stage, start(stage, {"rollback": "insist"}))
    check(stage, stage.prod, insisted, "Released")
    assert insisted.report["digest"] == older
    assert insisted.report["rollback"]["insisted"] is True
    assert [one["deployRequest"] for one in insisted.report["rollback"]["inTheWay"]] == [number]
    assert "A person insists." in insisted.report["whatHappened"]


def test_what_cannot_be_read_refuses_and_a_person_may_insist(stage: Stage) -> None:
    older = released(stage)
    released(stage)
    serves = stage.lightsail.active_image("bookings-api-prod")
    stage.planetscale.token_without("read_deploy_request")
    ended = go_back(stage, older)
    untouched(stage, ended, serves)
    assert "JudgeRollback failed with Misconfigured" in ended.report["whatHappened"]
    insisted = started(stage, start(stage, {"rollback": "insist"}))
    check(stage, stage.prod, insisted, "Released")
    assert "what was applied since is not known" in insisted.report["whatHappened"]


def test_the_command_goes_back_leaves_the_tag_and_nothing_releases_what_was_left(stage: Stage) -> None:
    first = released(stage)
    second = released(stage)
    third = released(stage)
    assert '{"rollback":"previous"}' in stage.prod.outputs["RollBack"].replace("\\", "")
    back = started(stage, start(stage, {"rollback": "previous"}))
    check(stage, stage.prod, back, "Released")
    assert back.report["digest"] == second
    assert back.arn.endswith("-rollback")
    assert _tagged(stage) == third
    start(stage, {"hold": None})
    assert start(stage, LOOK)["started"] is None
    # Once more goes back further, and then there is nothing.
    again = started(stage, start(stage, {"rollback": "previous"}))
    assert again.report["digest"] == first
    start(stage, {"hold": None})
    check(stage, stage.prod, stage.release(stage.prod), "Released")


def test_a_tag_that_goes_back_to_what_serves_deploys_no_schema(stage: Stage) -> None:
    serves = released(stage)
    start(stage, {"hold": "An incident."})
    assert stage.release(stage.prod).outcome == "Held"
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    ended = go_back(stage, serves)
    check(stage, stage.prod, ended, "Released")
    assert "description" not in stage.planetscale.schema("main")


def test_a_tag_moved_twice_in_a_second_ends_where_it_points(stage: Stage) -> None:
    first = released(stage)
    second = released(stage)
    released(stage)
    stage.move_tag("prod", first)
    execution = stage.retag("prod", second)
    ended = stage.execution_ended(stage.prod, execution["executionArn"])
    check(stage, stage.prod, ended, "Released")
    others = [e for e in stage.executions_of(stage.prod, first) if e["name"] != execution["name"]]
    for other in others:
        assert stage.execution_ended(stage.prod, other["executionArn"]).outcome in ("Released", "Superseded")
    assert stage.lightsail.active_image("bookings-api-prod") == ended.report["image"]


def test_an_image_that_is_gone_is_named_and_nothing_is_touched(stage: Stage) -> None:
    older = released(stage)
    newer = released(stage)
    serves = stage.lightsail.active_image("bookings-api-prod")
    stage.aws.client("ecr").batch_delete_image(repositoryName=REPOSITORY, imageIds=[{"imageDigest": older}])
    with pytest.raises(FunctionError, match="is not in bookings-api any more"):
        start(stage, {"rollback": "previous"})
    assert stage.lightsail.active_image("bookings-api-prod") == serves
    assert _tagged(stage) == newer


def test_an_image_that_another_environment_released_is_no_rollback_here(stage: Stage) -> None:
    commit = secrets.token_hex(20)
    digest = _push_to_both(stage, commit)
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    ended = go_back(stage, digest)
    check(stage, stage.prod, ended, "Released")
    assert "description" in stage.planetscale.schema("main"), "an ordinary release, whose schema moves"


def test_older_containers_that_serve_badly_are_left_again_and_hold_nothing(stage: Stage) -> None:
    older = released(stage)
    serves = serve_badly(stage).report["image"]
    with verified(stage):
        ended = go_back(stage, older)
    check(stage, stage.prod, ended, "Undone")
    assert stage.lightsail.active_image("bookings-api-prod") == serves
    assert ended.report["schema"] == "None"
    assert "the one that was to be left serves again" in ended.report["whatToDo"]
    assert not [record for record in stage.prod.records() if record["kind"] == "hold"]


def test_a_push_during_the_judgement_overtakes_the_rollback(stage: Stage) -> None:
    older = released(stage)
    released(stage)
    stage.planetscale.fault("delay", method="GET", path="deploy-requests", delay_ms=6_000)
    execution = stage.retag("prod", older)["executionArn"]
    stage.until(lambda: "JudgeRollback" in stage.prod.states(execution), "judgement")
    newest = stage.push("prod")
    assert stage.execution_ended(stage.prod, execution).outcome == "Superseded"
    assert stage.ended(stage.prod, newest).outcome == "Released"


def test_a_judgement_whose_function_dies_is_made_again(stage: Stage) -> None:
    older = released(stage)
    released(stage)
    stage.function_fault(stage.prod, "judge-rollback", "Runtime.ExitError")
    check(stage, stage.prod, go_back(stage, older), "Released")


def test_a_rollback_stopped_at_its_judgement_goes_on_when_it_is_redriven(stage: Stage) -> None:
    older = released(stage)
    released(stage)
    with stage.waits(1):
        stage.function_fault(stage.prod, "judge-rollback", "Lambda.Unknown")
        arn = stage.retag("prod", older)["executionArn"]
        stage.until(lambda: "JudgeRollback" in stage.prod.states(arn), "judgement")
        stage.stop(arn)
        stage.prod.wait_for_execution(arn)
    stage.clear_function_faults()
    stage.redrive(arn)
    assert stage.execution_ended(stage.prod, arn).outcome == "Released"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("", "Going back is safe: the schema was not changed."),
        (ADD_DESCRIPTION, "Going back is safe: the version before works on the new schema."),
        (DROP_STARS, "Going back is refused while this is applied: ALTER TABLE `hotels` DROP COLUMN `stars`"),
    ],
)
def test_the_message_of_a_release_says_whether_one_can_go_back(stage: Stage, change: str, words: str) -> None:
    digest = released(stage, change)
    (message,) = [n["message"] for n in stage.prod.notifications() if f"Image: {digest}" in str(n["message"])]
    assert words in message.split("\n")


def test_a_payload_that_asks_for_no_rollback_says_what_to_send(stage: Stage) -> None:
    client = stage.aws.client("lambda")
    for payload in ({"rollback": "yes"}, {"rollback": None}, {"rollback": "insist", "hold": "x"}):
        answer = client.invoke(FunctionName="bookings-api-prod-start-release", Payload=json.dumps(payload).encode())
        error: dict[str, Any] = json.loads(answer["Payload"].read())
        assert error["errorType"] == "Misconfigured", payload


def _tagged(stage: Stage) -> str:
    answer = stage.aws.client("ecr").describe_images(repositoryName=REPOSITORY, imageIds=[{"imageTag": "prod"}])
    return answer["imageDetails"][0]["imageDigest"]


def _push_to_both(stage: Stage, commit: str) -> str:
    """An image that is released in qa."""
    ended = stage.release(stage.qa)
    assert ended.outcome == "Released", commit
    return ended.report["digest"]
