"""Realised performance of past windows, as it is known now or was known at an instant; asked for, never by itself."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

from msgspec.structs import replace

from fairlead.adapters.arrow_dataset import open_dataset
from fairlead.config.zones import zone_named
from fairlead.core.event import VersionRegistered
from fairlead.core.harm import HarmPolicy
from fairlead.core.known import AsKnown, last_reports
from fairlead.core.record import Prediction
from fairlead.core.report import WindowReport, reports
from fairlead.core.slot import parted
from fairlead.errors import NotFound, UsageError
from fairlead.flows.as_known import as_known
from fairlead.flows.watching.features import decoded
from fairlead.flows.watching.harms import load_light
from fairlead.flows.watching.reference import Reference
from fairlead.flows.watching.slots import value_of
from fairlead.operations.context import Context
from fairlead.operations.drift_model import check_feature, check_segment
from fairlead.operations.performance_clock import seconds_of
from fairlead.operations.slot_range import at_clock

NOW = "now"
IN_ALL = "in all"


def known(
    context: Context, model: str, window: str | None, as_of: str, segment: str = "", *, in_all: bool = False
) -> tuple[AsKnown, ...]:
    """The judged windows of a model (`window` names one, or a duration before the last one's end; None: all), as known
    `as_of` an instant of event time, or now; of a `segment` such as region=north only its rows. `in_all` adds all of
    them as one, by version, where there are several. Writes nothing.

    Raises `NotFound` where no window with answers has been judged and for a segment of no feature, `UsageError` for
    what is no window, instant or segment.
    """
    at = None if as_of == NOW else at_clock(as_of, zone_named(context.settings.monitoring.zone))
    if segment:
        check_segment(segment)
    entries = context.journal.read(model=model, kinds=["window_judged"])
    found = last_reports([report for _, report in reports(tuple(entries))])
    if not found:
        raise NotFound(f"no window of {model} with answers has been judged yet: `fairlead up` judges each as it closes")
    digests = {
        entry.fact.version: entry.fact.bundle
        for entry in context.journal.read(model=model, kinds=["version_registered"])
        if isinstance(entry.fact, VersionRegistered)
    }
    loaded: dict[int, Reference] = {}

    def load(version: int) -> Reference:
        if version not in loaded:
            if version not in digests:
                raise NotFound(f"version {version} of {model} answered, but was never registered")
            loaded[version] = load_light(context.bundles, digests[version], version, open_dataset, HarmPolicy())
        return loaded[version]

    chosen = _chosen(found, window, model)
    inside = None
    if segment:
        for version in sorted({report.version for report in chosen}):
            check_feature(segment, f"{model}@{version}", load(version))
        inside = partial(in_segment, *parted(segment))
    totals = _totals(chosen) if in_all else []
    return _summed(as_known(context.open_log, [*chosen, *totals], load, at, inside), len(chosen))


def in_segment(column: str, value: str, record: Prediction) -> bool:
    """Whether an answer's feature has a value, as segments name it."""
    return value_of(decoded([record.features])[0].get(column)) == value


def _totals(chosen: Sequence[WindowReport]) -> list[WindowReport]:
    """All windows of a version as one; none where there is but one."""
    found = []
    for version in sorted({report.version for report in chosen}):
        mine = [report for report in chosen if report.version == version]
        if len(mine) > 1:
            end = max(report.ends_at for report in mine)
            found.append(
                replace(mine[0], window=IN_ALL, ends_at=end, judged_at=mine[-1].judged_at, rows=0, performance=None)
            )
    return found


def _summed(found: tuple[AsKnown, ...], windows: int) -> tuple[AsKnown, ...]:
    """Late labels and corrections are counted from each window's own judgement."""
    return (*found[:windows], *(_counted(total, found[:windows]) for total in found[windows:]))


def _counted(total: AsKnown, windows: Sequence[AsKnown]) -> AsKnown:
    mine = [one for one in windows if one.version == total.version]
    if any(one.ends_at > two.starts_at for one, two in pairwise(mine)):
        return total  # of windows that slide, a label would be counted more than once
    return replace(total, late=sum(one.late for one in mine), corrected=sum(one.corrected for one in mine))


def _chosen(found: Sequence[WindowReport], window: str | None, model: str) -> list[WindowReport]:
    if window is None:
        return list(found)
    named = [report for report in found if report.window == window]
    if named:
        return named
    try:
        seconds = seconds_of(window) or 0.0
    except UsageError:
        known_ones = ", ".join(report.window for report in found[-3:])
        raise UsageError(
            f"{window!r} is no judged window of {model} ({known_ones}) and no duration such as 7d"
        ) from None
    chosen = [report for report in found if report.starts_at >= found[-1].ends_at - seconds]
    if not chosen:
        raise UsageError(f"no judged window of {model} is as short as {window}: the last is {found[-1].window}")
    return chosen
