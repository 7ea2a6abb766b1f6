"""What callers log after a promotion takes a version back; late events, heavy users and restarts blame nobody."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from msgspec import Raw
from msgspec.structs import replace
from tests.flows.fleet import AFTER, QUICK, Fleet

from fairlead.config.grammar import guardrail
from fairlead.core.after import BLOCK_SECONDS, Block, PromotionDecision, PromotionEvidence, begin, block_of, watch
from fairlead.core.event import OperatorAsked, PromotionDecided, PromotionSeen
from fairlead.core.record import EventRecord, Prediction
from fairlead.core.replay import replay
from fairlead.core.rollout import Aftercare, Baseline, Call, Plan, Rollout, Step, start
from fairlead.flows.after_events import EventTrials
from fairlead.flows.release import Release

WINDOW = 120.0
RULE = "conversion >= champion - 5%"
PLAN = replace(
    QUICK,
    steps=(Step(0.5, 0.0, 1500), Step(1.0)),
    guardrails=(guardrail("error_rate <= 1.25 * champion"), guardrail(RULE)),
    after=replace(AFTER, events_seconds=WINDOW),
)
Chance = Callable[[int], float]


class Shop(Fleet):
    """A fleet whose units convert some seconds after their answers, each with the chance that its version gives."""

    def __init__(self, folder: Path) -> None:
        self.events: list[EventRecord] = []
        self.due: list[EventRecord] = []
        super().__init__(folder)

    def controller(self) -> Release:
        """One that starts now, and reads the log before it decides."""
        release = super().controller()
        release.observe_events(self.events)
        return release

    def serve(self, blocks: int, chance: Chance, late: float = 20.0, units: tuple[str, ...] = ()) -> int:
        """Ten seconds of 100 units after another, until version 2 goes back; how many it took."""
        for block in range(blocks):
            if self.champion != 2 and block:
                return block
            seen = len(self.log)
            self.traffic(100, seconds=10.0, units=units)
            for record in self.log[seen:]:
                if self.rng.random() < chance(record.model_version):
                    at = record.received_at + late
                    self.due.append(EventRecord(record.request_id, "hotel", record.unit_id, "conversion", 1, at, at))
            self.tell()
        return blocks

    def tell(self) -> None:
        """What has happened by now."""
        now = self.clock.now()
        told = [one for one in self.due if one.received_at <= now]
        self.due = [one for one in self.due if one.received_at > now]
        self.events += told
        self.release.observe_events(told)

    def launch(self, plan: Plan = PLAN, chance: Chance = lambda _: 0.3) -> None:
        """A rollout of version 2 to its good end, with callers who convert."""
        self.deploy(2, plan)
        for _ in range(100):
            if self.champion == 2:
                return
            self.serve(1, chance)
        raise AssertionError(self.ending("r2")[0].reason)

    def looks(self) -> list[PromotionDecision]:
        """What the watch has journalled."""
        facts = [entry.fact for entry in self.entries("promotion_decided")]
        return [
            msgspec.json.decode(fact.decision, type=PromotionDecision)
            for fact in facts
            if isinstance(fact, PromotionDecided)
        ]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """Version 2 was promoted; three of ten convert after the answers of either version."""
    made = Shop(tmp_path)
    made.launch()
    return made


def test_a_version_that_converts_as_well_stays(shop: Shop) -> None:
    """It is not watched before the champion's last units have had their time, and that is said; then it is."""
    shop.serve(60, lambda _: 0.3)
    assert shop.champion == 2
    first, last = shop.looks()[0], shop.looks()[-1]
    assert "conversion is not watched: its events have not had their time yet" in first.reason
    assert "not watched" not in last.reason
    reading = next(one for one in last.readings if one.metric == "conversion")
    assert reading.call is Call.NOT_YET
    assert reading.measured == pytest.approx(0.3, abs=0.05)
    assert 0.15 < reading.allowed < 0.25
    found = replay(shop.journal.read(), "r2")
    assert found.matches, found.first_difference


