"""Awkward columns and tables, by every verb: each has a stated behaviour, and none is a traceback, a warning or a NaN.

`docs/statistics/tables.md` says the same in prose.
"""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fairlead.errors import FairleadError, TableError
from fairlead.operations.drift import drift, profile
from fairlead.operations.estimate import estimate_performance
from fairlead.operations.experiments import compare_arms
from fairlead.operations.multivariate import multivariate_drift
from fairlead.operations.performance import performance
from fairlead.operations.slices import find_slices
from fairlead.operations.timeline import drift_timeline

N = 600
RNG = np.random.default_rng(0)
NORMAL, AGAIN = RNG.normal(size=N), RNG.normal(size=N)
Y = (RNG.random(N) < 0.4).astype(float)
P = np.clip(0.4 * RNG.random(N) + 0.4 * Y, 0.01, 0.99)
HOURS = np.datetime64("2024-01-01", "us") + np.arange(N).astype("timedelta64[h]")
REST = {
    "other": RNG.normal(size=N),
    "y": Y,
    "p": P,
    "at": HOURS,
    "arm": np.where(np.arange(N) % 2, "new", "control"),
}
MAKERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "dict": dict,
    "pandas": pd.DataFrame,
    "polars": lambda columns: pl.DataFrame(columns, strict=False),
    "arrow": pa.table,
}
NOON = dt.datetime(2024, 1, 1, 12, tzinfo=dt.UTC)
IDS = [UUID(int=2**127 + 9), UUID(int=17)]
EAST = dt.timezone(dt.timedelta(hours=5))


def times(count: int, *values: Any) -> list[Any]:
    """The values over and over, `count` in all."""
    return (list(values) * count)[:count]


def each(make: Callable[[int], Any]) -> list[Any]:
    """A value a row."""
    return [make(place) for place in range(N)]


def some_are(value: float, rest: Any) -> Any:
    """A fifth of the rows."""
    return np.where(np.arange(N) % 5, rest, value)


