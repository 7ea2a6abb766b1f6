"""Realised performance of a table: what is measured, what is compared, and what every odd cell does."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from math import inf, isnan, nan
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn import metrics as sk

from fairlead.errors import FairleadError, TableError, UsageError
from fairlead.operations.performance import PerformanceReport, performance

DAY = 86_400.0
START = 1_782_864_000.0  # 2026-07-01, a Wednesday


def rows(n: int = 2_000, seed: int = 0, slope: float = 1.3) -> dict[str, Any]:
    """Churn of a binary model in three regions."""
    rng = np.random.default_rng(seed)
    x = rng.normal(-0.8, 1.0, n)
    score = 1 / (1 + np.exp(-1.3 * x))
    truth = (rng.random(n) < 1 / (1 + np.exp(-slope * x))).astype(int)
    return {"y": truth, "p": score, "d": (score >= 0.5).astype(int), "region": rng.choice(["n", "s", "w"], n)}


def outcome(report: PerformanceReport) -> str:
    """The verdict's word."""
    return report.verdict.outcome.value


def refuses(said: str, error: type[FairleadError], data: Any, **how: Any) -> None:
    """A call that raises, in one line that says what."""
    with pytest.raises(error) as caught:
        performance(data, **how)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


# -- values --------------------------------------------------------------------------------------------------------


def test_binary_metrics_are_those_of_scikit_learn() -> None:
    """To 1e-9, AUROC first, each value inside its interval; both classes have their card."""
    data = rows()
    report = performance(data, target="y", score="p")
    wanted = {
        "auroc": sk.roc_auc_score(data["y"], data["p"]),
        "auprc": sk.average_precision_score(data["y"], data["p"]),
        "f1": sk.f1_score(data["y"], data["d"]),
        "log_loss": sk.log_loss(data["y"], data["p"]),
    }
    assert next(iter(report.metrics)) == "auroc"
    for name, value in wanted.items():
        found = report.metrics[name]
        assert found.value == pytest.approx(value, abs=1e-9), name
        assert found.low < found.value < found.high
    assert [row.name for row in report.content.by_class] == ["0", "1"]
    assert report.content.by_class[0].card.recall == report.metrics["specificity"]
    assert np.array(report.content.confusion).tolist() == sk.confusion_matrix(data["y"], data["d"]).tolist()
    parts = report.content.brier_parts
    assert parts is not None
    assert parts.calibration + parts.refinement == pytest.approx(report.metrics["brier"].value)


def test_several_classes_and_values() -> None:
    """Probabilities by class give areas and calibration; numbers give errors; each task has its primary metric."""
    rng = np.random.default_rng(1)
    p = rng.dirichlet([1, 1, 1], 600)
    names = np.array(["cat", "dog", "owl"])
    data = {"y": names[[rng.choice(3, p=each) for each in p]], **{f"p_{name}": p[:, k] for k, name in enumerate(names)}}
    several = performance(data, target="y", probabilities=["p_cat", "p_dog", "p_owl"])
    assert (several.content.task, several.content.primary) == ("multiclass", "accuracy")
    wanted = sk.roc_auc_score(data["y"], p, multi_class="ovr")
    assert several.metrics["macro_auroc"].value == pytest.approx(wanted, abs=1e-9)
    assert all(row.card.auroc.defined for row in several.content.by_class)
    truth = rng.normal(size=500)
    values = performance({"y": truth, "f": truth + rng.normal(size=500)}, target="y", prediction="f")
    assert (values.content.task, values.content.primary) == ("regression", "mae")
    assert {"mae", "rmse", "median_absolute_error", "mape", "r2", "bias"} == set(values.metrics)


def test_every_kind_of_table_gives_the_same(tmp_path: Path) -> None:
    """A dict, pandas, polars, Arrow, Parquet and CSV."""
    data = rows(300)
    pq.write_table(pa.table(data), tmp_path / "t.parquet")
    pd.DataFrame(data).to_csv(tmp_path / "t.csv", index=False)
    tables = [
        data,
        pd.DataFrame(data),
        pl.DataFrame(data),
        pa.table(data),
        tmp_path / "t.parquet",
        str(tmp_path / "t.csv"),
    ]
    found = [performance(table, target="y", score="p", segments=["region"]).to_dict() for table in tables]
    assert all(one["metrics"]["auroc"] == pytest.approx(found[0]["metrics"]["auroc"]) for one in found)
    assert all(one["segments"] == found[0]["segments"] for one in found[:4])