def test_a_fall_of_conversion_takes_it_back(shop: Shop) -> None:
    """After the time that each unit has, and a few blocks; why is one sentence; it replays byte for byte."""
    shop.serve(40, lambda _: 0.3)
    took = shop.serve(80, lambda version: 0.05 if version == 2 else 0.3)
    assert took <= WINDOW / BLOCK_SECONDS + 8
    assert shop.is_back("r2")
    last = shop.looks()[-1]
    assert (last.call, last.guardrail, last.over) == (Call.REGRESS, RULE, True)
    reason = shop.ending("r2")[0].reason
    assert "its conversion left the bound for" in reason
    assert "in all, at least" in reason
    found = replay(shop.journal.read(), "r2")
    assert found.matches, found.first_difference


def test_a_rise_of_complaints_takes_it_back(tmp_path: Path) -> None:
    """A bound from above."""
    made = Shop(tmp_path)
    rule = "conversion <= champion + 5%"  # the shop's callers log one name
    made.launch(replace(PLAN, guardrails=(guardrail(rule),)), lambda _: 0.1)
    made.serve(30, lambda _: 0.1)
    made.serve(80, lambda _: 0.4)
    assert made.is_back("r2")
    assert made.looks()[-1].guardrail == rule


def test_events_that_come_late_in_their_time_blame_nobody(tmp_path: Path) -> None:
    """All of them in the last seconds of it, after each answer of either version."""
    made = Shop(tmp_path)
    plan = replace(PLAN, guardrails=(*PLAN.guardrails[:1], guardrail("conversion >= 0.5 * champion")))
    made.deploy(2, plan)
    for _ in range(200):
        if made.champion == 2:
            break
        made.serve(1, lambda _: 0.4, late=WINDOW - 1.0)
    assert made.champion == 2
    made.serve(60, lambda _: 0.4, late=WINDOW - 1.0)
    assert made.champion == 2
    reading = next(one for one in made.looks()[-1].readings if one.metric == "conversion")
    assert reading.measured == pytest.approx(0.4, abs=0.05)


def test_controllers_that_start_again_change_nothing(shop: Shop) -> None:
    """They read the log anew, count no trial twice, and still find the fall."""
    for _ in range(10):
        shop.serve(4, lambda _: 0.3)
        shop.release = shop.controller()
    trials = next(one.trials for one in shop.looks()[-1].readings if one.metric == "conversion")
    assert 0 < trials <= sum(one.model_version == 2 and one.arm == "champion" for one in shop.log)
    shop.serve(80, lambda version: 0.05 if version == 2 else 0.3)
    assert shop.is_back("r2")
    assert replay(shop.journal.read(), "r2").matches


def test_a_robot_that_never_converts_is_one_unit(shop: Shop) -> None:
    """A thousand requests a minute of one unit among others who convert."""
    for _ in range(30):
        shop.serve(1, lambda _: 0.3)
        shop.traffic(200, seconds=0.1, units=("robot",))
        shop.tell()
    assert shop.champion == 2


def test_what_the_champions_units_never_logged_is_not_watched(tmp_path: Path) -> None:
    """Promoted by a person, who went on without the event: the watch says that it cannot tell."""
    made = Shop(tmp_path)
    made.deploy(2, PLAN)
    made.serve(8, lambda _: 0.0)
    made.add(OperatorAsked("hotel", "promote"))
    made.serve(40, lambda _: 0.0)
    assert made.champion == 2
    last = made.looks()[-1]
    assert "conversion is not watched: in its rollout 0 of" in last.reason
    assert [one.metric for one in last.readings] == ["error_rate"]
    assert replay(made.journal.read(), "r2").matches


def test_no_edited_trial_goes_unseen(shop: Shop) -> None:
    """One more conversion, and the replay says where."""
    shop.serve(60, lambda _: 0.3)
    entries = list(shop.journal.read())
    for at, entry in enumerate(entries):
        fact = entry.fact
        if isinstance(fact, PromotionSeen) and b'"version":[[0.0,' in bytes(fact.evidence):
            text = bytes(fact.evidence).decode()
            changed = text.replace('"version":[[0.0,', '"version":[[0.5,1],[0.75,', 1).encode()
            entries[at] = replace(entry, fact=replace(fact, evidence=Raw(changed)))
            break
    assert not replay(entries, "r2").matches


# -- trials alone ---------------------------------------------------------------------------------------------------


def rollout() -> Rollout:
    """One that began at 1000 s."""
    return start("r2", "hotel", 2, 1, PLAN, Baseline(None, (), ()), 1000.0)


