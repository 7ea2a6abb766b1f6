from __future__ import annotations

from math import log

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from scipy.spatial.distance import jensenshannon

from fairlead.stats.cells import Cells
from fairlead.stats.columns import CategoricalColumn, NumericColumn
from fairlead.stats.distances import chi_squared, detectable_psi, js, ks, null_rate, outside, psi, rare, unseen
from fairlead.stats.profile import CategoryProfile, ColumnProfile, NumericProfile, profile_column


def pair(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NumericProfile, NumericProfile]:
    one = profile_column(NumericColumn("x", np.asarray(x, dtype=np.float64)))
    two = profile_column(NumericColumn("x", np.asarray(y, dtype=np.float64)), one.grid)
    assert isinstance(one, NumericProfile)
    assert isinstance(two, NumericProfile)
    return one, two


def category_pair(x: list[int], y: list[int]) -> tuple[CategoryProfile, CategoryProfile]:
    names = tuple("abcdefghij")
    one = profile_column(CategoricalColumn("x", np.array(x, dtype=np.int32), names))
    two = profile_column(CategoricalColumn("x", np.array(y, dtype=np.int32), names), one.grid)
    assert isinstance(one, CategoryProfile)
    assert isinstance(two, CategoryProfile)
    return one, two


def test_psi_is_its_formula() -> None:
    """Sum of (a - e) ln(a / e), with half a count in each cell, less (k - 1)(1/n + 1/m)."""
    one, two = category_pair([0] * 60 + [1] * 40, [0] * 30 + [1] * 70)
    e, a = np.array([60.5, 40.5]) / 101, np.array([30.5, 70.5]) / 101
    found = psi(one, two)
    assert found.value == pytest.approx(float(((a - e) * np.log(a / e)).sum()))
    assert found.corrected == pytest.approx(found.value - 0.02)
    assert found.p_value == pytest.approx(stats.chi2.sf(found.value / 0.02, 1))


def test_js_is_scipys_squared_distance_in_bits() -> None:
    """The divergence, base 2, of the smoothed shares."""
    one, two = category_pair([0] * 60 + [1] * 40, [0] * 30 + [1] * 70)
    found = js(one, two)
    assert found.value == pytest.approx(jensenshannon([60.5, 40.5], [30.5, 70.5], 2) ** 2)
    assert found.corrected == pytest.approx(found.value - 0.02 / (8 * log(2)))


def test_chi_squared_is_scipys_and_v_is_its_effect() -> None:
    """Pearson's p-value; V equals Cramer's where both sides have as many rows."""
    one, two = category_pair([0] * 50 + [1] * 30 + [2] * 20, [0] * 30 + [1] * 30 + [2] * 40)
    found = chi_squared(one, two)
    statistic, p_value, *_ = stats.chi2_contingency(np.array([[50, 30, 20], [30, 30, 40]]))
    assert found.p_value == pytest.approx(p_value)
    assert found.value == pytest.approx((statistic / 200) ** 0.5)
    one, two = category_pair([0] * 500 + [1] * 300 + [2] * 200, [0] * 30 + [1] * 30 + [2] * 40)
    assert chi_squared(one, two).value == pytest.approx(found.value)


def test_ks_is_exact_for_few_values_and_within_a_cell_for_many() -> None:
    """Against scipy: equal for up to 512 distinct values, within the largest cell's mass otherwise."""
    rng = np.random.default_rng(0)
    x, y = rng.poisson(4, 3_000).astype(float), rng.poisson(5, 2_000).astype(float)
    assert ks(*pair(x, y)).value == pytest.approx(stats.ks_2samp(x, y).statistic)
    x, y = rng.normal(size=400), rng.normal(0.2, 1, 300)
    assert ks(*pair(x, y)).value == pytest.approx(stats.ks_2samp(x, y).statistic)
    x, y = rng.lognormal(size=20_000), rng.lognormal(0.1, 1, 9_000)
    one, two = pair(x, y)
    exact = stats.ks_2samp(x, y, method="asymp").statistic
    assert exact - max(one.counts) / 20_000 <= ks(one, two).value <= exact
    assert ks(one, two).p_value == pytest.approx(
        stats.kstwobign.sf(ks(one, two).value * (20_000 * 9_000 / 29_000) ** 0.5)
    )


