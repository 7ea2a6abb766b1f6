"""A contract against a table: of each row what the gateway would say of it."""

from __future__ import annotations

import json
from math import isnan
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.adapters.contract_columns import FATES, ContractColumns, shown_value
from fairlead.adapters.sources.rows import Chunk
from fairlead.core.contract import Contract, DefaultAnswer, Feature, Kind, Policy, Rule, Task
from fairlead.core.decode import FallsBack, RowDecoder
from fairlead.core.examine import Breach, Fate, fate_of
from fairlead.errors import ContractError

POLICIES = st.sampled_from([Policy.REJECT, Policy.WARN, Policy.IMPUTE, Policy.FALLBACK])
KINDS = (Kind.NUMBER, Kind.INTEGER, Kind.BOOLEAN, Kind.CATEGORY)
FILLS: dict[Kind, Any] = {Kind.NUMBER: 1.5, Kind.INTEGER: 1, Kind.BOOLEAN: True, Kind.CATEGORY: "a"}
TEXTS = st.sampled_from(["a", "b", "é"])
SMALL = st.integers(-3, 12)
# What a column may hold, whatever its feature is: values as Python has them, with the Arrow type.
COLUMNS: list[tuple[Any, Any]] = [
    (st.one_of(SMALL, st.just(2**60 + 1)), pa.int64()),
    (SMALL, pa.int32()),
    (st.one_of(st.integers(0, 9), st.just(2**63 + 5)), pa.uint64()),
    (st.one_of(SMALL.map(float), st.floats(-2, 12), st.sampled_from([2.0**60, float("nan"), 1e300])), pa.float64()),
    (st.booleans(), pa.bool_()),
    (TEXTS, pa.string()),
    (TEXTS, pa.dictionary(pa.int32(), pa.string())),
    (st.none(), pa.null()),
]


@st.composite
def contracts(draw: st.DrawFn) -> Contract:
    """Small contracts of every kind and policy."""
    features = tuple(
        Feature(
            f"f{at}",
            kind,
            nullable=draw(st.booleans()),
            minimum=0.0 if kind in (Kind.NUMBER, Kind.INTEGER) else None,
            maximum=draw(st.sampled_from([5.0, 10.0, None])) if kind in (Kind.NUMBER, Kind.INTEGER) else None,
            categories=("a", "é") if kind is Kind.CATEGORY else (),
            missing=draw(POLICIES),
            out_of_range=draw(POLICIES),
            unseen=draw(POLICIES),
            fill=FILLS[kind],
        )
        for at, kind in enumerate(KINDS)
    )
    texts = ("f0 >= f1", 'f2 or f3 == "a" or f1 / f0 > 1', "f0 + f1 != 7", 'not (f2 and f3 in ("a", "x"))')
    rules = tuple(
        Rule(text, draw(st.sampled_from([Policy.REJECT, Policy.WARN, Policy.FALLBACK])))
        for text in texts
        if draw(st.booleans())
    )
    return Contract(features, Task.BINARY, "y", ("0", "1"), rules=rules, default=DefaultAnswer(0))


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    """Some of the features, and another column; each usually of its own kind."""
    rows = draw(st.integers(1, 12))
    columns: dict[str, Any] = {"other": pa.array(range(rows))}
    for at in range(4):
        if draw(st.integers(0, 9)) == 0:
            continue
        own = {0: 3, 1: 0, 2: 4, 3: 5}[at]
        values, kind = COLUMNS[own if draw(st.integers(0, 2)) else draw(st.integers(0, len(COLUMNS) - 1))]
        held = draw(st.lists(st.one_of(st.none(), values), min_size=rows, max_size=rows))
        columns[f"f{at}"] = pa.array(held, kind)
    return pa.table(columns)


def plain(value: Any) -> Any:
    """As JSON has it: no NaN."""
    return None if isinstance(value, float) and isnan(value) else value


def gateways(decoder: RowDecoder, contract: Contract, row: dict[str, Any]) -> tuple[Fate, set[tuple[str, str]]]:
    """What the gateway makes of a row, and what it warns of when it answers."""
    try:
        _, strange = decoder.decode(json.dumps(row).encode())
    except FallsBack:
        return Fate.FALLBACK, set()
    except ContractError:
        return Fate.REFUSED, set()
    policies = {(one.name, what): getattr(one, what) for one in contract.features
                for what in ("missing", "out_of_range", "unseen")}  # fmt: skip
    return fate_of([Breach(*one, policies.get(one, Policy.WARN)) for one in strange]), set(strange)


@given(contract=contracts(), table=tables())
@settings(max_examples=100, deadline=None)
def test_every_row_has_the_fate_that_the_gateway_gives_it(contract: Contract, table: pa.Table) -> None:
    """Refused, answered by another, imputed, warned of, clean; what is strange about an answered row is the same."""
    look = ContractColumns(contract).look(Chunk(table.num_rows, table))
    decoder = RowDecoder(contract)
    rows = [{name: plain(row[name]) for name in row if name != "other"} for row in table.to_pylist()]
    for place, row in enumerate(rows):
        fate, strange = gateways(decoder, contract, row)
        assert FATES[look.fates[place]] is fate, row
        if fate not in (Fate.REFUSED, Fate.FALLBACK):
            found = {(one.field, one.what) for one, places in look.breaches.items() if place in places}
            assert found == strange


@given(contract=contracts(), table=tables())
@settings(max_examples=40, deadline=None)
def test_lines_are_judged_as_columns_are(contract: Contract, table: pa.Table) -> None:
    """A JSON lines file and a Parquet file of the same rows are one thing."""
    rows = [{name: plain(value) for name, value in row.items()} for row in table.to_pylist()]
    lines = tuple(msgspec.json.encode(row) for row in rows)
    columns = ContractColumns(contract)
    one, two = columns.look(Chunk(len(rows), lines=lines)), columns.look(Chunk(len(rows), table))
    assert one.fates.tolist() == two.fates.tolist()
    assert {key: value.tolist() for key, value in one.breaches.items()} == {
        key: value.tolist() for key, value in two.breaches.items()
    }


def test_texts_of_a_csv_file_are_read_as_their_kind() -> None:
    """What cannot be is of a wrong type, and is shown as it stands there."""
    contract = Contract((Feature("n", Kind.INTEGER, maximum=9.0),), Task.BINARY, "y", ("0", "1"))
    table = pa.table({"n": pa.array(["3", " 4 ", "10", "x", "2.5", None], pa.string())})
    look = ContractColumns(contract).look(Chunk(6, table, text=True))
    found = {(one.what, one.policy): places.tolist() for one, places in look.breaches.items()}
    assert found == {
        ("out_of_range", Policy.WARN): [2],
        ("wrong_type", Policy.REJECT): [3, 4],
        ("missing", Policy.REJECT): [5],
    }
    assert shown_value(look, "n", 3) == "x"
    assert shown_value(look, "other", 3) is None


def test_a_line_that_is_no_object_is_refused_and_counted() -> None:
    """And breaches nothing in particular."""
    contract = Contract((Feature("n", Kind.INTEGER, nullable=True),), Task.BINARY, "y", ("0", "1"))
    look = ContractColumns(contract).look(Chunk(4, lines=(b'{"n": 1}', b"[1]", b"{", b'{"n": NaN}')))
    assert [FATES[fate] for fate in look.fates] == [Fate.CLEAN, Fate.REFUSED, Fate.REFUSED, Fate.REFUSED]
    assert look.unread == 2
    assert np.concatenate(list(look.breaches.values())).tolist() == [3]
