"""Classes and groups held against the held-out rows: what is called, how often by chance, and what is said."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from numpy.typing import NDArray
from scipy.stats import binom, fisher_exact

from fairlead.core.groups import GroupCounts, Part, Rules, Side
from fairlead.core.judge_groups import judge_groups
from fairlead.core.verdict import Outcome
from fairlead.stats.gaps import fell, widened

CLASSES = {"two": ("no", "yes"), "rare": ("no", "yes"), "four": ("a", "b", "c", "d"), "values": ()}
# Rules without an effect: what is left is significance alone.
ANY = Rules(drop=1e-9, widening=0.0, impact=2.0, rate_gap=-1.0)


def side(kind: str, rows: int, rng: np.random.Generator) -> Side:
    """Rows in three groups of one column and eight of another, some of them small; one in seven answers is drawn."""
    one = rng.choice(3, rows, p=[0.6, 0.3, 0.1])
    two = rng.choice(8, rows, p=[0.3, 0.3, 0.15, 0.1, 0.06, 0.04, 0.03, 0.02])
    size = len(CLASSES[kind])
    error = rng.lognormal(0.0, 1.0, rows) * (1 + one * 0.3)
    if kind == "four":
        truth = rng.choice(4, rows, p=[0.5, 0.3, 0.15, 0.05])
    else:
        truth = (rng.random(rows) < (0.05 if kind == "rare" else 0.3) * (1 + 0.3 * one)).astype(int)
    decided = np.where(rng.random(rows) < 0.15, rng.integers(0, max(size, 1), rows), truth)

    def part(name: str, its: NDArray[np.bool_]) -> Part:
        if not size:
            mine = error[its]
            return Part(name, (int(its.sum()),), errors=(int(its.sum()), float(mine.sum()), float((mine**2).sum())))
        counts = [
            tuple(np.bincount(of, minlength=size).tolist())
            for of in (decided[its], truth[its], decided[its], truth[its & (truth == decided)])
        ]
        return Part(name, *counts)

    columns = {
        "region": tuple(part(f"r{place}", one == place) for place in range(3)),
        "shop": tuple(part(f"s{place}", two == place) for place in range(8)),
    }
    return Side(part("", np.ones(rows, np.bool_)), columns)


def called(kind: str, rows: int, runs: int, alpha: float) -> int:
    """In how many windows without a change anything is found beyond chance."""
    found = 0
    for seed in range(runs):
        rng = np.random.default_rng([seed, rows, len(kind)])
        rules = replace(ANY, alpha=alpha)
        protected = ("region",) if CLASSES[kind] else ()
        counts = GroupCounts(side(kind, rows, rng), side(kind, 2_000, rng), CLASSES[kind], protected, rules)
        report = judge_groups(counts)
        found += bool(report.worse or report.unfair)
    return found


@pytest.mark.parametrize("kind", ["two", "values"])
def test_windows_without_a_change_are_rarely_called(kind: str) -> None:
    """By significance alone, at most alpha of them: an exact bound at .001 does not exclude it."""
    assert called(kind, 500, 60, 0.05) <= binom.ppf(0.999, 60, 0.05)


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(CLASSES))
@pytest.mark.parametrize("rows", [300, 1_000, 5_000])
def test_the_rate_of_false_calls_in_many_windows(kind: str, rows: int) -> None:
    """At 5 and at 1 %, of two classes, a rare one, four, and of values with heavy errors."""
    for alpha in (0.05, 0.01):
        found = called(kind, rows, 400, alpha)
        assert found <= binom.ppf(0.999, 400, alpha), (kind, rows, alpha, found)


def two(name: str, yes: int, no: int, found: int, wrong: int) -> Part:
    """A group of two classes: truths of each, of the yes found, of the no wrongly said yes."""
    said = found + wrong
    return Part(name, (yes + no - said, said), (no, yes), (yes + no - said, said), (no - wrong, found))


def test_what_was_so_on_the_held_out_rows_is_told_and_called_nothing() -> None:
    """A disparate impact of 50 % that the version was released with is for its gates; one that became so is called."""
    men, women = two("m", 500, 500, 450, 50), two("f", 250, 750, 225, 25)
    alike = two("f", 500, 500, 450, 50)
    whole = two("", 750, 1_250, 675, 75)
    stands = judge_groups(
        GroupCounts(Side(whole, {"sex": (men, women)}), Side(whole, {"sex": (men, women)}), ("n", "y"), ("sex",))
    )
    (impact,) = [one for one in stands.fairness if one.measure == "impact"]
    assert impact.outcome is Outcome.UNDECIDED
    assert impact.reason == "the impact of sex is 50%, below 80%, and no worse than it was; 50% on the held-out rows"
    became = judge_groups(
        GroupCounts(Side(whole, {"sex": (men, women)}), Side(whole, {"sex": (men, alike)}), ("n", "y"), ("sex",))
    )
    assert [one.measure for one in became.fairness if one.outcome is Outcome.BREACHED] == ["impact"]
    said = "25.0% are decided y where sex = f, 50.0% where sex = m: 25.0% further apart than on the held-out rows"
    assert became.unfair == (said,)


def test_a_gap_of_rates_is_above_its_bound() -> None:
    """An impact is too small below its bound, and a gap too wide above it."""
    men, women = two("m", 500, 500, 450, 50), two("f", 500, 500, 300, 50)
    whole = two("", 1_000, 1_000, 750, 100)
    side = Side(whole, {"sex": (men, women)})
    found = judge_groups(GroupCounts(side, side, ("n", "y"), ("sex",)))
    (gap,) = [one for one in found.fairness if one.measure == "tpr"]
    assert gap.reason.startswith(
        "the gap of true positive rates of sex is 0.300, above 0.100, and no worse than it was"
    )


def test_a_class_that_is_no_longer_found_is_called() -> None:
    """Its recall fell from .9 to .6; precision and the other class hold."""
    now, held = two("", 400, 600, 240, 20), two("", 400, 600, 360, 30)
    report = judge_groups(GroupCounts(Side(now), Side(held), ("no", "yes")))
    outcomes = {one.label: one.outcome for one in report.classes}
    assert outcomes["yes"] is Outcome.BREACHED
    assert report.classes[1].reason == "recall of yes is 0.600 [0.551, 0.647], on the held-out rows 0.900"


@pytest.mark.parametrize("side_of", ["now", "held"])
def test_groups_without_rows_raise_nothing(side_of: str) -> None:
    """An empty window, empty held-out rows, a group that only one side has."""
    full, none = two("a", 50, 50, 40, 10), Part("a", (0, 0))
    one, other = (none, full) if side_of == "now" else (full, none)
    report = judge_groups(GroupCounts(Side(one, {"c": (one,)}), Side(other, {"c": (other, full)}), ("n", "y"), ("c",)))
    assert (report.worse, report.unfair) == ((), ())


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 60), st.integers(1, 60), st.data())
def test_the_exact_test_is_fishers(rows: int, others: int, data: st.DataObject) -> None:
    """As SciPy has it, one-sided."""
    hits, known = data.draw(st.integers(0, rows)), data.draw(st.integers(0, others))
    want = fisher_exact([[hits, rows - hits], [known, others - known]], alternative="less")[1]
    assert fell((hits, rows), (known, others)) == pytest.approx(want, abs=1e-9)


def test_groups_of_few_rows_are_not_asked_for_a_gap() -> None:
    """Fewer than two large groups have none."""
    assert widened({"a": (10, 100), "b": (0, 29)}, {"a": (10, 100), "b": (50, 100)}, 0.05).high == ""
