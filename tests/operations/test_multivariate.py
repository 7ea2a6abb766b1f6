from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.stats import binom

import fairlead.faces.demo
from fairlead.core.verdict import Outcome
from fairlead.errors import MissingExtra, TableError, UsageError
from fairlead.operations.drift import drift
from fairlead.operations.multivariate import Method, MultivariateReport, multivariate_drift

HOTEL = Path(fairlead.faces.demo.__path__[0]) / "data" / "hotel_bookings.parquet"
METHODS: tuple[Method, ...] = ("mmd", "classifier", "scores", "correlation")


def table(rows: int = 600, seed: int = 0, shift: float = 0.0, tie: float = 0.0) -> dict[str, Any]:
    """Two numbers with a correlation, one category."""
    rng = np.random.default_rng(seed)
    numbers = rng.multivariate_normal([shift, 0.0], [[1.0, tie], [tie, 1.0]], rows)
    return {"a": numbers[:, 0], "b": numbers[:, 1], "city": rng.choice(["Oslo", "Rome"], rows).tolist()}


def outcome(reference: Any, current: Any, method: Method, **options: Any) -> Outcome:
    return multivariate_drift(reference, current, method=method, **options).verdict.outcome


@pytest.mark.parametrize("method", ["mmd", "classifier", "scores"])
def test_a_shift_is_breached_and_its_column_named(method: Method) -> None:
    """A whole deviation in one of two columns; the methods that name columns name that one first."""
    report = multivariate_drift(table(), table(seed=1, shift=1.0), method=method)
    assert report.verdict.outcome is Outcome.BREACHED
    assert report.evidence is not None
    if method != "mmd":
        assert report.evidence.suspects[0].name == "a"
        assert "a (" in report.verdict.reason


@pytest.mark.parametrize("method", ["mmd", "classifier", "correlation"])
def test_a_change_that_no_column_shows_is_breached(method: Method) -> None:
    """Two columns that were independent are tied, their marginals as before: the univariate report holds."""
    reference, current = table(1_200), table(1_200, seed=1, tie=0.8)
    assert drift(reference, current).verdict.outcome is not Outcome.BREACHED
    report = multivariate_drift(reference, current, method=method)
    assert report.verdict.outcome is Outcome.BREACHED
    if method == "correlation":
        assert ": a ~ b (0.8" in report.verdict.reason


@pytest.mark.parametrize("method", METHODS)
def test_without_a_change_nothing_is_breached(method: Method) -> None:
    """Two halves of real bookings, shuffled: enough rows to see what matters, and nothing to see."""
    data = pq.read_table(HOTEL, columns=["lead_time", "adr", "adults", "market_segment", "total_of_special_requests"])
    order = np.random.default_rng(0).permutation(data.num_rows)[:12_000]
    one, two = data.take(order[:6_000]), data.take(order[6_000:])
    assert (
        outcome(one, two, method, **({"columns": ["lead_time", "adr"]} if method == "correlation" else {}))
        is Outcome.HOLDS
    )


def test_every_kind_of_table_gives_the_same_report(tmp_path: Path) -> None:
    """pandas, polars, Arrow, a dict, and a file, by name or path."""
    data, other = pa.table(table(300)), table(300, seed=1, shift=0.5)
    target = tmp_path / "reference.parquet"
    pq.write_table(data, target)
    expected = multivariate_drift(data, other, method="scores").to_dict()
    for given in (data.to_pandas(), pl.from_arrow(data), data.to_pydict(), target, str(target)):
        assert multivariate_drift(given, other, method="scores").to_dict() == expected


