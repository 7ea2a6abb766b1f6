"""What a drift comparison means: one of four outcomes, with its reason."""

from __future__ import annotations

from collections.abc import Sequence

from fairlead.core.listing import counted
from fairlead.core.verdict import Outcome, Verdict
from fairlead.stats.distances import Distance
from fairlead.stats.drift import RATIOS, ColumnDrift, Level, ranked

NAMED = 3  # how many columns a reason names


def judge_drift(columns: Sequence[ColumnDrift], *, smallest_effect: float = 0.10) -> Verdict:
    """The verdict on a table: breached, else unmeasured, else undecided, else holds.

    - breached: a column is flagged; the worst are named first.
    - unmeasured: a column could not be compared, or there is none.
    - undecided: nothing is flagged, but a column has so few rows that a PSI of `smallest_effect` could go unseen.
    - holds: every column was measured and nothing of that size moved.

    >>> judge_drift(()).outcome.value
    'unmeasured'
    """
    if not columns:
        return Verdict(Outcome.UNMEASURED, "no column was compared")
    total = len(columns)
    of = f"of {total:,} {'column' if total == 1 else 'columns'}"
    worst = ranked(columns)
    flagged = [column for column in worst if column.level is not Level.NONE]
    if flagged:
        return Verdict(Outcome.BREACHED, f"{len(flagged):,} {of} drifted: {_listed([_moved(c) for c in flagged])}")
    unmeasured = [f"{column.name} ({column.unmeasured})" for column in worst if column.unmeasured]
    if unmeasured:
        return Verdict(Outcome.UNMEASURED, f"{len(unmeasured):,} {of} not measured: {_listed(unmeasured)}")
    blind = sorted((c for c in columns if _detectable(c) > smallest_effect), key=lambda c: (-_detectable(c), c.name))
    if blind:
        return Verdict(Outcome.UNDECIDED, f"no drift seen, but {len(blind):,} {of} could hide some: {_sees(blind[0])}")
    least = max(columns, key=_detectable)
    return Verdict(Outcome.HOLDS, f"none {of} drifted; a PSI of {_detectable(least):.2g} would have been seen")


def telling(column: ColumnDrift) -> Distance | None:
    """The distance that says most: the furthest beyond its limit, one between distributions before a ratio of rates."""
    beyond = [one for one in column.distances if one.corrected > one.warning]
    return max(beyond, key=lambda one: (one.name not in RATIOS, one.corrected / one.critical), default=None)


def _moved(column: ColumnDrift) -> str:
    """The column, its level, and the distance that says most."""
    most = telling(column)
    says = "" if most is None else f", {LABELS.get(most.name, most.name)} {most.corrected:.2g}"
    return f"{column.name} ({column.level}{says})"


LABELS = {
    "psi": "PSI",
    "ks": "KS",
    "js": "JS",
    "wasserstein": "W1",
    "chi_squared": "Cramer's V",
    "null_rate": "null rate x",
    "unseen": "unseen share",
    "outside": "outside share",
    "rare": "rare class x",
}


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:NAMED])
    return shown if len(names) <= NAMED else f"{shown} and {len(names) - NAMED:,} more"


def _detectable(column: ColumnDrift) -> float:
    return 0.0 if column.detectable is None else column.detectable


def _sees(column: ColumnDrift) -> str:
    rows = f"{column.reference_rows:,} against {counted(column.current_rows, 'row')} of {column.name}"
    return f"{rows} show only a PSI above {_detectable(column):.2g}"
