"""Least-squares fits of one regressor (or the phases of a season) beside the mean, for many series at once.

A family is its name and its rows: regressors of shape (r, slots), centred and of length 1, so that a row's share of the
variance is its squared product with the standardised series. Beyond 48 slots the places where a ramp, or a level that
comes back, may break are thinned to 48; steps may lie anywhere.
"""

from __future__ import annotations

from math import log

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Slots = NDArray[np.intp]
Family = tuple[str, Floats]

STEP, RAMP, RETURN, SEASON, SINUSOID = "step", "ramp", "return", "season", "sinusoid"
PLACES = 48
SHORTEST_RAMP = 4  # slots from the last of the old level to the first of the new one
CYCLES = 3
CHUNK = 128
_TINY = 1e-12


class Fit(Struct, frozen=True, eq=False):
    """The best fit of a family. `place`, `starts` and `ends` count positions, slots and slots; `size` is the change."""

    family: str
    explained: float
    parameters: int
    fit: Floats
    slots: Slots
    rss: float
    size: float
    place: int = 0
    starts: int | None = None
    ends: int | None = None
    period: float | None = None

    def bic(self, n: int) -> float:
        """n ln(RSS / n) + parameters ln n, up to a constant."""
        return n * log(max(self.rss, _TINY) / n) + self.parameters * log(n)


def families(slots: Slots, period: int | None, *, harmonics: bool = True) -> tuple[Family, ...]:
    """The families that compete on these slots."""
    known = [(STEP, steps(slots)), (RAMP, ramps(slots)), (RETURN, returns(slots))]
    if period is not None:
        known.append((SEASON, phases(slots, period)))
    elif harmonics and slots.size >= 4 * CYCLES:
        known.append((SINUSOID, sinusoids(slots)))
    return tuple(known)


def explained(series: Floats, rows: Floats | tuple[Floats, ...]) -> Floats:
    """The largest share of variance that one of a family's rows explains, for each series: (b, n) -> (b,).

    Rows of shape (2, r, n) explain in pairs, those of a season (1, p, n) all together.
    """
    gaps = series - series.mean(axis=1, keepdims=True)
    total = np.einsum("bn,bn->b", gaps, gaps)
    grid = np.asarray(rows)
    best = np.zeros(series.shape[0])
    for start in range(0, series.shape[0], CHUNK):
        part = gaps[start : start + CHUNK]
        if grid.ndim == 2:
            share = ((part @ grid.T) ** 2).max(axis=1)
        elif grid.shape[0] == 1:
            share = ((part @ grid[0].T) ** 2).sum(axis=1)
        else:
            share = ((part @ grid[0].T) ** 2 + (part @ grid[1].T) ** 2).max(axis=1)
        best[start : start + CHUNK] = share
    return np.asarray(best / np.maximum(total, 1e-300), np.float64)


def trend(series: Floats) -> Floats:
    """Mann and Kendall's S, the pairs that rise less the pairs that fall: (b, n) -> (b,)."""
    total = np.zeros(series.shape[0])
    for gap in range(1, series.shape[1]):
        total += np.sign(series[:, gap:] - series[:, :-gap]).sum(axis=1)
    return total


def phase_means(values: Floats, phase: Slots) -> Floats:
    """Each value's mean over its phase."""
    _, code = np.unique(phase, return_inverse=True)
    return np.asarray((np.bincount(code, values) / np.bincount(code))[code], np.float64)


def steps(slots: Slots) -> Floats:
    """A step before every place, or with the place itself half way: (2 (n - 1) - 1, n)."""
    n = slots.size
    whole = np.arange(n)[None] >= np.arange(1, n)[:, None]
    half = (np.sign(np.arange(n)[None] - np.arange(1, n - 1)[:, None]) + 1.0) / 2.0
    return unit(np.vstack([whole.astype(np.float64), half]))


def ramps(slots: Slots) -> Floats:
    """Ramps between two places that lie at least four slots apart."""
    first, last = _pairs(slots.size, SHORTEST_RAMP)
    start, end = slots[first].astype(np.float64), slots[last].astype(np.float64)
    return unit(np.clip((slots[None] - start[:, None]) / (end - start)[:, None], 0.0, 1.0))


def returns(slots: Slots) -> Floats:
    """A level from one place to before another, with at least two slots inside, before and after."""
    first, last = _pairs(slots.size, 2, inside=True)
    place = np.arange(slots.size)[None]
    return unit(((place >= first[:, None]) & (place < last[:, None])).astype(np.float64))


