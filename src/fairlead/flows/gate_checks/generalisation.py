"""How well the model does where it matters: against a simple one, on new rows, in each group, feature by feature."""

from __future__ import annotations

from typing import Any

import numpy as np

from fairlead.core.contract import Contract, Task
from fairlead.core.gate import Check
from fairlead.core.judge_model import (
    judge_calibration,
    judge_fairness,
    judge_overfitting,
    judge_simple,
    judge_slices,
    judge_useful,
)
from fairlead.core.training import truths
from fairlead.errors import BundleError
from fairlead.flows.gate_checks.splits import known
from fairlead.flows.gate_checks.subject import Subject, columns_of
from fairlead.stats.performance import UNDEFINED, Floats, Measure, ece_debiased


def check_simple(subject: Subject) -> Check:
    """The registration's fit of a simple model."""
    return judge_simple(known(subject, subject.training.simple, "simple"), subject.policy)


def check_overfitting(subject: Subject) -> Check:
    """Training rows against held-out rows."""
    facts = subject.training
    train = known(subject, facts.train_quality, "generalises")
    held = known(subject, facts.heldout_quality, "generalises")
    return judge_overfitting(train, held, subject.contract.task, subject.policy)


def check_slices(subject: Subject) -> Check:
    """Every group of at least 30 held-out rows against all others."""
    return judge_slices(known(subject, subject.training.slices, "groups"), subject.contract.task, subject.policy)


def check_fairness(subject: Subject) -> Check:
    """The groups of protected columns."""
    if subject.contract.task is Task.REGRESSION:
        return judge_fairness({}, subject.contract, subject.policy)
    return judge_fairness(known(subject, subject.training.groups, "groups"), subject.contract, subject.policy)


def check_calibration(subject: Subject) -> Check:
    """The served model's probabilities on the held-out rows, and the champion's."""
    contract, table = subject.contract, subject.heldout
    if contract.task is Task.REGRESSION:
        return judge_calibration(UNDEFINED, table.rows, contract.task, subject.policy)
    rows = table.tuples((*contract.names, contract.target), slice(None))
    truth = truths(contract.task, contract.classes, [row[-1] for row in rows])
    kept = np.flatnonzero(~np.isnan(truth))
    if not kept.size:
        return judge_calibration(UNDEFINED, 0, contract.task, subject.policy)
    features, truth = [rows[place][:-1] for place in kept], truth[kept]
    found = _error(contract, subject.served.predict(features), truth)
    before = UNDEFINED
    if found.low > subject.policy.calibration:  # else nothing hangs on the champion's
        before = _before(subject, features, truth)
    return judge_calibration(found, truth.size, contract.task, subject.policy, before)


def _error(contract: Contract, said: Floats, truth: Floats) -> Measure:
    """Of the last class's probability, or of the chosen one's."""
    if not np.isfinite(said).all():
        raise BundleError("the model answers no finite probabilities")
    if contract.task is Task.BINARY:
        return ece_debiased(truth, said[:, -1])
    chosen = said.argmax(axis=1)
    return ece_debiased((chosen == truth).astype(np.float64), said[np.arange(truth.size), chosen])


def _before(subject: Subject, features: list[tuple[Any, ...]], truth: Floats) -> Measure:
    """The champion's error on the same rows; undefined where it answers another question, or other features."""
    if subject.champion is None or subject.before is None:
        return UNDEFINED
    theirs = subject.before.contract
    if theirs.classes != subject.contract.classes or not set(theirs.names) <= set(subject.contract.names):
        return UNDEFINED
    model = subject.bundles.load(subject.champion.bundle)
    return _error(theirs, model.predict(columns_of(subject.contract, theirs, features)), truth)


def check_useful(subject: Subject) -> Check:
    """The registration's permutation importances."""
    return judge_useful(
        known(subject, subject.training.importances, "importances"), subject.contract.task, subject.policy
    )
