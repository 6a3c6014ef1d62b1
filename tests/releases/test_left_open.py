"""A deploy request that cannot be closed does not fail a good release, and is told."""

from __future__ import annotations

from stage import Stage


def test_a_request_that_cannot_be_closed_is_told_and_adopted_by_the_next_release(stage: Stage) -> None:
    stage.function_fault(stage.prod, "close-deploy-request", "Lambda.TooManyRequestsException", count=31)
    with stage.waits(0.002):
        ended = stage.release(stage.prod)
    number = ended.report["deployRequest"]["number"]
    assert ended.outcome == "Released"
    assert f"Deploy request #{number} could not be closed" in ended.report["whatHappened"]
    assert stage.planetscale.open_requests() == [number]
    after = stage.release(stage.prod)
    assert (after.outcome, after.report["deployRequest"]["number"]) == ("Released", number)
    assert "could not be closed" not in after.report["whatHappened"]
    assert stage.planetscale.open_requests() == []
