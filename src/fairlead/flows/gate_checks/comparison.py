"""The candidate against the champion on the candidate's own held-out rows; a first version against a trivial model."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

import numpy as np
from numpy.typing import NDArray

from fairlead.core.bundle import Manifest
from fairlead.core.contract import Contract, Task
from fairlead.core.evaluate import truth_of
from fairlead.core.gate import Check
from fairlead.core.gate_judgement import Comparison, judge_comparison
from fairlead.core.listing import counted
from fairlead.errors import BundleError, UsageError
from fairlead.flows.gate_checks.subject import Subject, columns_of, spread
from fairlead.stats.paired import auroc_difference, loss_difference
from fairlead.stats.performance import UNDEFINED, Measure, auroc, auroc_interval

Floats = NDArray[np.float64]
_METRIC = {Task.BINARY: "AUROC", Task.MULTICLASS: "log loss", Task.REGRESSION: "squared error"}
_FEWEST_OF_A_CLASS = 10  # below, the normal interval of an AUROC says nothing
_MOST_ROWS = 100_000
_FLOOR = 1e-15


@dataclass(frozen=True)
class _Rows:
    """Labelled rows, and what each side answered: (n, k) by the candidate's classes, or (n, 1). `other` is None for a
    first version."""

    truth: NDArray[np.float64]  # class number in the candidate's order, or value
    own: Floats
    other: Floats | None
    thresholds: tuple[float, float] = (0.5, 0.5)  # by which each side decides


def check_comparison(subject: Subject) -> Check:
    """Scores the same rows with both and compares pair by pair."""
    champion = subject.champion.version if subject.champion else None
    adjusted = _adjusted(subject)
    metric, compare = _ADJUSTED[adjusted] if adjusted else (_METRIC[subject.contract.task], None)
    try:
        rows = _score(subject)
    except (BundleError, UsageError) as error:
        reason = f"The two cannot be compared: {error.line}."
        return judge_comparison(Comparison(metric, nan, nan, UNDEFINED, 0, champion, reason), subject.policy)
    own, other, gain = (compare or _COMPARE[subject.contract.task])(rows)
    return judge_comparison(Comparison(metric, own, other, gain, len(rows.truth), champion), subject.policy)


def _score(subject: Subject) -> _Rows:
    contract, table = subject.contract, subject.heldout
    rows = table.tuples((*contract.names, contract.target), spread(table, _MOST_ROWS))
    features = [row[:-1] for row in rows if row[-1] is not None]
    truth = truth_of(contract, [row[-1] for row in rows if row[-1] is not None])
    if not features:
        return _Rows(truth, np.empty((0, 1)), None)
    own = _finite("the candidate", subject.served.predict(features))
    if subject.champion is None:
        return _Rows(truth, own, None)
    theirs = subject.bundles.manifest(subject.champion.bundle).contract
    columns = _classes_in_order(contract, theirs)
    model = subject.bundles.load(subject.champion.bundle)
    answers = _finite("the champion", model.predict(columns_of(contract, theirs, features)))
    decides = (subject.manifest.threshold, subject.bundles.manifest(subject.champion.bundle).threshold)
    return _Rows(truth, own, answers[:, columns], decides)


def _adjusted(subject: Subject) -> str:
    """Whether it is the champion's own model, recalibrated or with another threshold: then it puts rows in the same
    order, and its probabilities or its decisions are what may be better."""
    if subject.champion is None or subject.contract.task is not Task.BINARY:
        return ""
    own, other = subject.manifest, subject.bundles.manifest(subject.champion.bundle)
    if _model(own) != _model(other):
        return ""
    if own.recalibration != other.recalibration:
        return "probabilities"
    return "decisions" if own.threshold != other.threshold else ""


def _model(manifest: Manifest) -> list[str]:
    """The digests of the original's files."""
    return [digest for name, digest in sorted(manifest.files.items()) if name.startswith(manifest.model_entry)]


def _classes_in_order(contract: Contract, theirs: Contract) -> list[int]:
    """The columns of the champion's answers in the candidate's order."""
    if contract.task is not theirs.task or set(contract.classes) != set(theirs.classes):
        raise BundleError(
            f"the champion answers another question ({theirs.task} of {theirs.target}, classes "
            f"{', '.join(theirs.classes) or 'none'})"
        )
    return [theirs.classes.index(label) for label in contract.classes] or [0]


def _finite(who: str, answers: Floats) -> Floats:
    wrong = int((~np.isfinite(answers).all(axis=1)).sum())
    if wrong:
        raise BundleError(f"{who} answers no finite number for {wrong} of {counted(len(answers), 'held-out row')}")
    return answers


def _binary(rows: _Rows) -> tuple[float, float, Measure]:
    ones = int(rows.truth.sum())
    if min(ones, len(rows.truth) - ones) < _FEWEST_OF_A_CLASS:
        return nan, nan, UNDEFINED
    score = rows.own[:, -1]
    if rows.other is None:
        found = auroc_interval(rows.truth, score)
        return found.value, 0.5, Measure(found.value - 0.5, found.low - 0.5, found.high - 0.5)
    theirs = rows.other[:, -1]
    gain = auroc_difference(rows.truth, score, theirs)
    return auroc(rows.truth, score), auroc(rows.truth, theirs), gain


def _probabilities(rows: _Rows) -> tuple[float, float, Measure]:
    assert rows.other is not None, "an adjusted version has the one before"
    own, other = (_log_loss(rows.truth, side[:, -1]) for side in (rows.own, rows.other))
    return _losses(own, other)


def _log_loss(truth: Floats, score: Floats) -> Floats:
    return -np.log(np.maximum(np.where(truth > 0.5, score, 1.0 - score), _FLOOR))


def _decisions(rows: _Rows) -> tuple[float, float, Measure]:
    assert rows.other is not None, "an adjusted version has the one before"
    wrong = [
        ((side[:, -1] >= at) != (rows.truth > 0.5)).astype(np.float64)
        for side, at in zip((rows.own, rows.other), rows.thresholds, strict=True)
    ]
    return _losses(wrong[0], wrong[1])


def _multiclass(rows: _Rows) -> tuple[float, float, Measure]:
    place = rows.truth.astype(np.intp)
    if not place.size:
        return nan, nan, UNDEFINED
    other = rows.other
    if other is None:
        shares = np.bincount(place, minlength=rows.own.shape[1]) / place.size
        other = np.broadcast_to(shares, rows.own.shape)
    at = np.arange(place.size)
    return _losses(-np.log(np.maximum(rows.own[at, place], _FLOOR)), -np.log(np.maximum(other[at, place], _FLOOR)))


def _regression(rows: _Rows) -> tuple[float, float, Measure]:
    if not rows.truth.size:
        return nan, nan, UNDEFINED
    other = rows.truth.mean() if rows.other is None else rows.other[:, 0]
    return _losses((rows.own[:, 0] - rows.truth) ** 2, (other - rows.truth) ** 2)


def _losses(own: Floats, other: Floats) -> tuple[float, float, Measure]:
    return float(own.mean()), float(other.mean()), loss_difference(own, other)


_COMPARE = {Task.BINARY: _binary, Task.MULTICLASS: _multiclass, Task.REGRESSION: _regression}
_ADJUSTED = {"probabilities": ("log loss", _probabilities), "decisions": ("wrong decisions", _decisions)}
