"""A push, the event it makes, and what the event starts."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cloud import Environment, LocalAws, push_image
from cloud.images import PushRefused
from local_aws.toy_support import messages, wait_for

REPOSITORY = "toy/app"


def executions_of(toy: Environment, digest: str) -> list[dict[str, Any]]:
    short = digest.removeprefix("sha256:")[:12]
    return [execution for execution in toy.executions() if short in execution["name"]]


def test_a_push_starts_one_execution_that_ends_in_its_outcome(aws: LocalAws, toy: Environment) -> None:
    digest = push_image(aws, REPOSITORY, ["c0ffee1", "qa"], unique=True)

    [execution] = wait_for(lambda: executions_of(toy, digest))
    ended = toy.wait_for_execution(execution["executionArn"])

    assert toy.states(execution["executionArn"]) == ["Work", "WaitABit", "LookedEnough", "Notify", "Released"]
    assert ended["status"] == "SUCCEEDED"
    assert json.loads(ended["output"]) == {"looksBefore": 1, "logFormat": "JSON"}
    notification = {"execution": execution["name"], "verdict": "enough"}
    assert notification in [entry["message"] for entry in toy.notifications()]
    assert any(digest in line for line in toy.logs())


def test_a_doubled_event_starts_one_execution(aws: LocalAws, toy: Environment) -> None:
    aws.deliver_image_events("twice")
    seen = len(messages(aws, toy.outputs["Events"]))

    digest = push_image(aws, REPOSITORY, ["qa"], unique=True)

    [first, second] = wait_for(lambda: messages(aws, toy.outputs["Events"])[seen:])
    assert first["id"] == second["id"]
    wait_for(lambda: sum(digest in line for line in toy.logs()) >= 2)
    assert len(executions_of(toy, digest)) == 1


def test_a_lost_event_starts_nothing(aws: LocalAws, toy: Environment) -> None:
    aws.deliver_image_events("never")
    lost = push_image(aws, REPOSITORY, ["qa"], unique=True)
    aws.deliver_image_events("once")
    digest = push_image(aws, REPOSITORY, ["qa"], unique=True)

    wait_for(lambda: executions_of(toy, digest))

    assert executions_of(toy, lost) == []


def test_events_say_what_was_pushed_and_deleted(aws: LocalAws, toy: Environment) -> None:
    queue = toy.outputs["Events"]
    seen = len(messages(aws, queue))
    digest = push_image(aws, REPOSITORY, [], unique=True)
    aws.client("ecr").batch_delete_image(repositoryName=REPOSITORY, imageIds=[{"imageDigest": digest}])

    pushed, deleted = wait_for(lambda: messages(aws, queue)[seen:])

    assert (pushed["source"], pushed["detail-type"]) == ("aws.ecr", "ECR Image Action")
    assert (pushed["account"], pushed["region"], pushed["resources"]) == (aws.account, aws.region, [])
    assert pushed["detail"] == {
        "result": "SUCCESS",
        "repository-name": REPOSITORY,
        "image-digest": digest,
        "action-type": "PUSH",
        "image-tag": "",
        "manifest-media-type": "application/vnd.docker.distribution.manifest.v2+json",
        "artifact-media-type": "application/vnd.docker.container.image.v1+json",
    }
    assert deleted["detail"] == {**pushed["detail"], "action-type": "DELETE"}


def test_pushing_the_same_again_changes_nothing_and_makes_no_event(aws: LocalAws, toy: Environment) -> None:
    ecr = aws.client("ecr")
    digest = push_image(aws, REPOSITORY, ["same"])
    [image] = ecr.batch_get_image(repositoryName=REPOSITORY, imageIds=[{"imageDigest": digest}])["images"]
    seen = len(messages(aws, toy.outputs["Events"]))

    assert push_image(aws, REPOSITORY, ["same"]) == digest
    with pytest.raises(ClientError) as refusal:
        ecr.put_image(repositoryName=REPOSITORY, imageTag="same", imageManifest=image["imageManifest"])

    assert refusal.value.response["Error"]["Code"] == "ImageAlreadyExistsException"
    ecr.put_image(repositoryName=REPOSITORY, imageTag="another", imageManifest=image["imageManifest"])
    [event] = wait_for(lambda: messages(aws, toy.outputs["Events"])[seen:])
    assert event["detail"]["image-tag"] == "another"


def test_only_excluded_tags_move(aws: LocalAws, toy: Environment) -> None:
    first = push_image(aws, REPOSITORY, ["1.0", "qa-blue"], unique=True)

    with pytest.raises(PushRefused) as refusal:
        push_image(aws, REPOSITORY, ["1.0"], unique=True)
    second = push_image(aws, REPOSITORY, ["qa-blue"], unique=True)

    assert refusal.value.code == "TAG_INVALID"
    assert digest_of(aws, "1.0") == first
    assert digest_of(aws, "qa-blue") == second


def test_an_unknown_tag_is_an_error(aws: LocalAws, toy: Environment) -> None:
    with pytest.raises(ClientError) as error:
        digest_of(aws, "unknown")
    assert error.value.response["Error"]["Code"] == "ImageNotFoundException"


def test_a_tag_that_is_not_the_digests_is_an_error(aws: LocalAws, toy: Environment) -> None:
    digest = push_image(aws, REPOSITORY, ["2.0"], unique=True)
    push_image(aws, REPOSITORY, ["2.1"], unique=True)
    with pytest.raises(ClientError) as error:
        aws.client("ecr").describe_images(
            repositoryName=REPOSITORY, imageIds=[{"imageDigest": digest, "imageTag": "2.1"}]
        )
    assert error.value.response["Error"]["Code"] == "ImageNotFoundException"


def test_a_policy_needs_a_principal(aws: LocalAws, toy: Environment) -> None:
    statement = {"Effect": "Allow", "Principal": {"AWS": ""}, "Action": "ecr:BatchGetImage"}
    with pytest.raises(ClientError) as error:
        aws.client("ecr").set_repository_policy(
            repositoryName=REPOSITORY, policyText=json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        )
    assert error.value.response["Error"]["Code"] == "InvalidParameterException"


def digest_of(aws: LocalAws, tag: str) -> str:
    details = aws.client("ecr").describe_images(repositoryName=REPOSITORY, imageIds=[{"imageTag": tag}])
    return details["imageDetails"][0]["imageDigest"]