@pytest.mark.parametrize(
    ("truth", "decided", "classes"),
    [
        ([0, 1, 1, 0], [0, 1, 0, 0], ("0", "1")),
        ([False, True, True, False], [0, 1, 0, 0], ("0", "1")),
        (["no", "yes", "yes", "no"], ["no", "yes", "no", "no"], ("no", "yes")),
        (["false", "True", "true", "FALSE"], [0.0, 1.0, 0.0, 0.0], ("0", "1")),
        (["0", "1", "1", "0"], [0, 1, 0, 0], ("0", "1")),
        ([1, 2, 2, 1], [1, 2, 1, 1], ("1", "2")),
    ],
)
def test_labels_may_be_text_booleans_or_numbers(truth: list[Any], decided: list[Any], classes: tuple[str, ...]) -> None:
    """Whatever spells them, three of four decisions are right, and the last class is the positive one."""
    task = "binary" if classes == ("1", "2") else None
    report = performance({"y": truth, "d": decided}, target="y", prediction="d", task=task)
    assert report.metrics["accuracy"].value == 0.75
    assert (report.content.classes, report.metrics["precision"].value) == (classes, 1.0)


def test_the_positive_class_may_be_named() -> None:
    """Then a score is of that class."""
    data = {"y": ["bad", "good", "bad", "good"] * 20, "p": [0.9, 0.2, 0.8, 0.1] * 20}
    assert performance(data, target="y", score="p", positive="bad").metrics["auroc"].value == 1.0
    assert performance(data, target="y", score="p").metrics["auroc"].value == 0.0
    flags = {"y": [True, False] * 20, "p": [0.1, 0.9] * 20}
    assert performance(flags, target="y", score="p", positive=False).metrics["auroc"].value == 1.0


@pytest.mark.parametrize(
    ("data", "named", "task"),
    [
        ({"y": [0, 1], "p": [3.0, 4.0]}, {"score": "p"}, "binary"),
        ({"y": ["a", "b", "c"], "d": ["a", "b", "b"]}, {"prediction": "d"}, "multiclass"),
        ({"y": [1, 2, 3], "d": [1, 2, 2]}, {"prediction": "d"}, "multiclass"),
        ({"y": [1.5, 2, 3], "d": [1, 2, 2]}, {"prediction": "d"}, "regression"),
        ({"y": list(range(30)), "d": list(range(30))}, {"prediction": "d"}, "regression"),
        ({"y": [0, 1, 1], "d": [0.2, 0.8, 0.9]}, {"prediction": "d"}, "regression"),
    ],
)
def test_the_task_is_inferred_and_said(data: dict[str, Any], named: dict[str, str], task: str) -> None:
    """From what the columns hold; the first note says from what."""
    report = performance(data, target="y", **named)  # type: ignore[arg-type]
    assert report.content.task == task
    assert report.content.notes[0].startswith(f"read as {task}: ")


# -- odd cells -----------------------------------------------------------------------------------------------------


def test_missing_and_infinite_cells_are_counted_and_left_out() -> None:
    """Every row is accounted for under its head, and the metrics are those of the rest."""
    data = {
        "y": [0, 1, None, 1, 0, 1, nan, 0],
        "p": [0.1, 0.9, 0.5, None, nan, inf, 0.4, 0.2],
    }
    counts = performance(data, target="y", score="p").content.counts
    assert (counts.rows, counts.measured) == (8, 3)
    assert (counts.labels_missing, counts.predictions_missing, counts.predictions_unusable) == (2, 2, 1)
    values = {"y": [1.0, inf, 3.0, 4.5], "d": [1.5, 2.0, -inf, 4.0]}
    report = performance(values, target="y", prediction="d")
    assert (report.content.counts.labels_unusable, report.content.counts.predictions_unusable) == (1, 1)
    assert report.metrics["mae"].value == 0.5


def test_no_label_at_all_is_unmeasured() -> None:
    """Nothing is guessed: the report is there, its metrics are not defined, and the verdict says why."""
    report = performance({"y": [None, None], "p": [0.1, 0.9]}, target="y", score="p")
    assert outcome(report) == "unmeasured"
    assert "none of 2 rows has a label" in report.verdict.reason
    assert isnan(report.metrics["auroc"].value)
    assert "<svg" not in report._repr_html_()
    crossed = performance({"y": [1, None], "p": [None, 0.9]}, target="y", score="p")
    assert "both a label and a prediction" in crossed.verdict.reason


