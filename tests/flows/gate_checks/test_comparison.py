"""The candidate against the champion on the same rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray

from fairlead.adapters.arrow_dataset import open_dataset
from fairlead.core.contract import Contract, Task
from fairlead.core.gate import GatePolicy
from fairlead.core.verdict import Outcome
from fairlead.flows.gate_checks.comparison import check_comparison
from fairlead.flows.gate_checks.subject import Subject
from fairlead.testing.bundles import ScriptedBundles
from fairlead.testing.candidate import CONTRACT, Parts, StayPredictor
from fairlead.testing.predictor import FixedPredictor

Put = Callable[..., str]
MakeSubject = Callable[..., Subject]
Rows = Sequence[tuple[Any, ...]]
Answers = NDArray[np.float64]
NOT_WORSE = GatePolicy(against_champion="not_worse", margin=0.02)


class Backwards:
    """A champion whose classes stand the other way round."""

    def predict(self, rows: Rows) -> Answers:
        return StayPredictor(blur=0.8).predict(rows)[:, ::-1]


class Turned:
    """A champion that takes (city, age, nights)."""

    def predict(self, rows: Rows) -> Answers:
        return StayPredictor().predict([(age, nights, city) for city, age, nights in rows])


def test_a_first_version_that_knows_something_beats_a_coin(put: Put, subject: MakeSubject) -> None:
    """Without a champion the baseline is trivial."""
    found = check_comparison(subject(put()))
    assert found.outcome is Outcome.HOLDS
    assert "the trivial baseline" in found.reason
    assert found.measured["rows"] == 600


def test_a_first_version_that_knows_nothing_does_not(put: Put, subject: MakeSubject) -> None:
    """Noise is not shown to be better than a coin."""
    found = check_comparison(subject(put(predictor=StayPredictor(blur=1.0))))
    assert not found.holds


def test_a_better_version_beats_the_champion(put: Put, subject: MakeSubject) -> None:
    """On the candidate's own held-out rows, scored by both."""
    champion = put(Parts(seed=50), StayPredictor(blur=0.8))
    found = check_comparison(subject(put(), champion))
    assert found.outcome is Outcome.HOLDS
    assert "of v1 on the same 600 held-out rows" in found.reason


def test_a_worse_version_is_told(put: Put, subject: MakeSubject) -> None:
    """The interval lies below zero, and the reason says so."""
    champion = put(Parts(seed=50))
    found = check_comparison(subject(put(predictor=StayPredictor(blur=0.8)), champion))
    assert found.outcome is Outcome.BREACHED
    assert "it is not better" in found.reason


def test_the_same_model_again_is_no_worse_but_not_better(put: Put, subject: MakeSubject) -> None:
    """The policy decides what equal means."""
    champion, candidate = put(Parts(seed=50)), put()
    assert check_comparison(subject(candidate, champion)).outcome is Outcome.BREACHED
    assert check_comparison(subject(candidate, champion, NOT_WORSE)).outcome is Outcome.HOLDS


def test_few_rows_decide_nothing(put: Put, subject: MakeSubject) -> None:
    """A held-out set of 100 rows is undecided, however good the model."""
    found = check_comparison(subject(put(Parts(heldout_rows=100)), put(Parts(seed=50), StayPredictor(blur=0.8))))
    assert found.outcome is Outcome.UNDECIDED
    assert "100 labelled held-out rows cannot tell" in found.reason


def test_rows_without_a_label_are_left_out(put: Put, subject: MakeSubject, tmp_path: Path) -> None:
    """Only labelled rows are compared."""
    examined = subject(put())
    table = pq.read_table(examined.folder / "heldout.parquet")
    some = pa.array([None if row % 2 else value for row, value in enumerate(table["canceled"].to_pylist())], pa.int8())
    pq.write_table(table.set_column(3, "canceled", some), tmp_path / "half.parquet")
    examined.__dict__["heldout"] = open_dataset(tmp_path / "half.parquet")
    assert check_comparison(examined).measured["rows"] == 300


def test_a_champion_with_another_order_of_features_and_classes(
    put: Put, subject: MakeSubject, bundles: ScriptedBundles
) -> None:
    """Each model gets its own order; the answers are turned to the candidate's classes."""
    age, nights, city = CONTRACT.features
    turned = put(Parts(seed=50, contract=replace(CONTRACT, features=(city, age, nights))), Turned())
    found = check_comparison(subject(put(), turned, NOT_WORSE))
    assert (found.outcome, found.measured["gain"]) == (Outcome.HOLDS, 0.0)
    backwards = put(Parts(seed=51, contract=replace(CONTRACT, classes=("1", "0"))), Backwards())
    assert check_comparison(subject(put(), backwards)).outcome is Outcome.HOLDS


