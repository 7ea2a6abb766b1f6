"""The figures of an experiment: each treatment against the control, guardrails, segments, and how they are told."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import inf, isfinite

import numpy as np
from msgspec import Struct, structs
from numpy.typing import NDArray
from scipy.special import ndtri

from fairlead.core.experiment import Benefit, Health, guard
from fairlead.errors import UsageError
from fairlead.operations.experiment_data import Experiment
from fairlead.stats.experiment.compare import Difference, Kind, Look, Metric, compare, compare_always, looks
from fairlead.stats.experiment.sequence import TUNED_FOR
from fairlead.stats.fdr import benjamini_hochberg
from fairlead.stats.intervals import rate_sequence

Flags = NDArray[np.bool_]

_RULE = re.compile(
    r"\s*(?P<metric>.+?)\s*(?P<sign><=|>=)\s*(?:(?P<factor>\d*\.?\d+)\s*\*\s*)?(?:control|champion)"
    r"(?:\s*(?P<step>[+-])\s*(?P<size>\d*\.?\d+)\s*(?P<percent>%?))?\s*"
)


class Rule(Struct, frozen=True):
    """A guardrail: what a metric may lose. `margin` is absolute, or a share of the control where `relative`."""

    text: str
    metric: str
    higher_is_better: bool
    margin: float
    relative: bool


class Guarded(Struct, frozen=True):
    """A guardrail's figures for one treatment, None where it could not be measured, and whether it stood."""

    rule: Rule
    treatment: str
    health: Health
    difference: Difference | None
    why: str = ""


class Part(Struct, frozen=True):
    """One part of a segment: its figures, the q-value over all parts and treatments, and whether it is `flagged`."""

    column: str
    value: str
    treatment: str
    difference: Difference
    q_value: float
    flagged: bool


class Reader(Struct, frozen=True):
    """How figures are read: `alpha` is that of one comparison; `always`: at every look, tuned for so many units."""

    alpha: float
    always: bool
    tuned_for: float = TUNED_FOR

    def read(self, metric: Metric, treated: Flags, alpha: float | None = None) -> tuple[Difference, tuple[Look, ...]]:
        """The difference, and the looks that led to it. Raises `ValueError` for an arm with fewer than two units."""
        level = alpha or self.alpha
        if not self.always:
            return compare(metric, treated, level), ()
        told, found, along = compare_always(metric, treated, level, self.tuned_for)
        return told, looks(found, along)


def rule(text: str) -> Rule:
    """A guardrail in words, on a metric of each unit.

    >>> rule("latency_ms <= 1.05 * control").relative, rule("conversion >= control - 1%").margin
    (True, 0.01)
    """
    match = _RULE.fullmatch(text)
    if not match:
        raise UsageError(
            f"{text!r} is not a guardrail: write METRIC >= control - 1%, METRIC <= control + 0.5 or METRIC <= 1.05 * "
            "control, the sign saying which side is good and the number what may be lost"
        )
    higher = match["sign"] == ">="
    if match["factor"] and match["step"]:
        raise UsageError(f"{text!r} has a factor and a step: a guardrail has one of them")
    if match["factor"]:
        margin = (1.0 - float(match["factor"])) * (1.0 if higher else -1.0)
    else:
        size = float(match["size"] or 0.0) * (0.01 if match["percent"] else 1.0)
        margin = size * (1.0 if (match["step"] == "-") == higher else -1.0) if size else 0.0
    if margin <= 0.0:
        raise UsageError(
            f"{text!r} leaves nothing to lose: no number of units could show that it is kept; name a margin"
        )
    return Rule(" ".join(text.split()), match["metric"], higher, margin, bool(match["factor"]))


def benefit(found: Difference, *, higher_is_better: bool, relative: bool = False) -> Benefit:
    """The difference (the lift where `relative`) turned so that higher is better."""
    value, low, high = found.difference, found.low, found.high
    if relative:
        value, low, high = (0.0 if found.lift is None else found.lift), found.lift_low, found.lift_high
    return Benefit(value, low, high) if higher_is_better else Benefit(-value, -high, -low)


def pair(data: Experiment, treatment: int) -> tuple[Flags, Flags]:
    """Which of the units that count are of this treatment or of the control, and which of those are the treatment's."""
    codes = data.codes[data.inside]
    either = (codes == treatment) | (codes == 0)
    return either, codes[either] == treatment


