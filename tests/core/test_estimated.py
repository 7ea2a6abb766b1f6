"""What an estimate means, case by case."""

from __future__ import annotations

import pytest

from fairlead.core.estimated import judge_estimate
from fairlead.core.quadrant import Band
from fairlead.core.verdict import Outcome

GOOD = Band(0.80, 0.79, 0.81)


@pytest.mark.parametrize(
    ("reference", "estimated", "realised", "refused", "expected", "words"),
    [
        (GOOD, Band(0.79, 0.77, 0.81), None, "", Outcome.HOLDS, "estimated at 0.79"),
        (GOOD, Band(0.70, 0.68, 0.72), None, "", Outcome.BREACHED, "12.5% worse"),
        (GOOD, Band(0.78, 0.775, 0.785), None, "", Outcome.HOLDS, "0.78"),  # evident, and too small to matter
        (GOOD, Band(0.70, 0.60, 0.80), None, "", Outcome.UNDECIDED, "could hide"),
        (GOOD, Band(0.70, 0.68, 0.72), Band(0.80, 0.78, 0.82), "", Outcome.HOLDS, "is 0.8"),
        (GOOD, Band(0.80, 0.78, 0.82), Band(0.70, 0.68, 0.72), "", Outcome.BREACHED, "is 0.7"),
        (GOOD, None, None, "too unlike", Outcome.UNDECIDED, "too unlike"),
        (GOOD, Band(0.80, 0.78, 0.82), None, "too unlike", Outcome.UNDECIDED, "too unlike"),
        (GOOD, Band(0.80, 0.78, 0.82), Band(0.80, 0.78, 0.82), "too unlike", Outcome.HOLDS, "is 0.8"),
        (GOOD, None, None, "", Outcome.UNMEASURED, "neither estimated nor measured"),
        (None, GOOD, GOOD, "", Outcome.UNMEASURED, "reference defines no"),
    ],
)
def test_each_case(
    reference: Band | None, estimated: Band | None, realised: Band | None, refused: str, expected: Outcome, words: str
) -> None:
    """Labels speak before estimates; a breach needs both an interval and an effect; doubt is undecided."""
    found = judge_estimate("auroc", reference, estimated, realised, refused)
    assert found.outcome is expected
    assert words in found.reason


def test_errors_are_told_as_they_are() -> None:
    """Bands of errors are turned; the reason gives the error itself, its interval in order."""
    found = judge_estimate("mae", Band(-2.0, -2.1, -1.9), Band(-3.0, -3.2, -2.8), None)
    assert found.reason == "MAE is estimated at 3 [2.8, 3.2] against 2: 50.0% worse"
    assert judge_estimate("mae", Band(0.0, 0.0, 0.0), Band(-1.0, -1.1, -0.9), None).outcome is Outcome.UNDECIDED
