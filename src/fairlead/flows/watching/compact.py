"""What a report keeps of columns that did not move: enough to draw them, to hold them against a condition, and no more.

Most columns of most windows are calm, and there each of twenty figures says the same. Kept of them are how far the
column is from its threshold, its PSI, its p-value and its rates of nulls and of unseen categories, to four digits. A
rate of nulls that is left out is 0.
"""

from __future__ import annotations

from collections.abc import Iterable

from fairlead.core.report import FeatureShift

DIGITS = 4


def compacted(shifts: Iterable[FeatureShift]) -> tuple[FeatureShift, ...]:
    """The same columns in the same order, the calm ones in short."""
    return tuple(_short(shift) if _calm(shift) else shift for shift in shifts)


def rounded(value: float | None) -> float | None:
    """To four significant digits.

    >>> rounded(0.0123456), rounded(123456.0), rounded(0.0)
    (0.01235, 123500.0, 0.0)
    """
    return None if value is None else float(f"{value:.{DIGITS}g}")


def _calm(shift: FeatureShift) -> bool:
    return shift.level == "none" and not shift.broken and not shift.jump_level


def _short(shift: FeatureShift) -> FeatureShift:
    return FeatureShift(
        shift.name,
        shift.level,
        method=shift.method,
        effect=rounded(shift.effect),
        threshold=shift.threshold,
        p_value=rounded(shift.p_value),
        psi=rounded(shift.psi),
        null_rate=rounded(shift.null_rate) or None,
        unseen_share=rounded(shift.unseen_share),
    )