# what a column holds in the reference and in the current data; what drift says: kind, level or why it is not measured
Case = tuple[Any, Any, str, str]
CASES: dict[str, Case] = {
    "missing values": (some_are(np.nan, NORMAL), some_are(np.nan, AGAIN), "numeric", "none"),
    "more missing values": (NORMAL, some_are(np.nan, AGAIN), "numeric", "critical"),
    "a constant": (times(N, 3), times(N, 3), "numeric", "none"),
    "a constant that changed": (times(N, 3), times(N, 4), "numeric", "critical"),
    "a constant that became varied": (times(N, 3.0), NORMAL, "numeric", "critical"),
    "infinities": (some_are(np.inf, NORMAL), some_are(np.inf, AGAIN), "numeric", "none"),
    "only infinities": (times(N, math.inf), times(N, math.inf), "numeric", "none"),
    "infinities that changed sign": (times(N, math.inf), times(N, -math.inf), "numeric", "critical"),
    "infinities instead of numbers": (NORMAL, times(N, math.inf), "numeric", "critical"),
    "numbers instead of infinities": (times(N, math.inf), NORMAL, "numeric", "critical"),
    "all null": (times(N, None), times(N, None), "numeric", "all 600 reference values are null"),
    "all NaN": (times(N, math.nan), NORMAL, "numeric", "all 600 reference values are null"),
    "all null now": (times(N, "a", "b"), times(N, None), "category", "all 600 current values are null"),
    "new categories": (times(N, "a", "b"), times(N, "a", "b", "c"), "category", "critical"),
    "text against numbers": (times(N, "1", "2"), times(N, 1, 2), "unknown", "text in the reference"),
    "whole numbers of 60 bits": (each(lambda i: 2**60 + 1000 * i), each(lambda i: 2**60 + 1000 * i), "numeric", "none"),
    "neighbours beyond 2^53 are one": (times(N, 2**53, 2**53 + 1), times(N, 2**53), "numeric", "none"),
    "unsigned 64 bits": (2**64 - 1 - np.arange(N, dtype=np.uint64),) * 2 + ("numeric", "none"),
    "numbers of 1e308": (NORMAL * 1e307, AGAIN * 1e307, "numeric", "none"),
    "the two ends of float64": (times(N, 1.7e308), times(N, -1.7e308), "numeric", "critical"),
    "numbers of 1e-310": (np.abs(NORMAL) * 1e-310, np.abs(AGAIN) * 1e-310, "numeric", "none"),
    "huge and tiny": (times(N, 1e308, 1e-308), times(N, 1e308, 1e-308), "numeric", "none"),
    "booleans": (times(N, True, False), times(N, True, False), "numeric", "none"),
    "booleans with nulls": (times(N, True, None), times(N, True, None), "numeric", "none"),
    "timestamps": (HOURS, HOURS, "numeric", "none"),
    "later timestamps": (HOURS, HOURS + np.timedelta64(30, "D"), "numeric", "critical"),
    "dates": (each(lambda i: dt.date(2024, 1, 1) + dt.timedelta(i)),) * 2 + ("numeric", "none"),
    "times of day": (each(lambda i: dt.time(i % 24)),) * 2 + ("numeric", "none"),
    "durations": (each(lambda i: dt.timedelta(seconds=i)),) * 2 + ("numeric", "none"),
    "one instant in two zones": (
        each(lambda i: NOON.replace(tzinfo=EAST) + dt.timedelta(hours=i)),
        each(lambda i: NOON + dt.timedelta(hours=i - 5)),
        "numeric", "none",
    ),
    "decimals": (each(lambda i: Decimal(i) / 4),) * 2 + ("numeric", "none"),
    "decimals of 60 digits": (times(N, Decimal(10) ** 60),) * 2 + ("numeric", "none"),
    "empty text": (times(N, "", "x"), times(N, "", "x"), "category", "none"),
    "empty text that became null": (times(N, "", "x"), times(N, None, "x"), "category", "critical"),
    "text with NUL bytes": (times(N, "a\0b", "a\0c", "a"), times(N, "a\0c", "a", "a\0b"), "category", "none"),
    "text that a NUL byte tells apart": (times(N, "a\0b", "a"), times(N, "a"), "category", "critical"),
    "text of 100,000 letters": (each(lambda i: "z" * 100_000 + str(i % 3)),) * 2 + ("category", "none"),
    "letters of two encodings": (times(N, "é", "e\u0301"), times(N, "é"), "category", "critical"),
    "UUIDs": (times(N, *IDS), times(N, *reversed(IDS)), "category", "none"),
    "UUIDs of which one became null": (times(N, *IDS), times(N, IDS[0], None), "category", "critical"),
    "lists": (times(N, [1]), times(N, [1]), "unknown", "which is no single value a row"),
    "structs": (times(N, {"a": 1}), times(N, {"a": 1}), "unknown", "which is no single value a row"),
    "bytes": (times(N, b"a"), times(N, b"a"), "unknown", "which is no single value a row"),
}  # fmt: skip


def seen_by_drift(reference: Any, current: Any, name: str = "x") -> tuple[str, str]:
    """The kind of a column, and its level or why it is not measured."""
    report = drift(reference, current)
    shown(report)
    column = next(one for one in report.columns if one.name == name)
    return column.kind, column.unmeasured or str(column.level)


def shown(report: Any) -> str:
    """The report as strict JSON; its other faces can be made too, and hold no NaN."""

    def refuse(text: str) -> Any:
        raise AssertionError(f"{text} is not JSON")

    assert finite(report.to_dict())
    json.loads(report.to_json(), parse_constant=refuse)
    report.to_frame()
    if hasattr(report, "_repr_html_"):
        assert ">nan<" not in report._repr_html_().lower()
    return str(report.verdict.outcome)


