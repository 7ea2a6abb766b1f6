"""Who answers its golden rows otherwise and cannot be replaced by itself: people are told."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

from fairlead.core.alarm import GOLDEN
from fairlead.core.alert import Alarm
from fairlead.core.event import AliasMoved, Entry, GoldenTested
from fairlead.core.verdict import Outcome, Verdict

KINDS = ("alias_moved", "golden_tested")
SETTLE_SECONDS = 5.0  # for so long it is the controller's to take the version back


def golden_alarms(entries: Iterable[Entry], model: str, now: float) -> tuple[tuple[Alarm, ...], bool]:
    """A model's alarms, one for each version that ever failed, and whether that is all there is to say for now.

    Breached is that of a champion that fails on some worker and still serves after `SETTLE_SECONDS`; what was taken
    back meanwhile is told of as a rollback.
    """
    champion: int | None = None
    wrong: dict[int, dict[int, tuple[float, str]]] = {}  # version -> worker -> since when, and what
    for entry in entries:
        fact = entry.fact
        if isinstance(fact, AliasMoved) and fact.alias == "champion":
            champion = fact.version
        elif isinstance(fact, GoldenTested) and fact.holds:
            wrong.setdefault(fact.version, {}).pop(fact.worker, None)
        elif isinstance(fact, GoldenTested):
            wrong.setdefault(fact.version, {}).setdefault(fact.worker, (entry.at, fact.reason))
    fresh = chain.from_iterable(found.values() for version, found in wrong.items() if version == champion)
    settled = all(now - since >= SETTLE_SECONDS for since, _ in fresh)
    return tuple(_alarm(model, version, champion, found, now) for version, found in sorted(wrong.items())), settled


def _alarm(model: str, version: int, champion: int | None, found: dict[int, tuple[float, str]], now: float) -> Alarm:
    standing = {worker: reason for worker, (since, reason) in found.items() if now - since >= SETTLE_SECONDS}
    if version != champion:
        verdict = Verdict(Outcome.HOLDS, f"version {version} does not serve")
    elif not found:
        verdict = Verdict(Outcome.HOLDS, "its golden rows are answered as they were registered")
    elif not standing:
        verdict = Verdict(Outcome.UNDECIDED, "it may be taken back yet")
    else:
        workers = ", ".join(map(str, sorted(standing)))
        reason = f"on worker {workers}: {standing[min(standing)]}; there is no version to go back to by itself"
        verdict = Verdict(Outcome.BREACHED, reason)
    title = f"{model} version {version} no longer answers as it was registered"
    return Alarm(model, f"{GOLDEN}:{version}", "critical", title, verdict, runbook=GOLDEN)
