"""The real buildspec.yml, run in the environment and with the role of the installed CodeBuild projects."""

from __future__ import annotations

import base64
import http.server
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cloud.code_build import Build, CodeBuild, Shell, has_docker_engine
from cloud.local_aws import REPOSITORY as ROOT
from cloud.local_aws import LocalAws
from stage import REPOSITORY, Stage

pytestmark = pytest.mark.skipif(
    not (shutil.which("buildah") or has_docker_engine()), reason="neither Docker nor buildah is here; see `make setup`"
)

DOCKER_HUB = {"user": "somebody", "token": "dckr_pat_only_for_the_tests"}


class Repository:
    """A git repository such as GitHub has."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("config", "user.name", "Test")
        self.git("config", "user.email", "test@example.com")

    def git(self, *arguments: str) -> str:
        command = ["git", "-C", str(self.folder), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, branch: str, content: str) -> str:
        """A commit on a branch, of which only the content differs."""
        known = self.git("branch", "--format=%(refname:short)").split()
        if known:
            self.git("checkout", "--quiet", *([] if branch in known else ["-b"]), branch)
        (self.folder / "content").write_text(content)
        return self.record()

    def record(self) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "A change")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """An application as small as can be, with the pipeline's buildspec."""
    folder = tmp_path / "repository"
    folder.mkdir()
    shutil.copy(ROOT / "buildspec.yml", folder)
    (folder / "Dockerfile").write_text('FROM scratch\nCOPY content /content\nCMD ["/content"]\n')
    repository = Repository(folder)
    # Unlike that of any other test, so that its image is too.
    repository.commit("main", str(tmp_path))
    return repository