def test_one_class_has_no_ranking_but_has_decisions() -> None:
    """AUROC is not defined and the reason names the class; accuracy and Brier's score are there."""
    report = performance({"y": [1] * 50, "p": np.linspace(0.2, 0.9, 50)}, target="y", score="p")
    assert outcome(report) == "unmeasured"
    assert "all labels are '1'" in report.verdict.reason
    assert not report.metrics["auroc"].defined
    assert report.metrics["recall"].defined
    assert report.metrics["brier"].defined


def test_a_score_that_is_no_probability_is_only_ranked() -> None:
    """No threshold is put to it and no calibration read from it; the report says so."""
    data = rows(200)
    margin = {"y": data["y"], "s": np.log(data["p"] / (1 - data["p"])), "d": data["d"]}
    bare = performance(margin, target="y", score="s")
    assert set(bare.metrics) == {"auroc", "auprc"}
    assert any("outside [0, 1]" in note for note in bare.content.notes)
    assert "f1" in performance(margin, target="y", score="s", prediction="d").metrics


def test_what_a_model_says_that_truth_never_is() -> None:
    """A class that only predictions have is one of several; of two it is refused; without a probability, too."""
    data = {"y": ["a", "b", "a"], "d": ["a", "b", "c"], "p_a": [0.5, 0.5, 0.5], "p_b": [0.5, 0.5, 0.5]}
    report = performance(data, target="y", prediction="d", task="multiclass")
    assert report.content.classes == ("a", "b", "c")
    assert report.content.by_class[2].card.support == 0
    refuses("two classes, but its labels and predictions are a, b, c", TableError, data, target="y", prediction="d")
    both = {**data, "y": ["a", "b", "c"]}
    named = {"a": "p_a", "b": "p_b"}
    refuses("'c' of 'y' has no probability column", TableError, both, target="y", probabilities=named)


WRONG: list[tuple[str, type[FairleadError], dict[str, Any]]] = [
    ("there is no column 'z'", TableError, {"target": "z", "score": "p"}),
    ("there is no column 'z'", TableError, {"target": "y", "score": "p", "segments": ["z"]}),
    ("holds text: a score is a number", TableError, {"target": "y", "score": "region"}),
    ("name what was predicted", UsageError, {"target": "y"}),
    ("share no label", TableError, {"target": "y", "prediction": "region"}),
    ("task is 'ranking'", UsageError, {"target": "y", "score": "p", "task": "ranking"}),
    ("a score is for two classes", UsageError, {"target": "y", "score": "p", "task": "regression", "prediction": "d"}),
    ("positive is 'yes'", UsageError, {"target": "y", "score": "p", "positive": "yes"}),
    ("threshold is 50", UsageError, {"target": "y", "score": "p", "threshold": 50}),
    ("level is 95", UsageError, {"target": "y", "score": "p", "level": 95}),
    ("matured_share is 2", UsageError, {"target": "y", "score": "p", "matured_share": 2}),
    ("tolerance is -1", UsageError, {"target": "y", "score": "p", "tolerance": -1}),
    ("min_rows is 0", UsageError, {"target": "y", "score": "p", "min_rows": 0}),
    ("segments is the text 'region'", UsageError, {"target": "y", "score": "p", "segments": "region"}),
    ("metric is 'mae'", UsageError, {"target": "y", "score": "p", "metric": "mae"}),
    ("cost names 'fp'", UsageError, {"target": "y", "score": "p", "cost": {"fp": 5}}),
    ("pass a finite number", UsageError, {"target": "y", "score": "p", "cost": {"false_positive": "5"}}),
    ("this task is regression", UsageError, {"target": "p", "prediction": "p", "cost": {"false_positive": 5}}),
    ("name one column for each class", UsageError, {"target": "y", "probabilities": "p"}),
    ("window needs predicted_at", UsageError, {"target": "y", "score": "p", "window": "7d"}),
    ("need predicted_at", UsageError, {"target": "y", "score": "p", "observed_at": "y"}),
    ("window: ", UsageError, {"target": "y", "score": "p", "predicted_at": "y", "window": "often"}),
    ("at least a second", UsageError, {"target": "y", "score": "p", "predicted_at": "y", "window": "1ms"}),
    ("is no instant", UsageError, {"target": "y", "score": "p", "predicted_at": "y", "as_of": "soon"}),
    ("holds text that is no instant", TableError, {"target": "y", "score": "p", "predicted_at": "region"}),
    ("the reference is regression", UsageError, {"target": "y", "score": "p", "reference": "report"}),
]  # fmt: skip


