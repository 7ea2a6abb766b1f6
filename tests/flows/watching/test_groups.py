"""Classes, groups and fairness in the live watch: counted, kept, judged, and judged again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest

from fairlead.core.bundle import Lineage, Manifest
from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.core.groups import GroupReport, Rules
from fairlead.core.harm import HarmPolicy
from fairlead.core.record import OutcomeRecord, Prediction
from fairlead.core.report import Stage, WindowReport, fact_of
from fairlead.core.verdict import Outcome
from fairlead.core.window import Window
from fairlead.flows.watching.cohort import Cohort
from fairlead.flows.watching.groups import Groups, groupings
from fairlead.flows.watching.judge import Policy, Seen, measured
from fairlead.flows.watching.recount import recount_window
from fairlead.flows.watching.reference import Reference, build_reference
from fairlead.flows.watching.verdicts import judged, read_evidence, text_of
from fairlead.stats.columns import CategoricalColumn, Column, NumericColumn
from fairlead.stats.performance import Floats
from fairlead.stats.profile import profile

CITIES = ("north", "south", "west")
SEXES = ("f", "m")
Row = dict[str, Any]


def people(rows: int, seed: int) -> list[Row]:
    """The answer depends on income alone, and is wrong for one in ten; city and sex say nothing."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(rows):
        income, age = float(rng.normal()), float(rng.integers(18, 80))
        city, sex = str(rng.choice(CITIES, p=[0.5, 0.4, 0.1])), str(rng.choice(SEXES))
        truth = (income > 0) != (rng.random() < 0.1)
        found.append({"income": income, "age": age, "city": city, "sex": sex, "truth": "yes" if truth else "no"})
    return found


def columns_of(rows: Sequence[Row]) -> list[Column]:
    """As columns."""
    found: list[Column] = [NumericColumn(name, np.array([row[name] for row in rows])) for name in ("income", "age")]
    for name, values in (("city", CITIES), ("sex", SEXES)):
        codes = np.array([values.index(row[name]) for row in rows], np.int32)
        found.append(CategoricalColumn(name, codes, values))
    return found


class Sign:
    """Answers with the income's sign."""

    def predict(self, rows: Sequence[tuple[Any, ...]]) -> Floats:
        return np.array([[0.2, 0.8] if row[0] > 0 else [0.8, 0.2] for row in rows])


NAMES = ("income", "age", "city", "sex")


def version(rules: Rules = Rules()) -> Reference:  # noqa: B008 - a frozen value
    """Validated on 1,500 rows."""
    held = people(1_500, 0)
    known = profile(columns_of(people(1_500, 1)))
    kinds = (Kind.NUMBER, Kind.NUMBER, Kind.CATEGORY, Kind.CATEGORY)
    features = tuple(Feature(name, kind) for name, kind in zip(NAMES, kinds, strict=True))
    contract = Contract(features, Task.BINARY, "truth", ("no", "yes"))
    manifest = Manifest("m", contract, "skops", "m", "m", {}, Lineage("d", "d", 1))
    labelled = ([tuple(row[name] for name in NAMES) for row in held], [row["truth"] for row in held])
    found = build_reference(1, manifest, known, labelled, Sign(), HarmPolicy())
    said = found.answered
    assert said is not None

    def read(names: Sequence[str]) -> tuple[Sequence[Column], Floats, Floats]:
        return columns_of(held), said.truth.astype(float), said.decided.astype(float)

    return msgspec.structs.replace(found, groups=Groups(contract, known, rules, read))


def judged_window(
    reference: Reference, rows: Sequence[Row], decided: Sequence[str], labelled: bool = True
) -> tuple[WindowReport, bytes]:
    """The report of a window of these rows and answers, and what was kept of it."""
    cohort = Cohort(reference, profiled=True)
    for number, (row, said) in enumerate(zip(rows, decided, strict=True)):
        raw = msgspec.Raw(json.dumps({name: row[name] for name in NAMES}).encode())
        score = 0.8 if said == "yes" else 0.2
        place = cohort.add(
            Prediction(f"r{number}", "m", 1, "champion", f"u{number}", 1.0, 1.0, 1.0, raw, said, score, 1.0)
        )
        if labelled:
            cohort.learn(place, OutcomeRecord(f"r{number}", row["truth"], 2.0, 2.0))
    stage = Stage.MATURED if labelled else Stage.CLOSED
    evidence, found = measured(Seen("m", Window(0.0, 10.0, "w"), 10.0, stage), cohort, None, Policy())
    return judged(evidence, reference.profile, found=found), text_of(evidence)


def answers(rows: Sequence[Row]) -> list[str]:
    """What the model says."""
    return ["yes" if row["income"] > 0 else "no" for row in rows]


def report_of_groups(report: WindowReport) -> GroupReport:
    """The part by class and by group."""
    assert isinstance(report.groups, GroupReport)
    return report.groups


