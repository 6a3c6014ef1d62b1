"""A plan is its seed's, and has something of everything."""

from __future__ import annotations

import json

from chaos import plan as steps
from chaos.plan import plan


def test_a_plan_depends_on_its_seed_alone() -> None:
    assert plan(7, 60, 3) == plan(7, 60, 3)
    assert plan(7, 60, 3) != plan(8, 60, 3)


def test_the_plan_is_written_down_whole() -> None:
    made = plan(7, 60, 3)
    told = json.loads(json.dumps(made.told()))
    assert sum(len(place["script"]) for place in told["places"]) == sum(made.counts().values())
    assert made.counts()["Push"] == sum(place.pushes() for place in made.places) >= 60


def test_a_long_plan_has_every_kind_of_step() -> None:
    made = plan(1, 300, 4)
    assert set(made.counts()) == {kind.__name__ for kind in steps.Step.__subclasses__()}
    pushes = [step for place in made.places for step in place.script if isinstance(step, steps.Push)]
    assert {push.event for push in pushes} == {"once", "twice", "never", "late"}
    assert {push.verdict for push in pushes} == {steps.HEALTHY, steps.FAILS, steps.CRASHES, steps.HANGS}


def test_a_rollback_needs_only_what_dev_has() -> None:
    for place in plan(3, 300, 4).places:
        dropped: set[str] = set()
        for step in place.script:
            if isinstance(step, steps.PutBack):
                dropped.add(step.what)
            elif isinstance(step, steps.Push):
                assert not dropped & set(step.needs)
