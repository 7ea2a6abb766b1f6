"""A window's labels beside those of the last windows, as they go on from window to window with the test of the loss."""

from __future__ import annotations

from fairlead.core.contract import Task
from fairlead.core.sudden import LabelsSeen, judge_sudden
from fairlead.flows.watching.cohort import Labelled
from fairlead.flows.watching.reference import Reference
from fairlead.stats.exceedance import sums_of
from fairlead.stats.lately import Lately, Past, counts_of
from fairlead.stats.performance import Floats
from fairlead.stats.sequential.betting import LossWatch


def labels_seen(reference: Reference, labelled: Labelled, losses: Floats, state: LossWatch | None) -> LabelsSeen:
    """What the labels showed, and what `state` remembers of the windows before; classes for what has classes."""
    names: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    if reference.contract.task is not Task.REGRESSION:
        names = reference.contract.classes
        counts = counts_of(labelled.truth, len(names))
    known = state.lately if state is not None and isinstance(state.lately, Lately) else Lately()
    return LabelsSeen(Past(sums_of(losses), counts), known, reference.classes, names)


def lately_after(seen: LabelsSeen) -> Lately:
    """What the next window is held to: without this one while it is unlike those before it."""
    found = judge_sudden(seen)
    return seen.before.follow(seen.now, unusual=seen.before.known and bool(found.worse or found.prior))
