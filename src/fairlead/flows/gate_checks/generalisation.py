"""How well the model does where it matters: against a simple one, on new rows, in each group, feature by feature."""

from __future__ import annotations

import numpy as np

from fairlead.core.contract import Task
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
from fairlead.flows.gate_checks.subject import Subject
from fairlead.stats.performance import UNDEFINED, ece_debiased


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
    """The served model's probabilities on the held-out rows."""
    contract, table = subject.contract, subject.heldout
    if contract.task is Task.REGRESSION:
        return judge_calibration(UNDEFINED, table.rows, contract.task, subject.policy)
    rows = table.tuples((*contract.names, contract.target), slice(None))
    truth = truths(contract.task, contract.classes, [row[-1] for row in rows])
    kept = np.flatnonzero(~np.isnan(truth))
    if not kept.size:
        return judge_calibration(UNDEFINED, 0, contract.task, subject.policy)
    said = subject.served.predict([rows[place][:-1] for place in kept])
    if not np.isfinite(said).all():
        raise BundleError("the model answers no finite probabilities")
    truth = truth[kept]
    if contract.task is Task.BINARY:
        return judge_calibration(ece_debiased(truth, said[:, -1]), truth.size, contract.task, subject.policy)
    chosen = said.argmax(axis=1)
    found = ece_debiased((chosen == truth).astype(np.float64), said[np.arange(truth.size), chosen])
    return judge_calibration(found, truth.size, contract.task, subject.policy)


def check_useful(subject: Subject) -> Check:
    """The registration's permutation importances."""
    return judge_useful(
        known(subject, subject.training.importances, "importances"), subject.contract.task, subject.policy
    )
