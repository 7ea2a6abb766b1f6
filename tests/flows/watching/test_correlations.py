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
from fairlead.stats.columns import NumericColumn
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
    return msgspec.structs.replace(found, bonds=Bonds(known, lambda names: held, most))


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
        "income no longer goes together with the other numbers as it did: the correlation of "
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


def test_without_held_out_rows_there_is_nothing_to_compare_with() -> None:
    """A bundle that holds none says so."""
    reference = msgspec.structs.replace(version(), bonds=Bonds(version().profile))
    report, _ = judged_window(reference, people(400, 7))
    assert report.correlation == Correlation("unmeasured", reason=NO_ROWS)
