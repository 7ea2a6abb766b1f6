"""What the training rows hold: nulls, ranges, categories, how many there are, and whether callers are let down."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from fairlead.core.contract import Kind
from fairlead.core.gate import Check
from fairlead.core.judge_data import (
    Categories,
    Extent,
    Hit,
    Nulls,
    judge_categories,
    judge_compatible,
    judge_missing,
    judge_nulls,
    judge_personal,
    judge_pinned,
    judge_ranges,
    judge_rows,
    judge_rules,
)
from fairlead.core.personal import personal
from fairlead.flows.gate_checks.splits import known
from fairlead.flows.gate_checks.subject import Subject
from fairlead.flows.training_facts import MOST_ROWS
from fairlead.stats.profile import CategoryProfile, ColumnProfile, NumericProfile, TableProfile

_TAIL = 0.01  # on either side of the range that is compared
_MOST_VALUES = 10_000  # of a feature, looked at one by one
_PERSONAL_SHARE = 0.01
_NUMBERS_ASKED = 1_000  # values of a number that are looked at as text: a card or telephone number


def _columns(profile: TableProfile | None) -> Mapping[str, ColumnProfile]:
    return {} if profile is None else {column.grid.name: column for column in profile.columns}


def check_nulls(subject: Subject) -> Check:
    """The reference profile's nulls against the champion's."""
    split = known(subject, subject.training.split, "split")
    own, before = _columns(subject.profile), _columns(subject.profile_before)
    found = [
        Nulls(name, _nulls(own[name]), _nulls(before[name]) if name in before else None)
        for name in subject.contract.names
        if name in own
    ]
    return judge_nulls(found, split.unlabelled, split.rows, subject.policy)


def _nulls(column: ColumnProfile) -> float:
    return column.nulls / column.rows if column.rows else 0.0


def check_ranges(subject: Subject) -> Check:
    """The middle 98 % of each number against the champion's, and what the contract does not allow."""
    outside = known(subject, subject.training.outside, "values")
    infinite = known(subject, subject.training.infinite, "values")
    own, before = _columns(subject.profile), _columns(subject.profile_before)
    found = []
    for feature in subject.contract.features:
        column = own.get(feature.name)
        if feature.kind not in (Kind.NUMBER, Kind.INTEGER) or not isinstance(column, NumericProfile):
            continue
        low, high = _middle(column)
        strange, endless = outside.get(feature.name, 0) / max(column.rows, 1), infinite.get(feature.name, 0)
        old = before.get(feature.name)
        found.append(
            Extent(feature.name, low, high, strange, endless, _middle(old) if isinstance(old, NumericProfile) else None)
        )
    return judge_ranges(found, subject.champion.version if subject.champion else None, subject.policy)


def _middle(column: NumericProfile) -> tuple[float, float]:
    """Where the middle 98 % lie, to the width of the profile's cells."""
    if not column.present or column.minimum is None or column.maximum is None:
        return 0.0, 0.0
    reached = np.cumsum(column.counts) / column.present
    edges = np.concatenate(([column.minimum], column.grid.edges, [column.maximum])).clip(column.minimum, column.maximum)
    first = int(np.searchsorted(reached, _TAIL, side="right"))
    last = int(np.searchsorted(reached, 1 - _TAIL))
    return float(edges[first]), float(edges[min(last, len(edges) - 2) + 1])


def check_categories(subject: Subject) -> Check:
    """Training rows of categories that the champion's training did not hold; of a first version, that the contract does
    not list."""
    outside = known(subject, subject.training.outside, "values")
    own, before = _columns(subject.profile), _columns(subject.profile_before)
    found = []
    for feature in subject.contract.features:
        column = own.get(feature.name)
        if feature.kind is not Kind.CATEGORY or not isinstance(column, CategoryProfile):
            continue
        old = before.get(feature.name)
        if isinstance(old, CategoryProfile) and not old.grid.hashed:
            found.append(_new_categories(column, old))
        else:
            found.append(Categories(feature.name, column.present, outside.get(feature.name, 0)))
    return judge_categories(found, subject.champion.version if subject.champion else None, subject.policy)


def _new_categories(column: CategoryProfile, old: CategoryProfile) -> Categories:
    seen = {*old.grid.categories, *old.unseen}
    counts = dict(zip(column.grid.categories, column.counts, strict=True)) | column.unseen
    new = {name: count for name, count in counts.items() if name not in seen}
    example = max(new, key=lambda name: new[name], default="")
    return Categories(column.grid.name, column.present, sum(new.values()), example)


def check_rows(subject: Subject) -> Check:
    """How many training rows there are, and were."""
    before = subject.before.lineage.rows if subject.before else None
    return judge_rows(subject.profile.rows, before, len(subject.contract.features), subject.policy)


def check_rules(subject: Subject) -> Check:
    """The contract's rules over the training rows."""
    broken = known(subject, subject.training.broken_rules, "values")
    rows = subject.profile.rows
    return judge_rules(broken, -(-rows // max(1, -(-rows // MOST_ROWS))), subject.contract, subject.policy)


def check_pinned(subject: Subject) -> Check:
    """The lineage's data set."""
    own, before = subject.manifest.lineage, subject.before
    named = known(subject, subject.training.dataset_named, "dataset")
    other = (before.lineage.dataset, before.lineage.dataset_digest) if before else None
    return judge_pinned(own.dataset, own.dataset_digest, other, own.code_commit, named=named)


def check_compatible(subject: Subject) -> Check:
    """The contract against the champion's."""
    before, version = subject.before, subject.champion.version if subject.champion else None
    nulls = {name: _nulls(column) for name, column in _columns(subject.profile_before).items()}
    return judge_compatible(subject.contract, before.contract if before else None, version, nulls, subject.policy)


def check_missing(subject: Subject) -> Check:
    """The contract's word on nulls against the training rows."""
    nulls = {name: _nulls(column) for name, column in _columns(subject.profile).items()}
    return judge_missing(subject.contract, nulls)


def check_personal(subject: Subject) -> Check:
    """Names of features, categories of training, and numbers of the held-out rows."""
    hits = []
    for name, values in _texts(subject):
        kind, share = personal(name, values, share=_PERSONAL_SHARE)
        if kind:
            hits.append(Hit(name, kind, share))
    return judge_personal(hits, len(subject.contract.features), subject.policy)


def _texts(subject: Subject) -> Iterator[tuple[str, list[str]]]:
    """Each feature's distinct values, as text; of a number that is whole and large, as its digits."""
    for feature in subject.contract.features:
        if feature.kind is Kind.CATEGORY:
            yield feature.name, list(feature.categories[:_MOST_VALUES])
        elif feature.kind is Kind.INTEGER and feature.name in subject.heldout.names:
            rows = subject.heldout.tuples([feature.name], slice(_NUMBERS_ASKED))
            yield feature.name, sorted({str(int(value)) for (value,) in rows if value is not None})
        else:
            yield feature.name, []
