"""Columns and rows: the same answers, bit for bit, and the same reasons, whatever is in the cells."""

from __future__ import annotations

import json
from datetime import date
from math import isnan
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairlead.adapters.cells import value_of
from fairlead.adapters.sources.rows import Chunk
from fairlead.core.contract import Policy, Rule
from fairlead.core.decode import RowDecoder
from fairlead.errors import ContractError
from fairlead.flows.score import answer_many
from fairlead.flows.serve import Failed, answer_rows
from fairlead.flows.warm import LiveVersion
from fairlead.operations.scoring_chunk import Looked, look

FLOATS = st.floats(width=64) | st.floats(-20, 800) | st.sampled_from([0.0, 600.5, 1e300, -1e300, 2.0**53, 2.0**60])
WHOLE = st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 70)
WORDS = st.sampled_from(["Direct", "Groups", "Online", "", "nan", "é", "1", "true", "3.5", " 7 ", "inf", "1e5", "x"])
KINDS: list[tuple[pa.DataType, st.SearchStrategy[Any]]] = [
    (pa.float64(), FLOATS),
    (pa.float32(), st.floats(width=32)),
    (pa.int64(), WHOLE),
    (pa.int8(), st.integers(-3, 70)),
    (pa.uint64(), st.integers(0, 2**64 - 1) | st.integers(0, 70)),
    (pa.bool_(), st.booleans()),
    (pa.string(), WORDS),
    (pa.large_string(), WORDS),
    (pa.dictionary(pa.int32(), pa.string()), WORDS),
    (pa.decimal128(9, 2), st.decimals(-20, 800, places=2)),
    (pa.date32(), st.dates(date(2020, 1, 1))),
    (pa.null(), st.none()),
]
USUAL = {"lead_time": (0, 2), "adr": (0, 2), "nights": (2, 3), "repeated": (5,), "segment": (6, 8)}


@st.composite
def columns(draw: st.DrawFn, text: bool = False) -> dict[str, tuple[pa.DataType, list[Any]]]:
    """Some columns of one length, each most often of a type that its feature takes."""
    rows = draw(st.integers(1, 12))
    found = {}
    for name, usual in USUAL.items():
        if draw(st.integers(0, 9)) == 0:
            continue
        kind, cells = (
            (pa.string(), WORDS | st.integers(-5, 700).map(str) | st.sampled_from(["true", "False"]))
            if text
            else KINDS[draw(st.sampled_from(usual) if draw(st.integers(0, 3)) else st.integers(0, len(KINDS) - 1))]
        )
        often = draw(st.sampled_from([0, 0, 1]))
        held = st.lists(st.none() | cells if often else cells, min_size=rows, max_size=rows)
        found[name] = (kind, draw(held))
    found["other"] = (pa.int8(), [0] * rows)
    return found


def plain(value: Any) -> Any:
    """A cell as JSON has it."""
    if isinstance(value, float) and isnan(value):
        return None
    return float(value) if type(value).__name__ == "Decimal" else value


def by_rows(live: LiveVersion, rows: list[dict[str, Any]]) -> tuple[list[int], Any, dict[int, str]]:
    """What the gateway makes of rows: those it answers, the model's answers to them, and the others' reasons."""
    accepted, taken, refused = [], [], {}
    for place, values in enumerate(rows):
        try:
            row, _ = live.rows.check(values)
        except ContractError as error:
            refused[place] = error.line
            continue
        accepted.append(place)
        taken.append(row)
    answers = answer_rows(live, taken) if taken else []
    return accepted, answers, refused


def check_same(looked: Looked, live: LiveVersion, rows: list[dict[str, Any]]) -> None:
    """The same rows answered, bit for bit as a request is, and the same reasons."""
    accepted, answers, refused = by_rows(live, rows)
    assert list(looked.places) == accepted
    assert looked.refused == refused
    for at, answer in enumerate(answers):
        if isinstance(answer, Failed):
            assert looked.answered.failed[at] == answer.error
        else:
            assert tuple(looked.answered.values[at].tolist()) == answer.probabilities
    assert len(looked.answered.failed) == sum(isinstance(answer, Failed) for answer in answers)


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(columns())
def test_a_table_is_answered_as_its_rows_are(
    live: LiveVersion, failing: LiveVersion, drawn: dict[str, tuple[pa.DataType, list[Any]]]
) -> None:
    """Any types, nulls, NaN, infinities, numbers out of range, absent columns; by a model that fails, too."""
    table = pa.table({name: pa.array(cells, held) for name, (held, cells) in drawn.items()})
    listed = {name: [plain(one) for one in table.column(name).to_pylist()] for name in USUAL if name in drawn}
    rows = [{name: cells[at] for name, cells in listed.items()} for at in range(table.num_rows)]
    for version in (live, failing):
        check_same(look(version, Chunk(table.num_rows, table), given=True), version, rows)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(columns(text=True))
