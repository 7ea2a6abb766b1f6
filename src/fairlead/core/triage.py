"""The triage of an incident: five steps, each a check with one of four outcomes, and what is to be done first.

| step | question |
|---|---|
| infrastructure | are the workers there, at the newest route, and is traffic answered and kept? |
| panels | what moved, what is broken, and is anybody worse off? |
| golden | does what serves still answer its golden rows as it was registered? |
| timeline | what changed before it began: deploys, routes, settings, upstream? |
| decision | what is to be done, and may it be done without asking? |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from msgspec import Struct

from fairlead.core.listing import counted, first_of
from fairlead.core.recommend import Signs, explained_by_machines
from fairlead.core.report import SCORE, WindowReport
from fairlead.core.verdict import Outcome

STEPS = ("infrastructure", "panels", "golden", "timeline", "decision")
CATEGORIES = ("data", "model", "infrastructure", "integration", "business")
FIRST_RESPONSE: Mapping[str, str] = MappingProxyType(
    {
        "data": "Check the data sources and what feeds them; fall back to another source, or roll the pipeline back",
        "model": "Read the drift and the metrics; go back to the version before, or train a challenger",
        "infrastructure": "Scale up, restart, and check what it depends on",
        "integration": "Verify which version is served to whom, and that no old copy of it is",
        "business": "Ask whoever owns the figure what else changed; the model may not be the cause",
    }
)
_NO_BEGINNING = (
    "when it began is not known: nothing can be laid beside it, and the newest windows alone were looked at "
    "(`incident open --since` says when)"
)
STALE_SECONDS = 10.0  # a worker that has said nothing for so long is missing
FAILING = 0.01  # a larger share of requests without an answer is a fault of the machines
BEFORE_SECONDS = 3600.0  # what changed so shortly before the beginning may be the cause


class TriageCheck(Struct, frozen=True):
    """One step: what was found, in a sentence, and the figures behind it."""

    step: str
    outcome: Outcome
    reason: str
    evidence: tuple[tuple[str, str], ...] = ()


class Triaged(Struct, frozen=True):
    """A triage as the journal has it."""

    at: float
    actor: str
    action: str
    reason: str
    category: str
    approved: bool
    checks: tuple[TriageCheck, ...]


class WorkerSeen(Struct, frozen=True):
    """What one worker last said: its route's generation, how long ago (seconds), and what is wrong for the model."""

    worker: int
    generation: int
    age: float
    error: str = ""


class Machinery(Struct, frozen=True):
    """What the home says of itself. `asked` and `failed` are requests of the last windows; `log` is why the log takes
    no records. Standing alerts of machines that page are `alerts`, those of latency alone `slow`; what pages nobody is
    `mild`: it is told, and is no cause by itself."""

    workers: tuple[WorkerSeen, ...]
    generation: int
    asked: int = 0
    failed: int = 0
    log: str = ""
    alerts: tuple[str, ...] = ()
    slow: tuple[str, ...] = ()
    mild: tuple[str, ...] = ()

    @property
    def faults(self) -> tuple[str, ...]:
        """What is wrong with them, slowness aside."""
        found = [*_workers(self), *([f"the log takes no records: {self.log}"] if self.log else []), *self.alerts]
        if self.asked and self.failed / self.asked > FAILING:
            share = self.failed / self.asked
            found.append(f"{self.failed:,} of {counted(self.asked, 'request')} failed ({share:.1%})")
        return tuple(found)


class GoldenSeen(Struct, frozen=True):
    """The served version's golden rows, asked just now, and what the workers last said of theirs. `rows` is None where
    they could not be asked, `reason` says why, or what was wrong."""

    version: int | None
    rows: int | None
    wrong: int = 0
    reason: str = ""
    workers: tuple[tuple[int, str], ...] = ()  # those that answer otherwise, and how


class Changed(Struct, frozen=True):
    """Something that changed: when, what sort (deploy, route, settings, upstream, worker), and what."""

    at: float
    sort: str
    what: str


def infrastructure(seen: Machinery) -> TriageCheck:
    """Workers, route, answers, log. Without a worker there is nobody to answer: breached. What pages nobody leaves it
    undecided."""
    figures = (
        ("workers", str(len(seen.workers))),
        ("route", str(seen.generation)),
        ("requests failed", f"{seen.failed} of {seen.asked}"),
    )
    faults = (*seen.faults, *seen.slow)
    if faults:
        return TriageCheck("infrastructure", Outcome.BREACHED, "; ".join((*faults, *seen.mild)), figures)
    if seen.mild:
        return TriageCheck("infrastructure", Outcome.UNDECIDED, "; ".join(seen.mild), figures)
    if not seen.asked:
        said = f"{counted(len(seen.workers), 'worker')} at route {seen.generation}; no traffic was seen to judge by"
        return TriageCheck("infrastructure", Outcome.UNDECIDED, said, figures)
    said = (
        f"{counted(len(seen.workers), 'worker')} at route {seen.generation}, {seen.failed:,} of {seen.asked:,} failed"
    )
    return TriageCheck("infrastructure", Outcome.HOLDS, said, figures)