@pytest.mark.parametrize("method", METHODS)
def test_embeddings_are_compared_as_arrays(method: Method) -> None:
    """Two 2-D arrays of any kind of number; columns are numbered."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 4)).astype(np.float32)
    y = rng.multivariate_normal(np.full(4, 1.0), np.full((4, 4), 0.9) + 0.1 * np.eye(4), 400).astype(np.float16)
    report = multivariate_drift(x, y, method=method)
    assert report.verdict.outcome is Outcome.BREACHED
    assert report.columns == ("0", "1", "2", "3")
    assert (report.reference_rows, report.current_rows) == (400, 400)


def test_large_embeddings_take_the_linear_path_and_agree() -> None:
    """Beyond 5,000 rows on a side the effect is the exact one's, within a fifth."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(5_001, 6)), rng.normal(0.2, 1.0, size=(1_500, 6))
    large, small = multivariate_drift(x, y), multivariate_drift(x[:1_500], y)
    assert large.evidence is not None
    assert small.evidence is not None
    assert large.verdict.outcome is small.verdict.outcome is Outcome.BREACHED
    assert large.evidence.effect == pytest.approx(small.evidence.effect, rel=0.2)


def test_few_rows_against_many_are_compared_exactly() -> None:
    """Twenty rows against 8,000: a limit law would not do, a permutation of 5,000 of them does."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(8_000, 3))
    moved = multivariate_drift(x, rng.normal(3.0, 1.0, size=(20, 3)))
    assert moved.evidence is not None
    assert moved.verdict.outcome is Outcome.BREACHED
    assert moved.evidence.p_value == pytest.approx(1 / 501)
    assert multivariate_drift(x, rng.normal(size=(20, 3))).verdict.outcome is Outcome.UNDECIDED


def test_incomplete_rows_of_embeddings_are_left_out_and_counted() -> None:
    """NaN and infinite rows; without any whole row nothing was measured."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(300, 3)), rng.normal(size=(300, 3))
    x[:5, 1], y[7, 0] = np.nan, np.inf
    report = multivariate_drift(x, y)
    assert (report.reference_rows, report.current_rows) == (295, 299)
    assert report.left_out == {"rows": "a missing or infinite value in 5 reference rows and 1 current row"}
    y[:] = np.nan
    report = multivariate_drift(x, y)
    assert (report.verdict.outcome, report.evidence) == (Outcome.UNMEASURED, None)
    assert "every current row holds a missing or infinite value" in report.verdict.reason


@pytest.mark.parametrize("method", METHODS)
def test_few_rows_are_undecided(method: Method) -> None:
    """One row says nothing, five say too little, and the verdict says that."""
    assert outcome(table(), table(1), method) is Outcome.UNDECIDED
    report = multivariate_drift(table(), table(5), method=method)
    assert report.verdict.outcome is Outcome.UNDECIDED
    assert any(word in report.verdict.reason for word in ("the least", "so few rows", "no p-value as small"))


@pytest.mark.parametrize("method", METHODS)
def test_nulls_constants_and_infinities_are_no_errors(method: Method) -> None:
    """A third of the values missing, a constant, an infinity, a category with nulls: the same on both sides holds or
    is undecided."""

    def holed(seed: int) -> dict[str, Any]:
        rng, made = np.random.default_rng(seed), table(900, seed)
        made["a"] = np.where(rng.random(900) < 0.33, np.nan, made["a"])
        made["b"] = np.where(rng.random(900) < 0.01, np.inf, made["b"])
        made["city"] = [None if rng.random() < 0.2 else one for one in made["city"]]
        return made | {"same": np.ones(900)}

    assert outcome(holed(1), holed(2), method) in {Outcome.HOLDS, Outcome.UNDECIDED}


@pytest.mark.parametrize("method", ["mmd", "classifier"])
def test_more_nulls_are_a_change(method: Method) -> None:
    """A column that is missing in half of the current rows moves the rows as a whole."""
    rng = np.random.default_rng(0)
    current = table(600, 1)
    current["a"] = np.where(rng.random(600) < 0.5, np.nan, current["a"])
    assert outcome(table(), current, method) is Outcome.BREACHED


