"""A past judged by the watch's own code, and what its rules would have told."""

from __future__ import annotations

import re

import numpy as np
import pytest
from msgspec.structs import replace
from tests.flows.test_backtest_rows import CONTRACT, PLAN, REFERENCE, rows

from fairlead.core.alarm import HARMFUL, IMPACT
from fairlead.core.alert import AlertPolicy
from fairlead.core.backtest import Signal
from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.core.contract import Policy as Terms
from fairlead.core.decode import taken
from fairlead.core.faults import CATALOGUE, FLIP, NULLS, PRIOR, REMAP, UNIT
from fairlead.core.harm import HarmPolicy
from fairlead.core.report import Stage
from fairlead.core.window import DAY
from fairlead.flows.backtest import PAGES, Look, Past, alert_signals, look_back, reference_loss, score_rules
from fairlead.flows.backtest_faults import Scene, columns_of, injected, run_faults
from fairlead.flows.backtest_reference import reference_of
from fairlead.flows.backtest_refusals import ALERT, refuses
from fairlead.flows.backtest_rows import Rows, tallied
from fairlead.flows.backtest_rules import RULES
from fairlead.flows.watching.judge import Policy
from fairlead.stats.columns import CategoricalColumn, Column, NumericColumn
from fairlead.testing.reports import benign_report, harmful_report

AT_ONCE = Policy(maturity_seconds=0.0)
NULLABLE = replace(
    REFERENCE, contract=replace(CONTRACT, features=tuple(replace(one, nullable=True) for one in CONTRACT.features))
)


def worsened(some: Rows, since: float) -> Rows:
    """From an instant on the labels say nothing of the score."""
    rng = np.random.default_rng(5)
    truth = np.where(some.at >= since, rng.integers(0, 2, some.size), some.truth)
    return Rows(some.at, some.features, some.score, some.decided, truth.astype(float), some.observed_at)


def past(some: Rows, policy: Policy = AT_ONCE) -> Past:
    """What the watch says of it."""
    found = sorted(tallied(some, REFERENCE, PLAN, 1), key=lambda one: one.window.starts_at)
    return look_back("m", REFERENCE, found, policy)


def test_a_calm_past_pages_nobody() -> None:
    """Twenty days of what was validated: no harm, no page, and no rule but plain significance speaks."""
    found = past(rows(20_000, seed=3, days=20.0, late=0.0))
    assert not any(one.harmful for one in found.windows)
    scores = {one.rule: one for one in score_rules(found, RULES)}
    assert scores[PAGES].notices == 0
    assert {name for name, one in scores.items() if one.breached} <= {"any column p < 0.05"}


def test_harm_is_paged_and_found_where_it_began() -> None:
    """Labels turn to noise on day 12: one true page in the first harmful window, none before."""
    found = past(worsened(rows(20_000, seed=4, days=20.0, late=0.0), 12 * DAY))
    assert [one.harmful for one in found.windows] == [False] * 12 + [True] * 8
    pages = score_rules(found)[0]
    assert (pages.stretches, pages.found, pages.false_notices, pages.real_share) == (1, 1, 0, 1.0)
    assert pages.delay_median is not None
    assert pages.delay_median <= DAY


def test_a_standing_alert_is_told_once_until_it_is_repeated() -> None:
    """Eight harmful days are one notice, and another for each week that it stands."""
    found = past(worsened(rows(20_000, seed=4, days=20.0, late=0.0), 6 * DAY))
    often, seldom = (score_rules(found, (), AlertPolicy(repeat_seconds=days * DAY))[0] for days in (1.0, 400.0))
    assert seldom.notices < often.notices <= often.breached == 14


def test_labels_that_come_late_are_judged_late() -> None:
    """Each window is judged at its close without labels and once they matured; the delay is the labels'."""
    some = worsened(rows(20_000, seed=4, days=20.0, late=0.0), 12 * DAY)
    late = Rows(some.at, some.features, some.score, some.decided, some.truth, some.at + 3 * DAY)
    found = past(late, Policy(maturity_seconds=3 * DAY))
    stages = [look.report.stage for look in found.looks if look.window == 12]
    assert stages == [Stage.CLOSED, Stage.MATURED]
    assert [look.at for look in found.looks] == sorted(look.at for look in found.looks)
    pages = score_rules(found)[0]
    assert pages.found == 1
    assert pages.delay_median is not None
    assert 2.5 * DAY <= pages.delay_median <= 4 * DAY


