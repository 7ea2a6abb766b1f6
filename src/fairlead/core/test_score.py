"""The ML Test Score (Breck, Cai, Nielsen, Salib and Sculley, 2017): 28 tests in four sections.

A test counts 1 where the evidence proves it by itself, and 0.5 where somebody attests it. The score is that of the
weakest section: strength in one does not make up for a hole in another.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

from msgspec import Struct

from fairlead.core.checklist import Evidence, Item, Phase, Shown, Sign, State, stands
from fairlead.core.checklist_items import ITEMS
from fairlead.core.gate import Check

Area = Literal["data", "model", "infrastructure", "monitoring"]
AREAS: tuple[Area, ...] = get_args(Area)
_POINTS: dict[State, float] = {"proven": 1.0, "attested": 0.5}
# From which score on a system is called what.
_READINGS = (
    (5.0, "exceptional: tests run by themselves everywhere"),
    (3.0, "strong, and further automation is worth it"),
    (2.0, "reasonably tested, and more of that is possible"),
    (1.0, "a first pass, and serious holes are likely"),
    (0.0, "not wholly untested, and serious holes are likely"),
)


class ScoreTest(Struct, frozen=True):
    """One of the 28: what proves it, and the checklist's items whose attested answers stand in."""

    area: Area
    number: int
    text: str
    checks: tuple[str, ...] = ()
    signs: tuple[Sign, ...] = ()
    answers: tuple[str, ...] = ()


def _test(
    area: Area, number: int, text: str, checks: str = "", signs: tuple[Sign, ...] = (), answers: str = ""
) -> ScoreTest:
    return ScoreTest(area, number, text, tuple(checks.split()), signs, tuple(answers.split()))


TESTS: tuple[ScoreTest, ...] = (
    _test("data", 1, "What is expected of features is in a schema",
          "schema_equals_training null_rates ranges_plausible categories_known"),
    _test("data", 2, "Every feature is worth something", "features_useful"),
    _test("data", 3, "No feature costs more than it is worth", answers="feature-cost"),
    _test("data", 4, "Features keep to what may be used", answers="feature-policy"),
    _test("data", 5, "The pipeline guards privacy", "personal_data"),
    _test("data", 6, "New features can be added quickly", answers="feature-speed"),
    _test("data", 7, "The code that computes features is tested", signs=("features_in_code",)),
    _test("model", 1, "Every model's specification is reviewed and committed", "dataset_pinned", ("code_committed",),
          "code-reviewed"),
    _test("model", 2, "What is measured offline is what happens online", signs=("realised_as_promised",)),
    _test("model", 3, "Hyper-parameters are tuned", answers="tuning"),
    _test("model", 4, "What staleness costs is known", answers="staleness"),
    _test("model", 5, "A simpler model is not better", "simpler_not_better"),
    _test("model", 6, "It is good enough on every important slice", "slices_hold"),
    _test("model", 7, "It includes everybody it should", "fairness_holds"),
    _test("infrastructure", 1, "Training can be repeated", answers="repeatable"),
    _test("infrastructure", 2, "Model specifications have unit tests", answers="training-tested"),
    _test("infrastructure", 3, "The pipeline is tested as a whole", signs=("pipeline_passed",),
          answers="pipeline-tested"),
    _test("infrastructure", 4, "Quality is validated before it is served", signs=("gate_passed",)),
    _test("infrastructure", 5, "A single prediction can be followed step by step",
          "loads_in_clean_process portable_agrees logging_proven"),
    _test("infrastructure", 6, "A part of the traffic sees it first", signs=("seen_by_part_first",)),
    _test("infrastructure", 7, "It can be taken back", "rollback_rehearsed"),
    _test("monitoring", 1, "A change of what it depends on is noticed", signs=("same_packages",)),
    _test("monitoring", 2, "What must be true of the data is watched", "monitors_alive", ("watched",)),
    _test("monitoring", 3, "Training and serving compute the same", "portable_agrees golden_over_http",
          ("features_in_code",)),
    _test("monitoring", 4, "No model gets too old", signs=("retraining_defined",)),
    _test("monitoring", 5, "It is numerically stable", "robust_to_bad_input"),
    _test("monitoring", 6, "It has not become slower or larger", "latency_and_memory memory_stable"),
    _test("monitoring", 7, "It has not become worse", "better_than_champion", ("realised_as_promised",)),
)  # fmt: skip


class Point(Struct, frozen=True):
    """What one test counts, and why."""

    area: Area
    number: int
    text: str
    points: float  # 1, 0.5 or 0
    reason: str


class MlTestScore(Struct, frozen=True):
    """The score: the least of the four areas' sums, each 0 to 7."""

    score: float
    areas: dict[str, float]
    points: tuple[Point, ...]
    reading: str


def score(evidence: Evidence) -> MlTestScore:
    """The score on the evidence that there is. Waived checks prove nothing, and no answer outweighs a failed check."""
    points = tuple(_point(test, evidence) for test in TESTS)
    areas: dict[str, float] = {area: _sum(points, area) for area in AREAS}
    least = min(areas.values())
    reading = next((word for bound, word in _READINGS if least > bound), "not tested as a production system")
    return MlTestScore(least, areas, points, reading)


def _sum(points: Iterable[Point], area: Area) -> float:
    return sum(point.points for point in points if point.area == area)


def _point(test: ScoreTest, evidence: Evidence) -> Point:
    phase: Phase = "anti-fake"  # of no list: it is only judged like an item
    state, reason = "open", "nobody has attested it"
    checks = tuple(name for name in test.checks if _applies(evidence.checks.get(name)))
    signs = tuple(name for name in test.signs if _applies(evidence.signs.get(name)))
    if checks or signs:
        found = stands(Item("", phase, test.text, checks, signs), evidence)
        state, reason = found.state, found.reason
    elif test.checks or test.signs:
        reason = "nothing of it applies, so nothing is proven"
    if state == "open" and test.answers:
        lines = [stands(item, evidence) for item in ITEMS if item.name in test.answers]
        if all(line.state == "attested" for line in lines):
            state, reason = "attested", "; ".join(line.reason for line in lines)
    return Point(test.area, test.number, test.text, _POINTS.get(state, 0.0), reason)  # type: ignore[call-overload]


def _applies(found: Check | Shown | None) -> bool:
    """Whether it can prove anything; what was not looked for yet might."""
    return found is None or found.applies
