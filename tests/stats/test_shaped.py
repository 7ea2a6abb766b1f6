"""Whether decisions decide which labels exist: the test's error rate, and what it finds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.stats.shaped import shaped

ALPHA = 0.05


@pytest.mark.parametrize(("rows", "share", "refused"), [(400, 0.8, 0.3), (2_000, 0.5, 0.1), (1_000, 0.95, 0.5)])
def test_honest_logs_are_called_shaped_at_most_at_the_stated_rate(rows: int, share: float, refused: float) -> None:
    """Labels that come whatever was decided: of 4,000 logs the share with p <= alpha is alpha, within four standard
    errors and the chi-squared law's own error of a percent."""
    rng = np.random.default_rng(rows)
    wrong = 0
    for _ in range(4_000):
        granted = int(rng.binomial(rows, 1.0 - refused))
        pairs = {"granted": granted, "refused": rows - granted}
        found = shaped({name: (int(rng.binomial(total, share)), total) for name, total in pairs.items()})
        wrong += found.p_value is not None and found.p_value <= ALPHA
    assert abs(wrong / 4_000 - ALPHA) <= 4.0 * (ALPHA * (1.0 - ALPHA) / 4_000) ** 0.5 + 0.01


def test_a_lending_log_is_always_found() -> None:
    """Who is refused repays nothing: 1,000 logs of 300 applications, all of them found, and the gap told."""
    rng = np.random.default_rng(2)
    for _ in range(1_000):
        granted = int(rng.binomial(300, 0.7))
        known = int(rng.binomial(granted, 0.9))
        found = shaped({"granted": (known, granted), "refused": (0, 300 - granted)})
        assert found.p_value is not None
        assert found.p_value < 1e-6
        assert found.gap == known / granted
        assert found.seen["refused"] == 0.0


@given(st.dictionaries(st.text(max_size=3), st.integers(0, 500), max_size=6))
def test_where_every_label_came_or_none_nothing_is_tested(totals: dict[str, int]) -> None:
    """There is no dependence to be found without both kinds of rows, and no error either."""
    for known in (0.0, 1.0):
        found = shaped({name: (int(known * total), total) for name, total in totals.items()})
        assert found.p_value is None
        assert found.gap == 0.0
        assert found.rows == sum(totals.values())


@given(st.dictionaries(st.sampled_from("abcd"), st.tuples(st.integers(0, 300), st.integers(0, 300)), max_size=4))
def test_shares_add_up(pairs: dict[str, tuple[int, int]]) -> None:
    """Both the asked and the learnt shares are of one whole, and the p-value is a probability."""
    found = shaped({name: (known, known + more) for name, (known, more) in pairs.items()})
    assert not found.asked or sum(found.asked.values()) == pytest.approx(1.0)
    assert not found.seen or sum(found.seen.values()) == pytest.approx(1.0)
    assert found.p_value is None or 0.0 <= found.p_value <= 1.0


def test_impossible_counts_are_refused() -> None:
    """More labels than rows is a mistake of whoever counted."""
    with pytest.raises(ValueError, match="count each row once"):
        shaped({"granted": (3, 2)})