def test_every_class_and_group_is_rated_with_its_interval_and_what_it_was() -> None:
    """In a window without a change nothing is called; the evidence says the same when judged again."""
    reference, rows = version(Rules(segments=("age",), protected=("age",))), people(600, 2)
    report, text = judged_window(reference, rows, answers(rows))
    found = report_of_groups(report)
    yes = found.classes[1]
    assert yes.label == "yes"
    for reading in (yes.share, yes.precision, yes.recall, yes.f1):
        assert reading is not None
        assert reading.low < reading.value < reading.high
        assert reading.before is not None
    names = {(one.column, one.value) for one in found.groups}
    assert {("city", "west"), ("sex", "f"), ("age", "missing")} & names == {("city", "west"), ("sex", "f")}
    assert sum(column == "age" for column, _ in names) == 4
    assert {(one.column, one.measure) for one in found.fairness} == {
        ("age", "impact"), ("age", "tpr"), ("age", "fpr"), ("sex", "impact"), ("sex", "tpr"), ("sex", "fpr"),
    }  # fmt: skip
    assert (found.worse, found.unfair) == ((), ())
    assert report.layer("model") is not None
    assert recount_window(fact_of(report, "digest"), read_evidence(text), reference.profile, None) == ("same", "")


def test_a_group_that_is_served_worse_breaks_the_models_layer() -> None:
    """A tenth of the rows is now mostly wrong: the whole falls too little to be harmful, the group is named."""
    reference, rows = version(), people(900, 3)
    said = answers(rows)
    said = [
        ("no" if one == "yes" else "yes") if row["city"] == "west" else one for row, one in zip(rows, said, strict=True)
    ]
    report, _ = judged_window(reference, rows, said)
    found = report_of_groups(report)
    (worse,) = [one for one in found.groups if one.outcome is Outcome.BREACHED]
    assert (worse.column, worse.value) == ("city", "west")
    assert worse.metric is not None
    assert worse.metric.value < 0.2
    assert worse.rest is not None
    assert worse.rest > 0.8
    layer = report.layer("model")
    assert layer is not None
    assert layer.outcome is Outcome.BREACHED
    assert "accuracy where city = west is" in layer.reason


def test_groups_that_are_decided_for_less_often_are_told_before_labels_come() -> None:
    """Decisions alone show it; the pair is named, and how much further apart it is than on the held-out rows."""
    reference, rows = version(), people(600, 4)
    said = [
        "no" if row["sex"] == "f" and row["income"] < 0.8 else one for row, one in zip(rows, answers(rows), strict=True)
    ]
    report, text = judged_window(reference, rows, said, labelled=False)
    found = report_of_groups(report)
    (unfair,) = [one for one in found.fairness if one.outcome is Outcome.BREACHED]
    assert (unfair.column, unfair.measure, unfair.pair) == ("sex", "impact", ("f", "m"))
    assert unfair.figure is not None
    assert unfair.figure.value < 0.8
    assert "further apart than on the held-out rows" in unfair.reason
    assert found.groups == ()
    assert recount_window(fact_of(report, "digest"), read_evidence(text), reference.profile, None) == ("same", "")


def test_few_labels_decide_nothing_and_say_so() -> None:
    """The smallest segment says how many labels it has."""
    rows = people(120, 5)
    report, _ = judged_window(version(), rows, answers(rows))
    small = [one for one in report_of_groups(report).groups if one.value == "west"]
    assert [one.outcome for one in small] == [Outcome.UNDECIDED]
    assert small[0].reason == f"undecided: {small[0].labels} labels"
    assert small[0].labels < 30


@pytest.mark.parametrize("raw", [b"[]", b'{"city": 3, "sex": null}', b'{"city": {"a": 1}}', b"{}"])
def test_records_of_another_type_are_of_no_group(raw: bytes) -> None:
    """Nothing is raised, and the other records keep their groups."""
    groups = version().groups
    assert groups is not None
    cells = groups.cells_of([msgspec.Raw(raw), msgspec.Raw(b'{"city": "south", "sex": "m", "age": 30}')])
    names = {one.column: one.names for one in groups.groupings}
    row = dict(zip(names, cells[:, 1].tolist(), strict=True))
    assert (names["city"][row["city"]], names["sex"][row["sex"]]) == ("south", "m")


def test_numbers_are_cut_at_quarters_and_few_of_them_are_groups_each() -> None:
    """Where they are asked for; a constant, or a column that is not there, makes no group."""
    rows = np.arange(400.0)
    known = profile([NumericColumn("n", rows), NumericColumn("k", rows % 3), NumericColumn("c", rows * 0)])
    found = {one.column: one for one in groupings(known, ("n", "k", "c", "absent"))}
    assert set(found) == {"n", "k"}
    assert np.bincount(found["n"].cells(NumericColumn("n", rows), 400)).tolist() == pytest.approx([100] * 4, abs=2)
    assert found["k"].names == ("0", "1", "2")
    assert found["k"].cells(NumericColumn("k", np.array([2.0, 7.0, np.nan])), 3).tolist() == [2, 255, 255]
