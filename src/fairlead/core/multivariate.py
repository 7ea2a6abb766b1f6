"""What a multivariate test means: one of four outcomes, with its reason."""

from __future__ import annotations

from fairlead.core.verdict import Outcome, Verdict
from fairlead.stats.multivariate.evidence import Evidence, Suspect

NAMED = 3  # how many suspects a reason names

_EFFECTS = {
    "mmd": "a shift of the rows by {0:.2g} of their spread",
    "classifier": "an AUROC of {0:.2g} in telling the sides apart",
    "scores": "a KS of {0:.2g}",
    "correlation": "a change of a correlation by {0:.2g}",
}


def judge_multivariate(evidence: Evidence, alpha: float) -> Verdict:
    """The verdict on one test at `alpha`.

    - breached: p <= alpha, and the effect exceeds its limit.
    - undecided: not breached, and an effect at the limit could have gone unseen.
    - holds: the rows would have shown an effect at the limit, and did not, or what they show is below it.

    >>> judge_multivariate(Evidence("classifier", 0.8, 0.8, 0.55, 1e-6, 0.54), 0.01).reason
    'p = 1e-06, with an AUROC of 0.8 in telling the sides apart (limit 0.55)'
    >>> judge_multivariate(Evidence("classifier", 0.5, 0.5, 0.55, 0.6, 0.62), 0.01).outcome.value
    'undecided'
    """
    found = _EFFECTS[evidence.method].format(evidence.effect)
    known = f"p = {evidence.p_value:.2g}, with {found} (limit {evidence.limit:g})"
    if evidence.p_value <= alpha and evidence.effect > evidence.limit:
        return Verdict(Outcome.BREACHED, known + _named(evidence.suspects))
    least = _EFFECTS[evidence.method].format(evidence.detectable)
    if evidence.detectable == float("inf"):
        return Verdict(Outcome.UNDECIDED, f"no p-value as small as {alpha:g} can come of so little data")
    if evidence.detectable > evidence.limit:
        return Verdict(Outcome.UNDECIDED, f"{known}; so few rows show {least} at the least")
    return Verdict(Outcome.HOLDS, f"{known}; {least} would have been seen")


def _named(suspects: tuple[Suspect, ...]) -> str:
    if not suspects:
        return ""
    shown = ", ".join(f"{one.name} ({one.value:.2g})" for one in suspects[:NAMED])
    more = len(suspects) - NAMED
    return f": {shown}" + (f" and {more:,} more" if more > 0 else "")
