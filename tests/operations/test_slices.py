"""`find_slices` takes any table, makes the loss, and says in one sentence which rows changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import fairlead
from fairlead.core.verdict import Outcome
from fairlead.errors import TableError, UsageError
from fairlead.operations.slices import SliceReport, find_slices

DATA = Path(__file__).parents[2].parent / "shared" / "data"
N = 4_000


def bookings(seed: int, *, worse: bool = False) -> dict[str, Any]:
    """A model's scores on two hotels; with `worse`, city bookings made long ahead are cancelled whatever it said."""
    rng = np.random.default_rng(seed)
    hotel = rng.choice(["City Hotel", "Resort Hotel"], N)
    lead = rng.integers(0, 300, N)
    score = rng.uniform(0.05, 0.4, N)
    risky = (hotel == "City Hotel") & (lead > 200) & worse
    truth = (rng.random(N) < np.where(risky, 0.9, score)).astype(int)
    return {"hotel": hotel, "lead_time": lead, "y": truth, "p": score, "decided": (score > 0.5).astype(int)}


REFERENCE, CALM, WORSE = bookings(0), bookings(1), bookings(2, worse=True)


@pytest.mark.parametrize("kind", [dict, pd.DataFrame, pl.DataFrame, pa.table])
def test_every_table_gives_the_same_answer(kind: Any, tmp_path: Path) -> None:
    """Frames, Arrow, a dict and a file on disk: one report."""
    found = find_slices(kind(REFERENCE), kind(WORSE), target="y", score="p")
    path = tmp_path / "current.parquet"
    pq.write_table(pa.table(WORSE), path)
    assert found == find_slices(pa.table(REFERENCE), path, target="y", score="p")
    assert found == find_slices(REFERENCE, WORSE, target="y", score="p")


def test_the_sentence_names_the_slice() -> None:
    """Conditions, share of the rise, share of the rows."""
    found = find_slices(REFERENCE, WORSE, target="y", score="p")
    assert found.verdict.outcome is Outcome.BREACHED
    assert found.measure == "log loss"
    said = str(found)
    assert said == found.verdict.reason
    assert said.startswith(("hotel = City Hotel and lead_time > ", "hotel = City Hotel and 1"))
    assert " % of the rise in log loss (1" in said
    one = found.slices[0]
    assert {condition.column for condition in one.conditions} == {"hotel", "lead_time"}
    assert (one.explained or 0.0) > 0.8


@pytest.mark.parametrize(
    ("options", "measure"),
    [
        ({"target": "y", "score": "p"}, "log loss"),
        ({"target": "y", "prediction": "decided"}, "error rate"),
        ({"loss": "y"}, "y"),
        ({}, "inputs"),
    ],
)
def test_nothing_is_found_in_nothing(options: dict[str, str], measure: str) -> None:
    """Every kind of loss, and the inputs: the verdict holds and says how much was looked at."""
    found = find_slices(REFERENCE, CALM, **options)  # type: ignore[arg-type]
    assert (found.verdict.outcome, found.measure, found.slices) == (Outcome.HOLDS, measure, ())
    assert "slices of 8,000 rows stands out" in found.verdict.reason


def test_losses_may_be_arrays_and_text_labels() -> None:
    """A pair of arrays is the same as a column; classes may be text; numbers of many values are absolute errors."""
    arrays = find_slices(REFERENCE, WORSE, loss=(REFERENCE["y"], WORSE["y"]), columns=["hotel", "lead_time"])
    named = find_slices(REFERENCE, WORSE, loss="y", columns=["hotel", "lead_time"])
    assert arrays.slices == named.slices
    text = [{**side, "y": np.array(["no", "yes"])[side["y"]], "said": ["no"] * N} for side in (REFERENCE, WORSE)]
    options: dict[str, Any] = {"target": "y", "prediction": "said", "columns": ["hotel", "lead_time"]}
    assert find_slices(*text, **options).slices[0].text == named.slices[0].text
    numbers = [{**side, "y": side["lead_time"] * 1.0 + 5.0 * side["y"]} for side in (REFERENCE, WORSE)]
    error = find_slices(*numbers, target="y", prediction="lead_time", columns=["hotel", "lead_time"])
    assert error.measure == "absolute error"
    assert error.slices[0].text == named.slices[0].text


