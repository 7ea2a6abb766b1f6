"""The budget is never exceeded: not in the plan, not in the ledger, not in simulated months."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from fairlead.stats.budget import Detector, Ledger, Monitor, Windowed, allocate, period_counts
from fairlead.stats.fdr import benjamini_hochberg

COUNT = st.floats(0.0, 1e7)
WEIGHT = st.floats(0.01, 100.0)
MONITORS = st.lists(
    st.one_of(
        st.builds(Windowed, st.just("w"), COUNT, st.integers(1, 5_000), WEIGHT),
        st.builds(Detector, st.just("d"), COUNT, st.integers(1, 500), WEIGHT),
    ),
    min_size=1,
    max_size=6,
)
PAGES = st.floats(0.001, 100.0)


def named(monitors: list[Monitor]) -> list[Monitor]:
    """With names of their own."""
    return [
        Windowed(f"m{i}", one.windows, one.tests, one.weight)
        if isinstance(one, Windowed)
        else Detector(f"m{i}", one.observations, one.streams, one.weight)
        for i, one in enumerate(monitors)
    ]


@given(PAGES, MONITORS)
def test_the_plan_spends_no_more_than_stated(pages: float, monitors: list[Monitor]) -> None:
    """All looks of the period together, at the granted alphas and run lengths; per test, all tests of all windows."""
    known = named(monitors)
    ledger = allocate(pages, known)
    total = 0.0
    for one in known:
        grant = ledger.grant(one.name)
        if isinstance(one, Windowed):
            assert grant.alpha is not None
            assert 0.0 <= grant.alpha <= 0.05
            assert (grant.alpha_per_test or 0.0) * one.tests <= grant.alpha * (1 + 1e-12)
            total += one.windows * grant.alpha
        elif grant.run_length is not None:
            total += min(one.observations * one.streams / grant.run_length, grant.pages)
    assert total <= pages * (1 + 1e-9)
    assert sum(grant.pages for grant in ledger.grants) <= pages * (1 + 1e-9)


@given(PAGES, MONITORS, st.lists(st.tuples(st.integers(0, 5), st.floats(0.0, 1e7)), max_size=20))
def test_the_ledger_never_lends(pages: float, monitors: list[Monitor], looks: list[tuple[int, float]]) -> None:
    """Whatever is charged, in whatever order: spent stays within every part and the whole, shares within 0 and 1."""
    known = named(monitors)
    ledger = allocate(pages, known)
    for place, count in looks:
        name = known[place % len(known)].name
        before = ledger.total
        ledger, share = ledger.charge(name, count)
        assert 0.0 <= share <= 1.0
        assert ledger.total >= before - 1e-12
        assert ledger.spent[name] <= ledger.grant(name).pages
    assert ledger.total <= pages * (1 + 1e-9)
    assert ledger.left >= 0.0


@given(PAGES, st.floats(1.0, 1e4), st.lists(st.floats(0.1, 50.0), min_size=1, max_size=10))
def test_looks_add_up(pages: float, windows: float, looks: list[float]) -> None:
    """Charged at once or one by one, as much is spent."""
    once = allocate(pages, [Windowed("w", windows)]).charge("w", sum(looks))[0]
    by_one: Ledger = allocate(pages, [Windowed("w", windows)])
    for count in looks:
        by_one = by_one.charge("w", count)[0]
    assert by_one.total == pytest.approx(once.total, abs=1e-9)


def test_twice_the_weight_is_twice_the_budget() -> None:
    """By hand: 0.6 pages a month, one third and two thirds; 30 windows and 100,000 observations of two streams."""
    ledger = allocate(0.6, [Windowed("drift", 30, tests=20), Detector("loss", 100_000, streams=2, weight=2.0)])
    drift, loss = ledger.grants
    assert drift.alpha == pytest.approx(0.2 / 30)
    assert drift.alpha_per_test == pytest.approx(0.2 / 600)
    assert loss.run_length == pytest.approx(200_000 / 0.4)
    assert period_counts(86_400.0, window_seconds=3_600.0, rows_per_second=2.0) == (24.0, 172_800.0)


@pytest.mark.parametrize("months", [300, pytest.param(4_000, marks=pytest.mark.slow)])
def test_simulated_months_page_no_more_than_stated(months: int) -> None:
    """25 dependent features in two segments tested daily with Benjamini-Hochberg, and two streams under a
    Shiryaev-Roberts e-detector, nothing ever changing: the mean of false pages a month is at most the stated 1."""
    rng = np.random.default_rng(0)
    ledger = allocate(1.0, [Windowed("drift", 30, tests=50), Detector("loss", 500, streams=2)])
    alpha, run_length = ledger.grant("drift").alpha, ledger.grant("loss").run_length
    assert alpha is not None
    assert run_length is not None
    pages = np.zeros(months)
    steps = alpha * np.arange(1, 51) / 50
    for month in range(months):
        p = norm.sf(0.6 * rng.normal(size=(30, 1)) + 0.8 * rng.normal(size=(30, 50)))
        flagged = [bool(row.any()) for row in np.sort(p, axis=1) <= steps]  # Benjamini-Hochberg rejects something
        pages[month] += sum(flagged)
        assert flagged[0] == (min(benjamini_hochberg(p[0].tolist())) <= alpha)
    factors = np.exp(0.5 * rng.normal(size=(months, 2, 500)) - 0.125)  # likelihood ratios of a shift of 0.5
    state = np.zeros((months, 2))
    for step in range(500):
        state = (state + 1.0) * factors[:, :, step]
        alarm = state >= run_length
        pages += alarm.sum(axis=1)
        state[alarm] = 0.0
    spread = pages.std(ddof=1) / months**0.5
    assert pages.mean() - 3.1 * spread <= 1.0
    assert pages.mean() > 0.2


@pytest.mark.parametrize(
    ("work", "said"),
    [
        (lambda: allocate(0.0, [Windowed("w", 1)]), "state a number above 0"),
        (lambda: allocate(float("nan"), [Windowed("w", 1)]), "state a number above 0"),
        (lambda: allocate(1.0, []), "no monitor"),
        (lambda: allocate(1.0, [Windowed("w", 1), Detector("w", 1)]), "share a name"),
        (lambda: allocate(1.0, [Windowed("w", 1, weight=0.0)]), "a weight above 0"),
        (lambda: allocate(1.0, [Windowed("w", -1)]), "looks not below 0"),
        (lambda: allocate(1.0, [Detector("w", 1, streams=0)]), "at least one part"),
        (lambda: allocate(1.0, [Windowed("w", 1)], most_alpha=1.0), "between 0 and 1"),
        (lambda: allocate(1.0, [Windowed("w", 1)]).charge("w", -1), "never less than nothing"),
        (lambda: period_counts(0.0, window_seconds=1.0, rows_per_second=1.0), "lengths are above 0"),
    ],
)
def test_impossible_budgets_are_refused(work: Callable[[], object], said: str) -> None:
    """Each with what is wrong."""
    with pytest.raises(ValueError, match=said):
        work()


def test_a_monitor_without_a_grant_has_no_account() -> None:
    """Asking for another name is a mistake, not a zero; a monitor that never looks may not page."""
    ledger = allocate(1.0, [Windowed("w", 0), Detector("d", 0)])
    with pytest.raises(KeyError, match="x"):
        ledger.charge("x")
    assert ledger.charge("w", 5)[1] == 0.0
    assert ledger.charge("d", 5)[1] == 0.0
