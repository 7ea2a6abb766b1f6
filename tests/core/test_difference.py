"""Where two canonical byte strings differ."""

from __future__ import annotations

import msgspec
import pytest

from fairlead.core.difference import first_difference
from fairlead.core.event import canonical

OLD = {"checks": [{"name": "a", "outcome": "holds"}, {"name": "b", "outcome": "breached"}], "passed": False}


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (("checks", 1, "outcome"), 'checks[1].outcome was "breached" and comes out as "holds"'),
        (("passed",), 'passed was false and comes out as "holds"'),
    ],
)
def test_the_first_field_is_named_by_its_path(path: tuple[str | int, ...], said: str) -> None:
    """The path leads through objects and lists to the one field that differs."""
    new = msgspec.json.decode(canonical(OLD))
    inner = new
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = "holds"
    assert first_difference(canonical(OLD), canonical(new)) == said


def test_a_value_that_grew_is_shown_short() -> None:
    """A long value is cut, and a list of another length is told whole."""
    said = first_difference(canonical({"a": ["x" * 200]}), canonical({"a": []}))
    assert said.startswith('a was ["xxx')
    assert said.endswith("comes out as []")
    assert "..." in said


def test_bytes_that_are_no_json_or_out_of_order_are_told() -> None:
    """What says the same in other bytes was not written by us, and what cannot be read says so."""
    assert first_difference(b'{"b":1,"a":2}', b'{"a":2,"b":1}') == "its bytes are not in canonical order"
    assert first_difference(b"{", b"{}") == "it is not readable"
    assert first_difference(b"\xff", b"{}") == "it is not readable"


def test_a_number_of_another_type_differs() -> None:
    """1 and 1.0 are two texts, and so two values; true is no 1."""
    assert first_difference(b'{"a":1}', b'{"a":1.0}') == "a was 1 and comes out as 1.0"
    assert first_difference(b'{"a":1}', b'{"a":true}') == "a was 1 and comes out as true"
