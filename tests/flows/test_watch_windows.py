"""Windows of the watch by local clocks, sliding, and late: what is counted where, and that it is counted once."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace
from tests.flows.test_watch import World, outcomes, population, records

from fairlead.config.load import parse_settings
from fairlead.core.alarm import DATA
from fairlead.core.bundle import PROFILE
from fairlead.core.compared import PREVIOUS, SEASON, VERSION, Against, Slide, Wanted
from fairlead.core.event import AlertQuieted, AlertRaised, VersionRegistered, WindowJudged
from fairlead.core.record import OutcomeRecord, Prediction
from fairlead.core.report import Stage, WindowReport, report_of
from fairlead.core.window import DAY, HOUR, WindowPlan
from fairlead.flows.respond import Responder
from fairlead.flows.watch import Watch
from fairlead.flows.watch_sliding import kind_of
from fairlead.flows.watching.cohort import Cohort
from fairlead.flows.watching.recalled import recalled
from fairlead.flows.watching.recount import recount_window
from fairlead.flows.watching.verdicts import read_evidence
from fairlead.stats.profile import TableProfile
from fairlead.testing.dataset import MemoryDataset
from fairlead.testing.journal import MemoryJournal


@pytest.fixture
def world(tmp_path: Path) -> World:
    """One registered version."""
    return World(tmp_path)


def watch_of(world: World, plan: WindowPlan) -> Watch:
    """A new watch over the world with windows of its own, as after a restart."""
    held = MemoryDataset({name: [row[place] for row in world.rows] for place, name in enumerate(("x", "city", "y"))})
    return Watch("hotel", world.journal, world.bundles, lambda _: held, world.clock, plan, world.policy)


def spread(
    since: float, until: float, n: int, seed: int, shift: float = 0.0
) -> tuple[list[Prediction], list[OutcomeRecord]]:
    """Answers spread evenly from an instant until another, and what became of them an hour later."""
    rows, step = population(n, seed, shift), (until - since) / n
    answered = [
        replace(one, request_id=f"{seed}-{place}", timestamp=since + place * step, received_at=since + place * step)
        for place, one in enumerate(records(rows))
    ]
    return answered, outcomes(answered, rows, delay=HOUR)


def test_days_are_those_of_the_zone(world: World) -> None:
    """A day on which clocks go back is one window of 25 hours, with the answers of all of them."""
    plan = parse_settings("monitoring: {window: 1d, zone: Europe/Lisbon}").monitoring.judged_plan
    since = datetime(2026, 10, 24, 23, tzinfo=UTC).timestamp()  # midnight in Lisbon
    answered, truths = spread(since, since + 50 * HOUR, 500, 1)
    watch = watch_of(world, plan)
    watch.observe(answered, truths)
    found = watch.judge(since + 60 * HOUR)
    assert [(one.window, (one.ends_at - one.starts_at) / HOUR, one.rows, one.stage) for one in found] == [
        ("2026-10-25", 25.0, 250, Stage.MATURED),
        ("2026-10-26", 24.0, 240, Stage.MATURED),
    ]


SLOT = 6 * HOUR
SINCE = datetime(2026, 3, 2, tzinfo=UTC).timestamp()  # a Monday


class Shelf:
    """Keeps what windows were judged from, over restarts."""

    def __init__(self) -> None:
        self.texts: dict[str, bytes] = {}

    def put(self, text: bytes) -> str:
        """Keeps bytes under their digest."""
        digest = sha256(text).hexdigest()
        self.texts[digest] = text
        return digest

    def lend(self, watch: Watch) -> Watch:
        """The same watch, with this memory."""
        watch.keep = self.put
        watch.recall(recalled(self.texts.__getitem__))
        return watch


def sliding(world: World, slides: int = 4, slot: float = SLOT) -> Watch:
    """A watch of windows of so many slots."""
    plan = WindowPlan(slot, slides=slides)
    held = MemoryDataset({name: [row[place] for row in world.rows] for place, name in enumerate(("x", "city", "y"))})
    return kind_of(plan)("hotel", world.journal, world.bundles, lambda _: held, world.clock, plan, world.policy)


def test_a_window_is_judged_at_each_slide_over_all_of_it(world: World) -> None:
    """A day that slides by six hours is judged four times a day; each answer is in four windows, and in one slot."""
    answered, truths = spread(SINCE, SINCE + 2 * DAY, 800, 1)
    watch = sliding(world)
    watch.observe(answered, truths)
    found = watch.judge(SINCE + 4 * DAY)
    slots = [one.slide for one in found if isinstance(one.slide, Slide)]
    assert [one.rows for one in found] == [100, 200, 300, 400, 400, 400, 400, 400, 300, 200, 100, 0]
    assert [one.starts_at for one in slots] == [SINCE + SLOT * place for place in range(12)]
    assert [one.rows for one in slots] == [{"1": 100}] * 8 + [{}] * 4
    assert sum(one.labels for one in slots) == 800
    assert {one.stage for one in found} == {Stage.MATURED}
    assert found[3].window == "2026-03-02"


def test_a_sliding_window_is_judged_as_a_tumbling_one_of_the_same_answers(tmp_path: Path) -> None:
    """All but what tests of labels over time have seen is the same, to the last digit."""
    first, second = World(tmp_path / "one"), World(tmp_path / "two")
    answered: list[Prediction] = []
    truths: list[OutcomeRecord] = []
    for day, shift in enumerate((0.0, 0.0, 0.6, 0.0)):
        some, known = spread(SINCE + day * DAY, SINCE + (day + 1) * DAY, 400, 10 + day, shift)
        answered, truths = answered + some, truths + known
    found = []
    for watch in (watch_of(first, WindowPlan(DAY)), sliding(second)):
        watch.observe(answered, truths)
        found.append({(one.window, one.stage): one for one in watch.judge(SINCE + 5 * DAY) if one.rows})
    days, slides = found
    assert len(days) == 4
    for key, one in days.items():
        same = slides[key]
        state = replace(same.harm, state=one.harm.state, log_e=one.harm.log_e, sudden=one.harm.sudden)
        assert replace(same, slide=UNSET, harm=state) == one
    assert days["2026-03-04", Stage.MATURED].moved == ("x",)


STREAM = [
    spread(SINCE + SLOT * place, SINCE + SLOT * (place + 1), 60, 100 + place, 1.0 * (place in (9, 10)))
    for place in range(22)
]


def _batch(place: int) -> tuple[list[Prediction], list[OutcomeRecord]]:
    """What reaches the log in a slot: its answers, their labels, and some answers of the slot before that come late."""
    if place >= len(STREAM):
        return [], []
    late = STREAM[place - 1][0][-5:] if place else []
    return [*STREAM[place][0][:-5], *late], STREAM[place][1]


def _watching(world: World, plan: WindowPlan, kind: Wanted, matures: float = 3 * SLOT) -> Watch:
    held = MemoryDataset({name: [row[place] for row in world.rows] for place, name in enumerate(("x", "city", "y"))})
    policy = replace(world.policy, reference=kind, maturity_seconds=matures)
    return kind_of(plan)("hotel", world.journal, world.bundles, lambda _: held, world.clock, plan, policy)


PLANS = (WindowPlan(SLOT, slides=4), WindowPlan(SLOT), WindowPlan(DAY, slides=2))
KINDS = (Wanted(), Wanted(PREVIOUS), Wanted(SEASON, season="hour_of_day", periods=2), Wanted(VERSION, version=2))


def told(
    world: World, plan: WindowPlan, kind: Wanted, stops: Sequence[int], shelf: Shelf | None = None
) -> list[WindowReport]:
    """What is said of the whole stream by watches that are started again at these slots, each reading the log anew."""
    shelf = shelf or Shelf()
    world.journal = MemoryJournal()
    world.journal.append([VersionRegistered("hotel", 1, world.digest, "july")], actor="anna", at=SINCE)
    world.journal.append([VersionRegistered("hotel", 2, world.digest, "july")], actor="anna", at=SINCE)
    reports: list[WindowReport] = []
    watch = shelf.lend(_watching(world, plan, kind))
    for place in range(len(STREAM) + 3):
        if place in stops:
            watch = shelf.lend(_watching(world, plan, kind))
            for before in range(place):
                watch.observe(*_batch(before))
        watch.observe(*_batch(place))
        reports += watch.judge(SINCE + (place + 1) * SLOT)
    return reports


def recounted(world: World, shelf: Shelf) -> set[tuple[str, str]]:
    """What becomes of the journal's windows when they are judged again from what was kept of them."""
    reference = msgspec.json.decode((world.bundles.path(world.digest) / PROFILE).read_bytes(), type=TableProfile)
    found: set[tuple[str, str]] = set()
    closed: dict[str, WindowReport] = {}
    for entry in world.journal.read(kinds=("window_judged",)):
        fact = entry.fact
        assert isinstance(fact, WindowJudged)
        evidence = read_evidence(shelf.texts[fact.evidence]) if fact.evidence else None
        found.add(recount_window(fact, evidence, reference, closed.get(fact.window)))
        closed.setdefault(fact.window, report_of(fact))
    return found


