"""Realised performance of past windows, as it is known now or was known at an instant; asked for, never by itself."""

from __future__ import annotations

from collections.abc import Sequence

from fairlead.adapters.arrow_dataset import open_dataset
from fairlead.core.event import VersionRegistered
from fairlead.core.harm import HarmPolicy
from fairlead.core.known import AsKnown, last_reports
from fairlead.core.report import WindowReport, reports
from fairlead.errors import NotFound, UsageError
from fairlead.flows.as_known import as_known
from fairlead.flows.watching.harms import load_light
from fairlead.flows.watching.reference import Reference
from fairlead.operations.context import Context
from fairlead.operations.performance_clock import instant, seconds_of

NOW = "now"


def known(context: Context, model: str, window: str | None, as_of: str) -> tuple[AsKnown, ...]:
    """The judged windows of a model (`window` names one, or a duration before the last one's end; None: all), as known
    `as_of` an instant of event time, or now. Writes nothing.

    Raises `NotFound` where no window with answers has been judged, `UsageError` for what is no window or instant.
    """
    at = None if as_of == NOW else instant(as_of)
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

    return as_known(context.open_log, _chosen(found, window, model), load, at)


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
