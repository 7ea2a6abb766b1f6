"""A boosted model of errors."""

from __future__ import annotations

import numpy as np
import pytest

from fairlead.adapters.error_model import fit_errors


def test_errors_that_grow_with_an_input_are_expected() -> None:
    """Skewed errors of the mean 1 + x, by category too, are found on average; out-of-fold they are unbiased."""
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.uniform(0, 3, 6000), rng.integers(0, 3, 6000)])
    mean = 1 + x[:, 0] + 2 * (x[:, 1] == 1)
    errors = rng.exponential(mean)
    found = fit_errors(x, errors, categorical=[1])
    assert found.out_of_fold.mean() == pytest.approx(errors.mean(), rel=1e-9)
    assert np.mean(np.abs(found.out_of_fold - mean)) < 0.2 * mean.mean()
    fresh = np.column_stack([rng.uniform(0, 3, 3000), rng.integers(0, 3, 3000)])
    expected = found.expected(fresh)
    assert expected.shape == (5, 3000)
    mean = 1 + fresh[:, 0] + 2 * (fresh[:, 1] == 1)
    for part in (fresh[:, 0] < 1, fresh[:, 0] > 2, fresh[:, 1] == 1, fresh[:, 1] == 2):
        assert expected.mean(axis=0)[part].mean() == pytest.approx(mean[part].mean(), rel=0.08)


def test_no_error_at_all_is_expected_as_none() -> None:
    """A model that is always right has nothing to learn; rows without error among others are no obstacle."""
    found = fit_errors(np.zeros((10, 1)), np.zeros(10))
    assert found.out_of_fold.tolist() == [0.0] * 10
    assert found.expected(np.zeros((2, 1))).tolist() == [[0.0, 0.0]] * 5
    some = fit_errors(np.tile([0.0, 1.0], 1000)[:, None], np.tile([0.0, 0.0, 2.0, 4.0], 500))
    assert some.expected(np.array([[0.0], [1.0]])).mean(axis=0) == pytest.approx([1.0, 2.0], rel=0.2)