@pytest.mark.parametrize(
    ("plan", "kind", "stops"),
    [(PLANS[1], KINDS[1], (12,)), pytest.param(PLANS[0], KINDS[2], (7, 15), marks=pytest.mark.slow)],
)
def test_a_restart_changes_no_report(world: World, plan: WindowPlan, kind: Wanted, stops: tuple[int, ...]) -> None:
    """A watch that is started again compares later windows with what they would have been compared with."""
    shelf = Shelf()
    found = told(world, plan, kind, (), shelf)
    assert {one.against.kind for one in found if isinstance(one.against, Against)} == {kind.kind, "training"}
    assert recounted(world, shelf) == {("same", "")}
    assert told(world, plan, kind, stops) == found


@pytest.mark.slow
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.sampled_from(PLANS), st.sampled_from(KINDS), st.lists(st.integers(1, 20), min_size=1, max_size=3))
def test_a_restart_at_any_point_changes_no_report(
    world: World, plan: WindowPlan, kind: Wanted, stops: list[int]
) -> None:
    """Whichever windows a watch had judged when it stopped, the next says of the others what it would have said."""
    assert told(world, plan, kind, stops) == told(world, plan, kind, ())


def test_what_comes_late_is_counted_and_changes_nothing(world: World) -> None:
    """Answers of a judged window are told when it matures, each once, however often and in whatever order they come."""
    answered, truths = spread(SINCE, SINCE + DAY, 300, 1)
    found = []
    for late, seed in (([], 1), (answered[250:], 2), ([*answered[250:], *answered[250:], *answered[:9]][::-1], 3)):
        del seed
        world.journal = MemoryJournal()
        world.journal.append([VersionRegistered("hotel", 1, world.digest, "july")], actor="anna", at=SINCE)
        watch = watch_of(world, WindowPlan(DAY))
        watch.observe(answered[:250], [])
        (closed,) = watch.judge(SINCE + DAY)
        watch.observe(late, truths)
        (matured,) = watch.judge(SINCE + 2 * DAY)[:1]
        found.append((closed, matured))
    first, second, third = found
    assert first[0] == second[0] == third[0]
    assert (first[1].late, second[1].late, third[1].late) == (UNSET, 50, 50)
    assert "50 answers came once it had been judged" in second[1].reason
    assert second[1] == third[1]
    assert replace(second[1], late=UNSET, reason="") == replace(first[1], reason="")