@pytest.fixture(autouse=True)
def docker_hub(aws: LocalAws, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A registry that takes one login and no other, in the place of Docker Hub, and the logins it was asked for."""
    asked: list[str] = []
    right = base64.b64encode(f"{DOCKER_HUB['user']}:{DOCKER_HUB['token']}".encode()).decode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            login = self.headers.get("Authorization", "").removeprefix("Basic ")
            if login:
                asked.append(base64.b64decode(login).decode())
            self.send_response(200 if login == right else 401)
            self.send_header("Www-Authenticate", 'Basic realm="Docker Hub"')
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        monkeypatch.setenv("DOCKER_STAND_IN_HUB", f"127.0.0.1:{server.server_address[1]}")
        aws.put_secret("bookings-api/qa/docker-hub", json.dumps(DOCKER_HUB))
        yield asked
        server.shutdown()


@pytest.fixture
def qa_builds(aws: LocalAws) -> CodeBuild:
    return CodeBuild(aws, "bookings-api-qa")


@pytest.fixture
def prod_builds(aws: LocalAws) -> CodeBuild:
    return CodeBuild(aws, "bookings-api-prod")


def image(aws: LocalAws, tag: str) -> Any:
    """The image with this tag, as ECR describes it."""
    try:
        answer = aws.client("ecr").describe_images(repositoryName=REPOSITORY, imageIds=[{"imageTag": tag}])
    except ClientError as error:
        assert error.response["Error"]["Code"] == "ImageNotFoundException"
        return None
    return answer["imageDetails"][0]


def succeeded(build: Build) -> Build:
    assert build.succeeded, build.log
    return build


def failed(build: Build) -> Build:
    assert not build.succeeded, build.log
    return build


@pytest.mark.parametrize("shell", ["each", "one"])
def test_a_build_pushes_the_commit_and_the_moving_tag_and_that_starts_a_release(
    stage: Stage, repository: Repository, qa_builds: CodeBuild, docker_hub: list[str], shell: Shell
) -> None:
    commit = repository.commit("qa", f"first, {shell}, {repository.folder}")

    build = succeeded(qa_builds.build(qa_builds.checkout(repository.folder, "qa"), shell=shell))

    pushed = image(stage.aws, "qa")
    assert pushed and set(pushed["imageTags"]) == {commit, "qa"}
    told = {name: value.strip() for name, value in build.exported.items()}
    committed = datetime.fromisoformat(told.pop("COMMIT_TIME"))
    assert 0 <= (datetime.now(timezone.utc) - committed).total_seconds() < 3_600
    assert told == {
        "COMMIT": commit,
        "COMMIT_SUBJECT": "A change",
        "COMMIT_AUTHOR": "Test",
        "BUILD_TRIGGER": "",
        "IMAGE_DIGEST": pushed["imageDigest"],
    }
    ended = stage.ended(stage.qa, pushed["imageDigest"])
    assert (ended.outcome, ended.report["commit"]) == ("Released", commit)
    assert docker_hub == [f"{DOCKER_HUB['user']}:{DOCKER_HUB['token']}"]
    assert DOCKER_HUB["token"] not in build.log


def test_a_commit_that_is_built_already_goes_on_as_the_same_image(
    stage: Stage,
    repository: Repository,
    qa_builds: CodeBuild,
    prod_builds: CodeBuild,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    commit = repository.commit("main", f"again, {repository.folder}")
    repository.git("branch", "qa")
    first = succeeded(qa_builds.build(qa_builds.checkout(repository.folder, "qa")))

    again = succeeded(qa_builds.build(qa_builds.checkout(repository.folder, "qa")))
    # Another machine, as every build of CodeBuild is: it has no image but those it pulls.
    monkeypatch.setenv("DOCKER_STAND_IN_HOME", str(tmp_path / "images"))
    in_prod = succeeded(prod_builds.build(prod_builds.checkout(repository.folder, "main")))

    digest = first.exported["IMAGE_DIGEST"]
    for build in (again, in_prod):
        assert f"The commit {commit} is built already." in build.log
        assert build.exported["IMAGE_DIGEST"] == digest
    pushed = image(stage.aws, commit)
    assert pushed and set(pushed["imageTags"]) == {commit, "qa", "prod"}
    assert stage.ended(stage.prod, digest).outcome == "Released"
    assert len(stage.executions_of(stage.qa, digest)) == 1


def test_an_older_build_that_ends_later_leaves_the_moving_tag_where_it_is(
    stage: Stage, repository: Repository, qa_builds: CodeBuild
) -> None:
    older = repository.commit("qa", f"older, {repository.folder}")
    source = qa_builds.checkout(repository.folder, "qa")
    newer = repository.commit("qa", f"newer, {repository.folder}")
    digest = succeeded(qa_builds.build(qa_builds.checkout(repository.folder, "qa"))).exported["IMAGE_DIGEST"]

    build = succeeded(qa_builds.build(source))

    assert f"The newer commit {newer} is pushed as qa already" in build.log
    assert image(stage.aws, "qa")["imageDigest"] == digest
    assert image(stage.aws, older)["imageTags"] == [older]


def test_a_merged_pull_request_is_built_as_it_was_merged(
    stage: Stage, repository: Repository, prod_builds: CodeBuild
) -> None:
    head = repository.commit("feature", f"the pull request, {repository.folder}")
    repository.git("checkout", "--quiet", "main")
    repository.git("commit", "--quiet", "--allow-empty", "--message", "Meanwhile on main")
    repository.git("merge", "--quiet", "--no-ff", "--message", "Merge", "feature")
    merged = repository.git("rev-parse", "HEAD")
    webhook = {
        "CODEBUILD_WEBHOOK_EVENT": "PULL_REQUEST_MERGED",
        "CODEBUILD_WEBHOOK_BASE_REF": "refs/heads/main",
        "CODEBUILD_WEBHOOK_HEAD_REF": "refs/heads/feature",
        "CODEBUILD_WEBHOOK_TRIGGER": "pr/1",
    }

    build = succeeded(prod_builds.build(prod_builds.checkout(repository.folder, head), webhook))

    assert build.exported["COMMIT"] == merged
    assert image(stage.aws, "prod")["imageTags"] == [merged, "prod"]
    assert image(stage.aws, head) is None
    ended = stage.ended(stage.prod, build.exported["IMAGE_DIGEST"])
    assert (ended.outcome, ended.report["commit"]) == ("Released", merged)
    assert build.exported["BUILD_TRIGGER"] == "pr/1"


@pytest.mark.parametrize("shell", ["each", "one"])
def test_a_build_that_fails_pushes_nothing(
    stage: Stage, repository: Repository, qa_builds: CodeBuild, shell: Shell
) -> None:
    before = image(stage.aws, "qa")
    repository.git("checkout", "--quiet", "-b", "qa")
    (repository.folder / "Dockerfile").write_text("FROM scratch\nCOPY no-such-file /\n")
    commit = repository.record()

    build = failed(qa_builds.build(qa_builds.checkout(repository.folder, "qa"), shell=shell))

    assert "no-such-file" in build.log
    assert image(stage.aws, commit) is None
    assert image(stage.aws, "qa") == before


def test_a_wrong_docker_hub_token_stops_the_build_before_anything_is_built(
    aws: LocalAws, repository: Repository, qa_builds: CodeBuild
) -> None:
    commit = repository.commit("qa", f"wrong token, {repository.folder}")
    aws.put_secret("bookings-api/qa/docker-hub", json.dumps({**DOCKER_HUB, "token": "dckr_pat_expired_for_the_tests"}))

    build = failed(qa_builds.build(qa_builds.checkout(repository.folder, "qa")))

    assert image(aws, commit) is None
    assert "dckr_pat" not in build.log


def test_a_build_without_docker_hub_does_not_log_in_there(
    repository: Repository, prod_builds: CodeBuild, docker_hub: list[str]
) -> None:
    repository.commit("main", f"no Docker Hub, {repository.folder}")
    succeeded(prod_builds.build(prod_builds.checkout(repository.folder, "main")))
    assert docker_hub == []


def test_a_missing_permission_to_look_at_the_moving_tag_does_not_move_it(
    stage: Stage, repository: Repository, qa_builds: CodeBuild
) -> None:
    before = image(stage.aws, "qa")
    repository.commit("qa", f"no permission, {repository.folder}")
    iam = stage.aws.client("iam")
    role = qa_builds.project["serviceRole"].rpartition("/")[2]
    policy = iam.get_role_policy(RoleName=role, PolicyName="calls")["PolicyDocument"]
    without = re.sub(r'"ecr:DescribeImages",\s*', "", json.dumps(policy))
    assert without != json.dumps(policy)
    iam.put_role_policy(RoleName=role, PolicyName="calls", PolicyDocument=without)
    try:
        build = failed(qa_builds.build(qa_builds.checkout(repository.folder, "qa")))
    finally:
        iam.put_role_policy(RoleName=role, PolicyName="calls", PolicyDocument=json.dumps(policy))

    assert "not authorized to perform: ecr:DescribeImages" in build.log
    assert image(stage.aws, "qa") == before


def test_a_build_may_push_to_its_repository_and_do_nothing_else(
    aws: LocalAws, repository: Repository, qa_builds: CodeBuild
) -> None:
    aws.client("ecr").create_repository(repositoryName="another")
    elsewhere = f"{qa_builds.registry}/another"
    file = repository.folder / "buildspec.yml"
    file.write_text(
        file.read_text().replace("$REPOSITORY_URI", elsewhere).replace("${REPOSITORY_URI%%/*}", qa_builds.registry)
    )
    repository.commit("qa", f"elsewhere, {repository.folder}")
    build = failed(qa_builds.build(qa_builds.checkout(repository.folder, "qa")))
    assert re.search(r"denied|is not authorized to perform: ecr:\w+ on resource: \S+/another", build.log), build.log

    service = aws.client("lightsail").get_container_services()["containerServices"][0]["containerServiceName"]
    calls: tuple[Callable[[], Any], ...] = (
        lambda: qa_builds.client("lightsail").create_container_service_deployment(serviceName=service),
        lambda: qa_builds.client("stepfunctions").list_state_machines(),
        lambda: qa_builds.client("secretsmanager").get_secret_value(SecretId="bookings-api/qa/connection-string"),
        lambda: qa_builds.client("ecr").batch_delete_image(repositoryName=REPOSITORY, imageIds=[{"imageTag": "qa"}]),
    )
    for call in calls:
        with pytest.raises(ClientError, match="AccessDenied"):
            call()


def test_only_codebuild_gets_the_role_of_a_build(aws: LocalAws, qa_builds: CodeBuild) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        aws.client("sts").assume_role(RoleArn=qa_builds.project["serviceRole"], RoleSessionName="somebody")


def test_the_example_is_built_from_its_own_repository_and_released(
    stage: Stage, tmp_path: Path, qa_builds: CodeBuild
) -> None:
    folder = tmp_path / "bookings-api"
    ignored = shutil.ignore_patterns("target")
    shutil.copytree(ROOT / "examples" / "bookings-api", folder, ignore=ignored)
    shutil.copy(ROOT / "buildspec.yml", folder)
    repository = Repository(folder)
    repository.git("checkout", "--quiet", "--orphan", "qa")
    commit = repository.record()

    build = succeeded(qa_builds.build(qa_builds.checkout(folder, "qa")))

    ended = stage.ended(stage.qa, build.exported["IMAGE_DIGEST"])
    assert (ended.outcome, ended.report["commit"]) == ("Released", commit)