def finite(value: Any) -> bool:
    """Whether no number in plain values is NaN or infinite."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(finite(one) for one in value.values())
    return not isinstance(value, list | tuple) or all(finite(one) for one in value)


@pytest.mark.parametrize("library", MAKERS)
@pytest.mark.parametrize("case", CASES)
def test_a_column_is_the_same_to_drift_in_every_library(case: str, library: str) -> None:
    """Kind, level and reason depend on what a column holds, not on who holds it."""
    before, after, kind, said = CASES[case]
    make = MAKERS[library]
    found = seen_by_drift(make({"x": before, "rest": NORMAL}), make({"x": after, "rest": NORMAL}))
    assert found[0] == kind
    assert said in found[1]


OWN: dict[str, tuple[Any, Any, str, str]] = {
    "pandas: categories that do not occur": (
        pd.Categorical(times(N, "a", "b"), categories=["a", "b", "z"]),
        pd.Categorical(times(N, "a", "b"), categories=["q", "b", "a"]), "category", "none"),
    "pandas: categories that are numbers": (
        pd.Categorical(times(N, 1, 2), categories=[1, 2, 3]), pd.Series(times(N, 2, 1)), "numeric", "none"),
    "pandas: categories without a value": (
        pd.Categorical(times(N, None), categories=["a"]), pd.Series(times(N, "a")), "category", "values are null"),
    "pandas: nullable integers": (pd.array(times(N, 1, None), dtype="Int64"),) * 2 + ("numeric", "none"),
    "pandas: nullable booleans": (pd.array(times(N, True, None), dtype="boolean"),) * 2 + ("numeric", "none"),
    "pandas: NA among objects": (
        pd.Series(times(N, "a", None, math.nan, pd.NA, pd.NaT, "b"), dtype=object),
        pd.Series(times(N, "b", "a", None, None, None, None), dtype=object), "category", "none"),
    "pandas: numbers among objects": (
        pd.Series(times(N, 1, pd.NA, 2.5), dtype=object), pd.Series(times(N, 1, None, 2.5)), "numeric", "none"),
    "pandas: sparse": (pd.arrays.SparseArray(np.arange(N) % 3), pd.Series(np.arange(N) % 3), "numeric", "none"),
    "pandas: the other byte order": (pd.Series(NORMAL.astype(">f8")), pd.Series(NORMAL), "numeric", "none"),
    "pandas: periods": (pd.period_range("2020", periods=N, freq="D"),) * 2 + ("unknown", "no single value a row"),
    "polars: Categorical": (
        pl.Series(times(N, "a", "b"), dtype=pl.Categorical), pl.Series(times(N, "b", "a")), "category", "none"),
    "polars: Enum with nulls": (
        pl.Series(times(N, "a", None), dtype=pl.Enum(["z", "a"])), pl.Series(times(N, None, "a")), "category", "none"),
    "polars: Enum against Categorical": (
        pl.Series(times(N, "a", "b"), dtype=pl.Enum(["b", "a"])),
        pl.Series(times(N, "a", "b"), dtype=pl.Categorical), "category", "none"),
    "polars: 128 bits": (pl.Series(times(N, 2**70), dtype=pl.Int128), pl.Series(times(N, 2.0**70)), "numeric", "none"),
    "polars: objects": (
        pl.Series(times(N, "a", 1), dtype=pl.Object), pl.Series(times(N, "a", "1")), "category", "none"),
    "Arrow: a dictionary that lists twice": (
        pa.DictionaryArray.from_arrays(pa.array(times(N, 0, 1)), pa.array(["a", "a"])),
        pa.array(times(N, "a")), "category", "none"),
    "Arrow: string views in chunks": (
        pa.chunked_array([pa.array(times(N // 2, "a", "b")).cast(pa.string_view())] * 2),
        pa.array(times(N, "b", "a")), "category", "none"),
    "Arrow: UUIDs against text": (
        pa.array(times(N, *IDS), pa.uuid()), pa.array(times(N, *map(str, IDS))), "category", "none"),
    "pandas: UUIDs among text": (
        pd.Series(times(N, IDS[0], "x"), dtype=object), pd.Series(times(N, "x", str(IDS[0]))), "category", "none"),
    "Arrow: decimals of 256 bits": (
        pa.array(times(N, Decimal(10) ** 60), pa.decimal256(76, 0)), pa.array(times(N, 1e60)), "numeric", "none"),
    "Arrow: bytes that are no UTF-8": (
        pa.StringArray.from_buffers(2, pa.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0"), pa.py_buffer(b"a\xff")).take(
            pa.array(times(N, 0, 1))),
        pa.array(times(N, "a", "\\xff")), "category", "none"),
    "a dict: mixed kinds": (times(N, 1, "a", 2.5, None), times(N, None, "1", "2.5", "a"), "category", "none"),
    "a dict: mixed numbers": (
        times(N, True, 2, Decimal("2.5"), Fraction(1, 2), np.float32(4), None, pd.NA, Decimal("NaN")),
        times(N, 1.0, 2.0, 2.5, 0.5, 4.0, None, None, None), "numeric", "none"),
    "a dict: beyond 64 bits": (times(N, 2**70, 1), times(N, 2.0**70, 1.0), "numeric", "none"),
    "a dict: beyond float64": (times(N, 10**400, 1), times(N, math.inf, 1.0), "numeric", "none"),
    "a dict: half a letter": (times(N, "\ud800", "b"), times(N, "\\ud800", "b"), "category", "none"),
    "a dict: long doubles": (NORMAL.astype(np.longdouble), NORMAL, "numeric", "none"),
    "a dict: months": (np.array(times(N, "2024-01", "2024-02"), "datetime64[M]"),
        np.array(times(N, "2024-01-01", "2024-02-01"), "datetime64[s]"), "numeric", "none"),
    "a dict: masked": (
        np.ma.masked_array(NORMAL, mask=NORMAL > 0), np.where(NORMAL > 0, np.nan, NORMAL), "numeric", "none"),
}  # fmt: skip


@pytest.mark.parametrize("case", OWN)
def test_what_only_one_library_has_is_read_as_what_it_stands_for(case: str) -> None:
    """Beside the same values in a plain type, nothing has drifted."""
    before, after, kind, said = OWN[case]
    make = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "Arrow": pa.table}.get(case.partition(":")[0], dict)
    found = seen_by_drift(make({"x": before, "rest": NORMAL}), make({"x": after, "rest": NORMAL}))
    assert found[0] == kind
    assert said in found[1]


# -- every verb ------------------------------------------------------------------------------------------------------


def table(x: Any) -> dict[str, Any]:
    """A table with the column `x`."""
    return {"x": x} | {name: values[: len(x)] for name, values in REST.items()}


AS_INPUT: dict[str, Callable[[Any, Any], Any]] = {
    "timeline": lambda a, b: drift_timeline(a, b, timestamp="at", window="365d", columns=["x"]),
    "performance": lambda a, b: performance(b, target="y", score="p", segments=["x"]),
    "estimate": lambda a, b: estimate_performance(a, b, target="y", score="p", features=["x"], method="cbpe"),
    "multivariate": lambda a, b: multivariate_drift(a, b, columns=["x", "other"]),
    "slices": lambda a, b: find_slices(a, b, columns=["x"]),
    "arms": lambda a, b: compare_arms(b, arm="arm", metric="y", covariate="x"),
}
AS_VALUE: dict[str, Callable[[Any, Any], Any]] = {
    "timeline": lambda a, b: drift_timeline(a, b, timestamp="x", window="365d", columns=["other"]),
    "performance": lambda a, b: performance(b, target="x", prediction="other", task="regression"),
    "estimate": lambda a, b: estimate_performance(a, b, target="x", prediction="other", task="regression"),
    "slices": lambda a, b: find_slices(a, b, columns=["other"], loss="x"),
    "arms": lambda a, b: compare_arms(b, arm="arm", metric="x"),
}


def outcome(verb: Callable[[Any, Any], Any], before: Any, after: Any) -> str:
    """What a verb says: the outcome, or the one line of its refusal."""
    try:
        return shown(verb(before, after))
    except FairleadError as error:
        said = str(error)
    assert "\n" not in said
    return said


TEXT = "holds text"
MOVED = dict.fromkeys(["timeline", "multivariate", "slices"], "breached")
# what each verb says of a table whose column `x` is an input of the model, or the value that is measured
INPUTS: dict[str, tuple[Any, Any, dict[str, str]]] = {
    "missing values": (*CASES["missing values"][:2], {"timeline": "undecided", "slices": "holds"}),
    "a constant": (*CASES["a constant"][:2], {"timeline": "holds", "slices": "unmeasured"}),
    "a constant that changed": (
        *CASES["a constant that changed"][:2], MOVED),
    "only infinities": (*CASES["only infinities"][:2], {"timeline": "holds", "slices": "unmeasured"}),
    "the two ends of float64": (
        *CASES["the two ends of float64"][:2], MOVED),
    "all null": (
        *CASES["all null"][:2], dict.fromkeys(["timeline", "multivariate", "slices"], "unmeasured")),
    "all null now": (
        *CASES["all null now"][:2], {"timeline": "unmeasured", "multivariate": "unmeasured", "slices": "breached"}),
    "new categories": (
        *CASES["new categories"][:2],
        MOVED | {"performance": "holds", "arms": TEXT}),
    "text against numbers": (
        *CASES["text against numbers"][:2],
        {"timeline": "unmeasured", "performance": "holds", "estimate": "make them alike", "multivariate": "unmeasured",
         "slices": "make both one kind"}),
    "mixed kinds": (*OWN["a dict: mixed kinds"][:2], {"timeline": "holds", "slices": "holds", "arms": TEXT}),
    "huge integers": (*CASES["whole numbers of 60 bits"][:2], {"timeline": "holds", "slices": "holds"}),
    "timestamps": (*CASES["timestamps"][:2], {"timeline": "holds", "slices": "holds"}),
    "booleans": (*CASES["booleans"][:2], {"timeline": "holds", "performance": "holds", "slices": "holds"}),
    "a UUID a row": (
        each(lambda i: UUID(int=i)), each(lambda i: UUID(int=i)),
        {"timeline": "holds", "slices": "holds", "arms": TEXT}),
    "a category a row": (each(str), each(str), {"timeline": "holds", "slices": "holds", "arms": TEXT}),
    "lists": (
        *CASES["lists"][:2],
        {"timeline": "no single value", "performance": "not one value", "estimate": "not one value",
         "multivariate": "unmeasured", "slices": "no single value", "arms": "not one value"}),
    "one row now": (
        NORMAL, AGAIN[:1],
        {"timeline": "undecided", "performance": "unmeasured", "estimate": "unmeasured", "slices": "at least 200",
         "arms": "an arm column has 2"}),
    "empty now": (
        NORMAL, AGAIN[:0],
        dict.fromkeys(["timeline", "estimate", "multivariate"], "the current data has no rows")
        | {"performance": "the table has no rows", "slices": "has 0 rows", "arms": "the data have no rows"}),
}  # fmt: skip
QUIET = {"performance": "undecided", "estimate": "holds", "multivariate": "undecided", "arms": "undecided"}


@pytest.mark.parametrize("verb", AS_INPUT)
@pytest.mark.parametrize("case", INPUTS)
def test_an_input_that_is_odd_has_a_stated_outcome(case: str, verb: str) -> None:
    """As a window's column, a segment, a feature, a slice, a covariate: an outcome, or a refusal in one line."""
    before, after, says = INPUTS[case]
    assert (QUIET | says)[verb] in outcome(AS_INPUT[verb], table(before), table(after))


