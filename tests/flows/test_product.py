"""The upper rungs without a rollout: from answers and events to figures, facts and what is usual."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec
import numpy as np
import pytest
from msgspec import Raw

from fairlead.core.facts_act import ImpactJudged
from fairlead.core.impact import NEW_USUAL, Figure, ImpactReport, alarm_of_impact, impact_of
from fairlead.core.record import EventRecord, Prediction
from fairlead.core.report import Layer
from fairlead.core.verdict import Outcome
from fairlead.core.window import DAY, MONDAY, WindowPlan
from fairlead.flows.product import MOST_NAMES, Product
from fairlead.testing.clock import ManualClock
from fairlead.testing.journal import MemoryJournal

T0 = MONDAY + 2_800 * 7 * DAY
HOUR = 3_600.0
PLAN = WindowPlan(HOUR)


def answer(at: float, unit: str = "u", **changes: object) -> Prediction:
    """One answer."""
    said = {
        "request_id": f"{unit}-{at}", "model_name": "shop", "model_version": 1, "arm": "champion", "unit_id": unit,
        "propensity": 1.0, "timestamp": at, "received_at": at + 0.01, "features": Raw(b"{}"), "prediction": "yes",
        "score": 0.5, "latency_ms": 5.0,
    }  # fmt: skip
    return Prediction(**(said | changes))  # type: ignore[arg-type]


def event(at: float, unit: str, name: str = "conversion", value: float | str = 1.0, model: str = "shop") -> EventRecord:
    """One event."""
    return EventRecord(f"{unit}-{name}-{at}", model, unit, name, value, at, at)


def hours(
    rng: np.random.Generator, numbers: Iterable[int], rows: int = 200, rate: float = 0.2, **changes: object
) -> tuple[list[Prediction], list[EventRecord]]:
    """Hours of traffic in which a share of units converts and pays."""
    answers, events = [], []
    for hour in numbers:
        for place in range(int(rng.poisson(rows))):
            at, unit = T0 + hour * HOUR + float(rng.uniform(0.0, HOUR)), f"{hour}-{place}"
            answers.append(
                answer(at, unit, score=float(rng.beta(2, 5)), latency_ms=float(rng.lognormal(1, 0.3)), **changes)
            )
            if rng.uniform() < rate:
                events += [event(at + 60.0, unit), event(at + 61.0, unit, "revenue", float(rng.lognormal(3, 0.5)))]
    return answers, events


def product(journal: MemoryJournal | None = None) -> Product:
    """An hourly product rung."""
    return Product("shop", journal or MemoryJournal(), ManualClock(T0), PLAN)


def figure(report: ImpactReport, name: str) -> Figure:
    """One figure of a report."""
    return next(one for one in report.figures if one.name == name)


def fed(rung: Product, told: tuple[list[Prediction], list[EventRecord]], until: int) -> list[ImpactReport]:
    """The final reports at the end of an hour: those of the hours before it."""
    rung.observe(told[0])
    rung.observe_events(told[1])
    return [one for one in rung.judge(T0 + until * HOUR) if one.final]


def test_a_fall_of_conversion_is_found_in_its_window_and_nothing_before() -> None:
    """Ten calm hours hold; in the eleventh a third fewer convert, and product and business say so."""
    rng = np.random.default_rng(1)
    parts = [hours(rng, range(10)), hours(rng, [10], rate=0.08), hours(rng, [11])]
    answers, events = [one for part in parts for one in part[0]], [one for part in parts for one in part[1]]
    *before, last = fed(product(), (answers, events), 12)
    assert {one.verdict.outcome for one in before[4:]} == {Outcome.HOLDS}
    assert [(layer.name, layer.outcome) for layer in last.layers if layer.outcome is Outcome.BREACHED] == [
        ("product", Outcome.BREACHED), ("business", Outcome.BREACHED),
    ]  # fmt: skip
    assert [figure(last, name).outcome for name in ("conversion", "revenue", "error_rate")] == [
        Outcome.BREACHED, Outcome.BREACHED, Outcome.HOLDS,
    ]  # fmt: skip
    assert re.search(r"conversion 0\.0\d+ \(usual 0\.\d+", figure(last, "conversion").reason)


def test_a_window_is_judged_when_it_closes_and_its_events_when_they_had_their_time() -> None:
    """The first report has no events and is not final; the second, an hour later, is."""
    rung = product()
    rung.observe([answer(T0 + 10.0, "a"), answer(T0 + 20.0, "b")])
    rung.observe_events([event(T0 + HOUR + 5.0, "a")])
    (first,) = rung.judge(T0 + HOUR)
    assert not first.final
    assert "conversion" not in {one.name for one in first.figures}
    assert rung.judge(T0 + 1.5 * HOUR) == ()
    (second,) = (one for one in rung.judge(T0 + 2.0 * HOUR) if one.starts_at == T0)
    assert second.final
    assert figure(second, "conversion").value == 0.5


def test_the_first_number_in_time_counts_and_texts_and_strangers_do_not() -> None:
    """A second event of a unit, one before its answer, one too late, a text, and another model's change nothing."""
    rung = product()
    rung.observe([answer(T0 + 100.0, "a"), answer(T0 + 100.0, "b")])
    told = [
        event(T0 + 200.0, "a", value=3.0), event(T0 + 300.0, "a", value=9.0), event(T0 + 50.0, "b", value=5.0),
        event(T0 + 100.0 + HOUR, "b", value=7.0), event(T0 + 200.0, "b", value="much"),
        event(T0 + 200.0, "b", value=4.0, model="other"), event(T0 + 200.0, "c", value=8.0),
    ]  # fmt: skip
    rung.observe_events(told)
    rung.judge(T0 + HOUR)
    (report,) = (one for one in rung.judge(T0 + 2.0 * HOUR) if one.final and one.rows)
    assert figure(report, "conversion").value == 1.5