def test_an_earlier_windows_labels_end_nothing_that_a_later_one_breached() -> None:
    """Two windows do harm, then labels show the one before harmless, then the third does harm: it is told once, as the
    responder tells it; a later window that holds ends it."""
    order = [(1, harmful_report(1)), (2, harmful_report(2)), (0, benign_report(0)), (3, harmful_report(3))]
    order += [(4, benign_report(4)), (5, harmful_report(5))]
    looks = [Look(window, float(at), report) for at, (window, report) in enumerate(order)]
    told = [(look, signal.notice) for look, _, signal in _of(looks)]
    assert [window for window, notice in told if notice] == [1, 5]
    assert 0 not in [window for window, _ in told]


def _of(looks: list[Look]) -> list[tuple[int, str, Signal]]:
    """What was said of harm, with its window."""
    own = alert_signals(looks, AlertPolicy())
    return [(looks[place].window, alarm.alert, signal) for alarm, place, signal in own if alarm.alert == HARMFUL]


def test_a_past_is_judged_the_same_each_time() -> None:
    """Nothing of one run is left for the next: the reports are equal, byte for byte."""
    some = rows(6_000, seed=4, days=6.0, late=0.0)
    assert [look.report for look in past(some).looks] == [look.report for look in past(some).looks]


def test_the_reference_knows_its_loss() -> None:
    """Calibrated scores that are uniform are wrong in a quarter of the rows."""
    assert reference_loss(REFERENCE) == pytest.approx(0.25, abs=0.03)
    assert REFERENCE.loss_bound is not None
    assert REFERENCE.loss_bound > (reference_loss(REFERENCE) or 0.0) + HarmPolicy().tolerance


# -- faults ------------------------------------------------------------------------------------------------------------


def scene() -> Scene:
    """Two calm days of 1,500 rows, and three on which faults begin. The model answers by `x` alone."""
    some = rows(7_500, seed=6, days=5.0, late=0.0)
    days = [some.take(np.flatnonzero((some.at >= day * DAY) & (some.at < (day + 1) * DAY))) for day in range(5)]
    return Scene(REFERENCE, PLAN, AT_ONCE, tuple(days[:2]), tuple(days[2:]), answer)


def answer(some: Rows) -> Rows:
    """What the model says of changed features."""
    x = some.features["x"]
    assert isinstance(x, NumericColumn)
    score = np.clip(np.nan_to_num(x.values / 10, nan=0.5), 0, 1)
    return Rows(some.at, some.features, score, (score >= 0.5).astype(float), some.truth, some.observed_at)


def test_every_fault_of_a_feature_is_found_in_its_first_window_with_the_right_suspect() -> None:
    """On calm ground each fault of each column is said at the close of the window in which it began."""
    found = [one for one in run_faults(scene()) if one.right is not None]
    assert {one.fault for one in found} >= {"null burst", "unit x100", "category rename", "stale feature"}
    missed = [(one.fault, one.column) for one in found if not one.found]
    assert missed == []
    assert {one.windows for one in found} == {0}
    assert [(one.fault, one.column, one.suspect) for one in found if not one.right] == []