NONE = {
    "timeline": "no timestamp at all", "performance": "unmeasured", "estimate": "no row of the reference has a label",
    "slices": "no row of the reference has a loss", "arms": "unmeasured",
}  # fmt: skip
SOME = {"performance": "unmeasured", "estimate": "holds", "slices": "holds", "arms": "undecided"}
VALUES: dict[str, dict[str, str]] = {
    "missing values": SOME | {"timeline": "give timestamps"},
    "a constant": SOME | {"timeline": "holds"},
    "infinities": SOME | {"timeline": "give timestamps"},
    "only infinities": NONE,
    "all null": NONE,
    "the two ends of float64": NONE | {"timeline": "give timestamps"},
    "whole numbers of 60 bits": SOME | {"timeline": "give timestamps"},
    "timestamps": SOME | {"timeline": "holds"},
    "booleans": SOME | {"timeline": "holds", "arms": "breached"},
    "empty text": dict.fromkeys(SOME, TEXT) | {"timeline": TEXT},
    "UUIDs": dict.fromkeys(SOME, TEXT) | {"timeline": TEXT},
    "lists": dict.fromkeys(SOME, "not one value") | {"timeline": "not one value"},
}


@pytest.mark.parametrize("verb", AS_VALUE)
@pytest.mark.parametrize("case", VALUES)
def test_a_value_that_is_odd_has_a_stated_outcome(case: str, verb: str) -> None:
    """As a timestamp, a target, a loss, a metric: a value from 1e70 on is as good as infinite, and neither is measured.
    (Performance alone has nothing to compare with, so it is unmeasured whatever it measures.)"""
    before, after = (table(side) for side in CASES[case][:2])
    assert VALUES[case][verb] in outcome(AS_VALUE[verb], before, after)


