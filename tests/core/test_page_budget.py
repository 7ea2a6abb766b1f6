"""The budget of false pages is kept: in the plan, in the account, and in simulated months with nothing wrong."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from fairlead.core.harm import HarmPolicy, LossEvidence, judge_harm
from fairlead.core.page_budget import CONDITIONS, DRIFT, HARM, LOSS, METRIC, Watched, compiled, spent, thresholds
from fairlead.core.quadrant import Band
from fairlead.stats.exceedance import LossSums, Tolerance, exceedance
from fairlead.stats.fdr import benjamini_hochberg
from fairlead.stats.intervals import rate_sequence
from fairlead.stats.sequential.betting import LossWatch, update

WATCHED = st.builds(
    Watched,
    st.floats(0.1, 10_000.0),
    st.integers(1, 500),
    st.integers(1, 20),
    st.integers(0, 10),
    st.floats(0.0, 50_000.0),
)


@given(st.floats(0.0, 50.0), WATCHED, st.floats(0.0001, 0.05))
def test_thresholds_never_allow_more_than_the_budget(pages: float, watched: Watched, alpha: float) -> None:
    """All looks of a period at the granted levels; and never more than what is stated."""
    found = thresholds(compiled(pages, watched), alpha)
    looks = watched.windows * (found.drift + found.metric * watched.segments + found.loss) + found.harm
    looks += watched.live_windows * watched.conditions * found.conditions
    assert looks <= max(pages, 1e-9) * (1 + 1e-9) + 1e-6
    assert 0.0 < found.drift <= alpha
    assert 0.0 < found.metric <= 0.025
    assert 0.0 < found.loss <= 0.025
    assert 0.0 < found.harm <= 0.01
    assert 0.0 < found.conditions <= alpha


@given(st.floats(0.01, 10.0), WATCHED, st.integers(0, 5_000), st.integers(0, 5_000), st.floats(0.0, 1e5))
def test_the_account_never_overdraws(pages: float, watched: Watched, closed: int, matured: int, live: float) -> None:
    """Whatever was looked at."""
    ledger = spent(compiled(pages, watched), closed, matured, 1, live)
    assert 0.0 <= ledger.total <= pages * (1 + 1e-9)
    assert set(ledger.spent) == {DRIFT, METRIC, LOSS, HARM} | ({CONDITIONS} if watched.conditions else set())


def test_the_widened_interval_is_the_usual_one_at_its_level() -> None:
    """A fall must lie beyond the level that is granted; at the usual one nothing changes."""
    reference, realised = Band(0.80, 0.78, 0.82), Band(0.66, 0.62, 0.70)
    usual = judge_harm("auroc", reference, realised, LossEvidence(), HarmPolicy())
    strict = judge_harm("auroc", reference, realised, LossEvidence(), HarmPolicy(drop_alpha=1e-12))
    assert (usual.level, strict.level) == ("critical", "none")
    assert HarmPolicy(drop_alpha=norm.sf(2 * norm.isf(0.025))).widened == pytest.approx(2.0)


@pytest.mark.parametrize(("months", "windows"), [(60, 30), pytest.param(1_000, 30, marks=pytest.mark.slow)])
def test_null_months_page_no_more_than_stated(months: int, windows: int) -> None:
    """20 dependent features a day, a metric and a loss that the day's labels tell, a version's losses, an error rate
    each hour; each by the code that judges it live, nothing ever changing: the mean of false pages a month is at most
    the stated 1, and the usual thresholds make more than that."""
    rng = np.random.default_rng(5)
    watched = Watched(windows, features=20, conditions=1, live_windows=windows * 24)
    ledger = compiled(1.0, watched)
    granted, usual = thresholds(ledger, 0.01), thresholds(None, 0.01)
    pages = np.zeros((months, 2))
    for month in range(months):
        p = norm.sf(0.6 * rng.normal(size=(windows, 1)) + 0.8 * rng.normal(size=(windows, 20)))
        lowest = [min(benjamini_hochberg(row.tolist())) for row in p]
        aurocs = rng.normal(0.8, 0.04, windows)
        held = _counted(int(rng.binomial(600, 0.1)), 600)
        losses = [_loss(held, _counted(int(bad), 200)) for bad in rng.binomial(200, 0.1, windows)]
        peak = update(LossWatch(0.14), (rng.random(2_000) < 0.14).astype(float)).log_k_max
        failed = rng.binomial(60, 0.05, windows * 24)
        for place, levels in enumerate((granted, usual)):
            policy = HarmPolicy(alpha=levels.harm, drop_alpha=levels.metric, loss_alpha=levels.loss)
            pages[month, place] += sum(low <= levels.drift for low in lowest)
            pages[month, place] += sum(
                judge_harm("auroc", Band(0.8, 0.79, 0.81), _band(one), loss, policy).harmful
                for one, loss in zip(aurocs, losses, strict=True)
            )
            pages[month, place] += peak >= policy.threshold_log_e
            pages[month, place] += sum(_met(int(count), levels.conditions) for count in failed)
    spread = pages[:, 0].std(ddof=1) / months**0.5
    assert pages[:, 0].mean() - 3.1 * spread <= 1.0
    assert pages[:, 0].mean() <= pages[:, 1].mean()


def _band(value: float) -> Band:
    return Band(value, value - 1.96 * 0.04, value + 1.96 * 0.04)


def _counted(bad: int, rows: int) -> LossSums:
    return LossSums(rows, bad, bad, bad)


def _loss(held: LossSums, now: LossSums) -> LossEvidence:
    """As the watch measures a window's loss."""
    tolerated = HarmPolicy().tolerated
    return LossEvidence(
        loss=now.mean,
        held=held.mean,
        tolerated=tolerated.above(held.mean),
        p_tolerated=exceedance(now, held, tolerated),
        p_worse=exceedance(now, held, Tolerance()),
    )


@cache
def _met(failed: int, alpha: float) -> bool:
    """Whether an hour's error rate lies beyond its bound of 5 %, by the live window's own interval."""
    return rate_sequence(failed, 60, alpha)[0] > 0.05
