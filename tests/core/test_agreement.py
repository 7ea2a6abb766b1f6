"""Whether two sets of answers are the same answers."""

from __future__ import annotations

from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.agreement import agreement

ANSWERS = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=20)


@given(ANSWERS)
def test_answers_agree_with_themselves(answers: list[tuple[float, float]]) -> None:
    """The same answers differ by nothing, at any tolerance."""
    found = agreement(answers, answers, 0.0)
    assert (found.rows, found.largest_difference, found.holds) == (len(answers), 0.0, True)


@given(ANSWERS, st.floats(0.001, 0.5))
def test_one_answer_that_moved_is_found(answers: list[tuple[float, float]], by: float) -> None:
    """The largest difference decides, wherever it is."""
    moved = [*answers[:-1], (answers[-1][0] + by, answers[-1][1])]
    assert agreement(answers, moved, 0.0005).holds is False


def test_large_values_may_differ_in_proportion() -> None:
    """Beyond 1 the difference is relative: a price of a million need not agree to five digits after the point."""
    assert agreement([[1e6]], [[1e6 + 1]], 1e-5).holds is True
    assert agreement([[1e6]], [[1e6 + 100]], 1e-5).holds is False


@pytest.mark.parametrize("wrong", [[[nan, 1.0]], [[inf, 1.0]], [[0.5]], [[0.5, 0.5], [0.5, 0.5]], []])
def test_what_is_no_answer_never_agrees(wrong: list[list[float]]) -> None:
    """NaN, infinity and another shape are no agreement, whatever the tolerance."""
    assert agreement([[0.5, 0.5]], wrong, 1e9).holds is False


def test_nothing_agrees_with_nothing_is_no_agreement() -> None:
    """An empty golden set proves nothing."""
    assert agreement([], [], 1.0).holds is False
