"""A release tells which build its image came from, and never fails or waits for it."""

from __future__ import annotations

import json
import secrets
import socket
import time
from datetime import datetime, timedelta, timezone

import pytest
import roles
from cloud import push_image
from cloud.code_build import CodeBuild
from stage import REPOSITORY, Ended, Stage

ROLE = "FinishReleaseRole"


@pytest.fixture
def builds(stage: Stage) -> CodeBuild:
    return CodeBuild(stage.aws, "bookings-api-qa")


def release_of_a_build(stage: Stage, builds: CodeBuild, **exported: str) -> Ended:
    """Push an image as a build does that exports these variables, and wait for its release."""
    begin = time.time() - 184
    commit = secrets.token_hex(20)
    files = {"commit": commit}
    digest = push_image(stage.aws, REPOSITORY, [commit], files=files)
    builds.record({"COMMIT": commit, "IMAGE_DIGEST": digest, **exported}, begin=begin, commit=commit)
    assert push_image(stage.aws, REPOSITORY, ["qa"], files=files) == digest
    return stage.ended(stage.qa, digest)


def test_report_record_and_mail_tell_the_build(stage: Stage, builds: CodeBuild) -> None:
    committed = datetime.now(timezone.utc) - timedelta(hours=2)
    ended = release_of_a_build(
        stage,
        builds,
        COMMIT_SUBJECT="Show the stars of a hotel".ljust(200),
        COMMIT_AUTHOR="Zoë Example",
        COMMIT_TIME=committed.isoformat(timespec="seconds"),
        BUILD_TRIGGER="pr/12",
    )
    assert ended.outcome == "Released", ended.report["whatHappened"]
    origin = ended.report["origin"]
    assert origin["commit"] == ended.report["commit"]
    assert origin["subject"] == "Show the stars of a hotel"
    assert origin["author"] == "Zoë Example"
    assert origin["trigger"] == "pull request #12"
    assert origin["logUrl"].startswith("https://console.aws.amazon.com/cloudwatch/")
    assert 180 <= origin["buildSeconds"] <= 600
    assert 7_200 <= origin["leadSeconds"] <= 10_000
    record = next(
        json.loads(r["report"])
        for r in stage.qa.records()
        if r["kind"] == "release" and ended.arn.endswith(r["id"][25:])
    )
    assert record["origin"] == origin
    (mail,) = stage.notifications(stage.qa, ended)
    assert "Change: Show the stars of a hotel\nFrom: Zoë Example, pull request #12\nBuild " in mail
    assert "From commit to serving: 2 h" in mail


def test_a_hostile_commit_is_harmless(stage: Stage, builds: CodeBuild) -> None:
    subject = "\x1b[31m<script>alert(1)</script>\u202e\r\nBcc: x\n" + "é" * 2_000
    ended = release_of_a_build(
        stage, builds, COMMIT_SUBJECT=subject, COMMIT_AUTHOR="token=hush\u2066", COMMIT_TIME="yesterday"
    )
    assert ended.outcome == "Released", ended.report["whatHappened"]
    origin = ended.report["origin"]
    assert len(origin["subject"]) <= 201 and origin["subject"].isprintable()
    assert origin["author"] == "token=***" and origin["leadSeconds"] is None
    (mail,) = stage.notifications(stage.qa, ended)
    assert "\nBcc" not in mail and "\u202e" not in mail and "hush" not in mail


def test_an_image_that_no_build_pushed_is_released_without_an_origin(stage: Stage, builds: CodeBuild) -> None:
    builds.record({"COMMIT": "0" * 40, "IMAGE_DIGEST": "sha256:" + "0" * 64}, begin=time.time())
    ended = stage.release(stage.qa)
    assert ended.outcome == "Released", ended.report["whatHappened"]
    assert "origin" not in ended.report


@pytest.mark.parametrize("action", ["codebuild:ListBuildsForProject", "codebuild:BatchGetBuilds"])
def test_a_release_that_may_not_look_at_builds_is_released_all_the_same(
    stage: Stage, builds: CodeBuild, action: str
) -> None:
    with roles.without(stage.qa, ROLE, action):
        ended = release_of_a_build(stage, builds)
    assert ended.outcome == "Released", ended.report["whatHappened"]
    assert "origin" not in ended.report
    assert any(action in line for line in stage.qa.logs())
    assert "origin" in release_of_a_build(stage, builds).report


def test_a_codebuild_that_never_answers_holds_no_release_up(stage: Stage, builds: CodeBuild) -> None:
    """The connection is taken and nothing comes back. A function that waited for it would be stopped by its own time-out."""
    function = {"FunctionName": "bookings-api-qa-finish-release"}
    client = stage.aws.client("lambda")
    before = client.get_function_configuration(**function)["Timeout"]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(0)
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with stage.settings(stage.qa, "finish-release", AWS_ENDPOINT_URL_CODEBUILD=endpoint):
            client.update_function_configuration(**function, Timeout=10)
            try:
                ended = release_of_a_build(stage, builds)
            finally:
                client.update_function_configuration(**function, Timeout=before)
        asked, _ = silent.accept()
        asked.close()
        with pytest.raises(BlockingIOError):
            silent.accept()
    assert ended.outcome == "Released", ended.report["whatHappened"]
    assert "origin" not in ended.report
    assert any(
        "could not be looked up" in line and "codebuild:ListBuildsForProject" in line for line in stage.qa.logs()
    )
    assert "origin" in release_of_a_build(stage, builds).report