def answer(unit: str, at: float, version: int = 2) -> Prediction:
    """An answer to a caller."""
    return Prediction(
        f"q{unit}{at}", "hotel", version, "champion", unit, 1.0, at, at, Raw(b"{}"), 1, 0.5, 1.0, rollout="r2"
    )


def event(unit: str, at: float, told: float, value: float | str = 1.0, name: str = "conversion") -> EventRecord:
    """Something that was logged."""
    return EventRecord(f"{unit}{at}{value}", "hotel", unit, name, value, at, told)


def of_version(trials: EventTrials, now: float) -> dict[float, int]:
    """The version's trials so far, by value."""
    found: dict[float, int] = {}
    for tallies in trials.closed(-1, block_of(now)).values():
        for one in tallies:
            for value, count in one.version:
                found[value] = found.get(value, 0) + count
    return found


@pytest.mark.parametrize(
    ("logged", "value"),
    [
        ([], 0.0),
        ([event("u", 2010.0, 2010.0, 3.0)], 3.0),
        ([event("u", 2020.0, 2020.0, 3.0), event("u", 2010.0, 2030.0, 2.0)], 2.0),  # the first that happened
        ([event("u", 1999.0, 2010.0)], 0.0),  # before the answer
        ([event("u", 2000.0 + WINDOW, 2000.0 + WINDOW)], 0.0),  # after its time
        ([event("u", 2010.0, 2001.0 + WINDOW)], 0.0),  # told after its time
        ([event("u", 2010.0, 2010.0, "yes"), event("v", 2010.0, 2010.0)], 0.0),
        ([event("u", 2010.0, 2010.0, float("nan")), event("u", 2010.0, 2010.0, 1.0, "visit")], 0.0),
    ],
)
def test_a_trial_is_the_first_number_within_its_time(logged: list[EventRecord], value: float) -> None:
    """Whichever is read first, the answer or the event; and each event once."""
    for events_first in (True, False):
        trials = EventTrials(rollout())
        trials.promoted(1900.0)
        trials.add_events(logged if events_first else ())
        trials.add(answer("u", 2000.0), promoted=True)
        trials.add_events(logged)
        assert of_version(trials, 2000.0 + WINDOW - 20.0) == {}
        assert of_version(trials, 2010.0 + WINDOW) == {value: 1}
        trials.add_events([event("u", 2005.0, 2005.0, 9.0)])
        assert of_version(trials, 2010.0 + WINDOW) == {value: 1}, "what ended stays as it was"


def test_a_unit_is_tried_again_after_an_hour() -> None:
    """And each side for itself."""
    trials = EventTrials(rollout())
    for at in (1000.0, 1500.0):
        trials.add(answer("u", at, 1), promoted=False)
    trials.promoted(1900.0)
    for at in (1950.0, 2500.0, 5549.0, 5550.0, 9000.0):
        trials.add(answer("u", at), promoted=True)
    tallies = trials.closed(-1, block_of(20_000.0))
    assert sum(count for found in tallies.values() for one in found for _, count in one.version) == 2
    assert [one.champion for found in tallies.values() for one in found if one.champion] == [((0.0, 1),)]


def test_answers_before_the_rollout_and_those_that_the_journal_has_are_left_out() -> None:
    """As after a restart, when the whole log is read again."""
    trials = EventTrials(rollout())
    trials.promoted(1900.0)
    trials.forget(block_of(2200.0))
    trials.add(answer("u", 500.0, 1), promoted=False)
    trials.add(answer("v", 1000.0, 1), promoted=False)
    trials.add(answer("u", 2000.0), promoted=True)
    trials.add(answer("w", 2200.0), promoted=True)
    assert of_version(trials, 9000.0) == {0.0: 1}


def test_units_that_were_tried_often_are_told_by_their_effect() -> None:
    """Half of the units always log, half never, four trials each: a trial tells as much as a quarter of one."""
    trials = EventTrials(rollout())
    for turn in range(4):
        at = 1000.0 + 3600.0 * turn
        for unit in range(40):
            trials.add(answer(f"u{unit}", at, 1), promoted=False)
            trials.add_events([event(f"u{unit}", at + 5.0, at + 5.0)] if unit % 2 else [])
    trials.promoted(15_000.0)
    told = [one for found in trials.closed(-1, block_of(16_000.0)).values() for one in found if one.champion]
    assert told[0].champion == ((0.0, 80), (1.0, 80))
    assert told[0].effect == 4.0


