"""Between a window's close and its maturity: what early labels and scores say of all answers, and when they may not."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec
import numpy as np
import pytest

from fairlead.core.bundle import Lineage, Manifest
from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.core.early import Early
from fairlead.core.harm import HarmPolicy
from fairlead.core.record import OutcomeRecord, Prediction
from fairlead.core.report import Stage, WindowReport
from fairlead.core.window import Window
from fairlead.flows.watching.cohort import Cohort
from fairlead.flows.watching.early import early_of, remember
from fairlead.flows.watching.early_seen import EarlySeen
from fairlead.flows.watching.judge import Policy, Seen, judge, judge_again, measured
from fairlead.flows.watching.reference import Reference, build_reference
from fairlead.flows.watching.verdicts import judged, read_evidence, text_of
from fairlead.stats.performance import Floats
from fairlead.stats.profile import TableProfile

CLOSE, LATER = 10.0, 100.0
CLASSES = {Task.BINARY: ("0", "1"), Task.MULTICLASS: ("a", "b", "c"), Task.REGRESSION: ()}


class Copies:
    """Answers with the row itself."""

    def predict(self, rows: Sequence[tuple[Any, ...]]) -> Floats:
        return np.array(rows, np.float64)


@cache
def reference(task: Task = Task.BINARY) -> Reference:
    """A version that was validated on 2,000 answers of its kind."""
    rows, truth = drawn(task, 2_000, np.random.default_rng(0))
    contract = Contract(tuple(Feature(f"f{i}", Kind.NUMBER) for i in range(rows.shape[1])), task, "y", CLASSES[task])
    manifest = Manifest("m", contract, "skops", "m", "m", {}, Lineage("d", "d", 1))
    labelled = ([tuple(row) for row in rows.tolist()], truth)
    return build_reference(1, manifest, TableProfile(0, ()), labelled, Copies(), HarmPolicy())


def drawn(task: Task, count: int, rng: np.random.Generator) -> tuple[Floats, list[float | str]]:
    """What is answered, and truths that are as the answers say."""
    if task is Task.REGRESSION:
        value = rng.uniform(1.0, 9.0, count)
        return value[:, None], (value + value * rng.normal(0.0, 0.2, count)).tolist()
    odds = np.exp(1.5 * rng.normal(size=(count, len(CLASSES[task]))))
    chance = odds / odds.sum(axis=1, keepdims=True)
    return chance, [CLASSES[task][rng.choice(chance.shape[1], p=row)] for row in chance]


def window(
    rng: np.random.Generator, known: Reference, *, rows: int = 300, early: float = 0.4, wrong_first: bool = False
) -> tuple[Cohort, dict[int, OutcomeRecord], float]:
    """A window's answers with the labels that were there at its close, those that come later by place, and the mean
    loss of all. `wrong_first`: what the model got wrong is known sooner."""
    task = known.contract.task
    answers, truth = drawn(task, rows, rng)
    cohort, late, losses = Cohort(known, profiled=False), {}, []
    for number, (row, true) in enumerate(zip(answers, truth, strict=True)):
        name = f"r{number}"
        said: float | str = float(row[0]) if task is Task.REGRESSION else CLASSES[task][int(row.argmax())]
        score = None if task is Task.REGRESSION else float(row[-1] if task is Task.BINARY else row.max())
        if task is Task.REGRESSION:
            score = float(row[0])
        record = Prediction(
            name, "m", 1, "champion", name, 1.0, 1.0, 1.0, msgspec.Raw(b"{}"), said, score, 1.0, status=200
        )
        place = cohort.add(record)
        loss = abs(float(said) - float(true)) if task is Task.REGRESSION else float(said != true)
        losses.append(loss)
        first = rng.random() < (early * (1.6 if loss else 0.8) if wrong_first else early)
        outcome = OutcomeRecord(name, true, 5.0 if first else LATER, 5.0 if first else LATER)
        if first:
            cohort.learn(place, outcome)
        else:
            late[place] = outcome
    return cohort, late, float(np.mean(losses))


def ripened(cohort: Cohort, late: dict[int, OutcomeRecord]) -> Cohort:
    """The same, once all its labels are there."""
    for place, outcome in late.items():
        cohort.learn(place, outcome)
    return cohort


def fresh(task: Task = Task.BINARY) -> Reference:
    """A version of which no window has matured."""
    return msgspec.structs.replace(reference(task), early=EarlySeen())


@pytest.mark.parametrize("task", list(Task))
def test_the_interval_holds_the_loss_of_all_answers(task: Task) -> None:
    """In about 95 % of 120 windows whose labels come early by chance; the scores never make it wider than the labels
    alone would be."""
    rng, held, gains = np.random.default_rng(1), 0, []
    for _ in range(120):
        cohort, _, loss = window(rng, fresh(task), rows=200)
        found = early_of(cohort)
        assert found is not None
        held += found.low <= loss <= found.high
        assert found.metric == ("absolute error" if task is Task.REGRESSION else "error rate")
        gains.append(found.gain)
    assert held >= 108
    assert min(gains) >= 0.95


@pytest.mark.slow
def test_the_interval_holds_as_often_as_it_says() -> None:
    """93 to 99 % of 2,000 windows: the loss of these very answers varies less than that of all that might come."""
    rng = np.random.default_rng(2)
    seen = [(early_of(cohort), loss) for cohort, _, loss in (window(rng, fresh()) for _ in range(2_000))]
    share = np.mean([one is not None and one.low <= loss <= one.high for one, loss in seen])
    assert 0.93 <= share <= 0.99, share


def told(known: Reference, rng: np.random.Generator, *, wrong_first: bool, windows: int = 4) -> Early:
    """What is said of a window after some that have matured."""
    for _ in range(windows):
        cohort, late, _ = window(rng, known, wrong_first=wrong_first)
        remember(ripened(cohort, late), CLOSE)
    found = early_of(window(rng, known, wrong_first=wrong_first)[0])
    assert found is not None
    return found


def test_early_labels_that_are_unlike_late_ones_are_not_used() -> None:
    """Where what went wrong is known sooner the estimate would be too high: the windows that matured show it, it is
    said by how much, and no figure is claimed."""
    found = told(fresh(), np.random.default_rng(3), wrong_first=True)
    assert found.differs
    assert found.gap is not None
    assert found.gap > 0.0
    assert "are not used: those that came early differed from late ones" in found.sentence
    assert "error rate" not in found.sentence


def test_honest_labels_are_seldom_refused() -> None:
    """At most one version in eight of 60 whose labels come early by chance; 5 % are expected."""
    rng = np.random.default_rng(4)
    refused = sum(told(fresh(), rng, wrong_first=False, windows=2).differs for _ in range(60))
    assert refused <= 8


def test_what_matured_long_ago_is_forgotten() -> None:
    """Of the last eight windows only: a back-office that was mended is believed again."""
    known, rng = fresh(), np.random.default_rng(5)
    assert told(known, rng, wrong_first=True).differs
    found = told(known, rng, wrong_first=False, windows=8)
    assert not found.differs
    assert "early ones were like" in found.sentence


def test_nothing_is_said_of_few_labels_or_where_none_is_missing() -> None:
    """Below 50 labels; and once all are there the metrics are realised."""
    rng = np.random.default_rng(6)
    assert early_of(window(rng, fresh(), rows=100, early=0.2)[0]) is None
    cohort, late, _ = window(rng, fresh())
    assert early_of(ripened(cohort, late)) is None


def at(stage: Stage, instant: float) -> Seen:
    """A window that is judged."""
    return Seen("m", Window(0.0, CLOSE, "w"), instant, stage)


def test_a_window_tells_it_between_close_and_maturity_and_replays_so() -> None:
    """In its sentence and its performance while labels are missing, not once it has matured; the next one says that
    early and late were compared. Judged again from its kept evidence, the report is the same."""
    known, rng, policy = fresh(), np.random.default_rng(7), Policy()
    cohort, late, _ = window(rng, known)
    closed = judge(at(Stage.CLOSED, CLOSE), cohort, None, policy)
    assert "early labels and the scores of the rest; none compared with late ones" in reason(closed)
    cohort.settle()
    matured = judge_again(closed, at(Stage.MATURED, LATER), ripened(cohort, late), None, policy)
    assert matured.performance is not None
    assert matured.performance.early is None
    evidence, _ = measured(at(Stage.CLOSED, CLOSE), window(rng, known)[0], None, policy)
    report = judged(evidence, None)
    assert "early ones were like" in reason(report) or "differed from late ones" in reason(report)
    assert judged(read_evidence(text_of(evidence)), None) == report


def reason(report: WindowReport) -> str:
    """What is said of the model."""
    layer = report.layer("model")
    assert layer is not None
    return layer.reason