def test_a_constant_column_that_becomes_another_constant_is_as_far_as_can_be() -> None:
    """Reference quantiles say nothing of a constant, its atom's neighbours do."""
    one, two = pair(np.full(500, 5.0), np.full(500, 6.0))
    assert psi(one, two).value > 5
    assert js(one, two).value > 0.9
    assert ks(one, two).value == 1.0


def test_equal_columns_are_at_no_distance() -> None:
    """A table compared with itself: every distance is zero and every p-value is 1."""
    values = np.random.default_rng(0).normal(size=1_000)
    for measure in (psi, js):
        found = measure(*pair(values, values))
        assert found.value == pytest.approx(0.0, abs=1e-12)
        assert found.p_value == pytest.approx(1.0)
    assert ks(*pair(values, values)).value == 0.0


def test_the_null_rate_is_a_ratio_with_a_test() -> None:
    """Ten nulls in 1,000 against 40: four times, evidently; against 12: not."""
    none = np.zeros(990)
    one, two = pair(np.append(none, [np.nan] * 10), np.append(np.zeros(960), [np.nan] * 40))
    found = null_rate(one, two)
    assert found.value == pytest.approx(40.5 / 10.5)
    assert found.low < found.value < found.high
    table = np.array([[10, 990], [40, 960]])
    assert found.p_value == pytest.approx(stats.chi2_contingency(table, correction=True).pvalue)
    _, calm = pair(np.append(none, [np.nan] * 10), np.append(np.zeros(988), [np.nan] * 12))
    assert (null_rate(one, calm).p_value or 0.0) > 0.5
    assert null_rate(*pair(none, none)).p_value is None


def test_unseen_categories_are_a_share_less_what_a_small_reference_misses() -> None:
    """Good and Turing: where the reference saw two of its ten rows once, a fifth of unseen rows is no news."""
    one, two = category_pair([0] * 8 + [1, 2], [0] * 8 + [3, 4])
    found = unseen(one, two)
    assert (found.value, found.corrected) == (0.2, 0.0)
    one, two = category_pair([0] * 50 + [1] * 50, [0] * 60 + [3] * 40)
    assert unseen(one, two).corrected == 0.4
    assert unseen(one, two).low > 0.25


def test_a_category_that_both_sides_have_beyond_the_grid_is_no_news() -> None:
    """A profile that is itself the reference, with a category that the grid does not list."""
    _, seen = category_pair([0] * 50 + [1] * 50, [0] * 60 + [3] * 40)
    found = unseen(seen, seen)
    assert found.p_value == 1.0


def test_rows_outside_the_reference_are_counted_with_an_exact_test() -> None:
    """Ten of 1,000 rows above everything the reference had: as likely as the ten largest all being current."""
    x = np.random.default_rng(0).normal(size=1_000)
    y = np.append(np.zeros(990), np.full(10, 99.0))
    found = outside(*pair(x, y))
    assert found.value == 0.01
    assert found.corrected == pytest.approx(0.01 - 2 / 1_001)
    chance = np.prod([(1_000 - i) / (2_000 - i) for i in range(10)])
    assert found.p_value == pytest.approx(2 * chance)
    assert outside(*pair(x, x)).p_value == 1.0
    assert outside(*pair(np.full(9, np.nan), x)).p_value == 1.0
    assert outside(*pair(x, np.full(50, np.inf))).value == 1.0


def test_empty_sides_have_no_distance() -> None:
    """Without a row on one side nothing is far, and nothing is significant."""
    one, two = pair(np.arange(20.0), np.full(3, np.nan))
    assert psi(one, two).p_value == js(one, two).p_value == ks(one, two).p_value == 1.0
    first, second = category_pair([0, 1], [-1, -1])
    assert chi_squared(first, second).p_value == 1.0
    assert unseen(first, second).p_value is None
    assert detectable_psi(Cells(np.empty(0), np.empty(0)), 0.01) == float("inf")


