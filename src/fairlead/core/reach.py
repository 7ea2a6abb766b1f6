"""Whom an incident reached, and what that cost: counted from its judged windows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from msgspec import Struct

from fairlead.core.change import PER
from fairlead.core.event import Entry, WindowJudged
from fairlead.core.incident import Incident
from fairlead.core.report import Change, WindowReport


class Cost(Struct, frozen=True):
    """What harm cost, with its interval, in the unit of the settings' cost matrix. The bounds of several windows are
    added: they share one reference, so their errors may all lie on one side."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """
        >>> str(Cost(1240.2, 610.0, 1890.7))
        'about 1,240 (610 to 1,891)'
        """
        return f"about {_plain(self.value)} ({_plain(self.low)} to {_plain(self.high)})"


class Impact(Struct, frozen=True):
    """Whom it reached so far: predictions and different users or units, as the journal counts them; and what the
    harmful windows cost, where a cost of decisions is stated."""

    predictions: int = 0
    units: int = 0
    failed: int = 0
    cost: Cost | None = None


class Counted(Struct, frozen=True):
    """What of a window's report tells whom it reached, and whether a column of it is broken."""

    rows: int = 0
    units: int = 0
    failed: int = 0
    cost: Cost | None = None
    broken: bool = False


class _Harm(Struct, frozen=True):
    change: Change | None = None


class _Shift(Struct, frozen=True):
    broken: str = ""


class _Counts(Struct, frozen=True):
    drift: tuple[_Shift, ...] = ()
    units: int = 0
    failed: int = 0
    harmful: bool = False
    harm: _Harm = _Harm()


def counted(fact: WindowJudged) -> Counted:
    """Of a judged window; of another program's report its rows alone."""
    try:
        told = msgspec.json.decode(fact.report, type=_Counts)
    except msgspec.MsgspecError:
        return Counted(fact.rows)
    broken = any(shift.broken for shift in told.drift)
    cost = cost_of(told.harm.change, fact.rows, broken=broken) if told.harmful else None
    return Counted(fact.rows, told.units, told.failed, cost, broken=broken)


def reach_of(incident: Incident, entries: Iterable[Entry], windows: Mapping[str, Counted]) -> Impact:
    """Of an incident: the answers of the windows since it began, by the journal's entries that judge them and what is
    counted of each by its name."""
    began = incident.began_at
    names = {
        entry.fact.window
        for entry in entries
        if isinstance(entry.fact, WindowJudged)
        and began is not None
        and entry.fact.ends_at > began
        and (incident.resolved_seq is None or entry.seq < incident.resolved_seq)
    }
    found = [windows[name] for name in names if name in windows]
    return Impact(
        sum(one.rows for one in found),
        sum(one.units for one in found),
        sum(one.failed for one in found),
        _together([one.cost for one in found if one.cost is not None]),
    )


def cost_of(change: Change | None, rows: int, *, broken: bool = False) -> Cost | None:
    """What a change for the worse cost over the rows of its window; None where no cost of decisions is stated, and
    where scores alone would say it while a column is `broken`."""
    if broken and change is not None and not change.realised:
        return None
    if change is None or change.money is None or change.money_low is None or change.money_high is None:
        return None
    return Cost(*(bound * rows / PER for bound in (change.money, change.money_low, change.money_high)))


def paid(harmful: Sequence[WindowReport]) -> str:
    """What harmful windows cost, as a line of a postmortem."""
    costs = (cost_of(one.harm.change, one.rows, broken=bool(one.broken)) for one in harmful)
    cost = _together([cost for cost in costs if cost is not None])
    if cost is not None:
        return f"Revenue impact: {cost}, by the settings' cost of decisions."
    if any(one.harm.change is not None and one.harm.change.money is not None and one.broken for one in harmful):
        return "Revenue impact: not known: columns were broken, so scores say nothing of it until labels come."
    model = harmful[0].model if harmful else "NAME"
    return f"Revenue impact: not known. `models.{model}.cost` in the settings would say what wrong decisions cost."


def _together(costs: Sequence[Cost]) -> Cost | None:
    if not costs:
        return None
    return Cost(sum(one.value for one in costs), sum(one.low for one in costs), sum(one.high for one in costs))


def _plain(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.2g}"
