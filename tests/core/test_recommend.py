"""The table of what to do: each row by the signs that it is for."""

from __future__ import annotations

import pytest

from fairlead.core.incident_terms import ACTIONS, Approvals
from fairlead.core.recommend import RULES, Signs, recommend

ALL = Approvals(rollback=True, threshold=(0.4, 0.6), recalibrate=True, retrain=True)
NONE = Approvals(rollback=False, threshold=None, recalibrate=False, retrain=False)

TABLE: list[tuple[str, Signs, Approvals, str, bool]] = [
    ("taken back", Signs(taken_back=True, golden_wrong=True, previous=1), ALL, "none", True),
    (
        "broken by a deploy",
        Signs(broken=("adr",), since_promotion=60.0, previous=1, reads_alike=False),
        ALL,
        "rollback",
        True,
    ),
    ("broken data", Signs(broken=("adr",), since_promotion=60.0, previous=1), ALL, "fix_data", True),
    ("broken data", Signs(broken=("adr", "city"), harmful=True, labels=5000), NONE, "fix_data", True),
    ("began with a promotion", Signs(since_promotion=1800.0, previous=1, harmful=True), ALL, "rollback", True),
    ("began with a promotion", Signs(since_promotion=1800.0, previous=1, machines="slow"), NONE, "rollback", False),
    ("machines", Signs(since_promotion=3601.0, previous=1, machines="no worker"), ALL, "scale", False),
    ("machines", Signs(since_promotion=60.0, previous=None, machines="no worker"), ALL, "scale", False),
    ("machines", Signs(slow="p99 is 2 s", labels=500), ALL, "scale", False),
    ("machines", Signs(slow="p99 is 2 s", machines="no worker", harmful=True, labels=500), ALL, "scale", False),
    ("began with a promotion", Signs(since_promotion=60.0, previous=1, slow="p99 is 2 s"), ALL, "rollback", True),
    ("learned relation changed", Signs(slow="p99 is 2 s", harmful=True, labels=500), ALL, "retrain", True),
    ("answers otherwise", Signs(golden_wrong=True, previous=3, since_promotion=1e6), ALL, "rollback", True),
    ("answers otherwise, alone", Signs(golden_wrong=True), ALL, "scale", False),
    ("too few labels", Signs(labels=199, harmful=True), ALL, "none", True),
    (
        "prior moved, in band",
        Signs(labels=500, ranking_kept=True, shifted=True, miscalibrated=True, moved_to=0.45),
        ALL,
        "threshold",
        True,
    ),
    (
        "calibration off, ranking kept",
        Signs(labels=500, ranking_kept=True, shifted=True, miscalibrated=True, moved_to=0.35),
        ALL,
        "recalibrate",
        True,
    ),
    (
        "calibration off, ranking kept",
        Signs(labels=500, ranking_kept=True, shifted=True, miscalibrated=True, moved_to=0.45),
        NONE,
        "recalibrate",
        False,
    ),
    (
        "calibration off, ranking kept",
        Signs(labels=500, ranking_kept=True, miscalibrated=True),
        ALL,
        "recalibrate",
        True,
    ),
    (
        "learned relation changed",
        Signs(labels=500, ranking_kept=False, miscalibrated=True, shifted=True, moved_to=0.5),
        ALL,
        "retrain",
        True,
    ),
    ("learned relation changed", Signs(labels=500, harmful=True, quadrant="concept"), NONE, "retrain", False),
    ("learned relation changed, no trainer", Signs(labels=500, harmful=True, trainer=False), ALL, "none", True),
    ("calm", Signs(labels=500, ranking_kept=True), ALL, "none", True),
    ("calm", Signs(labels=500, ranking_kept=True, since_promotion=60.0, previous=1), ALL, "none", True),
]


@pytest.mark.parametrize(("rule", "signs", "approvals", "action", "approved"), TABLE)
def test_the_table(rule: str, signs: Signs, approvals: Approvals, action: str, approved: bool) -> None:
    """Signs lead to one row: its action, its reason, and whether the policy lets it be done without asking."""
    found = recommend(signs, approvals)
    assert (found.rule, found.action, found.approved) == (rule, action, approved)
    assert found.reason
    assert not found.reason.endswith(".")


def test_every_row_is_reached_and_every_action_named() -> None:
    """No row of the table is dead, and each action is some row's."""
    assert {rule for rule, *_ in TABLE} == {rule.name for rule in RULES}
    assert {rule.action for rule in RULES} == set(ACTIONS)


def test_what_was_tried_in_vain_is_not_recommended_again() -> None:
    """Without the rows of an action the next that fits counts."""
    signs = Signs(labels=500, ranking_kept=True, shifted=True, miscalibrated=True, moved_to=0.45, harmful=True)
    left = [rule for rule in RULES if rule.action not in ("threshold", "recalibrate")]
    assert recommend(signs, ALL, left).action == "retrain"