@pytest.mark.parametrize("verb", AS_INPUT)
def test_a_missing_column_is_named(verb: str) -> None:
    """One that the current data lacks: unmeasured where columns are compared, else refused by name."""
    without = {name: values for name, values in table(NORMAL).items() if name != "x"}
    said = outcome(AS_INPUT[verb], table(NORMAL), without)
    assert said == "unmeasured" if verb == "multivariate" else "x" in said


def test_a_column_that_the_reference_lacks_weighs_nothing() -> None:
    """It is listed as unmeasured, in each window too; the verdict is that of the others."""
    before, after = {"x": times(N, 1, 2)}, {"x": times(N, 2, 1), "new": times(N, 1), "at": HOURS}
    for report in (drift(before, after), drift_timeline(before, after, timestamp="at", window="365d")):
        assert shown(report) == "holds"
    window = drift_timeline(before, after, timestamp="at", window="365d").windows[0]
    assert {one.name: one.unmeasured for one in window.columns} == {"x": "", "new": "missing from the reference"}


def test_polars_categoricals_are_units_arms_and_labels() -> None:
    """Arrow alone can cast neither Categorical nor Enum: they are made plain before anything reads them."""
    labels = pl.Series(times(N, "a", "b"), dtype=pl.Enum(["z", "b", "a"]))
    units = pl.Series(each(lambda i: f"u{i}"), dtype=pl.Categorical)
    data = pl.DataFrame(REST | {"x": labels, "unit": units})
    assert (
        outcome(lambda a, _: compare_arms(a, arm="x", metric="y", unit="unit", control="a"), data, data) == "undecided"
    )
    assert performance(data, target="x", prediction="x").metrics["accuracy"].value == 1.0


