"""From a caller's JSON to a row, and from a model's output to an answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import inf, nan
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.core.contract import Contract, DefaultAnswer, Feature, Kind, Policy, Rule, Task
from fairlead.core.decode import Answer, FallsBack, OutputReader, RowDecoder, Strange, broken, labels
from fairlead.errors import BundleError, ContractError

STRICT = Contract(
    (
        Feature("lead time", Kind.NUMBER, minimum=0.0, maximum=700.0, out_of_range=Policy.REJECT),
        Feature("nights", Kind.INTEGER, minimum=1.0, out_of_range=Policy.IMPUTE, missing=Policy.IMPUTE, fill=2),
        Feature("class", Kind.CATEGORY, categories=("Direct", "Groups"), unseen=Policy.REJECT),
        Feature("repeated", Kind.BOOLEAN, nullable=True),
        Feature("note", Kind.CATEGORY, nullable=True, missing=Policy.WARN),
    ),
    Task.BINARY,
    "canceled",
    ("0", "1"),
)
GOOD: dict[str, Any] = {"lead time": 3, "nights": 2, "class": "Direct", "repeated": None, "note": "é"}
DECODER = RowDecoder(STRICT)


def decode(**changes: Any) -> tuple[tuple[Any, ...], tuple[Strange, ...]]:
    """The good row with changes; `...` leaves a field out."""
    row = {name: value for name, value in {**GOOD, **changes}.items() if value is not ...}
    return DECODER.decode(json.dumps(row).encode())


def test_a_row_stands_in_the_contracts_order() -> None:
    """Names need not be identifiers, and the caller's order does not matter."""
    text = json.dumps(dict(reversed(GOOD.items()))).encode()
    assert DECODER.decode(text) == ((3.0, 2, "Direct", None, "é"), ())


@pytest.mark.parametrize(
    ("changes", "path", "said"),
    [
        ({"lead time": "x"}, "features.lead time", 'expected a number, came "x"'),
        ({"lead time": True}, "features.lead time", "expected a number, came true"),
        ({"lead time": None}, "features.lead time", "expected a number, came null"),
        ({"lead time": ...}, "features.lead time", "came nothing (the field is missing)"),
        ({"lead time": 701}, "features.lead time", "expected a number from 0 to 700, came 701"),
        ({"lead time": [1]}, "features.lead time", "expected a number, came [1]"),
        ({"lead time": 10**400}, "features.lead time", "expected a number, came 1000"),
        ({"nights": 2.5}, "features.nights", "expected an integer, came 2.5"),
        ({"nights": 10**20}, "features.nights", "expected an integer"),
        ({"class": "direct"}, "features.class", 'expected one of Direct, Groups, came "direct"'),
        ({"class": 1}, "features.class", "expected a string, came 1"),
        ({"repeated": 1}, "features.repeated", "expected true or false, came 1"),
        ({"repeated": ...}, "features.repeated", "came nothing"),
        ({"lead_time": 1}, "features.lead_time", "no such feature; leave it out"),
        ({"lead time": ..., "lead_time": 1}, "features.lead_time", "did you mean lead time?"),
        ({"note": "\ud800"}, "features.note", "surrogate"),
        ({"\ud800": 1}, "features.?", "no such feature"),
    ],
)
def test_a_wrong_row_is_refused_with_its_path(changes: dict[str, Any], path: str, said: str) -> None:
    """The error names the field, what was expected and what came."""
    with pytest.raises(ContractError) as caught:
        decode(**changes)
    assert caught.value.path == path
    assert said in caught.value.line
    caught.value.line.encode()


@pytest.mark.parametrize("text", [b"[1]", b'"x"', b"7", b"null"])
def test_a_row_is_an_object(text: bytes) -> None:
    """Anything else under `features` is refused."""
    with pytest.raises(ContractError, match="expected an object by feature name"):
        DECODER.decode(text)


