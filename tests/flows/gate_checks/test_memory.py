"""Memory over thousands of predictions."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fairlead.core.gate import GatePolicy
from fairlead.core.verdict import Outcome
from fairlead.flows.gate_checks import memory
from fairlead.flows.gate_checks.memory import BLOCKS, FIRST_BLOCKS, check_memory
from fairlead.flows.gate_checks.subject import Subject
from fairlead.testing.stage import LocalStage

Put = Callable[..., str]
MakeSubject = Callable[..., Subject]
OpenLocal = Callable[..., LocalStage]
FEW = GatePolicy(predictions=400)  # 20 a block


def test_memory_that_stays_holds(put: Put, subject: MakeSubject, stage: OpenLocal) -> None:
    """Every row of every block was asked, in batches of varied size."""
    examined = subject(put(), None, FEW)
    local = stage(examined)
    found = check_memory(examined, local)
    assert found.outcome is Outcome.HOLDS, found.reason
    assert found.measured["predictions"] == 400
    assert local._answered == (BLOCKS + FIRST_BLOCKS + 1) * 20  # once to see how long it takes
    assert found.measured["requests"] == (BLOCKS + FIRST_BLOCKS) * 5  # 1, 2, 4, 8 and 5 rows


def test_a_model_that_leaks_is_found(put: Put, subject: MakeSubject, stage: OpenLocal) -> None:
    """1 KB a prediction, 10 MB for 10,000, is a leak."""
    examined = subject(put(), None, FEW)
    found = check_memory(examined, stage(examined, leak_mb=0.001))
    assert found.outcome is Outcome.BREACHED
    assert "+10.00 MB for 10,000 predictions" in found.reason
    assert "it leaks" in found.reason


def test_a_slow_model_is_judged_by_fewer_predictions(
    put: Put, subject: MakeSubject, stage: OpenLocal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks are as large as the time allows; there are enough of them all the same."""
    monkeypatch.setattr(memory, "MOST_SECONDS", 2.0)
    examined = subject(put(), None, GatePolicy(predictions=10_000_000))
    found = check_memory(examined, stage(examined, delay_seconds=0.001))
    assert found.outcome is Outcome.HOLDS, found.reason
    assert 20 * 8 <= int(found.measured["predictions"]) < 1_000_000


def test_a_worker_that_refuses_batches_is_found(put: Put, subject: MakeSubject, stage: OpenLocal) -> None:
    """Memory that was never used is no proof."""
    examined = subject(put(), None, FEW)
    found = check_memory(examined, stage(examined, statuses={"": 503}))
    assert found.outcome is Outcome.BREACHED
    assert "were refused, the first with 503" in found.reason


def test_the_batches_hold_every_row_once() -> None:
    """One row alone, then twice as many each time, and what is left with the last."""
    for rows in (1, 2, 3, 7, 20, 500):
        made = list(memory._batches([b"%d" % row for row in range(rows)]))
        assert [row for some in made for row in some] == [b"%d" % row for row in range(rows)]
        assert len(made[0]) == 1 or rows < 3
    assert [len(some) for some in memory._batches([b""] * 500)] == [1, 2, 4, 8, 16, 32, 64, 128, 245]
