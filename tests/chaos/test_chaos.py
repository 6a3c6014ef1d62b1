"""The short run of `make test`. Its seeds are fixed: a test that fails by chance is worse than none."""

from __future__ import annotations

import pytest

from chaos.run import run


@pytest.mark.parametrize("seed", [1])
def test_the_promises_hold(seed: int) -> None:
    result = run(seed, releases=32, environments=2, show=print)
    print(result.told())
    assert result.broken == [], result.replay
    assert sum(result.faults.values()) > 10, "faults met their calls"
