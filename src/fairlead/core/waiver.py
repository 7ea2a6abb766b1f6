"""Waivers: somebody answers for a check that does not hold, for one bundle in one environment, until a day."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from fairlead.core.event import Entry, GateWaived
from fairlead.core.gate import Check, GateReport, Waived
from fairlead.core.gate_sections import NEVER_WAIVED


def waivers(entries: Iterable[Entry], bundle: str, environment: str, now: float) -> dict[str, Waived]:
    """The waivers that count now, by check: the last word on each, of this very bundle and environment.

    What has expired counts no longer; a waiver is taken back by another that ends at once. What may never be waived
    is not, whoever wrote it.
    """
    last: dict[str, Waived] = {}
    for entry in entries:
        fact = entry.fact
        if isinstance(fact, GateWaived) and (fact.bundle, fact.environment) == (bundle, environment):
            last[fact.check] = Waived(entry.actor, fact.until, fact.reason)
    return {name: one for name, one in last.items() if now < one.until and name not in NEVER_WAIVED}


def with_waivers(report: GateReport, found: Mapping[str, Waived]) -> GateReport:
    """The report as it stands under these waivers and no others. What was never made cannot be waived."""
    return replace(report, checks=tuple(_with(check, found) for check in report.checks))


def _with(check: Check, found: Mapping[str, Waived]) -> Check:
    return replace(check, waived=None if check.holds else found.get(check.name))
