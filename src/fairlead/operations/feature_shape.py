"""A feature's distribution in one window against the reference it was registered with, in as many bars as a page shows.

Bars of numbers are equally wide between the reference's first and last percent; what lies beyond is a bar at each end,
so that a unit that was changed by a factor shows. Of categories the most frequent of either side are shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from fairlead.adapters.evidence_folder import WINDOWS, EvidenceFolder
from fairlead.core.bundle import PROFILE
from fairlead.core.check import SCORE_NAME
from fairlead.core.report import SCORE
from fairlead.errors import FairleadError
from fairlead.flows.watching.verdicts import read_evidence
from fairlead.operations.context import Context
from fairlead.stats.profile import CategoryProfile, ColumnProfile, NumericProfile, TableProfile

BARS, NAMES = 18, 12
Side = Literal["value", "below", "above", "missing", "new", "other"]


class Bar(Struct, frozen=True):
    """A bar: the shares of the rows that lie in it, of the reference and of the window."""

    label: str
    reference: float
    current: float
    side: Side = "value"


class FeatureShape(Struct, frozen=True):
    """Both distributions. `why` says what is missing where there are no bars."""

    name: str
    bars: tuple[Bar, ...] = ()
    reference_rows: int = 0
    rows: int = 0
    why: str = ""


def shape_of(name: str, reference: ColumnProfile, current: ColumnProfile) -> FeatureShape:
    """Two profiles on one grid as bars."""
    if isinstance(reference, NumericProfile) and isinstance(current, NumericProfile):
        bars = _numbers(reference, current)
    elif isinstance(reference, CategoryProfile) and isinstance(current, CategoryProfile):
        bars = _categories(reference, current)
    else:
        return FeatureShape(name, why="the window's values are of another kind than the reference's")
    if reference.nulls or current.nulls:
        missing = Bar(
            "missing", _share(reference.nulls, reference.rows), _share(current.nulls, current.rows), "missing"
        )
        bars = (*bars, missing)
    return FeatureShape(name, bars, reference.rows, current.rows)


def feature_shape(context: Context, evidence: Sequence[str], feature: str) -> FeatureShape:
    """A feature in the window whose evidence has these digests, against its bundle's reference."""
    name = SCORE if feature == SCORE_NAME else feature
    try:
        for digest in evidence:
            kept = read_evidence(EvidenceFolder(context.home / WINDOWS).get(digest))
            if not kept.counted:
                continue
            text = (context.bundles.path(kept.bundle) / PROFILE).read_bytes()
            reference = msgspec.json.decode(text, type=TableProfile)
            current = kept.current(reference)
            if current is None or name not in reference.names:
                continue
            place = reference.names.index(name)
            return shape_of(feature, reference.columns[place], current.columns[place])
    except (FairleadError, OSError, msgspec.MsgspecError) as error:
        return FeatureShape(feature, why=f"what the window was judged from cannot be read: {error}")
    return FeatureShape(feature, why="the counts of this window were not kept")


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0


def _numbers(reference: NumericProfile, current: NumericProfile) -> tuple[Bar, ...]:
    cuts = reference.grid.edges
    if not cuts.size or not reference.present:
        return ()
    low, high = _ends(reference, cuts)
    edges = np.linspace(low, high, BARS + 1)
    if high <= low:
        edges = np.array([low, low])
    places = _places(cuts, edges)
    shares = [
        np.bincount(places, weights=side.counts, minlength=len(edges) + 1) / max(side.rows, 1)
        for side in (reference, current)
    ]
    labels = [f"below {_short(low)}", *(_short(edge) for edge in edges[:-1]), f"above {_short(high)}"]
    sides: list[Side] = ["below", *(["value"] * (len(edges) - 1)), "above"]  # type: ignore[list-item]
    bars = [
        Bar(label, float(one), float(two), side)
        for label, one, two, side in zip(labels, *(part.tolist() for part in shares), sides, strict=True)
    ]
    return tuple(bar for bar in bars if bar.side == "value" or bar.reference > 0.0 or bar.current > 0.0)


def _ends(reference: NumericProfile, cuts: NDArray[np.float64]) -> tuple[float, float]:
    """The reference's first and last percent, by its cells."""
    total = np.cumsum(reference.counts) / reference.present
    low = int(np.searchsorted(total, 0.01))
    high = int(np.searchsorted(total, 0.99))
    last = cuts.size - 1
    return float(cuts[min(max(low - 1, 0), last)]), float(cuts[min(high, last)])


def _places(cuts: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.intp]:
    """The bar (0: below, last: above) of each cell: cell i is cuts[i-1] < x <= cuts[i]."""
    upper = np.append(cuts, np.inf)
    middle = np.append(cuts, np.inf)
    middle[1:-1] = (cuts[:-1] + cuts[1:]) / 2.0
    narrow = np.append([False], np.append(np.diff(cuts) <= np.spacing(np.abs(cuts[1:])), False))
    middle[narrow] = upper[narrow]
    middle[0] = -np.inf
    found = np.searchsorted(edges, middle, side="right")
    found[middle == edges[-1]] = len(edges) - 1
    places: NDArray[np.intp] = np.minimum(found, len(edges))
    return places


def _short(value: float) -> str:
    return f"{value:,.0f}" if 1e3 <= abs(value) < 1e6 else f"{value:.3g}"


def _categories(reference: CategoryProfile, current: CategoryProfile) -> tuple[Bar, ...]:
    grid = reference.grid
    if grid.hashed:
        return ()
    rows = [max(reference.rows, 1), max(current.rows, 1)]
    pairs = {
        name: (one / rows[0], two / rows[1])
        for name, one, two in zip(grid.categories, reference.counts, current.counts, strict=True)
    }
    shown = sorted(pairs, key=lambda name: -max(pairs[name]))[:NAMES]
    bars = [Bar(name, *pairs[name]) for name in sorted(shown, key=lambda name: -pairs[name][0])]
    rest = [pairs[name] for name in pairs if name not in set(shown)]
    if rest:
        bars.append(Bar(f"{len(rest)} others", sum(one for one, _ in rest), sum(two for _, two in rest), "other"))
    new = sorted(current.unseen.items(), key=lambda item: -item[1])
    bars += [Bar(name, reference.unseen.get(name, 0) / rows[0], count / rows[1], "new") for name, count in new[:5]]
    beyond = sum(count for _, count in new[5:]) + sum(current.buckets)
    if beyond:
        bars.append(Bar("others that are new", 0.0, beyond / rows[1], "new"))
    return tuple(bars)