@pytest.mark.parametrize(("said", "error", "how"), WRONG, ids=[said for said, _, _ in WRONG])
def test_what_is_passed_wrongly_is_one_line(said: str, error: type[FairleadError], how: dict[str, Any]) -> None:
    """What happened, to what, and the fix."""
    if how.get("reference") == "report":
        how = {**how, "reference": performance({"y": [1.5, 2.5], "d": [1.0, 2.0]}, target="y", prediction="d")}
    refuses(said, error, rows(100), **how)


def test_empty_tables_and_broken_probabilities_are_refused() -> None:
    """No rows; probabilities that do not sum to 1; a table of another kind."""
    refuses("no rows", TableError, {"y": [], "p": []}, target="y", score="p")
    broken = {"y": ["a", "b"], "p_a": [0.9, 0.5], "p_b": [0.9, 0.5]}
    refuses("row 1 sum to 1.8", TableError, broken, target="y", probabilities=["p_a", "p_b"])
    refuses("is not a table", TableError, 7, target="y", score="p")


# -- comparisons ---------------------------------------------------------------------------------------------------


def test_without_anything_to_compare_with_the_figures_stand_alone() -> None:
    """The verdict is no pass: it says that nothing was compared."""
    report = performance(rows(), target="y", score="p")
    assert (outcome(report), report.compared) == ("unmeasured", False)
    assert "no reference and no segment" in report.verdict.reason


def test_against_a_reference() -> None:
    """The same model on new rows holds, a broken one is breached, few rows are undecided; tables and reports alike."""
    reference = rows(6_000, seed=1)
    before = performance(reference, target="y", score="p")
    for given in (reference, before):
        assert outcome(performance(rows(6_000, seed=2), target="y", score="p", reference=given)) == "holds"
        broken = performance(rows(3_000, seed=3, slope=0.3), target="y", score="p", reference=given)
        assert outcome(broken) == "breached"
        assert "of the reference: worse by" in broken.verdict.reason
    few = performance(rows(60, seed=4), target="y", score="p", reference=reference)
    assert outcome(few) == "undecided"
    assert "smallest difference that would have been seen" in few.verdict.reason
    assert broken.to_dict()["reference"]["metrics"]["auroc"]["value"] == pytest.approx(before.metrics["auroc"].value)


def test_a_fall_in_one_slice_is_not_hidden_by_the_whole() -> None:
    """One region broke, all rows together did not fall by what is tolerated: breached, and the region is named."""
    reference, data = rows(8_000, seed=1), rows(8_000, seed=2)
    rng = np.random.default_rng(0)
    small = rng.random(8_000) < 0.04
    data["region"] = np.where(small, "x", data["region"])
    data["p"] = np.where(small, 1 - data["p"], data["p"])
    reference["region"] = np.where(rng.random(8_000) < 0.04, "x", reference["region"])
    report = performance(data, target="y", score="p", segments=["region"], reference=reference, tolerance=0.1)
    assert report.changes[0].standing.value == "holds"
    assert outcome(report) == "breached"
    assert report.verdict.reason.startswith("region = x: ")


def test_slices_are_compared_with_the_rest() -> None:
    """A region that scores know nothing of is worse, equal ones hold, ten rows are undecided; missing is a slice."""
    data = rows(9_000)
    rng = np.random.default_rng(1)
    region = data["region"].astype(object)
    region[:10], region[10:400] = "tiny", None
    data["region"] = region.tolist()
    data["p"] = np.where(region == "w", rng.random(9_000), data["p"])
    report = performance(data, target="y", score="p", segments=["region"])
    found = {row.name: row.against_rest.standing.value for row in report.content.segments}
    assert found == {"missing": "holds", "n": "holds", "s": "holds", "tiny": "undecided", "w": "breached"}
    assert outcome(report) == "breached"
    tiny = next(row for row in report.content.segments if row.name == "tiny")
    assert "at least 30 are needed" in tiny.reason


