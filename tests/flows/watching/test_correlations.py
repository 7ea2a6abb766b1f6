"""Correlations in the live watch: counted beside the profile, judged at the close, kept, and judged again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest

from fairlead.core.bundle import Lineage, Manifest
from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.core.harm import HarmPolicy
from fairlead.core.record import Prediction
from fairlead.core.report import Correlation, Stage, WindowReport, fact_of
from fairlead.core.verdict import Outcome
from fairlead.core.window import Window
from fairlead.flows.watching.cohort import Cohort
from fairlead.flows.watching.correlations import NO_ROWS, Bonds
from fairlead.flows.watching.judge import Policy, Seen, measured
from fairlead.flows.watching.recount import recount_window
from fairlead.flows.watching.reference import Reference, build_reference
from fairlead.flows.watching.verdicts import judged, read_evidence, text_of
from fairlead.stats.columns import CategoricalColumn, Column, NumericColumn
from fairlead.stats.multivariate.dependence import Compared, Sums
from fairlead.stats.performance import Floats
from fairlead.stats.profile import TableProfile, profile

NAMES = ("age", "income", "debt", "rate")


class Ones:
    """Answers with the first number's sign."""

    def predict(self, rows: Sequence[tuple[Any, ...]]) -> Floats:
        return np.array([[0.2, 0.8] if row[0] > 0 else [0.8, 0.2] for row in rows])


def people(rows: int, seed: int) -> Floats:
    """Income and debt go with age, the rate with none of them."""
    rng = np.random.default_rng(seed)
    age = rng.normal(size=rows)
    mixed = [
        age,
        0.8 * age + 0.6 * rng.normal(size=rows),
        0.6 * age + 0.8 * rng.normal(size=rows),
        rng.normal(size=rows),
    ]
    return np.stack(mixed, axis=1)


def version(most: int = 100) -> Reference:
    """Profiled on 2,000 rows, and validated on another 1,000."""
    known: TableProfile = profile([NumericColumn(name, people(2_000, 0)[:, place]) for place, name in enumerate(NAMES)])
    contract = Contract(tuple(Feature(name, Kind.NUMBER) for name in NAMES), Task.BINARY, "y", ("no", "yes"))
    manifest = Manifest("m", contract, "skops", "m", "m", {}, Lineage("d", "d", 1))
    held = people(1_000, 1)
    labelled = ([tuple(row) for row in held.tolist()], ["yes" if row[0] > 0 else "no" for row in held])
    found = build_reference(1, manifest, known, labelled, Ones(), HarmPolicy())
    columns = [NumericColumn(name, held[:, place]) for place, name in enumerate(NAMES)]
    return msgspec.structs.replace(found, bonds=Bonds(known, lambda names: columns, most))


def judged_window(reference: Reference, rows: Floats) -> tuple[WindowReport, bytes]:
    """The report of a window of these rows, and what was kept of it."""
    cohort = Cohort(reference, profiled=True)
    for number, row in enumerate(rows.tolist()):
        raw = msgspec.Raw(json.dumps(dict(zip(NAMES, row, strict=True))).encode())
        cohort.add(Prediction(f"r{number}", "m", 1, "champion", f"u{number}", 1.0, 1.0, 1.0, raw, "yes", 0.8, 1.0))
    seen = Seen("m", Window(0.0, 10.0, "w"), 10.0, Stage.CLOSED)
    evidence, found = measured(seen, cohort, None, Policy())
    return judged(evidence, reference.profile, found=found), text_of(evidence)


def test_a_column_joined_to_other_peoples_rows_breaks_the_data_layer() -> None:
    """No column moved by itself; the column is named, a suspect, and the evidence says the same when judged again."""
    reference, rows = version(), people(400, 3)
    rows[:, 1] = np.random.default_rng(4).permutation(rows[:, 1])
    report, text = judged_window(reference, rows)
    assert not report.moved
    assert isinstance(report.correlation, Correlation)
    assert (report.correlation.level, report.correlation.column) == ("critical", "income")
    assert set(report.correlation.pair) == {"age", "income"}
    assert report.suspects == ("income",)
    layer = report.layer("data")
    assert layer is not None
    assert layer.outcome is Outcome.BREACHED
    assert layer.reason.startswith(
        "income no longer goes together with the other columns as it did: the correlation of "
    )
    fact = fact_of(report, "digest")
    assert recount_window(fact, read_evidence(text), reference.profile, None) == ("same", "")


def test_people_like_those_before_go_together_as_they_did() -> None:
    """What is told is how much was compared, and how far apart it was."""
    report, _ = judged_window(version(), people(400, 5))
    assert isinstance(report.correlation, Correlation)
    assert (report.correlation.level, report.correlation.pairs) == ("none", 6)
    assert report.correlation.distance is not None
    assert report.suspects == ()


