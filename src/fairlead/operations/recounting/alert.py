"""Alerts: whether one was told, held back or over, from the values or the window that it was seen from."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from fairlead.core.alert_evidence import of_alert
from fairlead.core.event import Entry
from fairlead.flows.alert_recount import recount_alert
from fairlead.operations.context import Context
from fairlead.operations.recounting.kind import Kind, Pending

_READ = ("alert_raised", "alert_quieted", "window_judged")


def find(context: Context, model: str | None) -> Iterator[Pending]:
    """The alerts that were raised, held back or ended."""
    known: dict[str, list[Entry]] = {}
    for entry in context.journal.read(model=model, kinds=_READ):
        known.setdefault(entry.fact.model, []).append(entry)
        fact = of_alert(entry)
        if fact is not None:
            decide = partial(recount_alert, entry, known[fact.model])
            yield Pending("alert", f"{fact.model} {fact.alert}", entry, decide, (fact.alert,))


ALERTS = Kind("alert", find)