def test_values_of_a_category_that_change_places_are_found_by_what_they_go_together_with() -> None:
    """Three jobs are as common as each other before and after; who has them is not who had them, and the job is
    suspected first."""

    def day(number: int, count: int) -> Rows:
        rng = np.random.default_rng(number)
        age = rng.normal(size=count)
        place = np.argsort(np.argsort(age + 0.8 * rng.normal(size=count))) * 3 // count
        score = 1.0 / (1.0 + np.exp(-age))
        truth = (rng.random(count) < score).astype(float)
        features: dict[str, Column] = {
            "age": NumericColumn("age", age),
            "pay": NumericColumn("pay", place + rng.normal(size=count)),
            "job": CategoricalColumn("job", place.astype(np.int32), ("clerk", "miner", "nurse")),
        }
        at = number * DAY + np.arange(count) * (DAY - 1) / count
        return Rows(at, features, score, (score >= 0.5).astype(float), truth, at)

    features = (Feature("age", Kind.NUMBER), Feature("pay", Kind.NUMBER), Feature("job", Kind.CATEGORY))
    contract = Contract(features, Task.BINARY, "y", ("0", "1"))
    reference = reference_of(day(99, 3_000), contract, 0.5, HarmPolicy())
    days = [day(number, 900) for number in range(5)]
    (found,) = run_faults(Scene(reference, PLAN, AT_ONCE, tuple(days[:2]), tuple(days[2:])), (REMAP,))
    assert (found.column, found.by, found.windows, found.right) == ("job", "correlations of job", 0, True)


def test_a_fault_befalls_only_what_it_changes() -> None:
    """Text has no unit, numbers no categories; a column of zeros has no unit either."""
    here = scene()
    assert columns_of(UNIT, here) == ("x",)
    assert columns_of(NULLS, here) == ("x", "plan")
    assert columns_of(FLIP, here) == ("y",)
    flat = [Rows(one.at, {**one.features, "x": NumericColumn("x", one.score * 0)}, one.score, one.decided, one.truth,
                 one.observed_at) for one in here.after]  # fmt: skip
    assert columns_of(UNIT, Scene(REFERENCE, PLAN, AT_ONCE, here.calm, tuple(flat))) == ()


def test_faults_are_the_same_each_time_and_change_what_they_name() -> None:
    """Seeded by fault and column; the other columns, and the labels, stay."""
    first = scene().after[0]
    for fault in CATALOGUE:
        names = columns_of(fault, scene())
        for name in names:
            one, two = (injected(fault, first, name) for _ in range(2))
            assert np.array_equal(one.truth, two.truth, equal_nan=True)
            if fault.on != "label":
                assert np.array_equal(one.truth, first.truth, equal_nan=True)
                others = [other for other in first.features if other != name]
                assert all(one.features[other] is first.features[other] for other in others)
    doubled = injected(PRIOR, first, "y")
    assert doubled.size == first.size


def test_a_model_that_refuses_a_fault_is_a_fault_found() -> None:
    """It would have been an error for callers, not a quiet wrong answer."""

    def refuse(some: Rows) -> Rows:
        raise ValueError(f"{some.size} rows hold a null")

    here = scene()
    found = run_faults(Scene(NULLABLE, PLAN, AT_ONCE, here.calm, here.after, refuse), (NULLS,))
    assert {(one.found, one.by) for one in found} == {(True, "the model refuses it")}
    assert "hold a null" in found[0].note


def test_rows_that_the_contract_refuses_are_found_by_the_alert_on_refused_requests() -> None:
    """Within minutes, as it pages; where nulls are allowed the watch finds them in the window's rows."""
    here = scene()
    for one in run_faults(here, (NULLS,)):
        assert (one.found, one.by, one.windows, one.suspect, one.right, one.paged) == (
            *(True, ALERT, 0, one.column, True, True),
        )
        assert re.fullmatch(r"the contract refuses 2,\d\d\d of 4,500 rows", one.note)
        assert one.seconds is not None
        assert one.seconds < 1_800.0
    found = run_faults(Scene(NULLABLE, PLAN, AT_ONCE, here.calm, here.after, answer), (NULLS,))
    assert {(one.found, one.by == ALERT, one.note) for one in found} == {(True, False, "")}


def test_what_nobody_would_be_told_of_is_not_found_and_the_other_rows_are_judged() -> None:
    """A request in five minutes, every other one refused: no share can be told from chance, and the rows that are left
    hold no null."""
    here = scene()
    thin = tuple(one.every(15) for one in here.after)
    found = run_faults(Scene(REFERENCE, PLAN, AT_ONCE, tuple(one.every(15) for one in here.calm), thin), (NULLS,))
    assert [(one.column, one.found, one.by) for one in found] == [("x", False, ""), ("plan", False, "")]
    assert all(re.fullmatch(r"the contract refuses 1\d\d of 300 rows", one.note) for one in found)