def phases(slots: Slots, period: int) -> Floats:
    """An orthonormal basis of the phases' means beside the mean: (1, p - 1, n)."""
    seen = np.unique(slots % period)
    flags = (slots[None] % period == seen[:, None]).astype(np.float64)
    counts = flags.sum(axis=1, keepdims=True)
    # Helmert contrasts, weighted by how often each phase was seen, are orthogonal and sum to zero over the slots.
    upto = np.cumsum(counts, axis=0)
    means = np.cumsum(flags, axis=0)[:-1] / upto[:-1]
    return unit(flags[1:] / counts[1:] - means)[None]


def sinusoids(slots: Slots) -> Floats:
    """Cosines and sines of at least three cycles, made orthonormal in pairs: (2, r, n)."""
    span = float(slots[-1] - slots[0] + 1)
    cycles = np.arange(CYCLES, int(span // 2), dtype=np.float64)
    angle = 2.0 * np.pi * cycles[:, None] * slots[None] / span
    cosine = unit(np.cos(angle))
    sine = np.sin(angle) - np.sin(angle).mean(axis=1, keepdims=True)
    sine -= (sine * cosine).sum(axis=1, keepdims=True) * cosine
    return np.stack([cosine, unit(sine)])


def unit(rows: Floats) -> Floats:
    """Rows centred and of length 1; a constant row becomes zeros."""
    rows = rows - rows.mean(axis=1, keepdims=True)
    length = np.sqrt((rows * rows).sum(axis=1, keepdims=True))
    return np.asarray(np.divide(rows, length, out=np.zeros_like(rows), where=length > 1e-9), np.float64)


def fitted(values: Floats, slots: Slots, family: Family) -> Fit:
    """The best fit of a family to one series."""
    name, rows = family
    gaps = values - values.mean()
    total = float(gaps @ gaps)
    if name in (SEASON, SINUSOID):
        return _periodic(values, slots, family, total)
    products = rows @ gaps
    best = int(np.argmax(np.abs(products)))
    fit = values.mean() + products[best] * rows[best]
    starts, ends, place = _breaks(name, rows[best], slots)
    edge = int(np.argmax(np.abs(rows[best] - rows[best][0]))) if name == RETURN else -1
    return Fit(
        family=name,
        explained=float(products[best] ** 2 / total),
        parameters=3 if name == STEP else 4,
        fit=fit,
        slots=slots,
        rss=max(total - float(products[best] ** 2), 0.0),
        size=float(fit[edge] - fit[0]),
        place=place,
        starts=starts,
        ends=ends,
    )


def _periodic(values: Floats, slots: Slots, family: Family, total: float) -> Fit:
    name, rows = family
    gaps = values - values.mean()
    if name == SEASON:
        products = rows[0] @ gaps
        fit = values.mean() + products @ rows[0]
        share, parameters = float((products**2).sum()), rows.shape[1] + 1
        period = None
    else:
        pairs = rows @ gaps
        best = int(np.argmax((pairs**2).sum(axis=0)))
        fit = values.mean() + pairs[:, best] @ rows[:, best]
        share, parameters = float((pairs[:, best] ** 2).sum()), 4
        period = float(slots[-1] - slots[0] + 1) / (best + CYCLES)
    return Fit(
        family=name,
        explained=share / total,
        parameters=parameters,
        fit=fit,
        slots=slots,
        rss=max(total - share, 0.0),
        size=float(fit.max() - fit.min()),
        period=period,
    )


def _breaks(name: str, row: Floats, slots: Slots) -> tuple[int, int | None, int]:
    """The first slot of the new level or of the ramp, where it ends, and the place of the first."""
    moved = np.abs(np.diff(row)) > 1e-9
    changes = np.flatnonzero(moved) + 1
    first = int(changes[0])
    if name == STEP:
        return int(slots[first]), None, first
    return int(slots[first]), int(slots[min(changes[-1], slots.size - 1)]), first


def _pairs(n: int, gap: int, *, inside: bool = False) -> tuple[Slots, Slots]:
    margin = 2 if inside else 0
    places = np.arange(margin, n - margin + (1 if inside else 0))
    if places.size > PLACES:
        places = np.unique(np.linspace(places[0], places[-1], PLACES).round().astype(np.intp))
    first, last = np.triu_indices(places.size, 1)
    kept = places[last] - places[first] >= gap
    return places[first][kept], places[last][kept]