def test_no_events_no_waiting_and_shadows_do_not_count() -> None:
    """Without events the first judgement is final; a shadow's answer is no caller's."""
    rung = product()
    rung.observe([answer(T0), answer(T0 + 1.0, "s", shadow_of=1)])
    (report,) = rung.judge(T0 + HOUR)
    assert (report.final, report.rows) == (True, 1)


def test_what_is_usual_needs_four_windows_and_says_how_many_are_missing() -> None:
    """Nothing is judged against two windows: it is unmeasured, never good."""
    rung = product()
    rung.observe([answer(T0 + hour * HOUR, f"u{hour}") for hour in range(3)])
    last = rung.judge(T0 + 3.0 * HOUR)[-1]
    assert last.verdict.outcome is Outcome.UNMEASURED
    assert figure(last, "volume").reason == "what is usual is known in 2 more windows"


def test_silence_is_a_breach_of_volume_told_once() -> None:
    """After busy hours nothing comes: the first empty hour is unusual, the second is not told again."""
    rng = np.random.default_rng(3)
    rung = product()
    rung.observe(hours(rng, range(8))[0])
    rung.judge(T0 + 8 * HOUR)
    (silent,) = rung.judge(T0 + 9 * HOUR)
    assert (silent.rows, figure(silent, "volume").outcome) == (0, Outcome.BREACHED)
    assert rung.judge(T0 + 10 * HOUR) == ()


def test_errors_slowness_and_a_collapse_of_decisions_are_told() -> None:
    """One hour in which a fifth fails, answers take ten times as long, and everybody is decided alike."""
    rng = np.random.default_rng(4)
    calm = hours(rng, range(12))[0]
    for place, one in enumerate(calm):
        if place % 3 == 0:
            calm[place] = answer(
                one.timestamp, one.unit_id, prediction="no", score=one.score, latency_ms=one.latency_ms
            )
    rung = product()
    rung.observe(calm)
    rung.judge(T0 + 12 * HOUR)
    bad = [
        answer(T0 + 12 * HOUR + place, f"x{place}", latency_ms=60.0, score=0.3, status=500 if place % 5 == 0 else 200)
        for place in range(200)
    ]
    rung.observe(bad)
    (report,) = rung.judge(T0 + 13 * HOUR)
    for name in ("error_rate", "p50_latency", "p99_latency", "decision_entropy", "prediction_variance"):
        assert figure(report, name).outcome is Outcome.BREACHED, name