@pytest.mark.parametrize(
    ("most", "rows", "said"),
    [(3, 400, "monitoring.correlations: on"), (0, 400, "monitoring.correlations"), (100, 20, "too few rows")],
)
def test_what_is_not_compared_says_why(most: int, rows: int, said: str) -> None:
    """A table wider than is asked for, correlations that are switched off, and windows of few rows."""
    report, _ = judged_window(version(most), people(rows, 6))
    assert isinstance(report.correlation, Correlation)
    assert report.correlation.level == "unmeasured"
    assert said in report.correlation.reason
    assert report.layer("data") is not None


JOBS = ("clerk", "miner", "nurse", "pupil", "retired")


def workers(rows: int, seed: int, order: Sequence[str] = JOBS) -> list[Column]:
    """Whose job goes with their age; and a colour, which goes with nothing. `order` names the jobs from young to old,
    and is the list of the batch too."""
    rng = np.random.default_rng(seed)
    age = rng.normal(size=rows)
    place = np.clip(np.rint(2.0 + age + 0.5 * rng.normal(size=rows)), 0, 4).astype(np.int32)
    place[rng.random(rows) < 0.05] = -1
    colour = rng.integers(0, 2, rows).astype(np.int32)
    return [
        NumericColumn("age", age),
        CategoricalColumn("job", place, tuple(order)),
        CategoricalColumn("colour", colour, ("red", "blue")),
    ]


def of_workers(most: int = 100) -> Bonds:
    """Profiled on 3,000 of them, and compared with another 2,000."""
    return Bonds(profile(workers(3_000, 0)), lambda names: workers(2_000, 1), most)


def counted(bonds: Bonds, columns: list[Column]) -> Sums:
    """The window's sums."""
    found = bonds.count(columns)
    assert found is not None
    return found


def test_a_category_whose_values_changed_places_is_named() -> None:
    """As many have each job as before, and other people have it: the job no longer goes with the age."""
    bonds = of_workers()
    assert (bonds.columns, bonds.pairs) == (("age", "job", "colour"), 3 + 1 + 3)
    turned = bonds.compare(counted(bonds, workers(400, 2, JOBS[::-1])), 0.001)
    assert isinstance(turned, Compared)
    worst = min(turned.found, key=lambda one: one.p_value)
    assert worst.column in ("job", "age")
    assert {name.partition("=")[0] for name in worst.pair} == {"job", "age"}
    assert worst.effect > 0.2


def test_a_category_is_the_same_in_whatever_order_its_values_are_listed() -> None:
    """A batch lists the values that it has, in its own order; a value may be listed twice, or not at all."""
    bonds = of_workers()
    age, job, colour = workers(300, 3)
    assert isinstance(job, CategoricalColumn)
    mapped = np.array([6, 4, 3, 2, 1, -1], np.int32)[job.codes]
    mapped[::2] = np.where(mapped[::2] == 6, 0, mapped[::2])
    again = CategoricalColumn("job", mapped, ("clerk", *JOBS[:0:-1], "nobody", "clerk"))
    one, two = counted(bonds, [age, job, colour]), counted(bonds, [age, again, colour])
    for name in ("counts", "sums", "squares", "products"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    halves = [[_part(each, half) for each in (age, job, colour)] for half in (slice(0, 100), slice(100, 300))]
    np.testing.assert_allclose((counted(bonds, halves[0]) + counted(bonds, halves[1])).products, one.products)


def _part(column: Column, some: slice) -> Column:
    if isinstance(column, NumericColumn):
        return NumericColumn(column.name, column.values[some])
    return CategoricalColumn(column.name, column.codes[some], column.categories)


@pytest.mark.parametrize(("most", "parts"), [(100, 5), (4, 4), (3, 3), (2, 2)])
def test_where_there_is_little_room_fewer_values_are_asked(most: int, parts: int) -> None:
    """Three of a category, two, one, and none of the last: a number never makes room for one."""
    bonds = of_workers(most)
    assert counted(bonds, workers(300, 4)).counts.shape == (parts, parts)
    assert bonds.columns == ("age", "job", "colour")[: 3 if parts > 2 else 2]


def test_a_column_of_another_kind_than_was_profiled_goes_together_with_nothing() -> None:
    """A category that comes as numbers is null here; that it changed its kind others tell."""
    bonds = of_workers()
    age, _, colour = workers(300, 5)
    sums = counted(bonds, [age, NumericColumn("job", np.zeros(300)), colour])
    assert sums.counts[1:4].sum() == 0
    assert isinstance(bonds.compare(sums, 0.01), Compared)
    assert bonds.count([age, colour]) is None


def test_without_held_out_rows_there_is_nothing_to_compare_with() -> None:
    """A bundle that holds none says so."""
    reference = msgspec.structs.replace(version(), bonds=Bonds(version().profile))
    report, _ = judged_window(reference, people(400, 7))
    assert report.correlation == Correlation("unmeasured", reason=NO_ROWS)