@pytest.mark.parametrize("method", METHODS)
def test_what_cannot_be_compared_is_unmeasured_and_named(method: Method) -> None:
    """A missing column, one that is all null, one of another kind: each with its reason, next to what was tested."""
    reference = table() | {"gone": np.ones(600), "empty": np.ones(600), "kind": np.ones(600)}
    current = table(seed=1) | {"empty": [None] * 600, "kind": ["x"] * 600, "new": np.ones(600)}
    report = multivariate_drift(reference, current, method=method)
    assert report.verdict.outcome is Outcome.UNMEASURED
    assert report.left_out["gone"] == "missing from the current data"
    assert report.left_out["empty"] == "all 600 current values are null"
    assert report.left_out["kind"] == "numbers in the reference, text in the current data"
    assert report.left_out["new"] == "missing from the reference"
    assert report.evidence is not None


def test_a_column_that_only_the_current_data_has_weighs_nothing() -> None:
    """It is listed, and the verdict is on the others."""
    report = multivariate_drift(table(), table(seed=1, shift=1.0) | {"new": np.ones(600)})
    assert (report.verdict.outcome, report.left_out) == (Outcome.BREACHED, {"new": "missing from the reference"})


def test_text_is_left_to_the_methods_that_can() -> None:
    """Scores and correlations are of numbers: text is left out by default and refused by name."""
    numeric: tuple[Method, ...] = ("scores", "correlation")
    for method in numeric:
        report = multivariate_drift(table(), table(seed=1, shift=1.0), method=method)
        assert report.columns == ("a", "b")
        assert report.left_out == {"city": "holds text, and this method compares numbers"}
        with pytest.raises(TableError, match="column 'city' holds text"):
            multivariate_drift(table(), table(), method=method, columns=["city"])
    with pytest.raises(TableError, match="share no column of numbers"):
        multivariate_drift({"city": ["a"] * 20}, {"city": ["a"] * 20}, method="scores")


def test_slots_are_a_column_or_a_number() -> None:
    """Days by name, or equal pieces in order; the slot column is not compared."""
    days = np.repeat(np.arange(20), 30)
    reference, current = table() | {"day": days}, table(seed=1, tie=0.9) | {"day": days + 20}
    by_day = multivariate_drift(reference, current, method="correlation", slots="day")
    assert by_day.columns == ("a", "b")
    assert by_day.verdict.outcome is Outcome.BREACHED
    named = {**reference, "day": [f"day {day}" for day in days]}
    assert multivariate_drift(named, current, method="correlation", slots="day").evidence == by_day.evidence
    cut = multivariate_drift(reference, current, method="correlation", columns=["a", "b"])
    assert cut.evidence == by_day.evidence
    one = multivariate_drift(reference | {"day": [1] * 600}, current, method="correlation", slots="day")
    assert (one.verdict.outcome, one.evidence) == (Outcome.UNDECIDED, None)
    assert "1 against 20 slots" in one.verdict.reason
    with pytest.raises(TableError, match="the current data has no column 'day' to tell slots by"):
        multivariate_drift(reference, table(), method="correlation", slots="day")


def test_constants_have_no_correlation() -> None:
    """Where no two columns vary together nothing was measured."""
    flat = {"a": np.ones(100), "b": np.arange(100.0)}
    assert outcome(flat, flat, "correlation") is Outcome.UNMEASURED
    assert outcome({"a": np.arange(100.0)}, {"a": np.arange(100.0)}, "correlation") is Outcome.UNMEASURED


def test_unusable_arguments_are_refused(tmp_path: Path) -> None:
    """Shapes, kinds, names and levels each get one line that says what to do."""
    x = np.ones((20, 3))
    cases: tuple[tuple[Any, Any, str], ...] = (
        (x, np.ones((20, 4)), "rows of 3 numbers against rows of 4"),
        (x, np.ones(20), "an array of 1 dimensions"),
        (np.ones((0, 3)), x, r"shape \(0, 3\)"),
        (x, np.full((20, 3), "text"), "not of numbers"),
        (x, table(), "one side is an array and the other a table"),
        (table(), {"a": []}, "the current data has no rows"),
        (table(), {"z": [1.0]}, "share no column that can be compared: the reference has a, b, city"),
        ({"a": [[1.0]]}, {"a": [[1.0]]}, "share no column that can be compared"),
        (tmp_path / "nothing.csv", table(), "does not exist"),
        (42, table(), "a int is not a table"),
    )
    for reference, current, message in cases:
        with pytest.raises(TableError, match=message):
            multivariate_drift(reference, current)
    with pytest.raises(TableError, match="there is no column 'aa'"):
        multivariate_drift(table(), table(), columns=["aa"])
    with pytest.raises(TableError, match="columns is the text 'a'"):
        multivariate_drift(table(), table(), columns="a")
    with pytest.raises(TableError, match="arrays have no named columns"):
        multivariate_drift(x, x, columns=["0"])
    with pytest.raises(UsageError, match="choose mmd, classifier, scores, correlation"):
        multivariate_drift(x, x, method="magic")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="a chance lies between 0 and 1"):
        multivariate_drift(x, x, alpha=5.0)
    with pytest.raises(UsageError, match="slots is 1"):
        multivariate_drift(x, x, slots=1)


