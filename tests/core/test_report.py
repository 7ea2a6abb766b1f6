"""Reports survive the journal."""

from __future__ import annotations

import msgspec
import pytest

from fairlead.core.event import WindowJudged
from fairlead.core.report import fact_of, report_of
from fairlead.testing.reports import benign_report, harmful_report, window_report


@pytest.mark.parametrize("report", [window_report(), harmful_report(3), benign_report()])
def test_a_report_survives_the_journal(report: object) -> None:
    """What is written as a fact is read back equal, and the fact names the window and the verdict."""
    assert isinstance(report, type(window_report()))
    fact = fact_of(report)
    assert report_of(fact) == report
    assert (fact.window, fact.verdict, fact.rows) == (report.window, report.verdict, report.rows)


def test_a_foreign_report_is_refused() -> None:
    """A report of another shape is an error, not a guess."""
    with pytest.raises(msgspec.ValidationError):
        report_of(WindowJudged("hotel", "w", 0.0, 1.0, 1, "holds", msgspec.Raw(b'{"rows": "many"}')))


def test_what_moved_leaves_the_score_out() -> None:
    """The model's own score is a reading, not a feature."""
    report = harmful_report()
    score = msgspec.structs.replace(report.drift[0], name="__score__")
    assert msgspec.structs.replace(report, drift=(score, *report.drift[1:])).moved == ("adr", "lead_time")
    assert report.layer("model") is not None
    assert report.layer("product") is None