def test_a_window_whose_share_is_unusual_tells_of_what_no_minute_can() -> None:
    """At its close, once four windows have shown what is usual; it pages, and names no field."""
    some = rows(800, seed=6, days=8.0, late=0.0)
    days = [some.take(np.flatnonzero((some.at >= day * DAY) & (some.at < (day + 1) * DAY))) for day in range(8)]
    for one in run_faults(Scene(REFERENCE, PLAN, AT_ONCE, tuple(days[:5]), tuple(days[5:])), (NULLS,)):
        assert (one.found, one.by, one.windows, one.paged) == (True, IMPACT, 0, True)
        assert one.seconds == pytest.approx(DAY, rel=0.02)
        assert (one.suspect, one.right) == ("", False)


def test_rows_that_are_refused_with_and_without_the_fault_are_no_news() -> None:
    """A past whose rows its contract does not take says nothing of a fault."""
    here = scene()
    (plan, x) = (one for one in CONTRACT.features[::-1])
    strict = replace(x, minimum=0.0, maximum=5.0, out_of_range=Terms.REJECT)
    reference = replace(REFERENCE, contract=replace(CONTRACT, features=(strict, plan)))
    found = run_faults(Scene(reference, PLAN, AT_ONCE, here.calm, here.after, answer), (UNIT,))
    assert [one.by == ALERT for one in found] == [False]
    assert "the contract refuses 4," in found[0].note


@pytest.mark.parametrize(
    ("feature", "refused"),
    [
        (Feature("v", Kind.NUMBER), [0, 1, 0, 0, 1]),
        (Feature("v", Kind.NUMBER, nullable=True), [0, 0, 0, 0, 1]),
        (Feature("v", Kind.NUMBER, missing=Terms.IMPUTE), [0, 0, 0, 0, 1]),
        (Feature("v", Kind.INTEGER, nullable=True), [0, 0, 1, 0, 1]),
        (Feature("v", Kind.NUMBER, True, 2.0, 5.0), [0, 0, 0, 0, 1]),
        (Feature("v", Kind.NUMBER, True, 2.0, 5.0, out_of_range=Terms.REJECT), [1, 0, 0, 1, 1]),
        (Feature("v", Kind.NUMBER, True, 2.0, 5.0, out_of_range=Terms.FALLBACK), [0, 0, 0, 0, 1]),
    ],
)
def test_a_number_is_refused_as_the_gateway_refuses_it(feature: Feature, refused: list[int]) -> None:
    """By type, null and range, and by the policy of each: as rows are examined one by one."""
    values = np.array([1.0, np.nan, 2.5, 9.0, np.inf])
    assert refuses(feature, NumericColumn("v", values)).tolist() == [bool(one) for one in refused]
    for value, said in zip(values, refused, strict=True):
        given = None if np.isnan(value) else float(value)
        _, what, policy = taken(feature, given)
        assert bool(what and policy is Terms.REJECT) == bool(said)


@pytest.mark.parametrize(
    ("feature", "refused"),
    [
        (Feature("v", Kind.CATEGORY, categories=("a", "b")), [0, 0, 1]),
        (Feature("v", Kind.CATEGORY, True, categories=("a", "b"), unseen=Terms.REJECT), [0, 1, 0]),
        (Feature("v", Kind.CATEGORY, True, unseen=Terms.REJECT), [0, 0, 0]),
    ],
)
def test_a_category_is_refused_as_the_gateway_refuses_it(feature: Feature, refused: list[int]) -> None:
    """Where it was never seen and that is rejected, or is null and may not be."""
    column = CategoricalColumn("v", np.array([0, 1, -1], np.int32), ("a", "~b"))
    assert refuses(feature, column).tolist() == [bool(one) for one in refused]


def test_the_contract_of_these_tests_is_that_of_the_reference() -> None:
    """Both features are in the profile, beside the score."""
    assert REFERENCE.contract is CONTRACT
    assert set(REFERENCE.profile.names) == {"x", "plan", "__score__"}
