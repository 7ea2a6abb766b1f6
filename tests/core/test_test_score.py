"""The ML Test Score."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from fairlead.core.checklist import SIGNS, Attestation, Evidence, Shown
from fairlead.core.checklist_items import ITEMS
from fairlead.core.gate import CHECKS, Check, Waived
from fairlead.core.test_score import AREAS, TESTS, MlTestScore, score
from fairlead.core.verdict import Outcome

CHECKED = sorted({name for test in TESTS for name in test.checks})
ANSWERED = sorted({name for test in TESTS for name in test.answers})


def evidence(
    outcomes: dict[str, Outcome], signs: dict[str, bool | None], answered: set[str], waived: Waived | None = None
) -> Evidence:
    """Evidence of that much."""
    return Evidence(
        100.0,
        {name: Check(name, one, "so", {}, "", 0.0, waived) for name, one in outcomes.items()},  # type: ignore[arg-type]
        {name: Shown(holds, "so") for name, holds in signs.items()},
        {name: Attestation(name, "yes", "mara", "a", 1.0, 200.0, "ana") for name in answered},
    )


ALL_HOLD = dict.fromkeys(CHECKED, Outcome.HOLDS)
ALL_SHOWN: dict[str, bool | None] = dict.fromkeys(SIGNS, True)


def test_there_are_28_tests_seven_in_each_area() -> None:
    """Each by checks and signs that there are, or by items that people can answer."""
    assert [(area, number) for area in AREAS for number in range(1, 8)] == [(one.area, one.number) for one in TESTS]
    assert all(one.checks or one.signs or one.answers for one in TESTS)
    assert set(CHECKED) <= set(CHECKS)
    answerable = {item.name for item in ITEMS if item.attestable}
    assert set(ANSWERED) <= answerable


def test_nothing_is_worth_nothing_and_everything_counts() -> None:
    """0 without evidence; with all of it 1 for what a machine proves and 0.5 for what people say."""
    assert score(evidence({}, {}, set())).score == 0.0
    found = score(evidence(ALL_HOLD, ALL_SHOWN, set(ANSWERED)))
    for area in AREAS:
        said = [test for test in TESTS if test.area == area and not (test.checks or test.signs)]
        assert found.areas[area] == 7.0 - 0.5 * len(said)
    assert found.score == min(found.areas.values())
    assert "exceptional" in found.reading


def test_the_weakest_area_is_the_score() -> None:
    """However good the others are."""
    nothing_watched: dict[str, bool | None] = {
        name: None if name in ("watched", "realised_as_promised") else True for name in SIGNS
    }
    found = score(evidence(ALL_HOLD, nothing_watched, set(ANSWERED)))
    assert found.score == found.areas["model"] < found.areas["infrastructure"]
    assert next(one.points for one in found.points if (one.area, one.number) == ("monitoring", 2)) == 0.0


@pytest.mark.parametrize("outcome", [Outcome.BREACHED, Outcome.UNDECIDED, Outcome.UNMEASURED])
def test_a_check_that_does_not_hold_counts_nothing_waived_or_not(outcome: Outcome) -> None:
    """A waiver lets a version through; it proves nothing."""
    for waived in (None, Waived("ana", 200.0, "soon")):
        found = score(evidence({**ALL_HOLD, "slices_hold": outcome}, ALL_SHOWN, set(ANSWERED), waived))
        assert next(one.points for one in found.points if (one.area, one.number) == ("model", 6)) == 0.0


def test_what_does_not_apply_proves_nothing() -> None:
    """Alone it is worth nothing; beside what applies it takes nothing away."""
    found = evidence(ALL_HOLD, ALL_SHOWN, set(ANSWERED))
    checks = {
        name: replace(check, reason="Does not apply: there is nothing.")
        if name in ("fairness_holds", "categories_known")
        else check
        for name, check in found.checks.items()
    }
    signs = {**found.signs, "features_in_code": Shown(True, "Does not apply: no feature is computed")}
    points = {(one.area, one.number): one.points for one in score(replace(found, checks=checks, signs=signs)).points}
    assert (points["model", 7], points["data", 7]) == (0.0, 0.0)
    assert (points["data", 1], points["monitoring", 3]) == (1.0, 1.0)


def test_an_answer_is_half_of_a_proof_and_no_word_against_one() -> None:
    """Pipeline tests: 1 by a run, 0.5 by somebody's word, 0 where the run failed whatever they say."""

    def points(sign: bool | None, answered: set[str]) -> float:
        found = score(evidence(ALL_HOLD, {**ALL_SHOWN, "pipeline_passed": sign}, answered))
        return next(one.points for one in found.points if (one.area, one.number) == ("infrastructure", 3))

    said = set(ANSWERED)
    assert [points(True, set()), points(None, said), points(None, set()), points(False, said)] == [1.0, 0.5, 0.0, 0.0]


@settings(deadline=None)  # a pause of the machine is no slowness
@given(
    st.dictionaries(st.sampled_from(CHECKED), st.sampled_from(Outcome)),
    st.dictionaries(st.sampled_from(SIGNS), st.sampled_from([True, False, None])),
    st.sets(st.sampled_from(ANSWERED)),
    st.sampled_from(CHECKED),
)
def test_the_score_is_the_least_sum_and_no_evidence_lowers_it(
    outcomes: dict[str, Outcome], signs: dict[str, bool | None], answered: set[str], more: str
) -> None:
    """Between 0 and 7; one more check that holds never counts less."""
    found: MlTestScore = score(evidence(outcomes, signs, answered))
    assert 0.0 <= found.score == min(found.areas.values()) <= 7.0
    assert sum(point.points for point in found.points) == sum(found.areas.values())
    assert len(found.points) == 28
    assert score(evidence({**outcomes, more: Outcome.HOLDS}, signs, answered)).score >= found.score
