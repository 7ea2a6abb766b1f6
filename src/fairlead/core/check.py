"""What a drift comparison means: one of four outcomes, with its reason."""

from __future__ import annotations

from collections.abc import Sequence

from fairlead.core.listing import counted
from fairlead.core.report import SCORE
from fairlead.core.verdict import Outcome, Verdict
from fairlead.stats.distances import Distance
from fairlead.stats.drift import RATIOS, ColumnDrift, Level, ranked

NAMED = 3  # how many columns a reason names
SCORE_NAME = "model score"  # what the column of the model's own output is called before people


def judge_drift(columns: Sequence[ColumnDrift], *, smallest_effect: float = 0.10, evident: bool = True) -> Verdict:
    """The verdict on a table: breached, else unmeasured, else undecided, else holds. Without `evident` a reason names
    whatever lies furthest beyond its limit, as the watch's first two editions did.

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
        return Verdict(
            Outcome.BREACHED, f"{len(flagged):,} {of} drifted: {_listed([_moved(c, evident=evident) for c in flagged])}"
        )
    unmeasured = [f"{_name(column, plain=evident)} ({column.unmeasured})" for column in worst if column.unmeasured]
    if unmeasured:
        return Verdict(Outcome.UNMEASURED, f"{len(unmeasured):,} {of} not measured: {_listed(unmeasured)}")
    blind = sorted((c for c in columns if _detectable(c) > smallest_effect), key=lambda c: (-_detectable(c), c.name))
    if blind:
        return Verdict(
            Outcome.UNDECIDED,
            f"no drift seen, but {len(blind):,} {of} could hide some: {_sees(blind[0], plain=evident)}",
        )
    least = max(columns, key=_detectable)
    return Verdict(Outcome.HOLDS, f"none {of} drifted; a PSI of {_detectable(least):.2g} would have been seen")


def telling(column: ColumnDrift) -> Distance | None:
    """The distance that says most: the furthest beyond its limit, one between distributions before a ratio of rates. Of
    a flagged column it is one that is significant by itself: what chance may have made is no reason for a flag."""
    beyond = [one for one in column.distances if one.corrected > one.warning]
    if column.level is not Level.NONE:
        beyond = [one for one in beyond if one.name in column.evident]
    return _furthest(beyond)


def words(column: ColumnDrift, one: Distance) -> str:
    """A distance of a column, as people read it.

    >>> nulls = Distance("null_rate", 9.34, 9.34, 0.0, 8.1, 10.8, 2.0, 3.0)
    >>> words(ColumnDrift("job", "category", nulls=(0.058, 0.544)), nulls)
    'null in 54.4 %, 5.8 % in the reference'
    """
    if one.name == "null_rate" and column.nulls is not None:
        before, now = (_percent(share) for share in column.nulls)
        return f"null in {now}, {before} in the reference"
    return f"{LABELS.get(one.name, one.name)} {one.corrected:.2g}"


def _percent(share: float) -> str:
    """
    >>> _percent(0.0), _percent(0.0004), _percent(0.544)
    ('none', '0.04 %', '54.4 %')
    """
    if not share:
        return "none"
    return f"{share * 100:.1f} %" if share >= 0.001 else f"{share * 100:.1g} %"


def _furthest(beyond: Sequence[Distance]) -> Distance | None:
    return max(beyond, key=lambda one: (one.name not in RATIOS, one.corrected / one.critical), default=None)


def _moved(column: ColumnDrift, *, evident: bool) -> str:
    """The column, its level, and the distance that says most."""
    if evident:
        most = telling(column)
        return f"{_name(column)} ({column.level}{'' if most is None else f', {words(column, most)}'})"
    most = _furthest([one for one in column.distances if one.corrected > one.warning])
    says = "" if most is None else f", {LABELS.get(most.name, most.name)} {most.corrected:.2g}"
    return f"{column.name} ({column.level}{says})"


def _name(column: ColumnDrift, *, plain: bool = True) -> str:
    return SCORE_NAME if plain and column.name == SCORE else column.name


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


def _sees(column: ColumnDrift, *, plain: bool) -> str:
    rows = f"{column.reference_rows:,} against {counted(column.current_rows, 'row')} of {_name(column, plain=plain)}"
    return f"{rows} show only a PSI above {_detectable(column):.2g}"