@pytest.mark.parametrize("method", METHODS)
def test_the_seed_decides_and_a_report_is_plain_json(method: Method) -> None:
    """Twice the same document, with nothing that JSON lacks; and a frame with one row a suspect."""
    one, two = (multivariate_drift(table(80), table(80, 1, 0.8), method=method, seed=3) for _ in range(2))
    assert one.to_json() == two.to_json()
    read = json.loads(one.to_json(), parse_constant=lambda text: pytest.fail(f"{text} is not JSON"))
    assert read == json.loads(json.dumps(one.to_dict()))
    assert (read["method"], read["alpha"], read["reference_rows"]) == (method, 0.01, 80)
    assert one.evidence is not None
    frame = one.to_frame()
    assert len(frame) == max(1, len(one.evidence.suspects))
    assert list(frame.columns) == ["method", "suspect", "value", "effect", "limit", "p_value"]


def test_what_is_not_detectable_is_null_in_json_and_nothing_is_an_empty_frame() -> None:
    """An infinite effect has no JSON number; without evidence there is no row."""
    few = multivariate_drift(table(8), table(8), method="correlation", slots=2)
    assert few.evidence is not None
    assert few.to_dict()["evidence"]["detectable"] is None
    none = multivariate_drift(table(), table(1))
    assert none.to_dict()["evidence"] is None
    assert len(none.to_frame()) == 0


def test_missing_extras_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The classifier without scikit-learn, the frame without pandas."""
    report = multivariate_drift(table(50), table(50), method="scores")
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    with pytest.raises(MissingExtra, match=r"fairlead\[sklearn\]"):
        multivariate_drift(table(50), table(50), method="classifier")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtra, match="needs pandas"):
        report.to_frame()


def alarms(method: Method, n: int, m: int, runs: int) -> int:
    """Breached at alpha = 5 %, of `runs` pairs of mixed tables without a change."""

    def breached(seed: int) -> bool:
        one, two = (
            pd.DataFrame(side).assign(a=np.exp(2.0 * np.asarray(side["a"])))
            for side in (table(n, 2 * seed), table(m, 2 * seed + 1))
        )
        return outcome(one, two, method, alpha=0.05, seed=seed) is Outcome.BREACHED

    return sum(breached(seed) for seed in range(runs))


@pytest.mark.slow
@pytest.mark.parametrize(("n", "m"), [(50, 50), (300, 100), (1_000, 1_000)])
@pytest.mark.parametrize("method", METHODS)
def test_false_breaches_stay_within_alpha(method: Method, n: int, m: int) -> None:
    """The whole verb on tables without a change: breached at most as often as alpha = 5 % says."""
    runs = {"classifier": 20, "mmd": 50 if n == 1_000 else 200}.get(method, 300)
    found = alarms(method, n, m, runs)
    assert binom.sf(found - 1, runs, 0.05) >= 0.001, f"{found} of {runs}"


def test_the_report_is_a_value() -> None:
    """Frozen: nobody edits what was found."""
    report = multivariate_drift(table(50), table(50), method="scores")
    assert isinstance(report, MultivariateReport)
    with pytest.raises(AttributeError):
        report.alpha = 0.5  # type: ignore[misc]