def test_one_fault_in_many_windows_is_told_once(world: World) -> None:
    """A column that is null for a quarter of a day is in four windows that slide by it, while older windows mature in
    between and hold: that is one notice, and its end."""
    fault = [replace(one, features=msgspec.Raw(b'{"x": null, "city": "porto"}')) for one in STREAM[8][0]]
    plan = WindowPlan(SLOT, slides=4)
    watch = _watching(world, plan, Wanted())
    responder = Responder("hotel", world.journal, {}, world.clock, lambda *_: "")
    for place in range(len(STREAM)):
        answered, known = STREAM[place]
        later = [replace(one, observed_at=one.observed_at + 2 * SLOT) for one in known]
        watch.observe(fault if place == 8 else answered, later)
        for report in watch.judge(SINCE + (place + 1) * SLOT):
            responder.on_window(report)
    facts = [entry.fact for entry in world.journal.read(kinds=("alert_raised", "alert_quieted"))]
    told = [one for one in facts if isinstance(one, AlertRaised) and one.alert == DATA]
    over = [one for one in facts if isinstance(one, AlertQuieted) and one.alert == DATA and one.recovered]
    assert (len(told), len(over)) == (1, 1)
    assert facts.index(told[0]) < facts.index(over[0])


def _cohorts(rows: int) -> int:
    """How many slots' cohorts of so many rows live."""
    gc.collect()
    return sum(type(one) is Cohort and one.rows == rows for one in gc.get_objects())


def test_slots_go_once_every_window_that_holds_them_was_judged(world: World) -> None:
    """However long a watch runs, it holds the slots that are still part of windows to come, or that wait for labels."""
    watch, held = _watching(world, WindowPlan(HOUR, slides=3), Wanted(), 0.0), []
    for place in range(9):
        answered, truths = spread(SINCE + place * HOUR, SINCE + (place + 1) * HOUR, 17, 300 + place)
        watch.observe(answered, truths)
        watch.judge(SINCE + (place + 1) * HOUR)
        held += [_cohorts(17)] if place in (3, 8) else []
        assert watch.next_look() > SINCE + (place + 1) * HOUR, "nothing is asked for before there is something to do"
    assert held == [2, 2]


def test_a_pinned_version_that_was_never_registered_is_told(world: World) -> None:
    """The training data stand in, and the data layer says why."""
    answered, truths = spread(SINCE, SINCE + DAY, 200, 1)
    policy = replace(world.policy, reference=Wanted(VERSION, version=7))
    held = MemoryDataset({name: [row[place] for row in world.rows] for place, name in enumerate(("x", "city", "y"))})
    watch = Watch("hotel", world.journal, world.bundles, lambda _: held, world.clock, WindowPlan(DAY), policy)
    watch.observe(answered, truths)
    report = watch.judge(SINCE + DAY)[0]
    layer = report.layer("data")
    assert layer is not None
    assert layer.reason.endswith(
        "version 7 cannot be compared with (version 7 of hotel was never registered); the training data stand in"
    )
