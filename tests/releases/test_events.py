"""What starts a release, and what does not."""

from __future__ import annotations

import json

import pytest
from cloud import push_image
from stage import REPOSITORY, Stage

LOOK = {"source": "aws.events", "detail-type": "Scheduled Event", "time": "2026-11-23T03:46:53Z", "detail": {}}


def test_an_event_delivered_twice_starts_one_release(stage: Stage) -> None:
    stage.aws.deliver_image_events("twice")
    digest = stage.push("qa")
    assert stage.ended(stage.qa, digest).outcome == "Released"
    assert len(stage.executions_of(stage.qa, digest)) == 1
    assert stage.lightsail.calls()["CreateContainerServiceDeployment"] == 1


def test_a_lost_event_is_found_by_the_look_and_released_once(stage: Stage) -> None:
    stage.aws.deliver_image_events("never")
    digest = stage.push("qa")
    started = stage.qa.invoke("bookings-api-qa-start-release", LOOK)
    assert started["started"].endswith("-look")
    assert stage.ended(stage.qa, digest).outcome == "Released"
    again = stage.qa.invoke("bookings-api-qa-start-release", {**LOOK, "time": "2026-11-23T04:01:53Z"})
    assert again["started"] is None
    assert "was seen before" in again["because"]
    assert len(stage.executions_of(stage.qa, digest)) == 1


def test_a_person_releases_by_hand_what_the_tag_points_at(stage: Stage) -> None:
    first = stage.release(stage.qa)
    started = stage.qa.invoke("bookings-api-qa-start-release", {})
    assert started["started"].endswith("-by-hand")
    arn = first.arn.rsplit(":", 1)[0] + ":" + started["started"]
    assert stage.qa.wait_for_execution(arn)["status"] == "SUCCEEDED"
    assert stage.qa.report(arn)["image"] == first.report["image"]


def test_tagging_an_older_image_again_rolls_back(stage: Stage) -> None:
    old = push_image(stage.aws, REPOSITORY, ["aaaaaaa1", "qa"], files={"version": "old"})
    assert stage.ended(stage.qa, old).outcome == "Released"
    stage.release(stage.qa)
    before = len(stage.executions_of(stage.qa, old))
    push_image(stage.aws, REPOSITORY, ["qa"], files={"version": "old"})
    stage.until(lambda: len(stage.executions_of(stage.qa, old)) > before, "rollback")
    assert stage.ended(stage.qa, old).outcome == "Released"
    assert (stage.lightsail.active_image("bookings-api-qa") or "").endswith(":aaaaaaa1")


def test_other_tags_and_repositories_start_nothing(stage: Stage) -> None:
    before = len(stage.qa.executions())
    stage.aws.client("ecr").create_repository(repositoryName="other")
    push_image(stage.aws, "other", ["abcdef12", "qa"], unique=True)
    push_image(stage.aws, REPOSITORY, ["abcdef12"], unique=True)
    push_image(stage.aws, REPOSITORY, [], unique=True)
    digest = stage.push("qa")
    assert stage.ended(stage.qa, digest).outcome == "Released"
    assert len(stage.qa.executions()) == before + 1


@pytest.mark.parametrize("payload", [{"tag": "qa"}, {"source": "aws.s3", "detail-type": "x", "time": LOOK["time"]}, []])
def test_a_malformed_event_says_what_to_send(stage: Stage, payload: object) -> None:
    client = stage.aws.client("lambda")
    answer = client.invoke(FunctionName="bookings-api-qa-start-release", Payload=json.dumps(payload).encode())
    error = json.loads(answer["Payload"].read())
    assert error["errorType"] == "Misconfigured"
    assert "to release by hand" in error["errorMessage"]