def test_where_there_are_too_many_only_part_of_the_units_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """By their names, so that what is left is as it was."""
    monkeypatch.setattr("fairlead.flows.after_events._TRIALS", 500)
    trials = EventTrials(rollout())
    trials.promoted(1900.0)
    for unit in range(3000):
        trials.add(answer(f"u{unit}", 2000.0), promoted=True)
        trials.add_events([event(f"u{unit}", 2001.0, 2001.0)] if unit % 2 else [])
    found = of_version(trials, 9000.0)
    assert 250 <= sum(found.values()) <= 500
    assert found[1.0] / sum(found.values()) == pytest.approx(0.5, abs=0.1)


def test_what_nobody_can_ask_for_is_forgotten() -> None:
    """Events and units of trials that are long over; the champion's are, once they were told."""
    trials = EventTrials(rollout())
    trials.promoted(1900.0)
    for turn in range(50):
        at = 2000.0 + 400.0 * turn
        trials.add(answer(f"u{turn}", at), promoted=True)
        trials.add_events([event(f"u{turn}", at + 1.0, at + 1.0)])
        trials.closed(-1, block_of(at))
        trials.forget(block_of(at))
    assert len(trials._told) <= 3
    assert len(trials._again) <= 12


# -- how often a shop of regular customers blames a version that is no other ------------------------------------------


def blocks_to_alarm(rng: np.random.Generator, customers: int, budget: float, most: int) -> int:
    """Blocks until the watch alarms, in a shop of so many customers, each with a chance of its own to convert (10 % on
    average, many of them never) and a pace of its own, who come back for ever. Half of them met the champion in the
    rollout; then all meet the version, which is no other."""
    after = Aftercare(7 * 86_400.0, budget * BLOCK_SECONDS, 600.0)
    plan = replace(PLAN, guardrails=(guardrail("conversion >= 0.8 * champion"),), after=after)
    begun = start("r2", "hotel", 2, 1, plan, Baseline(None, (), ()), 1000.0)
    chance, pace = rng.beta(0.3, 2.7, customers), rng.exponential(1.0, customers)
    trials = EventTrials(begun)
    promoted = 1000.0 + 6 * 3600.0

    def serve(since: float, until: float, who: np.ndarray, *, new: bool) -> None:
        for unit in who:
            for at in since + (until - since) * rng.random(rng.poisson(pace[unit] * (until - since) / 3600.0)):
                trials.add(answer(f"c{unit}", float(at), 2 if new else 1), promoted=new)
                if rng.random() < chance[unit]:
                    trials.add_events([event(f"c{unit}", float(at) + 1.0, float(at) + 1.0)])

    serve(1000.0, promoted, rng.permutation(customers)[: customers // 2], new=False)
    trials.promoted(promoted)
    state = begin(begun, promoted)
    assert state is not None
    first = state.block
    serve(promoted, promoted + (most + 61) * BLOCK_SECONDS, np.arange(customers), new=True)
    closed = trials.closed(state.block, first + most + 60)
    for at in sorted(closed):
        state, decision = watch(state, PromotionEvidence((Block(at, events=closed[at]),)), at * BLOCK_SECONDS)
        if decision.call is Call.REGRESS:
            return at - first
    return most


@pytest.mark.parametrize(("runs", "customers"), [(6, 600), pytest.param(60, 600, marks=pytest.mark.slow)])
def test_regular_customers_blame_nobody(runs: int, customers: int) -> None:
    """Trials of one customer resemble each other, and the half that met the champion is not the whole: still the mean
    time to a false alarm is the stated one, 300 blocks, cut off at four times as many."""
    rng = np.random.default_rng(83)
    found = np.array([blocks_to_alarm(rng, customers, 300.0, 1200) for _ in range(runs)])
    print(f"{found.mean():.0f} blocks, {np.mean(found < 1200):.2f} alarmed")
    assert found.mean() + 3 * found.std() / np.sqrt(runs) >= 300.0