def test_numbers_are_cut_into_quartiles_and_many_values_into_others() -> None:
    """Many numbers make four slices in order; beyond fifty values the rarest are one slice."""
    data = rows(4_000)
    rng = np.random.default_rng(2)
    data["age"], data["shop"] = rng.integers(18, 90, 4_000), [f"shop {k}" for k in rng.integers(0, 80, 4_000)]
    report = performance(data, target="y", score="p", segments=["age", "shop"])
    names = [row.name for row in report.content.segments]
    assert (names[0].startswith("up to"), names[3].startswith("over")) == (True, True)
    assert (len(names), names[-1]) == (54, "31 others")


def test_money_stands_beside_the_metrics() -> None:
    """False negatives at 200 and false positives at 5 add up, and may be what is judged by."""
    data = rows(1_000)
    cost = {"false_positive": 5, "false_negative": 200}
    report = performance(data, target="y", score="p", cost=cost, metric="cost_per_row", segments=["region"])
    _, fp, fn, _ = sk.confusion_matrix(data["y"], data["d"]).ravel()
    money = report.content.money
    assert money is not None
    assert money.total.value == pytest.approx(5 * fp + 200 * fn)
    assert money.total.low < money.total.value < money.total.high
    assert report.content.primary == "cost_per_row"


# -- time ----------------------------------------------------------------------------------------------------------


def timed(n: int = 6_000, days: float = 42.0, seed: int = 0) -> dict[str, Any]:
    """Six weeks of answers whose labels take 3 days on average; those not there by the end are missing."""
    data = rows(n, seed)
    rng = np.random.default_rng(seed)
    made = START + np.sort(rng.random(n)) * days * DAY
    seen = made + rng.exponential(3 * DAY, n)
    there = seen <= START + days * DAY
    data["y"] = [int(value) if known else None for value, known in zip(data["y"], there, strict=True)]
    return {**data, "made": made, "seen": np.where(there, seen, np.nan)}


TIMES: dict[str, Any] = {"predicted_at": "made", "observed_at": "seen"}


def test_only_matured_windows_are_counted() -> None:
    """The last week lacks its labels: it is shown, not counted; the delay curve tells the true delays."""
    report = performance(timed(), target="y", score="p", window="7d", **TIMES)
    windows, maturity = report.content.windows, report.content.maturity
    assert [window.ripe for window in windows] == [True] * 5 + [False] * 2
    assert report.content.counts.measured == sum(window.labels for window in windows if window.ripe)
    assert report.content.counts.immature == windows[-1].labels + windows[-2].labels
    assert maturity is not None
    assert maturity.horizon == pytest.approx(3 * DAY * np.log(10), rel=0.06)
    assert windows[0].name == "2026-06-29"
    assert windows[-1].matured.value < 0.9


def test_without_windows_rows_count_once_they_are_old_enough() -> None:
    """Predictions younger than the delay of 90 % of the labels are left out, labelled or not."""
    data = timed()
    report = performance(data, target="y", score="p", **TIMES)
    maturity = report.content.maturity
    assert maturity is not None
    assert maturity.horizon is not None
    old = data["made"] <= maturity.as_of - maturity.horizon
    known = np.array([value is not None for value in data["y"]])
    assert report.content.counts.measured == int((old & known).sum())


def test_as_known_then_differs_from_as_known_now() -> None:
    """Read as of the third week there are fewer rows and fewer labels, and each window tells what its end knew."""
    data = timed()
    now = performance(data, target="y", score="p", window="7d", **TIMES)
    then = performance(data, target="y", score="p", window="7d", as_of="2026-07-20", **TIMES)
    assert len(then.content.windows) < len(now.content.windows)
    assert then.content.counts.after_as_of > 0
    assert then.content.counts.labels_after_as_of > 0
    third = now.content.windows[2]
    assert (third.labels_at_close, third.at_close) == (
        then.content.windows[2].labels_at_close,
        then.content.windows[2].metrics["auroc"],
    )
    assert third.labels > third.labels_at_close
    at = datetime(2026, 7, 20, tzinfo=UTC)
    for instant in (at, at.replace(tzinfo=None), 1_784_505_600):
        again = performance(data, target="y", score="p", as_of=instant, **TIMES)
        assert again.content.maturity is not None
        assert again.content.maturity.as_of == 1_784_505_600


