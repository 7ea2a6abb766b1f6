"""What is estimated before labels, by task, from what a log holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from fairlead.core.bundle import Lineage, Manifest
from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.core.harm import HarmPolicy
from fairlead.core.record import Prediction
from fairlead.core.report import SCORE, FeatureShift, Stage
from fairlead.core.window import Window
from fairlead.flows.watching.cohort import Cohort
from fairlead.flows.watching.judge import Seen, measure
from fairlead.flows.watching.reference import Reference, build_reference
from fairlead.flows.watching.verdicts import suspects_of
from fairlead.stats.performance import Floats
from fairlead.stats.profile import TableProfile

CLASSES = ("a", "b", "c")


class Copies:
    """Answers with the row itself: class probabilities, or a value."""

    def predict(self, rows: Sequence[tuple[Any, ...]]) -> Floats:
        return np.array(rows, np.float64)


def reference(task: Task, rows: Floats, truth: list[float | str]) -> Reference:
    """A version that was validated on these answers."""
    classes = CLASSES if task is Task.MULTICLASS else ()
    contract = Contract(tuple(Feature(f"f{i}", Kind.NUMBER) for i in range(rows.shape[1])), task, "y", classes)
    manifest = Manifest("m", contract, "skops", "m", "m", {}, Lineage("d", "d", 1))
    labelled = ([tuple(row) for row in rows.tolist()], truth)
    return build_reference(1, manifest, TableProfile(0, ()), labelled, Copies(), HarmPolicy())


def cohort(known: Reference, answers: list[tuple[float | str, float | None]]) -> Cohort:
    """Answers (prediction, score) without labels."""
    found = Cohort(known, profiled=False)
    for number, (prediction, score) in enumerate(answers):
        identity = f"r{number}"
        raw = msgspec.Raw(b"{}")
        found.add(Prediction(identity, "m", 1, "champion", identity, 1.0, 1.0, 1.0, raw, prediction, score, 1.0))
    return found


def seen() -> Seen:
    """A closed window."""
    return Seen("m", Window(0.0, 10.0, "w"), 10.0, Stage.CLOSED)


def softmax(n: int, seed: int, sharp: float) -> tuple[Floats, list[float | str]]:
    """Probabilities of three classes, and truths drawn from them."""
    rng = np.random.default_rng(seed)
    p = np.exp(sharp * rng.normal(size=(n, 3)))
    p /= p.sum(axis=1, keepdims=True)
    return p, [CLASSES[rng.choice(3, p=row)] for row in p]


def test_several_classes_are_estimated_by_the_probability_of_the_decided_one() -> None:
    """Answers that are less sure are expected to be right less often, as often as they are."""
    known = reference(Task.MULTICLASS, *softmax(4000, 0, 2.0))
    p, truth = softmax(3000, 1, 0.7)
    decided = p.argmax(axis=1)
    live = cohort(known, [(CLASSES[d], float(max(q))) for d, q in zip(decided, p, strict=True)])
    found = measure(seen(), live, live.labelled())
    right = np.mean([CLASSES[d] == y for d, y in zip(decided, truth, strict=True)])
    assert found.estimated_low is not None
    assert found.estimated_high is not None
    assert found.estimated is not None
    assert found.estimated_low < right < found.estimated_high
    assert found.reference is not None
    assert found.estimated < found.reference - 0.1


def test_values_are_estimated_by_the_error_of_their_like() -> None:
    """Errors grow with the value: where large values become common, MAE, RMSE and MAPE are foretold."""
    rng = np.random.default_rng(2)

    def values(n: int, low: float) -> tuple[Floats, Floats]:
        x = rng.uniform(low, 10.0, n)
        return x[:, None], x + rng.normal(size=n) * x / 10

    rows, truth = values(4000, 1.0)
    known = reference(Task.REGRESSION, rows, truth.tolist())
    new, came = values(3000, 8.0)
    live = cohort(known, [(float(x), float(x)) for x in new[:, 0]])
    found = measure(seen(), live, live.labelled())
    error = np.abs(new[:, 0] - came)
    assert found.metric == "mae"
    readings = {found.metric: found, **{one.metric: one for one in found.also}}
    for name, realised in (("mae", error.mean()), ("rmse", (error**2).mean() ** 0.5), ("mape", (error / came).mean())):
        one = readings[name]
        assert one.estimated is not None, name
        assert one.estimated_low is not None
        assert one.estimated_high is not None
        assert one.estimated_low < realised < one.estimated_high, name
    assert readings["r2"].estimated is None


def test_answers_without_a_score_or_a_value_are_not_estimated() -> None:
    """Nothing is made up where the log holds nothing."""
    known = reference(Task.MULTICLASS, *softmax(400, 3, 2.0))
    live = cohort(known, [("a", None)] * 20)
    assert measure(seen(), live, live.labelled()).estimated is None
    values = np.arange(1.0, 61.0)[:, None]
    known = reference(Task.REGRESSION, values, (values[:, 0] + 1).tolist())
    live = cohort(known, [("none", None)] * 20)
    assert measure(seen(), live, live.labelled()).estimated is None


def moved(name: str, harm: float, money: float | None = None, level: str = "critical") -> FeatureShift:
    """A shift that moved, with its harm, and money where that is known."""
    return FeatureShift(name, level, harm=harm, money=money)


def test_suspects_come_by_money_where_it_is_known() -> None:
    """Few dear errors are suspected before many cheap ones; what stood still, and the score, never."""
    shifts = (
        moved("many", 0.10, 500.0),
        moved("few", 0.02, 4_000.0),
        moved("benign", 0.0, 9_000.0),
        moved("still", 0.5, 9_000.0, level="none"),
        moved(SCORE, 0.0),
    )
    assert suspects_of(shifts) == ("few", "many", "benign")
    assert suspects_of(shifts[::-1]) == ("few", "many", "benign")


def test_suspects_come_by_the_metric_where_money_is_not_known_of_all() -> None:
    """Money of one feature does not outrank the harm of another whose money nobody knows."""
    assert suspects_of((moved("few", 0.02, 4_000.0), moved("many", 0.10))) == ("many", "few")
    assert suspects_of((moved("b", 0.02), moved("a", 0.02), moved("c", 0.1))) == ("c", "a", "b")