@pytest.mark.parametrize(
    ("contract", "said"),
    [
        (replace(CONTRACT, classes=("no", "yes")), "answers another question"),
        (replace(CONTRACT, task=Task.REGRESSION, classes=()), "answers another question"),
        (replace(CONTRACT, features=(replace(CONTRACT.features[0], name="weight"),)), "the rows have no weight"),
    ],
)
def test_a_champion_that_cannot_be_compared_is_undecided(
    put: Put, subject: MakeSubject, contract: Contract, said: str
) -> None:
    """Another question, or features that the rows do not have."""
    found = check_comparison(subject(put(), put(Parts(seed=50, contract=contract))))
    assert found.outcome is Outcome.UNDECIDED
    assert said in found.reason


def test_answers_that_are_no_numbers_decide_nothing(put: Put, subject: MakeSubject) -> None:
    """NaN is counted, not averaged."""
    found = check_comparison(subject(put(predictor=FixedPredictor(float("nan"), float("nan")))))
    assert found.outcome is Outcome.UNDECIDED
    assert "no finite number for 600 of 600" in found.reason


WHICH_CITY = replace(CONTRACT, task=Task.MULTICLASS, target="truth", classes=("aspen", "berlin", "cairo"))
WHAT_AGE = replace(CONTRACT, task=Task.REGRESSION, target="truth", classes=())


def asked(subject: Subject, contract: Contract, about: str, path: Path) -> Subject:
    """The same rows, asked for something that they tell."""
    table = pq.read_table(subject.folder / "heldout.parquet")
    pq.write_table(table.append_column("truth", table[about]), path)
    subject.__dict__["heldout"] = open_dataset(path)
    subject.__dict__["manifest"] = replace(subject.manifest, contract=contract)
    return subject


class Cities:
    """Knows the city in `share` of its certainty."""

    def __init__(self, share: float) -> None:
        self.share = share

    def predict(self, rows: Rows) -> Answers:
        known = np.array([[city == name for name in ("aspen", "berlin", "cairo")] for _, _, city in rows], np.float64)
        return self.share * known + (1 - self.share) / 3


def test_a_multiclass_model_is_compared_by_log_loss(put: Put, subject: MakeSubject, tmp_path: Path) -> None:
    """Against the shares of the classes at first, then against the champion, row by row."""

    def of(share: float, champion: str | None = None) -> Subject:
        return asked(subject(put(predictor=Cities(share)), champion), WHICH_CITY, "city", tmp_path / "rows.parquet")

    first = check_comparison(of(0.9))
    assert (first.outcome, first.measured["metric"]) == (Outcome.HOLDS, "log loss")
    assert not check_comparison(of(0.0)).holds
    champion = put(Parts(seed=50, contract=WHICH_CITY), Cities(0.5))
    assert check_comparison(of(0.9, champion)).outcome is Outcome.HOLDS
    assert check_comparison(of(0.1, champion)).outcome is Outcome.BREACHED


class Ages:
    """Says the age, off by `error`."""

    def __init__(self, error: float) -> None:
        self.error = error

    def predict(self, rows: Rows) -> Answers:
        return np.array([[age + self.error * (-1) ** int(nights)] for age, nights, _ in rows], np.float64)


def test_a_regression_is_compared_by_squared_error(put: Put, subject: MakeSubject, tmp_path: Path) -> None:
    """Against the mean at first, then against the champion, row by row."""

    def of(error: float, champion: str | None = None) -> Subject:
        return asked(subject(put(predictor=Ages(error)), champion), WHAT_AGE, "age", tmp_path / "rows.parquet")

    first = check_comparison(of(2.0))
    assert first.outcome is Outcome.HOLDS
    assert float(first.measured["candidate"]) == pytest.approx(4.0)
    assert check_comparison(of(100.0)).outcome is Outcome.BREACHED
    champion = put(Parts(seed=50, contract=WHAT_AGE), Ages(3.0))
    assert check_comparison(of(2.0, champion)).outcome is Outcome.HOLDS
    assert check_comparison(of(4.0, champion)).outcome is Outcome.BREACHED