def _workers(seen: Machinery) -> list[str]:
    if not seen.workers:
        return ["no worker is running"]
    silent = [str(one.worker) for one in seen.workers if one.age > STALE_SECONDS]
    behind = [str(one.worker) for one in seen.workers if one.age <= STALE_SECONDS and one.generation < seen.generation]
    faults = [f"worker {', '.join(silent)} has said nothing for over {STALE_SECONDS:.0f} s"] if silent else []
    if behind:
        faults.append(f"worker {', '.join(behind)} is not at route {seen.generation}")
    return faults + [f"worker {one.worker}: {one.error}" for one in seen.workers if one.error]


def panels(reports: Sequence[WindowReport]) -> TriageCheck:
    """What the watch saw in the windows since it began, oldest first. No window is unmeasured."""
    if not reports:
        return TriageCheck("panels", Outcome.UNMEASURED, "no window has been judged since it began")
    worst = next((one for one in reversed(reports) if one.harmful), None)
    broken = {shift.name: shift for one in reports for shift in one.broken}
    moved = {name: None for one in reports for name in one.moved}
    last = reports[-1]
    figures = (
        ("windows", f"{reports[0].window} to {last.window}" if len(reports) > 1 else last.window),
        ("quadrant", last.quadrant.value),
        ("suspects", ", ".join((worst or last).suspects[:5]) or "none"),
    )
    if broken:
        said = "; ".join(shift.broken for shift in list(broken.values())[:3])
        return TriageCheck("panels", Outcome.BREACHED, said, (*figures, ("broken", first_of(list(broken)))))
    if worst is not None:
        return TriageCheck("panels", Outcome.BREACHED, worst.reason, figures)
    if all(one.verdict is Outcome.UNMEASURED for one in reports):
        return TriageCheck("panels", Outcome.UNMEASURED, last.reason, figures)
    drifted = [name for name in moved if name != SCORE]
    if drifted:
        said = f"{first_of(drifted)} moved; whether anybody is worse off is not known yet"
        return TriageCheck("panels", Outcome.UNDECIDED, said, figures)
    return TriageCheck("panels", Outcome.HOLDS, "nothing moved in the inputs or the scores", figures)


def golden(seen: GoldenSeen) -> TriageCheck:
    """Whether what serves answers as it was registered."""
    named = "what serves" if seen.version is None else f"version {seen.version}"
    if seen.workers:
        worker, reason = seen.workers[0]
        others = f" (and {counted(len(seen.workers) - 1, 'other worker')})" if len(seen.workers) > 1 else ""
        return TriageCheck("golden", Outcome.BREACHED, f"on worker {worker}{others}: {reason}")
    if seen.rows is None:
        return TriageCheck("golden", Outcome.UNMEASURED, f"{named} was not asked: {seen.reason or 'it has no rows'}")
    figures = (("rows", str(seen.rows)), ("wrong", str(seen.wrong)))
    if seen.wrong:
        return TriageCheck("golden", Outcome.BREACHED, f"{named}: {seen.reason}", figures)
    said = f"{named} answers {counted(seen.rows, 'golden row')} as it was registered"
    return TriageCheck("golden", Outcome.HOLDS, said, figures)


def timeline(changes: Sequence[Changed], began_at: float | None) -> TriageCheck:
    """What changed within the hour before the beginning, and until it was seen. A change is a suspect, not a proof."""
    if began_at is None:
        return TriageCheck("timeline", Outcome.UNMEASURED, _NO_BEGINNING)
    if not changes:
        return TriageCheck("timeline", Outcome.HOLDS, "nothing is on record that changed within the hour before")
    figures = tuple((one.sort, f"{one.what} ({_before(one.at, began_at)})") for one in changes[-8:])
    nearest = min(changes, key=lambda one: abs(one.at - began_at))
    said = f"{counted(len(changes), 'change')}; nearest, {_before(nearest.at, began_at)}: {nearest.what}"
    return TriageCheck("timeline", Outcome.BREACHED, said, figures)


def _before(at: float, began_at: float) -> str:
    """
    >>> _before(0.0, 90.0), _before(30.0, 0.0)
    ('1.5 min before it began', '30 s after it began')
    """
    gap = abs(began_at - at)
    span = f"{gap:.0f} s" if gap < 60 else f"{gap / 60:.1f} min" if gap < 7200 else f"{gap / 3600:.1f} h"
    return f"{span} {'before' if at <= began_at else 'after'} it began"


def classified(signs: Signs, opened_as: str) -> str:
    """Where the trouble lies: the machines where they may explain it, then broken data, wrong golden rows, and harm;
    where none of them is seen, what it was opened as. What an earlier triage said does not count."""
    if explained_by_machines(signs) and not signs.golden_wrong:
        return "infrastructure" if opened_as != "integration" else opened_as
    if signs.broken:
        return "data"
    if signs.golden_wrong:
        return "integration" if opened_as == "integration" else "model"
    return "model" if signs.harmful and opened_as in ("data", "infrastructure") else opened_as