def test_a_change_that_all_rows_share_is_undecided() -> None:
    """The mean rose, no slice stands out: both are said."""
    everywhere = {**CALM, "y": np.ones(N, int)}
    everywhere["loss"] = np.random.default_rng(0).normal(1.0, 1.0, N)
    before = {**REFERENCE, "loss": np.random.default_rng(1).normal(0.0, 1.0, N)}
    found = find_slices(before, everywhere, loss="loss", columns=["hotel", "lead_time"])
    assert found.verdict.outcome is Outcome.UNDECIDED
    assert "all rows share the change" in found.verdict.reason


def test_rows_without_a_loss_are_left_out() -> None:
    """Nulls in the truth are not guessed."""
    some = {**WORSE, "y": [None if i % 3 == 0 else int(y) for i, y in enumerate(WORSE["y"])]}
    found = find_slices(REFERENCE, some, target="y", score="p")
    assert found.found.searched + found.found.tested == N + N - (N + 2) // 3
    with pytest.raises(TableError, match="no row of the current data has a loss"):
        find_slices(REFERENCE, {**WORSE, "y": [None] * N}, target="y", score="p")


def test_a_report_is_a_frame_a_dict_and_json() -> None:
    """One row a slice; JSON can hold it; an empty frame has its columns."""
    found = find_slices(REFERENCE, WORSE, target="y", score="p")
    frame = found.to_frame()
    assert frame.loc[0, "slice"] == found.slices[0].text
    assert list(find_slices(REFERENCE, CALM, target="y", score="p").to_frame().columns) == list(frame.columns)
    plain = json.loads(found.to_json())
    assert plain["verdict"]["outcome"] == "breached"
    assert plain["slices"][0]["conditions"][0]["column"] == "hotel"
    assert plain["slices"][0]["sentence"] == found.sentences[0]


def cities(seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """One city's loss rises by 0.3, the others' falls by 0.14: the mean barely falls."""
    rng = np.random.default_rng(seed)
    names = np.array(["a", "b", "c", "d"])
    city, loss = [names[rng.integers(0, 4, 6_000)] for _ in range(2)], [rng.normal(size=6_000) for _ in range(2)]
    loss[1] += np.where(city[1] == "b", 0.3, -0.14)
    return {"city": city[0], "loss": loss[0]}, {"city": city[1], "loss": loss[1]}


def tied() -> tuple[dict[str, Any], dict[str, Any]]:
    """Two flags become one and the same in four rows of five, while a number moves."""
    rng = np.random.default_rng(0)
    sides: list[dict[str, Any]] = []
    for moved in (False, True):
        a, b = rng.integers(0, 2, 6_000), rng.integers(0, 2, 6_000)
        b = np.where(moved & (rng.random(6_000) < 0.6), a, b)
        text = np.array(["no", "yes"])
        sides.append({"a": text[a], "b": text[b], "z": rng.normal(size=6_000) + 0.25 * moved})
    return sides[0], sides[1]


def test_a_slice_against_the_total_is_named_apart() -> None:
    """A city that got worse while the mean fell is no silence: the verdict breaches, and the sentence says how."""
    reports = [find_slices(*cities(seed), loss="loss") for seed in range(20)]
    alone = [one for one in reports if one.opposing and not one.slices]
    assert alone
    for found in alone:
        assert found.verdict.outcome is Outcome.BREACHED
        assert found.verdict.reason == found.sentences[0] == str(found)
        against = (found.opposing[0].explained_high or 0.0) < 0.0
        does = "works against" if against else "explains nothing of"
        assert found.sentences[0].startswith(f"city = b {does} the fall in loss of all rows: it went from ")
    assert all(one.verdict.outcome is Outcome.BREACHED for one in reports)


def test_slices_against_the_total_come_last_in_every_output() -> None:
    """The number that moved explains the drift; the flags that grew together do not, and stand after it, marked."""
    found = find_slices(*tied())
    assert found.verdict.reason.startswith("z > ")
    assert {one.text for one in found.opposing} == {"a = no and b = no", "a = yes and b = yes"}
    assert str(found).count("and the drift of the columns is no smaller without that") == 2
    frame = found.to_frame()
    assert list(frame["opposes"]) == [False, True, True]
    assert list(frame["slice"]) == [one.text for one in (*found.slices, *found.opposing)]
    plain = json.loads(found.to_json())
    assert [one["slice"] for one in plain["slices"]] == [one.text for one in found.slices]
    assert [one["sentence"] for one in plain["opposing"]] == list(found.sentences[1:])


def test_it_is_part_of_the_library() -> None:
    """`fairlead.find_slices` and `fairlead.SliceReport`."""
    assert fairlead.find_slices is find_slices
    assert fairlead.SliceReport is SliceReport


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"alpha": 2}, UsageError, "alpha is 2"),
        ({"max_conditions": 4}, UsageError, "1 to 3 conditions"),
        ({"loss": "y", "target": "y"}, UsageError, "one or the other"),
        ({"score": "p"}, UsageError, "without the target"),
        ({"target": "y"}, UsageError, "either score"),
        ({"target": "y", "score": "p", "prediction": "decided"}, UsageError, "either score"),
        ({"loss": 3.0}, UsageError, "no pair"),
        ({"loss": (["a"] * N, WORSE["y"])}, TableError, "losses of the reference are not numbers"),
        ({"loss": ([1.0], WORSE["y"])}, TableError, "pass one for each of 4,000 rows"),
        ({"loss": "hotel"}, TableError, "holds text"),
        ({"loss": "nothing"}, TableError, "no column 'nothing'"),
        ({"target": "lead_time", "score": "p"}, TableError, "other than 0 and 1"),
        ({"target": "y", "score": "lead_time"}, TableError, "leaves"),
        ({"target": "y", "prediction": "hotel"}, TableError, "numbers and text"),
        ({"columns": "hotel"}, TableError, "pass a list of names"),
        ({"columns": ["room"]}, TableError, "the reference has no column 'room'"),
    ],
)
def test_what_cannot_be_used_is_refused(options: dict[str, Any], error: type[Exception], said: str) -> None:
    """Each with what is wrong and the fix."""
    with pytest.raises(error, match=said):
        find_slices(REFERENCE, WORSE, **options)


