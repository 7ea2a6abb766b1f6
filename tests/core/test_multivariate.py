from __future__ import annotations

import msgspec
import pytest

from fairlead.core.multivariate import judge_multivariate
from fairlead.core.verdict import Outcome
from fairlead.stats.multivariate.evidence import Evidence, Suspect

FOUND = Evidence(
    method="classifier", statistic=0.7, effect=0.7, limit=0.55, p_value=1e-5, detectable=0.54,
    suspects=tuple(Suspect(name, 0.1) for name in "abcd"),
)  # fmt: skip


def test_significance_and_effect_make_a_breach_that_names_the_worst() -> None:
    """Three suspects, and how many more there are."""
    found = judge_multivariate(FOUND, 0.01)
    assert found.outcome is Outcome.BREACHED
    assert found.reason.endswith("(limit 0.55): a (0.1), b (0.1), c (0.1) and 1 more")


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"p_value": 0.02}, Outcome.HOLDS),
        ({"effect": 0.54}, Outcome.HOLDS),
        ({"p_value": 0.02, "detectable": 0.6}, Outcome.UNDECIDED),
        ({"effect": 0.54, "detectable": 0.6}, Outcome.UNDECIDED),
        ({"detectable": 0.9}, Outcome.BREACHED),
        ({"p_value": 0.02, "detectable": float("inf")}, Outcome.UNDECIDED),
    ],
)
def test_half_of_it_is_no_breach(changes: dict[str, float], outcome: Outcome) -> None:
    """Evidence without size, or size without evidence: holds where the limit would have been seen, or undecided."""
    assert judge_multivariate(msgspec.structs.replace(FOUND, **changes), 0.01).outcome is outcome


@pytest.mark.parametrize(
    ("method", "says"),
    [
        ("mmd", "a shift of the rows by 0.04 of their spread would have been seen"),
        ("classifier", "an AUROC of 0.04 in telling the sides apart would have been seen"),
        ("scores", "a KS of 0.04 would have been seen"),
        ("correlation", "a change of a correlation by 0.04 would have been seen"),
    ],
)
def test_a_reason_says_what_would_have_been_seen(method: str, says: str) -> None:
    """In the method's own terms."""
    calm = Evidence(method=method, statistic=0.0, effect=0.0, limit=0.05, p_value=0.5, detectable=0.04)
    assert judge_multivariate(calm, 0.01).reason.endswith(says)
