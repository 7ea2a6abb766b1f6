"""Several classes against scikit-learn, and the delta method against the bootstrap."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from sklearn import metrics as sk

from fairlead.stats import performance as ours
from fairlead.stats.performance.multiclass import Average, Kind

KINDS: tuple[Kind, ...] = ("precision", "recall", "f1")
AVERAGES: tuple[Average, ...] = ("macro", "weighted")
Arrays = tuple[NDArray[Any], NDArray[Any]]


def sample(n: int = 400) -> Arrays:
    """Truth of four classes, one of them rare, and probabilities that know something of it."""
    rng = np.random.default_rng(0)
    truth = rng.choice(4, n, p=[0.4, 0.3, 0.25, 0.05])
    p = rng.dirichlet([1, 1, 1, 1], n)
    p[np.arange(n), truth] += 0.5
    return truth, p / p.sum(axis=1, keepdims=True)


def test_confusion_and_classes_are_those_of_scikit_learn() -> None:
    """The matrix, and precision, recall, F1 and support of each class, to 1e-9."""
    truth, p = sample()
    decided = p.argmax(axis=1)
    matrix = ours.confusion(truth, decided, 4)
    assert matrix.tolist() == sk.confusion_matrix(truth, decided).tolist()
    wanted = sk.precision_recall_fscore_support(truth, decided)
    cards = ours.by_class(matrix)
    for place, name in enumerate(("precision", "recall", "f1")):
        assert [getattr(card, name).value for card in cards] == pytest.approx(wanted[place], abs=1e-9)
    assert [card.support for card in cards] == wanted[3].tolist()


@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_means_over_classes_are_those_of_scikit_learn(kind: Kind, average: Average) -> None:
    """Macro and weighted precision, recall and F1 to 1e-9, also where a class is never predicted or has no rows."""
    theirs = {"precision": sk.precision_score, "recall": sk.recall_score, "f1": sk.f1_score}[kind]
    truth, p = sample()
    for kept in (truth >= 0, truth < 3, p.argmax(axis=1) < 2):
        y, decided = truth[kept], p[kept].argmax(axis=1)
        wanted = theirs(y, decided, average=average, labels=[0, 1, 2, 3], zero_division=np.nan)
        found = ours.averaged(ours.confusion(y, decided, 4), kind, average)
        assert found.value == pytest.approx(wanted, abs=1e-9)
        assert found.low < found.value < found.high


@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_error_is_that_of_resampled_rows(kind: Kind, average: Average) -> None:
    """The delta method's error agrees with the multinomial bootstrap's within a tenth."""
    rng = np.random.default_rng(1)
    matrix = np.array([[400, 60, 20], [50, 300, 40], [10, 30, 90]])
    draws = rng.multinomial(1_000, matrix.ravel() / matrix.sum(), 600).reshape(-1, 3, 3)
    spread = float(np.std([ours.averaged(draw, kind, average).value for draw in draws]))
    found = ours.averaged(matrix, kind, average)
    assert (found.high - found.low) / (2 * 1.96) == pytest.approx(spread, rel=0.1)


def test_scores_of_several_classes_are_those_of_scikit_learn() -> None:
    """One-against-rest AUROC, its mean, log loss and Brier's score to 1e-9."""
    truth, p = sample()
    areas = [ours.auroc(truth == place, p[:, place]) for place in range(4)]
    assert [one.value for one in ours.class_aurocs(truth, p)] == pytest.approx(areas, abs=1e-9)
    wanted = sk.roc_auc_score(truth, p, multi_class="ovr", average="macro")
    assert ours.macro_auroc(truth, p).value == pytest.approx(wanted, abs=1e-9)
    assert ours.multiclass_log_loss(truth, p).value == pytest.approx(sk.log_loss(truth, p), abs=1e-9)
    wanted = sk.brier_score_loss(truth, p, labels=[0, 1, 2, 3], scale_by_half=False)
    assert ours.multiclass_brier(truth, p).value == pytest.approx(wanted, abs=1e-9)


def test_a_class_without_rows_is_left_out_of_the_mean_area() -> None:
    """It has no AUROC, and the mean is that of the others; of one class alone nothing is defined."""
    truth, p = sample()
    kept = truth < 3
    areas = ours.class_aurocs(truth[kept], p[kept])
    assert not areas[3].defined
    assert ours.macro_auroc(truth[kept], p[kept]).value == pytest.approx(np.mean([one.value for one in areas[:3]]))
    alone = truth == 0
    assert not ours.macro_auroc(truth[alone], p[alone]).defined


def test_of_two_classes_it_is_the_binary_metric() -> None:
    """Both classes' calibration errors are the binary one, the mean area the binary area."""
    rng = np.random.default_rng(2)
    score = rng.random(300)
    truth = (rng.random(300) < score).astype(int)
    p = np.column_stack([1 - score, score])
    assert ours.macro_auroc(truth, p).value == pytest.approx(ours.auroc(truth, score))
    assert ours.macro_auroc(truth, p).low == pytest.approx(ours.auroc_interval(truth, score).low, abs=1e-3)
    assert ours.multiclass_brier(truth, p).value == pytest.approx(2 * ours.brier(truth, score).value)
    assert ours.classwise_ece(truth, p).value == pytest.approx(ours.ece(truth, score), abs=1e-9)


@given(arrays(np.int64, (3, 3), elements=st.integers(0, 30)), st.sampled_from(KINDS), st.sampled_from(AVERAGES))
def test_a_mean_lies_inside_its_interval(matrix: NDArray[np.int64], kind: Kind, average: Average) -> None:
    """In [0, 1], for any matrix; the order of the classes does not matter."""
    found = ours.averaged(matrix, kind, average)
    if found.defined:
        assert 0 <= found.low <= found.value + 1e-12
        assert found.value <= found.high + 1e-12 <= 1 + 1e-9
        turned = ours.averaged(matrix[::-1, ::-1], kind, average)
        assert turned.value == pytest.approx(found.value)
        assert turned.low == pytest.approx(found.low, abs=1e-9)


def test_what_is_no_class_is_refused_and_no_rows_are_undefined() -> None:
    """A number beyond the classes is an error; without rows there is no mean and no score."""
    with pytest.raises(ValueError, match="numbered 0 to 2"):
        ours.confusion([0, 3], [0, 1], 3)
    with pytest.raises(ValueError, match="numbered"):
        ours.confusion([0, -1], [0, 1], 3)
    nothing = np.zeros((0, 3))
    assert not ours.averaged(np.zeros((3, 3)), "f1").defined
    for metric in (ours.macro_auroc, ours.multiclass_log_loss, ours.multiclass_brier, ours.top_label_ece):
        assert not metric([], nothing).defined
    assert not ours.classwise_ece([], nothing).defined
