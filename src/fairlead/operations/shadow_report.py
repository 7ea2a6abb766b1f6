"""The shadow phase as what it is, a paired experiment: both versions answered the same requests.

Each unit counts once, by its first request that both answered. Of the units whose decision differs, one way should be
as frequent as the other where the versions only disagree by chance (McNemar); segments in which it is not are found by
e-BH. All of it is in the journal but the rows that differ most, which the controller leaves in a note.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct

from fairlead.core.guard import percent
from fairlead.core.listing import counted
from fairlead.core.rollout import Evidence, Paired
from fairlead.flows.paired import WorstPair
from fairlead.stats.intervals import rate_sequence
from fairlead.stats.sequential.combine import e_bh
from fairlead.stats.shadow import QUANTILES, differences, mcnemar, mcnemar_log_e

__all__ = ["SegmentReport", "ShadowReport", "WorstPair", "sentence", "shadow_report", "worst_pairs"]

FOLDER = "shadow_pairs"  # in the home, where the controller leaves the worst pairs of each rollout


class SegmentReport(Struct, frozen=True):
    """One segment, or (empty) all units. `up` and `down` are flips towards a higher and a lower score of the shadow;
    `log_e` and `p_value` are McNemar's, at every look and at one. `differs`: among the segments that e-BH finds."""

    segment: str
    units: int
    flips: int
    up: int
    down: int
    low: float  # of the flip rate, at every look together
    high: float
    p_value: float
    log_e: float
    differs: bool = False

    @property
    def rate(self) -> float:
        """Flips a unit."""
        return self.flips / self.units if self.units else 0.0


class ShadowReport(Struct, frozen=True):
    """All units, the distribution of shadow minus served score, each segment (most evidence first) and the worst rows.

    `quantiles` are (probability, difference). `mean_low` and `mean_high` bound the mean at every look, None before 100
    units.
    """

    all: SegmentReport
    mean: float
    mean_low: float | None
    mean_high: float | None
    deviation: float
    quantiles: tuple[tuple[float, float], ...]
    segments: tuple[SegmentReport, ...] = ()
    worst: tuple[WorstPair, ...] = ()


def shadow_report(seen: Evidence, alpha: float, worst: tuple[WorstPair, ...] = ()) -> ShadowReport | None:
    """The report of a rollout's evidence; None where no unit's request was answered by both."""
    found = {one.segment: one for one in seen.paired or () if one.units > 0}
    whole = found.pop("", None)
    if whole is None:
        return None
    parts = [_segment(one, alpha) for one in found.values()]
    flagged = e_bh([one.log_e for one in parts], alpha) if parts else ()
    told = [msgspec.structs.replace(one, differs=differs) for one, differs in zip(parts, flagged, strict=True)]
    counts = [(value, count) for value, count in whole.differences if count > 0]
    gaps = np.repeat([value for value, _ in counts], [count for _, count in counts])
    spread = differences(np.zeros(gaps.size), gaps, alpha)
    low, high = (None if not np.isfinite(one) else one for one in (spread.low, spread.high))
    return ShadowReport(
        _segment(whole, alpha),
        spread.mean,
        low,
        high,
        spread.deviation,
        tuple(zip(QUANTILES, spread.quantiles, strict=True)),
        tuple(sorted(told, key=lambda one: (-one.log_e, one.segment))),
        worst,
    )


def worst_pairs(home: Path, rollout: str) -> tuple[WorstPair, ...]:
    """The pairs that differ most, as the controller left them; none where there is no note."""
    with suppress(OSError, msgspec.MsgspecError, ValueError):
        text = (home / FOLDER / f"{rollout}.json").read_bytes()
        return msgspec.json.decode(text, type=tuple[WorstPair, ...])
    return ()


def sentence(report: ShadowReport) -> str:
    """The whole in one sentence."""
    one = report.all
    way = "neither way more often" if one.log_e < 3.0 else ("up" if one.up > one.down else "down") + " more often"
    differing = [part.segment for part in report.segments if part.differs]
    where = f"; otherwise in {', '.join(differing)}" if differing else ""
    return (
        f"shadow: {percent(one.rate)} of {counted(one.units, 'unit')} decided otherwise (at every look "
        f"{percent(one.low)} to {percent(one.high)}), {one.up:,} up and {one.down:,} down, {way}; scores moved by "
        f"{report.mean:+.3g} on average, spread {report.deviation:.3g}{where}"
    )


def _segment(one: Paired, alpha: float) -> SegmentReport:
    flips, up, down = (max(0, min(count, one.units)) for count in (one.flips, one.up, one.down))
    low, high = rate_sequence(flips, one.units, alpha)
    return SegmentReport(one.segment, one.units, flips, up, down, low, high, mcnemar(down, up), mcnemar_log_e(down, up))
