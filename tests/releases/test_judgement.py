"""What is deployed is what was judged, whatever happens in between; and people are asked for what only they can do."""

from __future__ import annotations

import pytest
from stage import ADD_DESCRIPTION, DROP_STARS, Ended, Stage


def deploy_is_tried(stage: Stage) -> None:
    """Wait until the release asks PlanetScale for the deploy, which fails only after a while."""
    stage.until(lambda: stage.planetscale.requests() and not stage.planetscale.pending_faults(), "call")


def slow_failure_of_the_deploy(stage: Stage) -> None:
    stage.planetscale.fault("error", status=503, method="POST", path="deploy-requests/*/deploy", delay_ms=4_000)


def check_refused(stage: Stage, ended: Ended, dropped: str) -> None:
    assert ended.outcome == "SchemaRefused", ended.report["whatHappened"]
    assert dropped in ended.report["whatHappened"]
    assert "stars" in stage.planetscale.schema("main"), "production keeps its column"
    assert stage.planetscale.open_requests() == []
    assert all(effect.get("cause") != "deploy" for effect in stage.planetscale.effects())


def test_a_drop_between_judgement_and_deploy_is_refused(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    slow_failure_of_the_deploy(stage)
    digest = stage.push("prod")
    deploy_is_tried(stage)
    stage.planetscale.sql("dev", DROP_STARS)
    check_refused(stage, stage.ended(stage.prod, digest), "DROP COLUMN `stars`")
    assert "CreateContainerServiceDeployment" not in stage.lightsail.calls()


def test_a_drop_while_a_release_is_stopped_at_the_deploy_is_refused_after_its_redrive(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.function_fault(stage.prod, "deploy-deploy-request", "Lambda.ServiceException", count=8)
    digest = stage.push("prod")
    arn = stage.wait_for_state(stage.prod, digest, "DeployDeployRequest")
    stage.until(lambda: stage.task_errors(arn), "failed call")
    stage.stop(arn)
    stage.clear_function_faults()
    stage.planetscale.sql("dev", DROP_STARS)
    stage.until(lambda: stage.planetscale.request(1)["deployment_state"] == "ready", "validated request")
    stage.redrive(arn)
    check_refused(stage, stage.execution_ended(stage.prod, arn), "DROP COLUMN `stars`")


@pytest.mark.parametrize("redriven", [False, True], ids=["at-once", "redriven"])
def test_an_addition_while_the_containers_go_first_is_refused(stage: Stage, redriven: bool) -> None:
    stage.planetscale.sql("dev", DROP_STARS)
    stage.lightsail.next_image_hangs()
    with stage.settings(stage.prod, "start-release", DESTRUCTIVE_CHANGES="after-containers"):
        digest = stage.push("prod")
        arn = stage.wait_for_state(stage.prod, digest, "WaitForContainers")
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.until(lambda: stage.planetscale.request(1)["deployment_state"] == "ready", "validated request")
    if redriven:
        stage.stop(arn)
        stage.redrive(arn)
    stage.lightsail.clear()
    ended = stage.execution_ended(stage.prod, arn)
    check_refused(stage, ended, "Release these afterwards: ALTER TABLE `hotels` DROP COLUMN `stars`")
    assert "the new containers serve" in ended.report["whatHappened"]


@pytest.mark.parametrize(
    "words", ["Deploy request must be approved before deploying.", "This deploy request is not deployable"]
)
def test_an_approval_is_waited_for_whatever_its_want_looks_like(stage: Stage, words: str) -> None:
    stage.planetscale.settings(approval_refusal=words, unapproved_is_deployable=False)
    stage.planetscale.require_approval(True)
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    digest = stage.push("prod")
    stage.wait_for_state(stage.prod, digest, "WaitForApproval")
    stage.planetscale.person("approve")
    ended = stage.ended(stage.prod, digest)
    assert ended.outcome == "Released", ended.report["whatHappened"]
    assert "description" in stage.planetscale.schema("main")


def test_a_newer_push_overtakes_a_release_that_waits_for_an_approval(stage: Stage) -> None:
    stage.planetscale.require_approval(True)
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    first = stage.push("prod")
    stage.wait_for_state(stage.prod, first, "WaitForApproval")
    second = stage.push("prod")
    overtaken = stage.ended(stage.prod, first)
    assert overtaken.outcome == "Superseded", overtaken.report["whatHappened"]
    stage.wait_for_state(stage.prod, second, "WaitForApproval")
    assert stage.planetscale.request(1)["state"] == "closed"
    stage.planetscale.person("approve", number=2)
    assert stage.ended(stage.prod, second).outcome == "Released"
    assert "CreateContainerServiceDeployment" not in overtaken.states


def test_a_change_that_a_person_reverts_while_the_containers_start_is_not_released(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.lightsail.next_image_hangs()
    digest = stage.push("prod")
    stage.wait_for_state(stage.prod, digest, "WaitForContainers")
    stage.planetscale.person("revert")
    stage.until(lambda: stage.planetscale.request(1)["deployment_state"] == "complete_revert", "reverted request")
    stage.lightsail.clear()
    ended = stage.ended(stage.prod, digest)
    assert ended.outcome == "SchemaRejected", ended.report["whatHappened"]
    told = ended.report["whatHappened"]
    assert "the new containers serve" in told and "the new code runs on the old schema" in told
    assert ended.report["schema"] == "Reverted"
    assert "description" not in stage.planetscale.schema("main")


def test_a_cutover_that_a_person_gated_is_asked_for_once(stage: Stage) -> None:
    stage.planetscale.sql("dev", ADD_DESCRIPTION)
    stage.planetscale.create_request(auto_cutover=False)
    digest = stage.push("prod")
    arn = stage.wait_for_state(stage.prod, digest, "WaitForCutover")
    stage.until(lambda: stage.prod.states(arn).count("WaitForCutover") > 2, "later looks")
    asked = [note for note in stage.prod.notifications() if "cutover needed" in (note["subject"] or "")]
    assert len([note for note in asked if arn.rsplit(":", 1)[1] in note["message"]]) == 1
    stage.planetscale.person("apply")
    assert stage.ended(stage.prod, digest).outcome == "Released"
