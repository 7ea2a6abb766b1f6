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
from fairlead.core.harm import HarmPolicy
from fairlead.core.record import OutcomeRecord, Prediction
from fairlead.core.report import Stage, WindowReport
from fairlead.core.window import Window
from fairlead.flows.watching.cohort import Cohort
from fairlead.flows.watching.early import early_of
from fairlead.flows.watching.judge import Policy, Seen, judge, judge_again, measured
from fairlead.flows.watching.reference import Reference, build_reference
from fairlead.flows.watching.verdicts import judged, read_evidence, text_of
from fairlead.stats.performance import Floats
from fairlead.stats.profile import TableProfile

CLOSE, LATER = 1.0, 100.0
DAY = Window(0.0, CLOSE, "w")
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
    rng: np.random.Generator, known: Reference, *, rows: int = 300, days: float = 1.0, wrong_first: bool = False
) -> tuple[Cohort, dict[int, OutcomeRecord], float]:
    """A window of one day with the labels that were there at its close, those that come later by place, and the mean
    loss of all. Labels take so many days at the mean; `wrong_first`: a third of that for what the model got wrong."""
    task = known.contract.task
    answers, truth = drawn(task, rows, rng)
    cohort, late, losses = Cohort(known, profiled=False), {}, []
    for number, (row, true) in enumerate(zip(answers, truth, strict=True)):
        name, at = f"r{number}", float(rng.random())
        said: float | str = float(row[0]) if task is Task.REGRESSION else CLASSES[task][int(row.argmax())]
        score = float(row[-1]) if task is not Task.MULTICLASS else float(row.max())
        record = Prediction(name, "m", 1, "champion", name, at, at, 1.0, msgspec.Raw(b"{}"), said, score, 1.0)
        place = cohort.add(msgspec.structs.replace(record, timestamp=at))
        loss = abs(float(said) - float(true)) if task is Task.REGRESSION else float(said != true)
        losses.append(loss)
        takes = rng.exponential(days / 3 if wrong_first and loss else days)
        outcome = OutcomeRecord(name, true, at + takes, at + takes)
        if at + takes <= CLOSE:
            cohort.learn(place, outcome)
        else:
            late[place] = outcome
    return cohort, late, float(np.mean(losses))


def ripened(cohort: Cohort, late: dict[int, OutcomeRecord]) -> Cohort:
    """The same, once all its labels are there."""
    for place, outcome in late.items():
        cohort.learn(place, outcome)
    return cohort


@pytest.mark.parametrize("task", list(Task))
def test_the_interval_holds_the_loss_of_all_answers(task: Task) -> None:
    """In about 95 % of 120 windows whose labels come early by chance; the scores never make it wider than the labels
    alone would be."""
    rng, held, gains = np.random.default_rng(1), 0, []
    for _ in range(120):
        cohort, _, loss = window(rng, reference(task), rows=200)
        found = early_of(cohort, DAY)
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
    seen = [(early_of(cohort, DAY), loss) for cohort, _, loss in (window(rng, reference()) for _ in range(2_000))]
    share = np.mean([one is not None and one.low <= loss <= one.high for one, loss in seen])
    assert 0.93 <= share <= 0.99, share


def test_early_labels_that_are_unlike_later_ones_are_not_used() -> None:
    """Where what went wrong is known sooner the estimate would be too high: the window's own labels show it, it is said
    by how much, and no figure is claimed."""
    rng = np.random.default_rng(3)
    cohort, _, loss = window(rng, reference(), rows=1_500, days=0.5, wrong_first=True)
    found = early_of(cohort, DAY)
    assert found is not None
    assert found.low > loss
    assert found.differs
    assert found.gap is not None
    assert found.gap > 0.0
    assert "are not used: those that came sooner differ from later ones" in found.sentence
    assert "error rate" not in found.sentence


def test_honest_labels_are_seldom_refused() -> None:
    """In at most 10 of 80 windows whose labels come by chance; 5 % are expected."""
    rng, refused = np.random.default_rng(4), 0
    for _ in range(80):
        found = early_of(window(rng, reference(), rows=400, days=0.3)[0], DAY)
        assert found is not None
        assert found.compared >= 50
        refused += found.differs
    assert refused <= 10


def test_nothing_is_said_of_few_labels_or_where_none_is_missing() -> None:
    """Below 50 labels; and once all are there the metrics are realised. Of few old ones nothing is compared."""
    rng = np.random.default_rng(6)
    assert early_of(window(rng, reference(), rows=100, days=3.0)[0], DAY) is None
    cohort, late, _ = window(rng, reference())
    found = early_of(cohort, DAY)
    assert found is not None
    assert found.compared == 0
    assert early_of(ripened(cohort, late), DAY) is None


def at(stage: Stage, instant: float) -> Seen:
    """A window that is judged."""
    return Seen("m", DAY, instant, stage)


def test_a_window_tells_it_between_close_and_maturity_and_replays_so() -> None:
    """In its sentence and its performance while labels are missing, not once it has matured. Judged again from its kept
    evidence, the report is the same."""
    known, rng, policy = reference(), np.random.default_rng(7), Policy()
    cohort, late, _ = window(rng, known)
    closed = judge(at(Stage.CLOSED, CLOSE), cohort, None, policy)
    assert "early labels and the scores of the rest; none compared with later ones" in reason(closed)
    cohort.settle()
    matured = judge_again(closed, at(Stage.MATURED, LATER), ripened(cohort, late), None, policy)
    assert matured.performance is not None
    assert matured.performance.early is None
    evidence, _ = measured(at(Stage.CLOSED, CLOSE), window(rng, known, rows=400, days=0.3)[0], None, policy)
    report = judged(evidence, None)
    assert "sooner ones are like" in reason(report)
    assert judged(read_evidence(text_of(evidence)), None) == report


def reason(report: WindowReport) -> str:
    """What is said of the model."""
    layer = report.layer("model")
    assert layer is not None
    return layer.reason
