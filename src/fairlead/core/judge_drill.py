"""A fire drill of the monitors: what was put before them, and whether they spoke. Nothing is run here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec import UNSET, Struct, UnsetType

from fairlead.core.gate import Check, figures
from fairlead.core.judging import judged
from fairlead.core.listing import counted, first_of
from fairlead.core.verdict import Outcome

FEWEST_ROWS = 100  # of each half of the held-out rows: fewer show little to any monitor


class Drill(Struct, frozen=True):
    """One thing that a monitor was shown. `must_fire` is false for what is as it should be. `skipped` says why it could
    not be shown."""

    name: str
    must_fire: bool
    fired: bool = False
    said: str = ""  # by the monitor
    skipped: str = ""

    @property
    def problem(self) -> str:
        """What is wrong, if anything is."""
        if self.skipped or self.fired is self.must_fire:
            return ""
        tail = f" ({self.said})" if self.said else ""
        return f"{self.name} raised no alarm{tail}" if self.must_fire else f"{self.name} raised an alarm{tail}"


REAL, UNASKED = "real", "unasked"


class Channel(Struct, frozen=True):
    """A channel that was sent a test notice, and its error, if it did not take it. Of a gate that runs by itself `how`
    says what stands in for one: `real`, the last notice on a real alert; `unasked`, nothing, for it calls people."""

    name: str
    error: str = ""
    how: str | UnsetType = UNSET


class Unattended(Struct, frozen=True):
    """What a gate that runs by itself goes by, for it must wake nobody. `told`: by channel, why it did not take its
    newest real notice, empty where it did; a channel that had none lately is left out. `quiet`: those that call nobody,
    and may be sent a test notice."""

    told: Mapping[str, str]
    quiet: frozenset[str]


@judged
def judge_drills(rows: int, drills: Sequence[Drill], channels: Sequence[Channel]) -> Check:
    """What is wrong raises an alarm, what is right raises none, and every channel takes a notice."""
    required = "an alarm for each fault, none for rows as they should be, and a test notice taken by every channel"
    shown = [drill for drill in drills if not drill.skipped]
    faults = [drill for drill in shown if drill.must_fire]
    measured = figures(
        rows=rows,
        faults=len(faults),
        alarms=sum(drill.fired for drill in faults),
        false_alarms=sum(drill.fired for drill in shown if not drill.must_fire),
        channels=len(channels),
        **{f"fired_{drill.name.replace(' ', '_')}": drill.fired for drill in shown},
    )
    problems = [drill.problem for drill in drills if drill.problem]
    if any(one.how is not UNSET for one in channels):
        required = "an alarm for each fault, none for rows as they should be, and no channel that refuses notices"
    problems += [
        f"the channel {one.name} did not take {'its last' if one.how == REAL else 'a test'} notice: {one.error}"
        for one in channels
        if one.error
    ]
    if problems:
        more = f" (and {len(problems) - 3} more)" if len(problems) > 3 else ""
        said = "; ".join(problems[:3])
        return Check("monitors_alive", Outcome.BREACHED, f"In the fire drill {said}{more}.", measured, required)
    if rows < FEWEST_ROWS:
        reason = f"{counted(rows, 'held-out row')} in each half are too few for a fire drill: {FEWEST_ROWS} are needed."
        return Check("monitors_alive", Outcome.UNDECIDED, reason, measured, required)
    if not faults:
        return Check("monitors_alive", Outcome.UNDECIDED, "No fault could be shown to a monitor.", measured, required)
    skipped = [f"{drill.name} ({drill.skipped})" for drill in drills if drill.skipped]
    tail = f"; not shown: {', '.join(skipped)}" if skipped else ""
    where = "".join(_taken(channels)) or "; no channel is configured"
    named = ", ".join(drill.name for drill in faults)
    reason = f"{counted(len(faults), 'alarm')} for {named}, none for rows as they should be{tail}{where}."
    return Check("monitors_alive", Outcome.HOLDS, reason, measured, required)


def _taken(channels: Sequence[Channel]) -> Iterator[str]:
    """How it is known that channels take notices."""
    tested = sum(one.how is UNSET for one in channels)
    if tested:
        yield f"; {counted(tested, 'channel')} took a test notice"
    real = sum(one.how == REAL for one in channels)
    if real:
        yield f"; {counted(real, 'channel')} took a real one lately"
    unasked = [one.name for one in channels if one.how == UNASKED]
    if unasked:
        yield f"; not asked by a gate that runs by itself, for they call people: {first_of(unasked)}"
