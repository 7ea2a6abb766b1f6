from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from fairlead.stats.columns import CategoricalColumn, NumericColumn
from fairlead.stats.multivariate.evidence import Evidence
from fairlead.stats.multivariate.scores import score_shift
from fairlead.stats.profile import profile

Within = Callable[[int, int, float], None]


def compared(x: np.ndarray, y: np.ndarray, alpha: float = 0.01) -> Evidence:
    one, two = (
        [NumericColumn(f"p{place}", np.ascontiguousarray(side[:, place])) for place in range(side.shape[1])]
        for side in (x, y)
    )
    reference = profile(one)
    return score_shift(reference, profile(two, reference.grids), alpha=alpha)


def softmax(rng: np.random.Generator, rows: int, weights: tuple[float, ...]) -> np.ndarray:
    """Scores of a model of three classes, the truth drawn with these weights."""
    truth = rng.choice(3, rows, p=np.array(weights) / sum(weights))
    logits = rng.normal(size=(rows, 3)) + 2.0 * np.eye(3)[truth]
    shares = np.exp(logits)
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def test_the_p_value_is_bonferroni_over_scipys() -> None:
    """Each dimension is scipy's two-sample test; the smallest p-value is multiplied by their number."""
    rng = np.random.default_rng(0)
    x, y = rng.random((300, 3)), rng.random((200, 3)) ** 1.2
    found = compared(x, y)
    each = [stats.ks_2samp(x[:, place], y[:, place], method="asymp") for place in range(3)]
    assert found.statistic == pytest.approx(max(one.statistic for one in each), abs=1e-12)
    widest = max(one.statistic for one in each)
    assert found.p_value == pytest.approx(min(1.0, 3 * float(stats.kstwobign.sf(widest * 120**0.5))), rel=1e-9)


def test_a_prior_shift_is_found_and_its_class_named() -> None:
    """A class that grows from 10 to 33 %, at the others' expense alike, moves its own score most, at 500 rows."""
    rng = np.random.default_rng(0)
    found = [compared(softmax(rng, 500, (0.6, 0.3, 0.1)), softmax(rng, 500, (0.6, 0.3, 0.44))) for _ in range(20)]
    assert sum(one.p_value <= 0.01 and one.effect > one.limit for one in found) >= 19
    assert sum(one.suspects[0].name == "p2" for one in found) >= 15


@pytest.mark.parametrize(("n", "m"), [(50, 50), (300, 100), (1_000, 1_000)])
def test_false_alarms_stay_within_alpha(n: int, m: int, within: Within) -> None:
    """Dependent scores without a change: p <= 5 % at most that often."""
    rng = np.random.default_rng(n)
    runs, weights = 200, (0.6, 0.3, 0.1)
    alarms = sum(compared(softmax(rng, n, weights), softmax(rng, m, weights)).p_value <= 0.05 for _ in range(runs))
    within(alarms, runs, 0.05)


def test_the_detectable_effect_is_found_as_often_as_promised() -> None:
    """A KS of the size named as detectable is seen in at least 80 % of samples, up to chance."""
    rng = np.random.default_rng(0)
    n, runs = 400, 200
    named = compared(rng.random((n, 2)), rng.random((n, 2))).detectable
    hits = 0
    for _ in range(runs):
        y = rng.random((n, 2))
        y[:, 0] = np.where(rng.random(n) < 2 * named, 0.5 + y[:, 0] / 2, y[:, 0])  # half of these come from below
        hits += compared(rng.random((n, 2)), y).p_value <= 0.01
    assert hits >= 142  # fewer come of a power of 80 % once in a thousand


def test_the_effect_is_that_of_a_significant_dimension() -> None:
    """A wide gap in few known rows is not taken for the narrow one that is beyond doubt in many."""
    rng = np.random.default_rng(1)
    x, y = rng.random((20_000, 2)), rng.random((20_000, 2))
    y[:, 0] = y[:, 0] ** 1.15
    y[:, 1] = np.nan
    y[:12, 1] = ((np.arange(12) + 0.5) / 12) ** 2.2
    found = compared(x, y)
    assert found.p_value < 1e-6
    assert found.effect < 0.08 < found.suspects[0].value


def test_what_makes_no_sense_is_refused() -> None:
    """Other dimensions, text, a dimension without a value, and impossible levels."""
    rng = np.random.default_rng(0)
    one = profile([NumericColumn("p", rng.random(10))])
    text = profile([CategoricalColumn("p", np.zeros(10, dtype=np.int32), ("a",))])
    with pytest.raises(ValueError, match="need the same dimensions"):
        score_shift(one, profile([NumericColumn("q", rng.random(10))]))
    with pytest.raises(ValueError, match="need the same dimensions"):
        score_shift(profile([]), profile([]))
    with pytest.raises(ValueError, match="holds categories"):
        score_shift(text, text)
    with pytest.raises(ValueError, match="no value on one side"):
        score_shift(one, profile([NumericColumn("p", np.full(3, np.nan))], one.grids))
    with pytest.raises(ValueError, match="alpha is 2"):
        score_shift(one, one, alpha=2.0)
