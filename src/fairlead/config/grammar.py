"""The small grammar of the settings file: durations, shares, sizes, and guardrails over named metrics.

30s  250ms  4h  7d  2w        durations, in seconds; where minutes, hours or days are usual, never without the unit
5%  0.05                      shares, in [0, 1]
512MB  2GB                    sizes, in bytes
error_rate <= 1.25 * champion     p99_latency <= 2 * champion     prediction_psi < 0.25     flip_rate <= 2%
score_shift <= 20%
accuracy >= champion - 2%         auroc >= 0.98 * champion
conversion >= champion - 1%       refunds <= 1.1 * champion
"""

from __future__ import annotations

import re
from math import inf

from fairlead.config.conditions import condition
from fairlead.core.metrics import METRICS, OUTCOMES, UNBOUND, bounds, is_event, meant
from fairlead.core.rollout import Guardrail
from fairlead.errors import SettingsError

_DURATION = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_DURATION_SUCH = "a duration such as 30s, 5m, 4h or 7d"
_SIZE = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
_QUANTITY = re.compile(r"\s*(\d+(?:\.\d+)?|\.\d+)\s*([a-z%]*)\s*", re.IGNORECASE)
# What is no property of one version alone, with a bound that makes sense: it already compares two things.
_ALONE = {"prediction_psi": "0.25", "flip_rate": "2%", "score_shift": "20%"}


def duration(text: str | float) -> float:
    """Seconds. A bare number is seconds: `span` refuses it where that is hardly meant.

    >>> duration("1.5h"), duration("250ms"), duration(30)
    (5400.0, 0.25, 30.0)
    """
    return _quantity(text, _DURATION, _DURATION_SUCH, default="s")


def span(text: str | float) -> float:
    """Seconds of what minutes, hours and days are usual for: there a number must say its unit. Nothing is 0 in any.

    >>> span("7d"), span(0)
    (604800.0, 0.0)
    """
    seconds = duration(text)
    number = text.strip() if isinstance(text, str) else f"{text:.15g}"
    if seconds and not (isinstance(text, str) and number[-1:].isalpha()):
        if not 0.0 < seconds < inf:
            raise SettingsError(f"{number} is not {_DURATION_SUCH}")
        raise SettingsError(f"{number} says no unit: write {number}d, {number}h or {number}s")
    return seconds


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
    """A bound on a metric of the new version: one of `core.metrics`, or a business event by its name.

    >>> found = guardrail("error_rate <= 1.25 * champion")
    >>> found.metric, found.bound, found.relative
    ('error_rate', 1.25, True)
    >>> guardrail("p99_latency <= 200ms").bound
    200.0
    >>> found = guardrail("conversion >= champion - 1%")
    >>> found.lower, found.bound, found.margin
    (True, 1.0, -0.01)
    """
    try:
        found = condition(text)
    except SettingsError:
        raise SettingsError(
            f"{text!r} is not a guardrail: write METRIC <= NUMBER, METRIC <= NUMBER * champion or METRIC >= champion - "
            f"NUMBER, with METRIC one of {', '.join(bounds())}, or an event such as conversion"
        ) from None
    if found.of not in ("", "champion"):
        raise SettingsError(
            f"{found.text!r} compares to {found.of!r}: a version is compared to a number or the champion"
        )
    rule = Guardrail(
        text=found.text,
        metric=found.metric,
        bound=found.factor,
        relative=bool(found.of),
        lower=found.operator in (">", ">="),
        margin=found.offset,
    )
    if fault := _fault(rule, found.unit):
        raise SettingsError(fault)
    return rule


def _fault(rule: Guardrail, unit: str) -> str:
    if rule.metric in OUTCOMES:
        return _outcome_fault(rule)
    return _event_fault(rule) if is_event(rule.metric) else _table_fault(rule, unit)


def _outcome_fault(rule: Guardrail) -> str:
    """What is wrong with a bound on what became of the answers: how hard they were to give is nobody's merit."""
    name, high = rule.metric, METRICS[rule.metric].better == "higher"
    example = f"{name} {'>= champion - 2%' if high else '<= 1.1 * champion'}"
    if rule.lower != high:
        return f"{rule.text!r}: {name} is good when it is {'high' if high else 'low'}: write {example}"
    if not rule.relative:
        return (
            f"{rule.text!r} compares {name} to a number: it depends on how hard the cases of a week are, so it is "
            f"compared to the champion's at the same time: write {example}"
        )
    return _nothing_to_lose(rule, example)


def _event_fault(rule: Guardrail) -> str:
    """What is wrong with a bound on a business event: nobody knows beforehand how often one happens."""
    known = meant(rule.metric)
    if known:
        return (
            f"{rule.metric!r} is not a metric of a rollout (did you mean {known}?): use one of {', '.join(bounds())}, "
            "or the name of an event"
        )
    example = f"{rule.metric} {'>= champion - 1%' if rule.lower else '<= 1.1 * champion'}"
    if not rule.relative:
        return (
            f"{rule.text!r} compares an event to a number: what has not happened yet would count against it, so it is "
            f"compared to the champion's at the same time: write {example}"
        )
    return _nothing_to_lose(rule, example)


def _nothing_to_lose(rule: Guardrail, example: str) -> str:
    slack = rule.bound - 1.0 if rule.margin == 0.0 else rule.margin
    if rule.bound <= 0.0 or (rule.bound != 1.0 and rule.margin != 0.0) or slack == 0.0 or (slack < 0.0) != rule.lower:
        return (
            f"{rule.text!r} leaves nothing to lose, so no number of units could show that it is kept: write {example}, "
            "with one number for what may be lost"
        )
    return ""


def _table_fault(rule: Guardrail, unit: str) -> str:
    """What is wrong with a bound on a metric of the table; the first of it."""
    name, known = rule.metric, METRICS[rule.metric]
    faults = {
        f"{name} is watched in every A/B rollout and takes no bound: leave it out": name in UNBOUND,
        f"{rule.text!r} bounds it from below, but {name} is good when it is low: write {name} <= …": rule.lower,
        f"{name} is compared to a number, not to the champion: write {name} < {_ALONE.get(name, '')}": (
            rule.relative and name in _ALONE
        ),
        f"{rule.text!r} has a step, but {name} is compared by a factor: write {name} <= 1.25 * champion": (
            rule.margin != 0.0
        ),
        f"{rule.text!r} has no unit: write {name} <= 200ms, or <= 2 * champion": (
            known.unit == "ms" and not rule.relative and unit not in ("ms", "s")
        ),
        f"{rule.text!r} is no share: write at most 100%": (
            known.unit == "share" and not rule.relative and rule.bound > 1.0
        ),
    }
    return next((fault for fault, holds in faults.items() if holds), "")


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