def test_where_nothing_has_matured_the_verdict_is_undecided() -> None:
    """Early labels are measured, and it is said that they are early, even against a reference that they hold to."""
    data = timed(3_000, days=3.0)
    report = performance(data, target="y", score="p", window="1d", reference=rows(3_000, 5), **TIMES)
    assert (outcome(report), report.content.matured) == ("undecided", False)
    assert "early labels need not be like late ones" in report.verdict.reason
    assert report.content.counts.measured > 0


def test_early_labels_unlike_late_ones_are_said() -> None:
    """Where churners are known first, a note warns of windows that have only their early labels."""
    data = timed(8_000)
    rng = np.random.default_rng(1)
    truth = rows(8_000)["y"]
    seen = data["made"] + rng.exponential(np.where(truth == 1, 1, 5) * DAY)
    there = seen <= START + 42 * DAY
    data |= {
        "y": [int(v) if known else None for v, known in zip(truth, there, strict=True)],
        "seen": np.where(there, seen, nan),
    }
    report = performance(data, target="y", score="p", **TIMES)
    assert report.content.maturity is not None
    early = report.content.maturity.early_late
    assert early is not None
    assert early.differs
    assert any("early labels alone mislead" in note for note in report.content.notes)


def test_instants_may_be_timestamps_text_or_seconds() -> None:
    """All three are the same windows; milliseconds are refused, not read as the year 58,000."""
    data = timed(500, 20.0)
    made = pd.to_datetime(data["made"], unit="s")
    seen = pd.to_datetime(data["seen"], unit="s")
    text = {
        **data,
        "made": [f"{at.isoformat()}Z" for at in made],
        "seen": [None if at is pd.NaT else f"{at.isoformat()}Z" for at in seen],
    }
    tables = [data, {**data, "made": made, "seen": seen}, text]
    found = [performance(table, target="y", score="p", window="7d", **TIMES).content.windows for table in tables]
    sizes = [[(window.name, window.rows, window.labels) for window in windows] for windows in found]
    assert sizes[0] == sizes[1] == sizes[2]
    refuses(
        "divide milliseconds by 1000", TableError, {**data, "made": data["made"] * 1e3}, target="y", score="p", **TIMES
    )
    refuses("take a longer one", UsageError, data, target="y", score="p", window="10s", **TIMES)
    nothing = {**data, "made": [nan] * 500}
    refuses("holds no instant", TableError, nothing, target="y", score="p", predicted_at="made")


def test_rows_without_their_instants_are_counted() -> None:
    """A prediction without an instant and a label without one are left out."""
    data = timed(2_000)
    made, seen = data["made"].copy(), data["seen"].copy()
    made[:7] = nan
    seen[7:12] = nan
    known = sum(value is not None for value in data["y"][7:12])
    report = performance({**data, "made": made, "seen": seen}, target="y", score="p", **TIMES)
    assert report.content.counts.undated == 7 + known


# -- what comes out ------------------------------------------------------------------------------------------------


def test_the_report_as_plain_values() -> None:
    """One JSON document without a NaN, and a frame with a row for each metric of each part."""
    report = performance(timed(), target="y", score="p", segments=["region"], window="7d", **TIMES)
    document = json.loads(report.to_json())
    assert document["metrics"]["auroc"]["value"] == pytest.approx(report.metrics["auroc"].value)
    assert {"verdict", "counts", "segments", "windows", "maturity", "confusion"} <= set(document)
    one_class = json.loads(performance({"y": [1, 1], "p": [0.1, 0.2]}, target="y", score="p").to_json())
    assert one_class["metrics"]["auroc"]["value"] is None
    frame = report.to_frame()
    assert list(frame.columns) == ["part", "name", "rows", "metric", "value", "low", "high"]
    assert set(frame["part"]) == {"all", "class", "segment", "window"}
    assert len(frame[(frame["part"] == "segment") & (frame["metric"] == "auroc")]) == 3


def test_a_page_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    """And one that can is."""
    report = performance(rows(100), target="y", score="p")
    assert report.save_html(tmp_path / "r.html").read_text().startswith("<!doctype html>")
    with pytest.raises(UsageError, match="cannot be written"):
        report.save_html(tmp_path / "no" / "r.html")