def guarded(data: Experiment, metrics: Sequence[tuple[Rule, Metric]], treatment: int, reader: Reader) -> list[Guarded]:
    """Each guardrail at one-sided alpha: its interval is two-sided at 2 alpha. No correction for their number."""
    either, treated = pair(data, treatment)
    name = data.arms[treatment]
    found = []
    for one, metric in metrics:
        try:
            told, _ = reader.read(metric.of(either), treated, min(2.0 * reader.alpha, 0.5))
        except ValueError as error:
            found.append(Guarded(one, name, Health.OPEN, None, str(error)))
            continue
        told = _of_few(told, min(2.0 * reader.alpha, 0.5))
        turned = benefit(told, higher_is_better=one.higher_is_better, relative=one.relative)
        found.append(Guarded(one, name, guard(turned, one.margin), told))
    return found


def _of_few(found: Difference, level: float) -> Difference:
    """A difference of shares with ends where there were too few events for the asymptotic sequence, or none: from what
    exact sequences leave each arm, at half the level for both together, as the other sequence may take over."""
    if found.kind is not Kind.RATE or isfinite(found.low) or isfinite(found.high):
        return found
    sides = ((found.treatment, found.treatment_units), (found.control, found.control_units))
    one, two = (rate_sequence(round(share * units), units, level / 4.0) for share, units in sides)
    lifts = (one[0] / two[1] - 1.0, one[1] / two[0] - 1.0 if two[0] > 0.0 else inf)
    ends = {"low": one[0] - two[1], "high": one[1] - two[0], "lift_low": lifts[0], "lift_high": lifts[1]}
    return structs.replace(found, **ends)


def parts(data: Experiment, metric: Metric, columns: Sequence[str], reader: Reader) -> tuple[Part, ...]:
    """Each part of each segment for each treatment, most evident first. Parts with fewer than two units an arm are left
    out. Benjamini-Hochberg over all; at every look over p-values that hold whenever one stops, 1 over the largest E."""
    found: list[Part] = []
    for column in columns:
        labels, codes = data.segment(column)
        for treatment in range(1, len(data.arms)):
            either, treated = pair(data, treatment)
            for place, label in enumerate(labels):
                own = codes[either] == place
                try:
                    told, _ = reader.read(metric.of(either).of(own), treated[own])
                except ValueError:
                    continue
                found.append(Part(column, label, data.arms[treatment], told, 1.0, flagged=False))
    adjusted = benjamini_hochberg([part.difference.p_value for part in found])
    level = reader.alpha * (len(data.arms) - 1)
    judged = (structs.replace(part, q_value=q, flagged=q <= level) for part, q in zip(found, adjusted, strict=True))
    return tuple(sorted(judged, key=lambda part: part.difference.p_value))


def told(found: Difference, alpha: float) -> str:
    """The difference in words.

    >>> counts = Difference(Kind.RATE, 500, 500, 0.12, 0.08, 0.04, 0.003, 0.077, 0.5, 0.03, 1.2, 0.0351)
    >>> told(counts, 0.05)
    '8 % → 12 %, +4 points (95 % interval +0.3 to +7.7), lift +50 % (+3 to +120 %)'
    """
    scale, unit, between = (100.0, " %", " points") if found.kind is Kind.RATE else (1.0, "", "")
    said = f"{found.control * scale:.4g}{unit} → {found.treatment * scale:.4g}{unit}, {found.difference * scale:+.3g}"
    if not isfinite(found.low) or not isfinite(found.high):
        return f"{said}{between}; too few units for an interval that holds at every look"
    said += f"{between} ({_level(alpha)} interval"
    said += f" {found.low * scale:+.3g} to {found.high * scale:+.3g})"
    return said + lift_told(found)


def lift_told(found: Difference) -> str:
    """The relative lift in words; nothing where the control's mean may be 0."""
    if found.lift is None or not isfinite(found.lift_low) or not isfinite(found.lift_high):
        return ""
    low, high = 100.0 * found.lift_low, 100.0 * found.lift_high
    return f", lift {100.0 * found.lift:+.3g} % ({low:+.3g} to {high:+.3g} %)"


def seen(found: Difference, alpha: float, power: float = 0.8) -> float:
    """The difference that these units would have shown with the given power, from the width of their interval."""
    if not isfinite(found.low) or not isfinite(found.high):
        return inf
    z = -float(ndtri(alpha / 2.0))
    return (found.high - found.low) / 2.0 * (1.0 + float(ndtri(power)) / z)


def _level(alpha: float) -> str:
    return f"{100.0 * (1.0 - alpha):.4g} %"
