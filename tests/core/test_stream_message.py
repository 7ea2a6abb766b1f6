"""What travels on a stream."""

from __future__ import annotations

import json
from base64 import b64decode
from hashlib import sha256
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.fallback import ARM, Cause, Note, To, written
from fairlead.core.stream_message import DeadLetter, read_message, write_answer, write_letter
from fairlead.errors import ContractError
from fairlead.faces.gateway.predict import write_answers
from fairlead.testing.log import make_prediction

LETTER = DeadLetter("it broke", "features.age", 422, "hotel", "nats:requests:7:9", 3.0, 0)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """There is no third way."""
    refused = ""
    try:
        found: object = read_message(body)
    except ContractError as error:
        found, refused = None, error.line
    assert (found is None) == bool(refused)


@given(
    st.dictionaries(st.text(max_size=5), st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5)),
    st.none() | st.text(min_size=1, max_size=256),
    st.none() | st.text(min_size=1, max_size=256) | st.integers(-(2**60), 2**60),
    st.none() | st.floats(0, 2e9),
)
def test_what_was_written_is_read(features: Any, request_id: Any, unit: Any, at: Any) -> None:
    """Features byte for byte; a unit is a text; what is left out is none."""
    sent = {"features": features, "request_id": request_id, "unit_id": unit, "timestamp": at}
    body = json.dumps({name: value for name, value in sent.items() if value is not None}).encode()
    found = read_message(body)
    assert bytes(found.features) == json.dumps(features).encode()
    assert (found.request_id, found.unit_id) == (request_id, None if unit is None else str(unit))
    assert found.timestamp == at


def test_the_answer_is_the_gateways_byte_for_byte() -> None:
    """With probabilities and without, and where it fell back."""
    note = written(Note(To.CHAMPION, 2, Cause.CONTRACT, "expected a number", "features.age"))
    fallen = make_prediction("c", arm=ARM, error=note)
    for record in (make_prediction("a", probabilities=(0.25, 0.75)), make_prediction("b", prediction=3), fallen):
        assert write_answer(record) == write_answers([record], batch=False)
    found = msgspec.json.decode(write_answer(fallen))
    assert (found["fallback"], found["reason"], found["path"]) == ("champion", "expected a number", "features.age")


@given(st.binary(max_size=300), st.integers(1, 400))
def test_a_letter_holds_the_message(body: bytes, most: int) -> None:
    """As text where it is text, else in base64; cut where it is too long, with the hash of the whole."""
    found = msgspec.json.decode(write_letter(LETTER, body, most))
    kept = found["body"].encode() if "body" in found else b64decode(found["body_base64"])
    assert kept == body[:most]
    assert found["size"] == len(body)
    assert found.get("sha256") == (sha256(body).hexdigest() if len(body) > most else None)
    assert (found["reason"], found["path"], found["status"], found["id"]) == LETTER_TOLD


LETTER_TOLD = (LETTER.reason, LETTER.path, LETTER.status, LETTER.id)


def test_control_characters_do_not_blow_a_letter_up() -> None:
    """JSON would spell each of them with six bytes: base64 takes less."""
    body = b"\x01" * 100_000
    written = write_letter(LETTER, body)
    assert len(written) < 1.5 * len(body)
    assert b64decode(msgspec.json.decode(written)["body_base64"]) == body
