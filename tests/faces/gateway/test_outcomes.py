"""Outcomes as they are sent: what is read of them, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.faces.gateway.outcomes import read_outcomes
from fairlead.faces.gateway.wire import Refusal

NOW = 1_700_000_000.0


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "request_id": st.text(st.characters(codec="utf-8"), min_size=1, max_size=256),
                "outcome": st.integers(-(2**63), 2**63 - 1)
                | st.floats(allow_nan=False, allow_infinity=False)
                | st.text(st.characters(codec="utf-8"), max_size=99),
            },
            optional={"observed_at": st.none() | st.floats(0.0, NOW + 86_400.0)},
        ),
        min_size=1,
    )
)
def test_outcomes_are_kept_as_they_were_sent(sent: list[dict[str, Any]]) -> None:
    """In their order, and observed now where nothing is said."""
    records = read_outcomes(json.dumps(sent).encode(), NOW)
    assert [(one.request_id, one.outcome) for one in records] == [(one["request_id"], one["outcome"]) for one in sent]
    observed = [NOW if one.get("observed_at") is None else one["observed_at"] for one in sent]
    assert [one.observed_at for one in records] == observed
    assert {one.received_at for one in records} == {NOW}


def test_one_outcome_needs_no_list() -> None:
    """An object is a list of one."""
    (record,) = read_outcomes(b' {"request_id": "a", "outcome": 1, "observed_at": "1970-01-01T00:00:05Z"}', NOW)
    assert (record.request_id, record.outcome, record.observed_at) == ("a", 1, 5.0)


def test_a_whole_number_beyond_64_bits_is_a_float() -> None:
    """Whoever reads the log is spared numbers that no column holds."""
    (record,) = read_outcomes(b'[{"request_id": "a", "outcome": %d}]' % 10**30, NOW)
    assert (type(record.outcome), record.outcome) == (float, 1e30)


@pytest.mark.parametrize(
    ("body", "status", "path", "said"),
    [
        (b"[]", 400, "", "send at least one"),
        (b"", 400, "", "the body is empty"),
        (b"7", 400, "", "Expected array, came int"),
        (b"[7]", 400, "[0]", "Expected object, came int"),
        (b'[{"request_id": "a"}]', 400, "[0]", "missing required field outcome"),
        (b'[{"outcome": 1}]', 400, "[0]", "missing required field request_id"),
        (b'[{"request_id": "", "outcome": 1}]', 400, "[0].request_id", "length >= 1"),
        (b'[{"request_id": "a", "outcome": null}]', 400, "[0].outcome", "came null"),
        (b'[{"request_id": "a", "outcome": true}]', 400, "[0].outcome", "came bool"),
        (b'[{"request_id": "a", "outcome": NaN}]', 400, "[0].outcome", "NaN and Infinity are not JSON"),
        (b'[{"request_id": "a", "outcome": 1e999}]', 400, "[0].outcome", "out of range"),
        (b'[{"request_id": "a", "outcome": 1' + b"0" * 400 + b"}]", 400, "[0].outcome", "that 64 bits hold"),
        (b'[{"request_id": "a", "outcome": "' + b"x" * 1025 + b'"}]', 400, "[0].outcome", "length <= 1024"),
        (b'[{"request_id": "a", "outcome": 1, "value": 2}]', 400, "[0]", "unknown field value"),
        (b'[{"request_id": "a", "outcome": 1, "observed_at": "soon"}]', 400, "[0].observed_at", "RFC 3339"),
        (b'[{"request_id": "a", "outcome": 1, "observed_at": 1700090000}]', 422, "[0].observed_at", "in the future"),
    ],
)
def test_a_wrong_outcome_is_told(body: bytes, status: int, path: str, said: str) -> None:
    """With the place in the list and the field."""
    with pytest.raises(Refusal) as caught:
        read_outcomes(body, NOW)
    assert (caught.value.status, caught.value.path) == (status, path), caught.value
    assert said in str(caught.value)