def test_the_detectable_effect_is_found_as_often_as_promised() -> None:
    """At the PSI that 80 % power promises, a test at 1 % finds it in about 80 of 100 samples."""
    rng = np.random.default_rng(5)
    shares = np.array([0.3, 0.25, 0.2, 0.15, 0.1])
    n = 2_000
    target = detectable_psi(Cells(shares * n, shares * n), 0.01)
    tilt = np.array([1, -1, 1, -1, 0.0]) * shares
    tilt -= shares * tilt.sum()
    size = (target / (tilt**2 / shares).sum()) ** 0.5  # PSI is quadratic near no change
    found = 0
    for _ in range(1_000):
        cells = Cells(rng.multinomial(n, shares).astype(float), rng.multinomial(n, shares + size * tilt).astype(float))
        e, a = cells.smoothed
        found += stats.chi2.sf(((a - e) * np.log(a / e)).sum() / cells.noise, 4) <= 0.01
    assert 0.75 <= found / 1_000 <= 0.86


def test_intervals_hold_the_true_distance_as_often_as_stated() -> None:
    """95 % intervals of PSI, JS, V and KS cover the distances between the populations in at least 92 % of samples."""
    rng = np.random.default_rng(7)
    e, a = np.array([0.4, 0.3, 0.2, 0.1]), np.array([0.3, 0.3, 0.2, 0.2])
    truth = {
        "psi": float(((a - e) * np.log(a / e)).sum()),
        "js": float(jensenshannon(e, a, 2) ** 2),
        "chi_squared": float((((a - e) ** 2 / (2 * (a + e))).sum()) ** 0.5),
        "ks": 0.1,
    }
    held = dict.fromkeys(truth, 0)
    runs = 400
    for _ in range(runs):
        x, y = rng.choice(4, 1_500, p=e), rng.choice(4, 800, p=a)
        words, numbers = category_pair(x.tolist(), y.tolist()), pair(x.astype(float), y.astype(float))
        for found in (psi(*words), js(*words), chi_squared(*words), ks(*numbers)):
            held[found.name] += found.low <= truth[found.name] <= found.high
    assert min(held.values()) >= 0.92 * runs


def test_the_correction_takes_off_what_chance_adds() -> None:
    """Under no change the uncorrected quadratic distances average (k - 1) noise units, the corrected ones near zero."""
    rng = np.random.default_rng(3)
    noise = 2 / 500
    raw: dict[str, list[float]] = {"psi": [], "js": []}
    for _ in range(300):
        one, two = pair(rng.normal(size=500), rng.normal(size=500))
        for measure in (psi, js):
            found = measure(one, two)
            raw[found.name].append(found.value)
    assert np.mean(raw["psi"]) == pytest.approx(9 * noise, rel=0.1)
    assert np.mean(raw["js"]) == pytest.approx(9 * noise / (8 * log(2)), rel=0.1)


def shares_of_a_class(one: tuple[int, int], two: tuple[int, int]) -> tuple[ColumnProfile, ColumnProfile]:
    """Two columns of (rows of the class, other rows)."""
    names = ("usual", "rare")
    sides = [CategoricalColumn("x", np.repeat([1, 0], side).astype(np.int32), names) for side in (one, two)]
    reference = profile_column(sides[0])
    return reference, profile_column(sides[1], reference.grid)


def test_a_rare_class_is_tested_by_itself() -> None:
    """Four in a thousand where two were: no distance between distributions sees it, its own ratio does."""
    found = rare(*shares_of_a_class((200, 99_800), (400, 99_600)))
    assert found.value == pytest.approx(2.0, rel=0.01)
    assert (found.p_value or 1.0) < 1e-12
    assert found.low < 2.0 < found.high
    assert psi(*shares_of_a_class((200, 99_800), (400, 99_600))).value < 0.01
    back = rare(*shares_of_a_class((400, 99_600), (200, 99_800)))
    assert back.value == pytest.approx(found.value, rel=0.01), "a class that became rarer counts alike"


