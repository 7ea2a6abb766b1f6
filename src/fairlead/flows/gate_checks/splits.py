"""How training and held-out rows were parted, and what the features give away: as the registration measured it."""

from __future__ import annotations

from typing import TypeVar

from msgspec import UnsetType

from fairlead.core.bundle import HELDOUT
from fairlead.core.gate import Check
from fairlead.core.judge_split import judge_leakage, judge_locked, judge_split, judge_times, judge_twins
from fairlead.core.training import truths
from fairlead.errors import BundleError
from fairlead.flows.gate_checks.subject import Subject
from fairlead.flows.training_facts import hashes_of
from fairlead.stats.leakage import remembered

T = TypeVar("T")


def known(subject: Subject, value: T | UnsetType, part: str) -> T:
    """A fact of the registration. Raises `BundleError` with the reason where it has none."""
    if isinstance(value, UnsetType):
        why = subject.training.problems.get(part, "the registration found too few rows to measure it")
        raise BundleError(f"{why}: register the version again")
    return value


def check_leakage(subject: Subject) -> Check:
    """What each feature tells of the target by itself."""
    facts = subject.training
    single, same = known(subject, facts.single, "leaks"), known(subject, facts.copies, "leaks")
    return judge_leakage(single, same, subject.contract, subject.policy)


def check_twins(subject: Subject) -> Check:
    """Equal rows within training and across the split."""
    return judge_twins(known(subject, subject.training.twins, "twins"), subject.policy)


def check_times(subject: Subject) -> Check:
    """Training before held-out."""
    return judge_times(known(subject, subject.training.times, "times"))


def check_split(subject: Subject) -> Check:
    """How the rows were parted."""
    return judge_split(known(subject, subject.training.split, "split"), subject.policy)


def check_locked(subject: Subject) -> Check:
    """The candidate's held-out rows against the rows that the champion remembers."""
    twins = known(subject, subject.training.twins, "twins")
    natural = twins.within / max(twins.rows, 1)
    before = subject.before
    same = before is not None and subject.manifest.files.get(HELDOUT) == before.lineage.dataset_digest
    return judge_locked(_told(subject), natural, same_file=same, policy=subject.policy)


def _told(subject: Subject) -> tuple[int, int] | None:
    """Of the held-out rows, how many the champion's sketch can tell of, and held. None where the two have no columns in
    common to compare: no champion, one of other features, or one from before there were sketches."""
    sketch, contract = subject.training_before.sketch, subject.contract
    if isinstance(sketch, UnsetType) or set(sketch.columns) != set(contract.names):
        return None
    table = subject.heldout
    labels = [label for (label,) in table.tuples([contract.target], slice(None))]
    truth = truths(contract.task, contract.classes, labels)
    return remembered(sketch, hashes_of(contract, table.columns(contract.names), truth))
