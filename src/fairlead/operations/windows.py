"""The slots of a served model: what there is, and filling hours again from the log."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, inf

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from fairlead.config.zones import zone_named
from fairlead.core.event import VersionRegistered, WindowJudged
from fairlead.core.facts_act import SlotsFilled
from fairlead.core.slot import Cut
from fairlead.core.window import DAY
from fairlead.errors import NotFound, StateError, UsageError
from fairlead.flows.backfill import Answers, Filled, Filling, fill
from fairlead.flows.watching.slots import parted_by, values_of
from fairlead.operations.context import Context
from fairlead.operations.drift_bases import bare_reference
from fairlead.operations.log_answers import answers_of
from fairlead.operations.performance_clock import written
from fairlead.operations.prediction_log import logged_span
from fairlead.operations.slot_range import at_clock
from fairlead.operations.slot_store import open_slots, slot_plan
from fairlead.ports.slots import SlotStore

CHUNK = 7 * DAY  # what is read of the log at a time
_NOTHING = Answers(np.empty(0), np.empty(0), ())


class Kept(Struct, frozen=True):
    """What is kept of one version: of all its rows, and of which segments."""

    version: int
    starts_at: float
    ends_at: float
    slots: int
    rows: int
    late: int
    segments: tuple[str, ...] = ()


def kept(context: Context, model: str) -> tuple[Kept, ...]:
    """What there is of a model, by version. Raises `NotFound` for a model that there is not, and `StateError`."""
    _bundles(context, model)
    store = open_slots(context)
    held = store.held(model)
    found = []
    for one in held:
        if one.segment:
            continue
        slots = store.read(model, one.version, "", -inf, inf)
        segments = tuple(other.segment for other in held if other.version == one.version and other.segment)
        rows, late = sum(slot.rows for slot in slots), sum(slot.late for slot in slots)
        found.append(Kept(one.version, one.starts_at, one.ends_at, len(slots), rows, late, segments))
    return tuple(found)


def backfill(
    context: Context,
    model: str,
    since: str | None = None,
    until: str | None = None,
    *,
    shrink: bool = False,
    reason: str = "",
) -> tuple[Filled, ...]:
    """Makes the slots of a span again from the log's rows, of every version that answered in it: once or twice is the
    same. Left out, the span is all that the log has; it ends where the last window was judged, as the watch still
    counts what comes after. Slots of which the log no longer has all rows stay, unless it is to `shrink` them.

    What was judged stands. Raises `NotFound` for a model that there is not, `UsageError` for no span, `StateError`.
    """
    bundles = _bundles(context, model)
    span = _span(context, model, since, until)
    if span is None:
        return ()
    store, plan = open_slots(context), slot_plan(context.settings, model)
    found: dict[int, list[Filled]] = {}
    for starts_at, ends_at in _chunks(span):
        answered = answers_of(context, model, starts_at, ends_at)
        for version in sorted({*answered, *_there(store, model, (starts_at, ends_at), bundles)} & {*bundles}):
            reference = bare_reference(context.bundles, bundles[version], version)
            values = values_of(reference.profile, parted_by(reference.profile, plan))
            windows = context.settings.monitoring.judged_plan
            filling = Filling(model, bundles[version], reference, windows, plan.seconds, values)
            rows = answered.get(version, _NOTHING)
            found.setdefault(version, []).append(fill(store, filling, rows, (starts_at, ends_at), shrink=shrink))
    filled = tuple(one for _, parts in sorted(found.items()) for one in (_together(parts),) if one.slots or shrink)
    facts = [
        SlotsFilled(model, one.version, one.starts_at, one.ends_at, one.slots, one.rows, one.late, reason)
        for one in filled
    ]
    if facts:
        context.journal.append(facts, actor=context.actor, at=context.clock.now())
    return filled


def _there(store: SlotStore, model: str, span: tuple[float, float], bundles: dict[int, str]) -> set[int]:
    """The versions that have slots in a span; any of them where a damaged file does not say."""
    try:
        return {one.version for one in store.held(model) if one.starts_at < span[1] and span[0] < one.ends_at}
    except StateError:
        return set(bundles)


def _bundles(context: Context, model: str) -> dict[int, str]:
    found = {
        entry.fact.version: entry.fact.bundle
        for entry in context.journal.read(model=model, kinds=["version_registered"])
        if isinstance(entry.fact, VersionRegistered)
    }
    if not found:
        raise NotFound(f"there is no model {model!r}: `fairlead models` lists them")
    return found


def _span(context: Context, model: str, since: str | None, until: str | None) -> tuple[float, float] | None:
    """From the start of a slot until the end of one, or of what was judged; None where the log has nothing."""
    zone, seconds = zone_named(context.settings.monitoring.zone), float(context.settings.monitoring.slots.every)
    span = logged_span(context, model) if since is None else None
    start = at_clock(since, zone) if since is not None else None if span is None else span[0]
    if start is None:
        return None
    ends = [
        entry.fact.ends_at
        for entry in context.journal.read(model=model, kinds=["window_judged"])
        if isinstance(entry.fact, WindowJudged)
    ]
    judged = max(ends, default=context.clock.now())
    end = judged if until is None else at_clock(until, zone)
    if not (start < end and end > 0.0):
        said = "what was judged ends before it" if until is None else "give an end after the start"
        raise UsageError(f"from {written(start)} to {written(end)} there is nothing to fill: {said}")
    start = max(0.0, Cut(seconds, -inf, inf).edges(start)[0])
    return start, min(seconds * ceil(end / seconds), judged)


def _chunks(span: tuple[float, float]) -> Iterator[tuple[float, float]]:
    start = span[0]
    while start < span[1]:
        end = min((start // CHUNK + 1) * CHUNK, span[1])
        yield start, end
        start = end


def _together(parts: list[Filled]) -> Filled:
    """Of one version, in order of time."""
    slots, rows = sum(one.slots for one in parts), sum(one.rows for one in parts)
    late, stayed = sum(one.late for one in parts), sum(one.stayed for one in parts)
    return replace(parts[0], ends_at=parts[-1].ends_at, slots=slots, rows=rows, late=late, stayed=stayed)