def test_tables_that_cannot_be_scanned_are_refused() -> None:
    """Too few rows, or no column in common of one kind."""
    with pytest.raises(TableError, match="has 3 rows: a scan for slices needs at least 200"):
        find_slices({"x": [1, 2, 3]}, WORSE)
    with pytest.raises(TableError, match="share no column"):
        find_slices({"x": range(300)}, {"x": ["a", "b"] * 150})


def test_the_loan_model_errs_more_from_row_75000_on() -> None:
    """Real predictions: the rows before the known change hold no slice; those after it do, each with a share of the
    rise in errors, and the first explains more than a third of it by an eighth of the rows."""
    loans = pq.read_table(DATA / "nannyml_car_loan.parquet").drop(["id", "timestamp", "partition", "y_pred_proba"])
    before = loans.slice(0, 50_000)
    calm = find_slices(before, loans.slice(50_000, 25_000), target="repaid", prediction="y_pred")
    assert calm.verdict.outcome is Outcome.HOLDS
    found = find_slices(before, loans.slice(75_000), target="repaid", prediction="y_pred")
    assert found.verdict.outcome is Outcome.BREACHED
    assert (found.slices[0].explained or 0.0) > 1 / 3
    assert found.slices[0].share_current < 1 / 8


def test_cancellations_of_online_agencies_surprise_the_old_model() -> None:
    """Real bookings, cancellations a year and a half later: online agencies carry most of the rise."""
    data = pq.read_table(DATA / "hotel_bookings.parquet").sort_by("arrival_date")
    columns = ["hotel", "lead_time", "market_segment", "deposit_type", "customer_type", "total_of_special_requests"]
    kept = data.select([*columns, "is_canceled"])
    found = find_slices(kept.slice(30_000, 20_000), kept.slice(95_000, 20_000), loss="is_canceled", columns=columns)
    assert found.verdict.outcome is Outcome.BREACHED
    assert found.slices[0].conditions[0].text == "market_segment = Online TA"
    assert (found.slices[0].explained_low or 0.0) > 0.3
