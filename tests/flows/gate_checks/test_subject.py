"""What is under examination."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from fairlead.core.bundle import CARD, GOLDEN, Golden, ModelCard
from fairlead.errors import BundleError
from fairlead.flows.gate_checks.subject import Subject, columns_of, decode, spread
from fairlead.testing.candidate import CONTRACT

Put = Callable[..., str]
MakeSubject = Callable[..., Subject]


def test_bodies_are_golden_rows_then_held_out_rows(put: Put, subject: MakeSubject) -> None:
    """Real rows, repeated when there are not enough."""
    examined = subject(put())
    bodies = [json.loads(body) for body in examined.bodies(700)]
    assert bodies[:40] == list(examined.golden.rows)
    assert bodies[40] == dict(zip(CONTRACT.names, examined.heldout.tuples(CONTRACT.names, [0])[0], strict=True))
    assert bodies[640] == bodies[0]
    assert len(examined.bodies(10)) == 10


def test_rows_that_the_contract_refuses_are_not_asked(put: Put, subject: MakeSubject) -> None:
    """Neither as the good row nor among the bodies; where the contract takes none, all are, so that it is seen."""
    examined = subject(put())
    refused = {**examined.golden.rows[0], "city": 7}
    examined.__dict__["golden"] = Golden((refused, *examined.golden.rows), ())
    assert examined.good_row == examined.golden.rows[1]
    assert json.dumps(refused).encode() not in examined.bodies(50)
    nothing = subject(put())
    nothing.__dict__["golden"] = Golden((refused,), ())
    assert (nothing.good_row, nothing.bodies(1)) == (refused, [json.dumps(refused).encode()])


def test_rows_are_turned_to_the_other_contracts_order() -> None:
    """By name, not by place."""
    age, _, city = CONTRACT.features
    other = type(CONTRACT)((city, age), CONTRACT.task, CONTRACT.target, CONTRACT.classes)
    assert columns_of(CONTRACT, other, [(30.0, 2, "cairo")]) == [("cairo", 30.0)]
    with pytest.raises(BundleError, match="the rows have no nights"):
        columns_of(other, CONTRACT, [("cairo", 30.0)])


def test_an_empty_golden_set_is_an_error(put: Put, subject: MakeSubject) -> None:
    """There is nothing to ask with."""
    examined = subject(put())
    examined.__dict__["golden"] = Golden((), ())
    with pytest.raises(BundleError, match="golden set"):
        _ = examined.good_row


def test_a_file_of_another_kind_is_an_error(put: Put, subject: MakeSubject) -> None:
    """It names the file."""
    folder = subject(put()).folder
    with pytest.raises(BundleError, match=r"card\.json of the bundle cannot be read"):
        decode(folder / CARD, Golden)
    with pytest.raises(BundleError, match=r"nothing\.json"):
        decode(folder / "nothing.json", ModelCard)
    assert len(decode(folder / GOLDEN, Golden).rows) == 40


def test_large_tables_are_read_at_equal_distances(put: Put, subject: MakeSubject) -> None:
    """At most so many rows, from the first on."""
    heldout = subject(put()).heldout
    assert spread(heldout, 600) == slice(0, 600)
    assert spread(heldout, 250) == range(0, 600, 3)
    assert len(heldout.tuples(("age",), spread(heldout, 250))) == 200
