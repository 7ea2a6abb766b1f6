from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fairlead.core.verdict import Outcome, Verdict
from fairlead.operations.drift import drift
from fairlead.operations.drift_html import fragment, page
from fairlead.operations.drift_report import DriftReport

ReadPage = Callable[[str], list[str]]


def report() -> DriftReport:
    rng = np.random.default_rng(0)
    wild = "<script>alert(1)</script>"
    one = {"age": rng.normal(size=900), wild: ["a", "<b>"] * 450, "gone": [1] * 900}
    return drift(one, {"age": rng.normal(1, 1, 900), wild: ["a"] * 900})


def test_the_page_is_whole_works_offline_and_runs_nothing(read_page: ReadPage) -> None:
    """Balanced tags, no link, no script, whatever a column is called."""
    found = report()
    text = page(found.verdict, found.columns, found.reference, found.current)
    read_page(text)
    assert "&lt;script&gt;" in text


def test_the_page_says_what_the_report_says() -> None:
    """Verdict, rows, every column with its level, and why one was not measured."""
    found = report()
    text = page(found.verdict, found.columns, found.reference, found.current)
    for part in ("breached", "900 reference rows", "age", "critical", "missing from the current data", "<svg"):
        assert part in text
    assert "prefers-color-scheme:dark" in text


def test_a_notebook_gets_the_worst_and_is_told_of_the_rest() -> None:
    """Twelve rows and three charts, scoped to their own element."""
    rng = np.random.default_rng(0)
    one = {f"c{i:02d}": rng.normal(size=2_000) for i in range(20)}
    two = {name: values + 1 for name, values in one.items()}
    found = drift(one, two)
    text = fragment(found.verdict, found.columns, found.reference, found.current)
    assert (text.count("<svg"), text.count("<tr>")) == (3, 13)
    assert "and 8 more, none of them worse" in text


def test_a_report_without_a_measured_column_has_no_charts() -> None:
    """Nothing to draw is no error."""
    found = report()
    gone = tuple(column for column in found.columns if column.unmeasured)
    text = page(Verdict(Outcome.UNMEASURED, "gone"), gone, found.reference, found.current)
    assert "<svg" not in text
