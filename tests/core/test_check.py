from __future__ import annotations

import numpy as np

from fairlead.core.check import judge_drift
from fairlead.core.verdict import Outcome, Verdict
from fairlead.stats.columns import NumericColumn
from fairlead.stats.drift import ColumnDrift, compare
from fairlead.stats.profile import profile


def judged(rows: int, shifts: dict[str, float], *extra: ColumnDrift) -> Verdict:
    rng = np.random.default_rng(0)
    reference = profile([NumericColumn(name, rng.normal(size=rows)) for name in shifts])
    current = [NumericColumn(name, rng.normal(shift, 1, rows)) for name, shift in shifts.items()]
    return judge_drift((*compare(reference, profile(current, reference.grids)), *extra))


GONE = ColumnDrift("gone", "numeric", unmeasured="missing from the current data")


def test_enough_rows_without_a_change_hold() -> None:
    """`holds` says what would have been seen."""
    verdict = judged(5_000, {"age": 0.0, "fare": 0.0})
    assert verdict.outcome is Outcome.HOLDS
    assert verdict.reason == "none of 2 columns drifted; a PSI of 0.012 would have been seen"


def test_a_change_breaches_and_names_the_worst_first() -> None:
    """`breached` counts the columns and names three of them, the worst first, with the distance that says most."""
    verdict = judged(5_000, {"a": 0.3, "b": 2.0, "c": 0.5, "d": 1.0, "calm": 0.0})
    assert verdict.outcome is Outcome.BREACHED
    assert verdict.reason.startswith("4 of 5 columns drifted: b (critical, PSI 3.3), d (critical, W1 1")
    assert verdict.reason.endswith("and 1 more")


def test_too_few_rows_are_undecided() -> None:
    """`undecided` says what the rows at hand can and cannot show."""
    verdict = judged(60, {"age": 0.0})
    assert verdict.outcome is Outcome.UNDECIDED
    assert "60 against 60 rows of age show only a PSI above 0.8" in verdict.reason


def test_a_column_that_was_not_measured_is_never_a_pass() -> None:
    """`unmeasured` outweighs calm columns, and a breach outweighs it."""
    verdict = judged(5_000, {"age": 0.0}, GONE)
    assert verdict.outcome is Outcome.UNMEASURED
    assert verdict.reason == "1 of 2 columns not measured: gone (missing from the current data)"
    assert judged(5_000, {"age": 1.0}, GONE).outcome is Outcome.BREACHED


def test_no_columns_are_no_pass() -> None:
    """A check that looked at nothing has not passed."""
    assert judge_drift(()).outcome is Outcome.UNMEASURED
