"""The small grammar of the settings file: durations, shares, sizes, and guardrails over named metrics.

30s  250ms  4h  7d  2w        durations, in seconds
5%  0.05                      shares, in [0, 1]
512MB  2GB                    sizes, in bytes
error_rate <= 1.25 * champion     p99_latency <= 2 * champion     prediction_psi < 0.25
"""

from __future__ import annotations

import re
from difflib import get_close_matches

from fairlead.core.rollout import Guardrail
from fairlead.errors import SettingsError

_DURATION = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_SIZE = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
_QUANTITY = re.compile(r"\s*(\d+(?:\.\d+)?|\.\d+)\s*([a-z%]*)\s*", re.IGNORECASE)
_GUARDRAIL = re.compile(r"\s*([a-z0-9_]+)\s*(<=|<)\s*(\d+(?:\.\d+)?|\.\d+)\s*(%|ms|s)?\s*(\*\s*champion)?\s*")

# The metrics that a live rollout measures, and whether they may be compared to the champion's.
METRICS = {"error_rate": True, "p99_latency": True, "prediction_psi": False}


def duration(text: str | float) -> float:
    """Seconds. A bare number is seconds.

    >>> duration("1.5h"), duration("250ms"), duration(30)
    (5400.0, 0.25, 30.0)
    """
    return _quantity(text, _DURATION, "a duration such as 30s, 5m, 4h or 7d", default="s")


def share(text: str | float) -> float:
    """A share in [0, 1].

    >>> share("5%"), share(0.05)
    (0.05, 0.05)
    """
    value = _quantity(text, {"": 1.0, "%": 0.01}, "a share such as 5% or 0.05", default="")
    if not 0.0 <= value <= 1.0:
        raise SettingsError(f"{text!r} is not a share: write 0% to 100%, or 0 to 1")
    return value


def shares(text: str) -> dict[int, float]:
    """The shares of versions.

    >>> shares("7=25%, 8=0.2")
    {7: 0.25, 8: 0.2}
    """
    found: dict[int, float] = {}
    for part in text.split(","):
        version, equals, amount = part.partition("=")
        if not equals or not version.strip().isascii() or not version.strip().isdigit():
            raise SettingsError(f"{part.strip()!r} is no version's share: write 7=25%,8=25%")
        if int(version) in found:
            raise SettingsError(f"version {int(version)} has two shares: give each version one")
        found[int(version)] = share(amount.strip())
    return found


def size(text: str | float) -> int:
    """Bytes. A bare number is bytes.

    >>> size("512MB"), size("2GiB")
    (512000000, 2147483648)
    """
    return int(_quantity(text, _SIZE, "a size such as 512MB or 2GiB", default="b"))


def guardrail(text: str) -> Guardrail:
    """A bound on a metric of the new version.

    >>> guardrail("error_rate <= 1.25 * champion")
    Guardrail(text='error_rate <= 1.25 * champion', metric='error_rate', bound=1.25, relative=True)
    >>> guardrail("p99_latency <= 200ms").bound
    200.0
    """
    match = _GUARDRAIL.fullmatch(text)
    if not match:
        raise SettingsError(
            f"{text!r} is not a guardrail: write METRIC <= NUMBER, or METRIC <= NUMBER * champion, "
            f"with METRIC one of {', '.join(METRICS)}"
        )
    metric, _, number, unit, relative = match.groups()
    if metric not in METRICS:
        raise SettingsError(
            f"{metric!r} is not a metric of a rollout{_nearest(metric)}: use one of {', '.join(METRICS)}"
        )
    if relative and not METRICS[metric]:
        raise SettingsError(f"{metric} is compared to a number, not to the champion: write {metric} < 0.25")
    if metric == "p99_latency" and not relative and unit not in ("ms", "s"):
        raise SettingsError(f"{text!r} has no unit: write p99_latency <= 200ms, or <= 2 * champion")
    factor = {"%": 0.01, "s": 1000.0}.get(unit or "", 1.0)
    return Guardrail(text=" ".join(text.split()), metric=metric, bound=float(number) * factor, relative=bool(relative))


def _nearest(word: str) -> str:
    close = get_close_matches(word, METRICS, n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def _quantity(text: str | float, units: dict[str, float] | dict[str, int], expected: str, default: str) -> float:
    if isinstance(text, bool):
        raise SettingsError(f"{text!r} is not {expected}")
    if isinstance(text, int | float):
        return float(text) * units[default]
    match = _QUANTITY.fullmatch(text)
    unit = (match.group(2).lower() or default) if match else ""
    if not match or unit not in units:
        raise SettingsError(f"{text!r} is not {expected}")
    # Decimal texts such as 5% must give 0.05 and not 0.05000000000000001.
    return float(f"{float(match.group(1)) * units[unit]:.15g}")
