"""A window's labels beside those of the last windows, as they go on from window to window with the test of the loss."""

from __future__ import annotations

from msgspec.structs import replace

from fairlead.core.contract import Task
from fairlead.core.report import Performance, metric_name
from fairlead.core.sudden import LabelsSeen, judge_sudden
from fairlead.flows.watching.cohort import Labelled
from fairlead.flows.watching.reference import Reference
from fairlead.flows.watching.verdicts import LossSeen
from fairlead.stats.exceedance import sums_of
from fairlead.stats.lately import Lately, Past, counts_of
from fairlead.stats.performance import HIGHER_IS_BETTER
from fairlead.stats.sequential.betting import LossWatch

_AT_95 = 1.959963984540054


def beside_the_last(loss: LossSeen, reference: Reference, labelled: Labelled, reading: Performance) -> LossSeen:
    """The test of the loss with the window's labels beside those of the windows before, which go on with its state."""
    if loss.after is None:
        return loss
    labels = labels_seen(reference, labelled, loss.before, reading)
    return replace(loss, after=replace(loss.after, lately=lately_after(labels)), labels=labels)


def labels_seen(reference: Reference, labelled: Labelled, state: LossWatch | None, reading: Performance) -> LabelsSeen:
    """What the labels showed, and what `state` remembers of the windows before; classes for what has classes."""
    names: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    if reference.contract.task is not Task.REGRESSION:
        names = reference.contract.classes
        counts = counts_of(labelled.truth, len(names))
    known = state.lately if state is not None and isinstance(state.lately, Lately) else Lately()
    losses = reference.losses(labelled.truth, labelled.decided)
    metric, error = _primary(reading)
    return LabelsSeen(
        Past(sums_of(losses), counts, metric, error),
        known,
        reference.classes,
        names,
        metric_name(reference.metric),
        reference.metric in HIGHER_IS_BETTER,
    )


def _primary(reading: Performance) -> tuple[float | None, float]:
    """The primary metric and its standard error, as its 95 % interval has it."""
    if reading.realised is None or reading.low is None or reading.high is None:
        return None, 0.0
    return reading.realised, (reading.high - reading.low) / (2.0 * _AT_95)


def lately_after(seen: LabelsSeen) -> Lately:
    """What the next window is held to: without this one while it is unlike those before it."""
    found = judge_sudden(seen)
    return seen.before.follow(seen.now, unusual=seen.before.known and bool(found.worse or found.prior))