def test_without_a_rare_class_there_is_no_test() -> None:
    """Common classes are the other distances' work."""
    found = rare(*shares_of_a_class((300, 700), (500, 500)))
    assert (found.value, found.p_value) == (1.0, None)


def test_the_binomial_tail_of_a_rare_class_is_not_below_the_exact_one() -> None:
    """For every split of up to 30 rows of the class among 3,000, the p-value is at least the hypergeometric one."""
    for total in (1, 4, 30):
        for rows in range(total + 1):
            found = rare(*shares_of_a_class((total - rows, 2_000 - total + rows), (rows, 1_000 - rows)))
            law = stats.hypergeom(3_000, total, 1_000)
            exact = 2 * min(law.sf(rows - 1), law.cdf(rows))
            assert (found.p_value or 0.0) >= min(1.0, exact) - 1e-9


@pytest.mark.parametrize("rows", [(2_000, 300), (20_000, 3_000), (5_000, 5_000)])
def test_a_rare_class_is_rarely_blamed(rows: tuple[int, int]) -> None:
    """p < 0.05 for at most 5 % of unchanged classes of two and of twenty in a thousand."""
    rng = np.random.default_rng(rows)
    alarms = 0
    for _ in range(1_000):
        share = rng.choice([0.002, 0.01, 0.02])
        counts = [int(rng.binomial(size, share)) for size in rows]
        one, two = ((count, size - count) for count, size in zip(counts, rows, strict=True))
        found = rare(*shares_of_a_class(one, two))
        alarms += found.p_value is not None and found.p_value < 0.05
    assert stats.binom.sf(alarms - 1, 1_000, 0.05) > 0.001


def vocabulary(first: int, size: int, times: int) -> CategoricalColumn:
    """So many words, each so many times."""
    codes = np.tile(np.arange(size, dtype=np.int32), times)
    return CategoricalColumn("x", codes, tuple(f"w{first + place}" for place in range(size)))


def compared(one: CategoricalColumn, two: CategoricalColumn) -> tuple[CategoryProfile, CategoryProfile]:
    reference = profile_column(one)
    current = profile_column(two, reference.grid)
    assert isinstance(reference, CategoryProfile)
    assert isinstance(current, CategoryProfile)
    return reference, current


def test_a_vocabulary_that_is_replaced_is_evident_though_every_word_is_rare() -> None:
    """Ten thousand words twice each against as many others: chi-squared has one cell, the deal of words has none."""
    found = unseen(*compared(vocabulary(0, 10_000, 2), vocabulary(10_000, 10_000, 2)))
    assert found.value == 1.0
    assert found.p_value is not None
    assert found.p_value < 1e-50


def test_identifiers_are_no_evidence() -> None:
    """Where every word is seen once, all current ones are new, always."""
    found = unseen(*compared(vocabulary(0, 5_000, 1), vocabulary(5_000, 5_000, 1)))
    assert (found.value, found.p_value) == (1.0, 1.0)


@pytest.mark.parametrize("words", [5, 300, 3_000])
def test_words_that_a_reference_misses_by_chance_are_rarely_evidence(words: int) -> None:
    """p < 0.05 in at most 5 % of pairs of samples from one Zipf-like vocabulary, small or larger than the samples."""
    rng = np.random.default_rng(words)
    weights = 1.0 / np.arange(1, words + 1)
    names = tuple(f"w{place}" for place in range(words))
    alarms = 0
    for _ in range(400):
        one, two = (rng.choice(words, size, p=weights / weights.sum()).astype(np.int32) for size in (600, 300))
        found = unseen(*compared(CategoricalColumn("x", one, names), CategoricalColumn("x", two, names)))
        alarms += found.p_value is not None and found.p_value < 0.05
    assert stats.binom.sf(alarms - 1, 400, 0.05) > 0.001
