from __future__ import annotations

import numpy as np
from msgspec.structs import replace

from fairlead.core.check import judge_drift, telling
from fairlead.core.report import SCORE
from fairlead.core.verdict import Outcome, Verdict
from fairlead.stats.columns import CategoricalColumn, NumericColumn
from fairlead.stats.drift import ColumnDrift, Level, compare
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


def half_null() -> tuple[ColumnDrift, ...]:
    """A category that lost half of its values, and beside it some classes so rare that chance moves them a lot."""
    rng = np.random.default_rng(3)
    names = (*"abcdefgh", "r1", "r2", "r3")
    shares = np.array([0.1248] * 8 + [0.0008, 0.0004, 0.0004])
    before = rng.choice(11, 20_000, p=shares / shares.sum()).astype(np.int32)
    now = np.append(rng.choice(8, 900), [9, 9]).astype(np.int32)
    before[:1160], now[:490] = -1, -1
    reference = profile([CategoricalColumn("job", before, names)])
    return compare(reference, profile([CategoricalColumn("job", now, names)], reference.grids))


def test_what_is_not_significant_is_no_reason() -> None:
    """A rare class may lie far beyond its limit by chance; the nulls that flagged the column are what is told."""
    (job,) = half_null()
    rare, nulls = job.distance("rare"), job.distance("null_rate")
    assert rare.corrected / rare.critical > nulls.corrected / nulls.critical
    assert "null_rate" in job.evident
    assert "rare" not in job.evident
    assert judge_drift((job,)).reason == "1 of 1 column drifted: job (critical, null in 54.3 %, 5.8 % in the reference)"
    assert judge_drift((job,), evident=False).reason.startswith("1 of 1 column drifted: job (critical, rare class x ")


def test_a_calm_column_is_described_by_its_largest_difference() -> None:
    """Where nothing is flagged, nothing is significant either: a page still shows what differs most."""
    (job,) = half_null()
    most = telling(replace(job, level=Level.NONE))
    assert most is not None
    assert most.name == "rare"


def test_the_models_own_output_has_a_name() -> None:
    """The column of scores is called by what it is."""
    rng = np.random.default_rng(0)
    reference = profile([NumericColumn(SCORE, rng.normal(size=500))])
    found = compare(reference, profile([NumericColumn(SCORE, rng.normal(1, 1, 500))], reference.grids))
    assert judge_drift(found).reason.startswith("1 of 1 column drifted: model score (critical")
    assert "__" not in judge_drift((ColumnDrift(SCORE, "numeric", unmeasured="no scores"),)).reason