def test_a_restart_reads_what_is_usual_in_the_journal_and_judges_nothing_twice() -> None:
    """A second rung over the same journal judges the next window with the same bytes, and old windows not again."""
    rng = np.random.default_rng(5)
    told, more = hours(rng, range(10)), hours(rng, range(10, 12))
    journal, copy = MemoryJournal(), MemoryJournal()
    fed(product(journal), told, 10)
    known = len(list(journal.read(kinds=("impact_judged",))))
    again = product(journal)
    assert fed(again, told, 10) == []
    assert len(list(journal.read(kinds=("impact_judged",)))) == known
    whole = product(copy)
    fed(whole, told, 10)
    assert fed(again, more, 12) == fed(whole, more, 12) != []
    facts = [one.fact for one in journal.read(kinds=("impact_judged",))]
    assert all(isinstance(fact, ImpactJudged) and impact_of(fact).window == fact.window for fact in facts)


def test_what_lasts_becomes_the_usual() -> None:
    """A level that stays doubled breaches for eight hours, and is the usual one a while later."""
    rung = product()
    numbers = [*([100] * 10), *([300] * 30)]
    for hour, rows in enumerate(numbers):
        rung.observe(answer(T0 + hour * HOUR + place, f"{hour}-{place}") for place in range(rows + hour % 3))
    said = [figure(one, "volume").outcome for one in rung.judge(T0 + len(numbers) * HOUR)]
    assert said[10 : 10 + NEW_USUAL] == [Outcome.BREACHED] * NEW_USUAL
    assert said[-1] is Outcome.HOLDS


def test_only_so_many_names_of_events_are_followed() -> None:
    """Who logs a name for every unit does not fill the memory."""
    rung = product()
    rung.observe_events(event(T0, "u", f"name{place}") for place in range(100))
    assert len(rung.names) == MOST_NAMES


@pytest.mark.parametrize("seed", range(3))
def test_calm_windows_are_called_unusual_at_most_at_the_stated_rate(seed: int) -> None:
    """96 hours of Poisson traffic, conversions and money without any change: at alpha 0.01 a window, three seeds
    together give some 3 false calls; more than 4 in one of them would be wrong 1 time in 300."""
    rng = np.random.default_rng(100 + seed)
    reports = fed(product(), hours(rng, range(97), rows=60), 97)
    loud = [one for one in reports if one.verdict.outcome in (Outcome.BREACHED, Outcome.UNDECIDED)]
    assert len(reports) == 96
    assert len(loud) <= 4


def test_an_alarm_is_raised_before_the_events_came_and_ends_only_after() -> None:
    """A breach of volume is told when the window closes; a close without its events says nothing is over."""
    rng = np.random.default_rng(6)
    rung = product()
    told = hours(rng, range(10))
    more = hours(rng, [10], rows=900)
    fed(rung, (told[0] + more[0], told[1] + more[1]), 10)
    (closed,) = (one for one in rung.judge(T0 + 11 * HOUR) if one.starts_at == T0 + 10 * HOUR)
    loud = alarm_of_impact(closed)
    assert (closed.final, loud.verdict.outcome, loud.severity) == (False, Outcome.BREACHED, "medium")
    assert loud.details[0][0] == "volume"
    quiet = ImpactReport("shop", "w", 0.0, 1.0, 1.0, 5, layers=(Layer("data", Outcome.HOLDS, "as usual"),))
    assert alarm_of_impact(quiet).verdict.outcome is Outcome.HOLDS
    assert alarm_of_impact(msgspec.structs.replace(quiet, final=False)).verdict.outcome is Outcome.UNDECIDED
