"""What a watch holds of windows that were judged, and what a restart makes of it."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.flows.test_watch import World, judged, outcomes, population, records

from fairlead.core.event import IncidentOpened, WindowJudged
from fairlead.core.report import WindowReport, report_of
from fairlead.core.window import DAY
from fairlead.flows.respond import Responder, Response
from fairlead.flows.watching.cohort import Cohort
from fairlead.flows.watching.judge import Policy
from fairlead.stats.profile import NumericProfile


def told(world: World) -> list[WindowReport]:
    """The reports in the journal."""
    return [report_of(entry.fact) for entry in world.journal.read(kinds=["window_judged"])]  # type: ignore[arg-type]


def live(kind: type) -> int:
    """How many objects of a kind there are."""
    gc.collect()
    return sum(isinstance(one, kind) for one in gc.get_objects())


def test_a_judged_window_keeps_no_features(tmp_path: Path) -> None:
    """Ten windows that wait for their labels hold as many profiles as one does, no feature and no request's name; the
    labels find their answers all the same."""
    world = World(tmp_path)
    world.policy = Policy(maturity_seconds=100 * DAY)
    watch = world.watch()
    held: list[int] = []
    weeks = [population(200, number) for number in range(10)]
    for number, rows in enumerate(weeks):
        watch.observe(records(rows, number), [])
        judged(watch, number + 1)
        held.append(live(NumericProfile))
    assert held[-1] == held[1]
    cohorts = [cohort for span in watch._spans.values() for cohort in span.cohorts.values()]
    assert len(cohorts) == 10
    assert all(cohort.settled and not cohort.ids and not cohort._raws for cohort in cohorts)
    assert not watch._places
    for number, rows in enumerate(weeks):
        watch.observe([], outcomes(records(rows, number), rows, delay=0.0))
    judged(watch, 10, days=1.0)
    matured = [report for report in told(world) if report.stage == "matured"]
    assert [report.performance.labels for report in matured if report.performance] == [200] * 10
    assert not watch._spans


def said(report: WindowReport) -> object:
    """What a report says, but for how far columns are from the last calm window, which a restart forgets."""
    levels = {shift.name: (shift.level, shift.effect, shift.psi) for shift in report.drift}
    harm = (report.harmful, report.harm.level, report.harm.log_e, report.harm.state)
    return report.window, report.stage, report.verdict, report.rows, report.units, report.performance, levels, harm


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    seed=st.integers(0, 9_999),
    shift=st.sampled_from([0.0, 1.5]),
    late=st.sampled_from([1.0, 8.0, 15.0]),
    stop=st.integers(0, 3),
)
def test_a_restart_changes_no_report(
    tmp_path_factory: pytest.TempPathFactory, seed: int, shift: float, late: float, stop: int
) -> None:
    """For any shift and delay of labels, and a stop after any week: a new watch that reads the log again journals what
    the old one would have."""
    found = []
    for stops in (False, True):
        world = World(tmp_path_factory.mktemp("world"))
        watch = world.watch()
        log = []
        for number in range(4):
            rows = population(150, seed + number, shift=shift * (number % 2))
            answered = records(rows, number)
            log.append((answered, outcomes(answered, rows, delay=late * 86_400.0)))
            watch.observe(*log[-1])
            judged(watch, number + 1)
            if stops and number == stop:
                watch = world.watch()
                for one in log:
                    watch.observe(*one)
        judged(watch, 4, days=late + 1.0)
        found.append([said(report) for report in told(world)])
    assert found[0] == found[1]


def test_a_settled_cohort_finds_its_own_requests_only(tmp_path: Path) -> None:
    """By the hash of their name; one that it never had has no place."""
    world = World(tmp_path)
    cohort = Cohort(world.watch()._reference(1), profiled=True)  # type: ignore[arg-type]
    rows = records(population(50, 1))
    places = {record.request_id: cohort.add(record) for record in rows}
    assert cohort.place_of(rows[0].request_id) is None  # not settled yet: the watch itself knows
    units = cohort.units
    cohort.settle()
    assert {name: cohort.place_of(name) for name in places} == places
    assert cohort.place_of("somebody-else's") is None
    assert (cohort.units, cohort.rows, cohort.share) == (units, 50, 0.0)
    assert cohort.labelled().share == 0.0


def test_who_answers_remembers_windows_in_short(tmp_path: Path) -> None:
    """Of a hundred columns that were judged, an answer rests on none: remembered are which window it was and its
    labels. After a stop the whole report is answered all the same."""
    world = World(tmp_path)
    watch = world.watch()
    rows = population(400, 1, reversed_truth=True)
    answered = records(rows)
    watch.observe(answered, outcomes(answered, rows, delay=0.0))
    (report,) = judged(watch)
    later = Responder("hotel", world.journal, {}, world.clock, lambda *_: "postmortem.md")
    (response,) = later.catch_up()
    assert sum(isinstance(entry.fact, IncidentOpened) for entry in response.facts) == 1
    assert report.drift
    kept = [entry.fact for entry in later._known() if isinstance(entry.fact, WindowJudged)]
    assert [(one.window, len(one.report) < 600, report_of(one).drift) for one in kept] == [(report.window, True, ())]
    assert not later.catch_up()
    assert later.on_window(report) == Response(retrain=response.retrain)
