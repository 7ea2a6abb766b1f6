"""The shadow phase on a terminal."""

from __future__ import annotations

import pytest

from fairlead.core.rollout import Evidence, Paired
from fairlead.faces.cli.shadow_table import show_shadow
from fairlead.flows.paired import WorstPair
from fairlead.operations.shadow_report import shadow_report


def test_the_whole_the_segments_and_the_rows(capsys: pytest.CaptureFixture[str]) -> None:
    """A sentence, a row for each segment with those that differ, and the first five of the worst rows."""
    seen = Evidence(paired=(Paired("", 90, 30, 30, 0, ((0.5, 90),)), Paired("country=NZ", 40, 30, 30, 0)))
    worst = tuple(WorstPair(f"order-{number}", 0, 1, 0.25, 0.75) for number in range(7))
    report = shadow_report(seen, 0.01, worst)
    assert report is not None
    show_shadow(report)
    text = " ".join(capsys.readouterr().out.split())
    assert "shadow: 33.3 % of 90 units decided otherwise" in text
    assert "country=NZ" in text
    assert "75.00%" in text
    assert "yes" in text
    assert "order-4" in text
    assert "order-5" not in text


def test_without_segments_and_rows_it_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing empty is drawn."""
    report = shadow_report(Evidence(paired=(Paired("", 9, 0, 0, 0, ((0.0, 9),)),)), 0.01)
    assert report is not None
    show_shadow(report)
    assert "segment" not in capsys.readouterr().out
