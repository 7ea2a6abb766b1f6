"""The minutes of live traffic and the events of a past, as the live code would have looked at each."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace

from fairlead.config.conditions import condition
from fairlead.core.alert import AlertPolicy
from fairlead.core.backtest import Realised, Told
from fairlead.core.event import AlertRaised
from fairlead.core.facts_act import ImpactJudged
from fairlead.core.impact import impact_of
from fairlead.core.record import EventRecord, Prediction
from fairlead.core.report import Stage
from fairlead.core.watched import HOME, METRICS, TOKENS, WAITING
from fairlead.core.watchpoint import Watchpoint
from fairlead.core.window import DAY, WindowPlan
from fairlead.flows.backtest import Look, Past
from fairlead.flows.backtest_answers import REPLAYED, Answers, impacts_of, minutes_of, told_by_impacts
from fairlead.flows.backtest_conditions import Stated, told_by_conditions
from fairlead.flows.conditions import Conditions
from fairlead.flows.live import Live
from fairlead.flows.metrics_now import MetricsNow
from fairlead.flows.product import Product
from fairlead.flows.respond import Responder
from fairlead.testing.clock import ManualClock
from fairlead.testing.journal import MemoryJournal
from fairlead.testing.reports import benign_report

HOUR, MINUTE = 3600.0, 60.0
PLAN = WindowPlan(HOUR)
POINTS = tuple(
    Watchpoint(text.split()[0] + f":{place}", condition(text), severity)
    for place, (text, severity) in enumerate(
        (
            ("error_rate > 1%", "medium"),
            ("error_rate > 20%", "high"),
            ("p99_latency > 2 * usual", "medium"),
            ("p50_latency > 80ms", "low"),
            ("volume < 20", "medium"),
            ("p99_latency > 2 * champion", "high"),
            ("kept < 5%", "medium"),
        )
    )
)


def answers(hours: int = 16, seed: int = 0) -> Answers:
    """Some six requests a minute; in hour 12 most of them fail for a while, in hour 13 they are slow for half an
    hour, in hour 14 hardly anybody asks, and from hour 10 on no unit keeps what it bought."""
    rng = np.random.default_rng(seed)
    records: list[Prediction] = []
    events: list[EventRecord] = []
    at = 0.0
    while at < hours * HOUR:
        quiet = 14 * HOUR <= at < 14 * HOUR + 1200.0
        at += float(rng.exponential(60.0 if quiet else 10.0))
        bad = 12 * HOUR <= at < 12 * HOUR + 900.0 and rng.random() < 0.6
        slow = 5.0 if 13 * HOUR <= at < 13.5 * HOUR else 1.0
        number = len(records)
        records.append(
            Prediction(
                f"r{number}", "stay", 1, "champion", f"u{number}", 1.0, at, at, Raw(b"{}"), 1, 0.7,
                slow * float(rng.lognormal(3.4, 0.2)), status=500 if bad else 200,
            )
        )  # fmt: skip
        if at < 10 * HOUR and rng.random() < 0.3:
            events.append(EventRecord(f"e{number}", "stay", f"u{number}", "kept", 1, at + 60.0, at + 60.0))
    return Answers(tuple(records), tuple(events), PLAN)


PAST = answers()


def past() -> Past:
    """Hourly windows, of which nobody knows any harm."""
    windows = tuple(Realised(f"h{place}", place * HOUR, (place + 1) * HOUR, 360, 0) for place in range(16))
    looks = tuple(
        Look(
            place,
            one.ends_at,
            replace(
                benign_report(place), window=one.window, starts_at=one.starts_at, ends_at=one.ends_at,
                judged_at=one.ends_at, stage=Stage.CLOSED,
            ),
        )
        for place, one in enumerate(windows)
    )  # fmt: skip
    return Past(windows, looks)


def live() -> dict[str, list[float]]:
    """When the live conditions, looking each minute, raise each alert."""
    journal, clock = MemoryJournal(), ManualClock(0.0)
    product = Product("stay", journal, clock, PLAN)
    metrics = MetricsNow("stay", Live(300.0))
    conditions = Conditions("stay", POINTS, metrics, journal)
    responder = Responder("stay", journal, {}, clock, lambda *_: "")
    read = heard = 0
    for minute in range(1, 16 * 60 + 1):
        now = minute * MINUTE
        clock.advance(now - clock.now())
        until = next((place for place, one in enumerate(PAST.records) if one.received_at > now), len(PAST.records))
        told = next((place for place, one in enumerate(PAST.events) if one.at > now), len(PAST.events))
        product.observe(PAST.records[read:until])
        product.observe_events(PAST.events[heard:told])
        metrics.observe(PAST.records[read:until], now)
        read, heard = until, told
        product.judge(now)
        if minute >= 60:  # as the watch of the past begins with its first window
            responder.on_alarms(conditions.look(now), now)
    found: dict[str, list[float]] = {}
    for entry in journal.read():
        if isinstance(entry.fact, AlertRaised):
            found.setdefault(entry.fact.alert, []).append(entry.at)
    return found


def told() -> dict[str, Told]:
    """What a backtest says of the same."""
    stated = Stated(POINTS, answers=PAST, impacts=impacts_of("stay", PAST))
    return {one.rule: one for one in told_by_conditions(("stay", 1), past(), stated, AlertPolicy())}


def test_minutes_and_events_raise_what_they_raise_live_and_when() -> None:
    """Failing, slow and missing requests, by bounds of their own and by what is usual, and an event that stops: the
    same alerts in the same minutes as where every minute is looked at; nothing is told of what could not be."""
    here, there = told(), live()
    for point in POINTS:
        said = [one.at for one in here[point.key].signals if one.notice]
        assert said == pytest.approx(there.get(point.key, []), abs=MINUTE), point.condition.text
    raised = {name.split(":")[0] for name in there if not name.startswith("unmeasured")}
    assert raised == {"error_rate", "p99_latency", "p50_latency", "volume", "kept"}
    assert here["p99_latency:5"].missing.startswith("only the champion answers")
    assert {one.window for one in here["error_rate:1"].signals if one.breached} == {12}
    assert not any(name.startswith("unmeasured") for name in here)


@given(st.integers(0, 10_000))
@settings(max_examples=4, deadline=None)
def test_no_minute_is_passed_over_in_which_a_bound_is_met(seed: int) -> None:
    """Of every minute of other traffic: where the live figure meets a condition beyond doubt, the minute, or one of
    the ten before it, is among those that are looked at."""
    some = answers(hours=3, seed=seed)
    some = Answers(
        tuple(replace(one, latency_ms=one.latency_ms * (1 + (one.received_at % 5_000 > 4_000))) for one in some.records)
    )
    asked = [condition(text) for text in ("p50_latency > 40ms", "p95_latency > 50ms", "volume > 40", "volume < 20")]
    looked = minutes_of(asked, some, ())
    seen, read = Live(300.0), 0
    for minute in range(5, 3 * 60):  # what there was before the first answer nobody knows
        now = minute * MINUTE
        until = int(np.searchsorted([one.received_at for one in some.records], now, side="right"))
        seen.observe(some.records[read:until], now)
        read = until
        met = (
            (seen.quantile("p50_latency", 0.5, now).value or 0.0) > 40.0
            or (seen.quantile("p95_latency", 0.95, now).value or 0.0) > 50.0
            or not 20 <= (seen.volume(now).value or 0.0) <= 40
        )
        assert not met or np.any((looked <= now) & (looked > now - 10 * MINUTE)), minute


def test_what_callers_had_of_each_window_is_judged_as_live() -> None:
    """The same reports as the product rungs write live, of every window that was over before the last answer; and what
    is unusual of them is told as an alert of the watch's."""
    found = impacts_of("stay", PAST)
    journal, clock = MemoryJournal(), ManualClock(0.0)
    product = Product("stay", journal, clock, PLAN)
    product.observe(PAST.records)
    product.observe_events(PAST.events)
    for hour in range(1, 17):
        product.judge(hour * HOUR)
    wrote = [impact_of(one.fact) for one in journal.read() if isinstance(one.fact, ImpactJudged)]
    known = {(one.window, one.final): one.figures for one in wrote}
    assert all(one.figures == known[one.window, one.final] for one in found)
    assert len(found) >= 2 * 14
    rule = told_by_impacts(found, past().windows)
    assert {12, 13} <= {one.window for one in rule.signals if one.breached}
    assert any(one.notice and one.severity == "high" for one in rule.signals), "requests failed"
    assert told_by_impacts((), past().windows).missing == "no window of answers has closed"


