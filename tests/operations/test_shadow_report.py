"""The shadow phase as a paired experiment."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from fairlead.core.rollout import Evidence, Paired
from fairlead.flows.paired import WorstPair
from fairlead.operations.shadow_report import FOLDER, sentence, shadow_report, worst_pairs
from fairlead.stats.shadow import by_segment, differences, flip_rate, mcnemar_log_e

ALPHA = 0.05
WHOLE = Paired("", 400, 60, 50, 10, ((-0.25, 100), (0.0, 200), (0.5, 100)))
NZ = Paired("country=NZ", 200, 50, 49, 1)
DE = Paired("country=DE", 200, 10, 1, 9)


def test_nothing_is_told_without_pairs() -> None:
    """A rollout without a shadow phase, and one whose shadow has answered nobody."""
    assert shadow_report(Evidence(), ALPHA) is None
    assert shadow_report(Evidence(paired=(Paired("", 0, 0, 0, 0),)), ALPHA) is None


def test_its_figures_are_those_of_the_paired_tests() -> None:
    """Rate and sequence, McNemar, quantiles and mean, as `stats.shadow` gives them for the pairs one by one."""
    report = shadow_report(Evidence(paired=(WHOLE,)), ALPHA)
    assert report is not None
    flips = flip_rate(["a"] * 400, ["b"] * 60 + ["a"] * 340, ALPHA)
    assert (report.all.rate, report.all.low, report.all.high) == (flips.rate, flips.low, flips.high)
    assert report.all.log_e == mcnemar_log_e(10, 50)
    gaps = np.repeat([-0.25, 0.0, 0.5], [100, 200, 100])
    spread = differences(np.zeros(400), gaps, ALPHA)
    assert (report.mean, report.mean_low, report.mean_high) == (spread.mean, spread.low, spread.high)
    assert tuple(value for _, value in report.quantiles) == spread.quantiles
    assert report.deviation == pytest.approx(gaps.std())


def test_segments_that_differ_are_found_and_told() -> None:
    """As by_segment finds them from the pairs themselves, most evidence first."""
    report = shadow_report(Evidence(paired=(WHOLE, DE, NZ)), ALPHA)
    assert report is not None
    served = [0] * 49 + [1] + [0] * 150 + [0] + [1] * 9 + [0] * 190
    shadow = [1] * 49 + [0] + [0] * 150 + [1] + [0] * 9 + [0] * 190
    found = by_segment(served, shadow, ["country=NZ"] * 200 + ["country=DE"] * 200, ALPHA)
    assert [(one.segment, one.differs) for one in report.segments] == [(one.segment, one.differs) for one in found]
    assert [one.log_e for one in report.segments] == pytest.approx([one.log_e for one in found])
    assert report.segments[0].differs
    assert "15 % of 400 units decided otherwise" in sentence(report)
    assert "50 up and 10 down, up more often" in sentence(report)
    assert "otherwise in country=NZ" in sentence(report)


def test_a_few_pairs_bound_no_mean() -> None:
    """Before a hundred units there is no sequence of the mean; the report is JSON all the same."""
    report = shadow_report(Evidence(paired=(Paired("", 3, 0, 0, 0, ((0.0, 3),)),)), ALPHA)
    assert report is not None
    assert (report.mean_low, report.mean_high) == (None, None)
    assert b"NaN" not in msgspec.json.encode(report)
    assert "neither way more often" in sentence(report)


def test_a_log_that_lost_its_end_does_not_break_it() -> None:
    """Counts below nothing, for as long as the log is read again, are taken as none."""
    report = shadow_report(Evidence(paired=(Paired("", 5, -1, -1, 0, ((0.5, 6), (1.0, -1))),)), ALPHA)
    assert report is not None
    assert report.all.flips == 0


def test_the_worst_pairs_are_read_from_the_controllers_note(tmp_path: Path) -> None:
    """None without a note, and none from one that cannot be read."""
    assert worst_pairs(tmp_path, "hotel-2-1") == ()
    pair = WorstPair("q1", 0, 1, 0.25, 0.75, ("country=NZ",))
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "hotel-2-1.json").write_bytes(msgspec.json.encode((pair,)))
    assert worst_pairs(tmp_path, "hotel-2-1") == (pair,)
    assert pair.difference == 0.5
    (tmp_path / FOLDER / "hotel-2-1.json").write_bytes(b"[{")
    assert worst_pairs(tmp_path, "hotel-2-1") == ()