def test_texts_are_read_as_their_features_kinds(
    live: LiveVersion, drawn: dict[str, tuple[pa.DataType, list[Any]]]
) -> None:
    """A CSV file's cells: one that is no number of its kind is refused with the text that stood there."""
    table = pa.table({name: pa.array(cells, held) for name, (held, cells) in drawn.items()})
    features = {feature.name: feature for feature in live.manifest.contract.features}
    rows = [
        {name: value_of(features[name], drawn[name][1][at]) for name in USUAL if name in drawn}
        for at in range(table.num_rows)
    ]
    check_same(look(live, Chunk(table.num_rows, table, text=True), given=True), live, rows)


def test_a_text_that_is_infinite_is_no_number(live: LiveVersion) -> None:
    """It is refused with its text, as in a request, where all other cells of the column are numbers."""
    table = pa.table({"lead_time": ["1"] * 4, "adr": ["1", "inf", "-inf", "nan"], "nights": ["1"] * 4,
                      "repeated": ["true"] * 4, "segment": ["Direct"] * 4})  # fmt: skip
    looked = look(live, Chunk(4, table, text=True), given=True)
    assert list(looked.places) == [0]
    assert looked.refused == {
        place: f'features.adr: expected a number, came "{text}"'
        for place, text in ((1, "inf"), (2, "-inf"), (3, "nan"))
    }


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.lists(st.dictionaries(st.sampled_from([*USUAL, "more"]), FLOATS.filter(np.isfinite) | WORDS | st.none())))
def test_lines_are_answered_as_requests_are(live: LiveVersion, rows: list[dict[str, Any]]) -> None:
    """JSON objects, each with fields of its own; those that the model does not know are left alone."""
    chunk = Chunk(len(rows), lines=tuple(json.dumps(row).encode() for row in rows))
    check_same(look(live, chunk, given=True), live, [{k: v for k, v in row.items() if k in USUAL} for row in rows])


def test_a_line_that_is_no_object_is_refused_with_its_reason(live: LiveVersion) -> None:
    """Broken JSON, NaN, a list, bytes that are no UTF-8: an answer each, and no end of the job."""
    lines = (b'{"adr": NaN}', b"{", b"[1]", b'"\xff"', b'{"lead_time": 1, "adr": null, "repeated": true}')
    looked = look(live, Chunk(len(lines), lines=lines), given=True)
    assert list(looked.places) == [4]
    assert "NaN and Infinity are not JSON" in looked.refused[0] or "expected a number" in looked.refused[0]
    assert looked.refused[1].startswith("broken JSON")
    assert looked.refused[2] == "the line is no object by column"
    assert "not UTF-8" in looked.refused[3]


def test_what_was_strange_is_counted_and_what_was_given_is_kept(live: LiveVersion) -> None:
    """By feature, in the rows that were answered; what was given is that of before the policies."""
    table = pa.table({"lead_time": [900.0, 1.0, 2.0], "adr": [900.0, None, 1.0], "nights": [None, 3, 99],
                      "repeated": [True, None, True], "segment": ["Moon", None, "Groups"]})  # fmt: skip
    looked = look(live, Chunk(3, table), given=True)
    assert dict(looked.strange) == {
        "lead_time out_of_range": 1, "adr out_of_range": 1, "nights missing": 1, "repeated missing": 1,
        "segment unseen": 1, "segment missing": 1}  # fmt: skip
    assert looked.given[0] == {"lead_time": 900.0, "adr": 900.0, "nights": None, "repeated": True, "segment": "Moon"}
    assert "features.nights: expected an integer from 0 to 60, came 99" in looked.refused[2]


def test_rules_over_several_features_hold_for_columns_too(live: LiveVersion) -> None:
    """A rule that rejects is the row's reason, one that warns is counted; a null says nothing."""
    rules = (Rule("nights < lead_time"), Rule("adr > nights", Policy.WARN))
    contract = msgspec.structs.replace(live.manifest.contract, rules=rules)
    manifest = msgspec.structs.replace(live.manifest, contract=contract)
    bound = msgspec.structs.replace(live, manifest=manifest, rows=RowDecoder(contract))
    table = pa.table({"lead_time": [9.0, 1.0, 9.0, 9.0], "adr": [50.0, 50.0, 1.0, None], "nights": [2, 2, 2, 2],
                      "repeated": [True] * 4, "segment": ["Direct"] * 4})  # fmt: skip
    looked = look(bound, Chunk(4, table), given=True)
    check_same(looked, bound, table.to_pylist())
    assert looked.refused == {1: "features: expected nights < lead_time, but nights is 2, lead_time is 1.0"}
    assert dict(looked.strange) == {"adr > nights broken_rule": 1}


def test_what_only_refused_rows_hold_was_not_let_through(live: LiveVersion) -> None:
    """A strange value of a row that another value refuses is not counted, not even as none."""
    table = pa.table({"lead_time": [900.0, 1.0], "adr": [1.0, 1.0], "nights": [99, 1], "repeated": [True] * 2,
                      "segment": ["Direct"] * 2})  # fmt: skip
    looked = look(live, Chunk(2, table), given=True)
    assert (list(looked.refused), dict(looked.strange)) == ([0], {})


def test_no_rows_are_no_answers(live: LiveVersion) -> None:
    """An empty batch of a model has the model's width."""
    assert answer_many(live, []).values.shape == (0, 2)
