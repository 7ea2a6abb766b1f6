"""What somebody's own code answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.adapters.predictors.answers import understood
from fairlead.core.contract import Contract, Task
from fairlead.errors import BundleError

BINARY = Contract((), Task.BINARY, "y", ("no", "yes"))
NUMBERED = Contract((), Task.BINARY, "y", ("0", "1"))
THREE = Contract((), Task.MULTICLASS, "y", ("a", "b", "c"))
VALUE = Contract((), Task.REGRESSION, "y")


@pytest.mark.parametrize(
    ("answer", "contract", "expected"),
    [
        ([0.25, 1.0], BINARY, [[0.75, 0.25], [0.0, 1.0]]),
        (np.array([[0.25], [1.0]]), BINARY, [[0.75, 0.25], [0.0, 1.0]]),
        (["yes", "no"], BINARY, [[0, 1], [1, 0]]),
        ([1, 0], NUMBERED, [[0, 1], [1, 0]]),
        (pd.Series([True, False]), Contract((), Task.BINARY, "y", ("false", "true")), [[0, 1], [1, 0]]),
        ([[0.25, 0.75], [1.0, 0.0]], BINARY, [[0.25, 0.75], [1.0, 0.0]]),
        ([{"yes": 0.75, "no": 0.25}, {"no": 1.0, "yes": 0.0}], BINARY, [[0.25, 0.75], [1.0, 0.0]]),
        (pd.DataFrame({"yes": [0.75, 0.0], "no": [0.25, 1.0]}), BINARY, [[0.25, 0.75], [1.0, 0.0]]),
        (pd.DataFrame([[0.25, 0.75], [1.0, 0.0]]), BINARY, [[0.25, 0.75], [1.0, 0.0]]),
        (pd.DataFrame({"p": [0.25, 1.0]}), BINARY, [[0.75, 0.25], [0.0, 1.0]]),
        (["c", "a"], THREE, [[0, 0, 1], [1, 0, 0]]),
        ([3, 4.5], VALUE, [[3.0], [4.5]]),
        (pd.DataFrame({"prediction": [3, 4]}), VALUE, [[3.0], [4.0]]),
    ],
)
def test_every_usual_answer_is_understood(answer: Any, contract: Contract, expected: Any) -> None:
    """Probabilities, labels, mappings and frames."""
    np.testing.assert_allclose(understood(answer, contract, 2), expected)


@pytest.mark.parametrize(
    ("answer", "contract", "what"),
    [
        ([0.5], BINARY, "to 2 rows: give one answer for each row"),
        (None, BINARY, "answers one NoneType"),
        (0.5, VALUE, "answers one float"),
        ([[0.5, 0.5], [1.0]], BINARY, "not all of one shape"),
        ([[0.5, 0.6], [1.0, 0.0]], BINARY, "do not sum to 1"),
        ([[-0.5, 1.5], [1.0, 0.0]], BINARY, "do not sum to 1"),
        ([[1.0, 0.0, 0.0]] * 2, BINARY, "3 numbers per row: 2 probabilities"),
        (["maybe", "no"], BINARY, "answers maybe, which is no class"),
        ([1.5, 0.5], BINARY, "which is no class of the target"),
        ([{"yes": 1.0, "never": 0.0}] * 2, BINARY, "the classes yes, never, but the target's are no, yes"),
        ([{"yes": 1.0, "no": 0.0}, {"yes": 1.0}], BINARY, "do not all have yes, no"),
        (["x", "y"], VALUE, "answers no numbers"),
        ([[1.0, 2.0]] * 2, VALUE, "2 values per row: one is expected"),
    ],
)
def test_any_other_answer_is_told(answer: Any, contract: Contract, what: str) -> None:
    """One line says what came and what was expected."""
    with pytest.raises(BundleError, match=what):
        understood(answer, contract, 2)


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=20))
def test_probabilities_come_through_in_every_dress(last: list[float]) -> None:
    """The same answer as a list, a table, mappings and a frame is the same matrix."""
    table = [[1.0 - p, p] for p in last]
    named = [{"yes": p, "no": q} for q, p in table]
    dresses = (last, np.array(table), named, pd.DataFrame(named))
    found = [understood(answer, BINARY, len(last)) for answer in dresses]
    assert all(np.array_equal(found[0], other) for other in found[1:])


@given(st.lists(st.sampled_from(THREE.classes), min_size=1, max_size=20))
def test_labels_are_sure_of_themselves(labels: list[str]) -> None:
    """Each is its class with probability 1."""
    found = understood(labels, THREE, len(labels))
    assert [THREE.classes[at] for at in found.argmax(axis=1)] == labels
    assert np.array_equal(found.sum(axis=1), np.ones(len(labels)))