def test_policies_let_strange_values_through_and_tell() -> None:
    """`impute` puts the fill in, `warn` keeps what came; both are told."""
    assert decode(nights=0) == ((3.0, 2, "Direct", None, "é"), (Strange("nights", "out_of_range"),))
    assert decode(nights=None)[0][1] == 2
    assert decode(nights=...)[1] == (Strange("nights", "missing"),)
    assert decode(note=...) == ((3.0, 2, "Direct", None, None), (Strange("note", "missing"),))
    warn = RowDecoder(Contract((Feature("x", Kind.NUMBER, minimum=0.0, maximum=1.0),), Task.REGRESSION, "y"))
    assert warn.decode(b'{"x":-5}') == ((-5.0,), (Strange("x", "out_of_range"),))


def test_an_integral_number_is_an_integer() -> None:
    """JSON does not tell 3.0 from 3, and data frames with nulls write 3.0."""
    row, strange = decode(nights=3.0)
    assert (row[1], type(row[1]), strange) == (3, int, ())


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity"])
def test_nan_and_infinity_are_told_by_path(literal: str) -> None:
    """JSON has neither: the answer says where it stood and what to send instead."""
    with pytest.raises(ContractError, match="send null for a missing number") as caught:
        DECODER.decode(f'{{"lead time": {literal}}}'.encode())
    assert caught.value.path == "features.lead time"
    assert broken(f'{{"a": [1, {{"b": {literal}}}]}}'.encode()).path == "a[1].b"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"a": 1', "broken JSON at line 1 column 8"),
        (b"", "broken JSON"),
        (b'{"a": "\xff"}', "not UTF-8"),
        (b"[" * 100_000, "nested too deep"),
        (b'{"a": ' * 900 + b"NaN" + b"}" * 900, "nested too deep"),
        (b'"\\ud800"', "surrogate"),
        (b"1" * 5000, "unreadable number"),
    ],
)
def test_broken_json_is_explained(body: bytes, said: str) -> None:
    """Every way to break JSON has an answer of one line."""
    assert said in broken(body).line


values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.integers(),
    st.floats(-10.0, 800.0),
    st.sampled_from(["Direct", "Groups", "", "é"]),
    st.text(max_size=3),
)


def attempt(read: Callable[[], object]) -> object:
    """What a reading gives: the row, or the error's path and line."""
    try:
        return read()
    except ContractError as error:
        return error.path, error.line


@settings(deadline=None)  # a busy machine is slow, not wrong
@given(st.dictionaries(st.sampled_from([*GOOD, "other"]), values), st.booleans())
def test_the_fast_way_and_the_close_look_agree(row: dict[str, Any], whole: bool) -> None:
    """What the compiled type accepts, the close look accepts with the same row and nothing strange."""
    row = {**GOOD, **row} if whole else row
    text = json.dumps(row).encode()
    assert attempt(lambda: DECODER.decode(text)) == attempt(lambda: DECODER.check(row))


@settings(deadline=None)  # a busy machine is slow, not wrong
@given(st.binary(max_size=40))
def test_no_bytes_escape_as_another_error(text: bytes) -> None:
    """Whatever is sent, the answer is a row or a `ContractError`."""
    assert attempt(lambda: DECODER.decode(text)) is not None


def test_classes_that_are_integers_are_answered_as_integers() -> None:
    """Only where every label is the text of an integer."""
    assert labels(STRICT) == (0, 1)
    assert labels(Contract((), Task.MULTICLASS, "y", ("01", "2", "3"))) == ("01", "2", "3")


def test_answers_of_each_task() -> None:
    """The score is the last class's probability, the predicted class's, or the value."""
    binary = OutputReader(STRICT, threshold=0.7)
    assert binary.read(np.array([[0.31, 0.69], [0.3, 0.7]]), 2) == [
        Answer(0, 0.69, (0.31, 0.69)),
        Answer(1, 0.7, (0.3, 0.7)),
    ]
    multi = OutputReader(Contract((), Task.MULTICLASS, "y", ("a", "b", "c")))
    assert multi.read(np.array([[0.2, 0.5, 0.3]]), 1) == [Answer("b", 0.5, (0.2, 0.5, 0.3))]
    assert OutputReader(Contract((), Task.REGRESSION, "y")).read(np.array([[4.5]]), 1) == [Answer(4.5, 4.5, None)]