def test_uuids_are_units_instants_never() -> None:
    """A person's UUID keeps their rows together as its text does; as a time it is refused in one line."""
    people = each(lambda i: UUID(int=i // 4))
    arms = each(lambda i: "new" if i // 4 % 2 else "control")
    data = REST | {"arm": arms, "person": people, "written": [str(one) for one in people]}
    found = [compare_arms(pa.table(data), arm="arm", metric="y", unit=unit).to_dict() for unit in ("person", "written")]
    assert found[0] == found[1]
    with pytest.raises(TableError, match="holds text that is no instant"):
        performance(pa.table(data), target="y", score="p", predicted_at="person", window="1d")


@pytest.mark.parametrize("store_schema", [True, False])
def test_uuids_have_one_profile_in_memory_and_by_parts(tmp_path: Path, *, store_schema: bool) -> None:
    """A table, a file of it and the local engine agree to the last count, and name the UUIDs as they are written."""
    ids = [UUID(int=2**100 + i % 50) for i in range(5_000)]
    data = pa.table({"id": pa.array([*ids[:-1], None], pa.uuid()), "x": np.arange(5_000) % 7})
    pq.write_table(data, tmp_path / "t.parquet", row_group_size=700, store_schema=store_schema)
    whole = profile(data)
    assert profile(tmp_path / "t.parquet") == whole
    assert profile(data, engine="local") == whole
    assert profile(tmp_path / "t.parquet", engine="local") == whole
    assert str(ids[0]) in repr(whole)


def test_a_feature_without_a_value_teaches_a_model_nothing() -> None:
    """A boosted classifier cannot cut it into bins; it is passed by, and the others count."""
    data = table(times(N, None))
    found = estimate_performance(data, data, target="y", score="p", features=["x", "other"], method="pape")
    assert shown(found) == "holds"


def test_columns_that_nobody_can_read_are_all_named() -> None:
    """Two tables of bytes share a name, and nothing that can be compared."""
    with pytest.raises(TableError, match="x holds binary, which is no single value a row"):
        drift({"x": [b"a"] * 9}, {"x": [b"b"] * 9})


def test_a_long_vocabulary_is_one_column() -> None:
    """10,000 categories in another order are the same; a tenth of the rows in new ones is seen."""
    words = [f"w{place}" for place in range(10_000)]
    assert seen_by_drift({"x": words * 2}, {"x": words[::-1]}) == ("category", "none")
    common = times(9_000, *words[:100])
    assert seen_by_drift({"x": words + common}, {"x": words[:1_000] + common + times(1_000, "new")})[1] == "critical"