def test_a_past_that_was_replayed_has_no_minutes() -> None:
    """Answers received a year after they are of say nothing of minutes: each condition of live traffic says so."""
    later = tuple(replace(one, received_at=one.received_at + 365 * DAY) for one in PAST.records)
    found = told_by_conditions(("stay", 1), past(), Stated(POINTS, answers=Answers(later)))
    assert {one.missing for one in found if one.rule.startswith(("error", "volume"))} == {REPLAYED}
    bare = told_by_conditions(("stay", 1), past(), Stated(POINTS))
    assert {one.missing for one in bare if one.rule.startswith("error")} == {"no answers are known by the minute"}


def test_no_metric_that_may_be_named_is_left_out_in_silence() -> None:
    """Each metric of the table is a row, with what was said of some window or with why nothing was; and what no log
    holds raises no alarm for being unmeasured."""
    points = tuple(Watchpoint(name, condition(f"{name} > 1")) for name in METRICS)
    found = {one.rule: one for one in told_by_conditions(("stay", 1), past(), Stated(points, answers=PAST))}
    assert set(METRICS) <= set(found)
    assert [name for name in METRICS if bool(found[name].missing) == bool(found[name].signals)] == []
    assert not found["volume"].missing
    for name in (*HOME, *WAITING, *TOKENS):
        assert found[name].missing
        assert f"unmeasured:{name}" not in found
