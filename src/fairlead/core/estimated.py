"""What an estimate, and the labels that are there, mean: one of four outcomes, with its reason."""

from __future__ import annotations

from fairlead.core.quadrant import Band
from fairlead.core.report import metric_name
from fairlead.core.verdict import Outcome, Verdict

EFFECT = 0.05  # a fall, as a share of the reference's value, from which it counts
HIDDEN = 0.10  # a fall that must not hide in an interval for it to hold


def judge_estimate(
    metric: str, reference: Band | None, estimated: Band | None, realised: Band | None, refused: str = ""
) -> Verdict:
    """The verdict on one window, from bands turned so that higher is better. What was realised speaks before what was
    estimated.

    - unmeasured: the reference defines no value, or there is neither an estimate nor enough labels;
    - breached: below the reference beyond both intervals, by more than 5 % of its value;
    - undecided: the estimate was `refused`, for this reason; or a fall of 10 % would fit into the interval;
    - holds: none of these.

    >>> judge_estimate("auroc", Band(0.8, 0.79, 0.81), Band(0.7, 0.68, 0.72), None).outcome.value
    'breached'
    """
    name = metric_name(metric)
    if reference is None:
        return Verdict(Outcome.UNMEASURED, f"the reference defines no {name}")
    band, how = (realised, "is") if realised is not None else (estimated, "is estimated at")
    if band is None:
        missing = Verdict(Outcome.UNMEASURED, f"{name} can be neither estimated nor measured")
        return Verdict(Outcome.UNDECIDED, refused) if refused else missing
    text = f"{name} {how} {_shown(band)} against {abs(reference.value):.4g}"
    drop = (reference.value - band.value) / abs(reference.value) if reference.value else 0.0
    if band.below(reference) and drop > EFFECT:
        return Verdict(Outcome.BREACHED, f"{text}: {drop:.1%} worse")
    doubt = f", but {refused}" if refused and realised is None else ""
    if not doubt and reference.value - band.low > HIDDEN * abs(reference.value):
        doubt = f": a fall of {HIDDEN:.0%} could hide in so few rows"
    return Verdict(Outcome.UNDECIDED, text + doubt) if doubt else Verdict(Outcome.HOLDS, text)


def _shown(band: Band) -> str:
    low, high = sorted((abs(band.low), abs(band.high)))
    return f"{abs(band.value):.4g} [{low:.4g}, {high:.4g}]"
