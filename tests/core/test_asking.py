"""A request of one row, wherever it comes from."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.asking import LATEST, Asking, answered, event_time, misplaced, unreadable
from fairlead.errors import ContractError
from fairlead.testing.log import make_prediction

_decode = msgspec.json.Decoder(Asking).decode


@pytest.mark.parametrize("wrong", ["2026-01-31T12:00:00", "now", "", -1, 1e13, LATEST, 10**400])
def test_a_time_that_is_none_is_refused(wrong: Any) -> None:
    """A text without an offset, a number in milliseconds, one before 1970, one beyond all numbers."""
    with pytest.raises(ContractError, match="at: expected seconds since 1970") as refused:
        event_time(wrong, "at")
    assert refused.value.path == "at"


def test_a_time_before_all_times_is_refused() -> None:
    """As a text too."""
    with pytest.raises(ContractError, match="at: expected an instant from 1970 on, came 1969"):
        event_time("1969-12-31T23:59:59Z", "at")


def test_a_time_is_read_in_both_forms() -> None:
    """RFC 3339 with an offset, and seconds."""
    assert event_time("1970-01-01T01:00:30+01:00", "at") == event_time(30, "at") == 30.0


@pytest.mark.parametrize(
    ("body", "said", "path"),
    [
        (b"", "the body is empty", ""),
        (b"{", "broken JSON at line 1 column 2", ""),
        (b'{"features":{},"unit_id":[]}', "unit_id: Expected ", "unit_id"),
        (b'{"nights":2}', 'Object contains unknown field nights (features go under "features"', ""),
        (b'{"features":NaN}', "features: NaN and Infinity are not JSON", "features"),
        (b'{"features":{},"request_id":""}', "request_id: Expected str of length >= 1", "request_id"),
    ],
)
def test_what_cannot_be_read_is_explained(body: bytes, said: str, path: str) -> None:
    """With the field, and in words that are no library's."""
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)) as refused:
        _decode(body)
    reason = unreadable(refused.value, body, misplaced(body))
    assert reason.line.startswith(said)
    assert reason.path == path


@given(st.binary(max_size=100))
def test_every_refusal_has_a_reason(body: bytes) -> None:
    """Whatever the bytes are."""
    reason = "none: it can be read"
    try:
        _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        reason = unreadable(error, body).line
    assert reason


def test_an_answer_says_who_gave_it() -> None:
    """Model, version and arm beside the prediction."""
    record = make_prediction("r")
    told = answered(record)
    assert (told.request_id, told.model, told.version, told.arm) == (
        "r",
        record.model_name,
        record.model_version,
        record.arm,
    )
    assert (told.prediction, told.probabilities) == (record.prediction, record.probabilities)