@pytest.mark.parametrize("output", [[[nan, 0.5]], [[inf, 0.5]], [[0.5]], [[0.5, 0.5], [0.5, 0.5]]])
def test_an_answer_that_is_none_is_the_models_failure(output: list[list[float]]) -> None:
    """NaN, infinity and a wrong shape are refused."""
    with pytest.raises(BundleError, match="the model answered"):
        OutputReader(STRICT).read(np.array(output), 1)


FALLING = Contract(
    (
        Feature("age", Kind.INTEGER, minimum=18.0, maximum=90.0, out_of_range=Policy.FALLBACK, missing=Policy.FALLBACK),
        Feature("plan", Kind.CATEGORY, categories=("a", "b"), unseen=Policy.FALLBACK),
        Feature("price", Kind.NUMBER, maximum=10.0, out_of_range=Policy.REJECT),
    ),
    Task.BINARY,
    "y",
    ("0", "1"),
    rules=(Rule("price < age", Policy.FALLBACK), Rule("age != 50")),
    default=DefaultAnswer(0),
)


@pytest.mark.parametrize(
    ("row", "path", "what", "field"),
    [
        ({"age": 91, "plan": "a", "price": 1}, "features.age", "out_of_range", "age"),
        ({"age": None, "plan": "a", "price": 1}, "features.age", "missing", "age"),
        ({"plan": "a", "price": 1}, "features.age", "missing", "age"),
        ({"age": 20, "plan": "c", "price": 1}, "features.plan", "unseen", "plan"),
        ({"age": 19, "plan": "a", "price": 9.5}, None, "", ""),
        ({"age": 91, "plan": "c", "price": 1}, "features.age", "out_of_range", "age"),
    ],
)
def test_a_row_that_falls_back_says_why(row: dict[str, Any], path: str | None, what: str, field: str) -> None:
    """The first cause in the contract's order is told, with its field and its kind; a good row passes."""
    decoder = RowDecoder(FALLING)
    if path is None:
        assert decoder.decode(json.dumps(row).encode())[1] == ()
        return
    with pytest.raises(FallsBack) as caught:
        decoder.decode(json.dumps(row).encode())
    assert (caught.value.path, caught.value.what, caught.value.field) == (path, what, field)


def test_a_rule_may_fall_back() -> None:
    """In the fast reading and in the slow one."""
    contract = msgspec.structs.replace(FALLING, rules=(Rule("price < age / 10", Policy.FALLBACK),))
    decoder = RowDecoder(contract)
    for row in ({"age": 20, "plan": "a", "price": 3}, {"age": 20, "plan": "a", "price": 3.0}):
        with pytest.raises(FallsBack, match="expected price < age / 10, but price is 3"):
            decoder.decode(json.dumps(row).encode())
        with pytest.raises(FallsBack):
            decoder.check(row)


@pytest.mark.parametrize(
    "row",
    [
        {"age": 91, "plan": "c", "price": 11},
        {"age": 91, "plan": "c", "price": "x"},
        {"age": 91, "plan": "c", "price": 1, "more": 1},
        {"age": 50, "plan": "c", "price": 1},
        {"age": 2**70, "plan": "a", "price": 1},
    ],
)
def test_what_is_rejected_goes_before_what_falls_back(row: dict[str, Any]) -> None:
    """A row that is rejected for anything is rejected, wherever in it that stands."""
    with pytest.raises(ContractError) as caught:
        RowDecoder(FALLING).decode(json.dumps(row).encode())
    assert not isinstance(caught.value, FallsBack)


def test_a_contract_without_a_default_is_written_as_before_there_was_one() -> None:
    """Old bundles keep their digests, because nothing new stands in their manifests."""
    assert b"default" not in msgspec.json.encode(STRICT)
    assert msgspec.json.decode(msgspec.json.encode(FALLING), type=Contract) == FALLING
