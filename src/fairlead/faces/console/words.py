"""Figures and instants as people read them. All instants are shown in UTC."""

from __future__ import annotations

from datetime import UTC, datetime

from fairlead.core.check import LABELS
from fairlead.core.impact import shown as figure
from fairlead.operations.overview import format_metric, percent
from fairlead.operations.shadow_report import sentence

__all__ = [
    "clock",
    "day",
    "distance",
    "duration",
    "figure",
    "format_metric",
    "iso",
    "metric",
    "month",
    "percent",
    "sentence",
]


def _utc(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def iso(at: float) -> str:
    """For machines.

    >>> iso(0.25)
    '1970-01-01T00:00:00.250Z'
    """
    return _utc(at).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def clock(at: float, now: float) -> str:
    """The time of day; with the date when that is not today's.

    >>> clock(86400.0, 86500.0), clock(0.0, 86400.0), clock(0.0, 400 * 86400.0)
    ('00:00:00', '1 Jan 00:00', '1 Jan 1970')
    """
    then, today = _utc(at), _utc(now)
    if then.date() == today.date():
        return f"{then:%H:%M:%S}"
    return f"{then.day} {then:%b %H:%M}" if abs(now - at) < 300 * 86400 else day(at)


def day(at: float) -> str:
    """A date.

    >>> day(0.0)
    '1 Jan 1970'
    """
    then = _utc(at)
    return f"{then.day} {then:%b %Y}"


def month(at: float) -> tuple[str, str]:
    """The short label of a window that starts then, and its year.

    >>> month(0.0), month(4 * 86400.0)
    (('Jan', '1970'), ('5 Jan', '1970'))
    """
    then = _utc(at)
    return (f"{then:%b}" if then.day == 1 else f"{then.day} {then:%b}"), f"{then.year}"


def duration(seconds: float) -> str:
    """A length of time in its two largest units at most.

    >>> [duration(each) for each in (0.042, 7.25, 95, 7260, 200000)]
    ['42 ms', '7.25 s', '1 min 35 s', '2 h 1 min', '2 d 7 h']
    """
    if 0 < seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.3g} s"
    for name, length, part, part_length in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if seconds >= length:
            whole, rest = int(seconds // length), int(seconds % length // part_length)
            return f"{whole} {name} {rest} {part}" if rest else f"{whole} {name}"
    raise AssertionError("every length of a minute or more has a unit")


def distance(name: str) -> str:
    """A distance's name as people write it.

    >>> distance("wasserstein"), distance("psi")
    ('W1', 'PSI')
    """
    return LABELS.get(name, name)


def metric(name: str) -> str:
    """A metric's name as people write it.

    >>> metric("auroc"), metric("log_loss")
    ('AUROC', 'log loss')
    """
    return (
        name.upper() if name in ("auroc", "auprc", "f1", "mae", "mape", "mse", "r2", "rmse") else name.replace("_", " ")
    )
