"""Rollouts that are guarded by what callers log: conversions, revenue, and what the shadow would have decided."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest
from msgspec import Raw
from tests.flows.test_release import World as Plain

from fairlead.config.grammar import guardrail
from fairlead.core.event import RolloutDecided
from fairlead.core.record import EventRecord, Prediction
from fairlead.core.replay import replay
from fairlead.core.rollout import Call, Decision, Phase, Plan, ShadowPlan, Step
from fairlead.core.route import choose
from fairlead.core.why import why
from fairlead.flows.release import Release

FIRST = Plan("canary", (Step(1.0),), (guardrail("error_rate <= 1.25 * champion"),))
STEPS = (Step(0.1, 0.0, 50), Step(0.5, 0.0, 100), Step(1.0))

Rate = Callable[[int], float]


def plan(*rules: str, shadow: ShadowPlan | None = None, **changes: object) -> Plan:
    """A plan of today with these guardrails."""
    made = Plan("canary", STEPS, tuple(guardrail(text) for text in rules), shadow, edition=2)
    return msgspec.structs.replace(made, **changes)


class World(Plain):
    """Version 1 is champion, version 2 is tried. Each unit may log an event some time after its answer."""

    def __init__(self, folder: Path) -> None:
        self.events: list[EventRecord] = []
        super().__init__(folder)
        self.rng = np.random.default_rng(5)
        self.deploy(1, FIRST)
        self.tick()

    def controller(self) -> Release:
        """A controller that starts now, on what is there: events first, answers afterwards."""
        release = Release(self.journal, self.board, self.bundles, self.clock)
        release.observe_events(self.events)
        release.observe(self.log)
        return release

    def callers(
        self,
        requests: int,
        logs: Callable[[int, bool], float] = lambda _unit, _new: 0.0,
        name: str = "conversion",
        decides: Callable[[int, bool], int] = lambda _unit, _new: 0,
    ) -> None:
        """New units, one request each. `logs` gives the value that a unit logs (0: nothing) and `decides` what a
        version answers, both from the unit's number and whether the version is the new one."""
        table = self.board.current().models["hotel"]
        answers, events = [], []
        for _ in range(requests):
            self.asked += 1
            unit = f"u{self.asked}"
            route = choose(table, unit)
            for version, arm, propensity in (
                (route.version, route.arm, route.propensity),
                *((one, "shadow", 1.0) for one in route.shadows),
            ):
                answers.append(self._answer(unit, version, arm, propensity, decides(self.asked, version == 2)))
            value = logs(self.asked, route.version == 2)
            if value:
                now = self.clock.now() + 0.05
                events.append(EventRecord(f"e{unit}", "hotel", unit, name, value, now, now))
        self.log += answers
        self.events += events
        self.release.observe(answers)
        self.tick()
        self.release.observe_events(events)
        self.tick()

    def _answer(self, unit: str, version: int, arm: str, propensity: float, decision: int) -> Prediction:
        now, score = self.clock.now(), float(self.rng.random())
        return Prediction(
            f"q{unit}", "hotel", version, arm, unit, propensity, now, now,
            Raw(b'{"country":"NZ"}' if self.asked % 2 else b'{"country":"DE"}'), decision, score, 1.0,
            rollout=self.board.current().models["hotel"].salt,
        )  # fmt: skip

    def chance(self, old: float, new: float) -> Callable[[int, bool], float]:
        """Logs 1 with a probability for each version."""
        return lambda _, is_new: float(self.rng.random() < (new if is_new else old))

    def last(self) -> Decision:
        """The last decision in the journal."""
        decided = [entry.fact for entry in self.journal.read(kinds=["rollout_decided"])]
        assert isinstance(decided[-1], RolloutDecided)
        return msgspec.json.decode(decided[-1].decision, type=Decision)

    def run(self, rounds: int, requests: int, **traffic: object) -> Decision:
        """Traffic until the rollout is over or held."""
        for _ in range(rounds):
            self.callers(requests, **traffic)  # type: ignore[arg-type]
            if self.last().after in (Phase.PROMOTED, Phase.ROLLED_BACK, Phase.HELD):
                break
        return self.last()


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Version 1 is champion."""
    return World(tmp_path)


def test_a_drop_in_conversion_is_rolled_back(world: World) -> None:
    """One visitor in five books; of those who meet the new version one in twenty: it loses its traffic for that."""
    world.deploy(2, plan("conversion >= champion - 1%"))
    last = world.run(60, 200, logs=world.chance(0.2, 0.05))
    assert last.after is Phase.ROLLED_BACK
    assert last.guardrail == "conversion >= champion - 1%"
    found = replay(world.journal.read(), "r2")
    assert found.matches, found.first_difference
    assert "its conversion left the bound" in why(last, found.final)
    assert len(world.board.current().models["hotel"].arms) == 1


def test_a_version_that_converts_as_well_is_promoted_once_that_is_shown(world: World) -> None:
    """Small steps are passed without proof; all traffic is had only when the bound is shown to be kept."""
    world.deploy(2, plan("conversion >= 0.7 * champion"))
    calls = []
    for _ in range(100):
        world.callers(200, logs=world.chance(0.4, 0.4))
        last = world.last()
        calls += [(last.share, reading.call) for reading in last.readings]
        if last.after in (Phase.PROMOTED, Phase.ROLLED_BACK):
            break
    assert world.last().after is Phase.PROMOTED
    assert calls[-1][1] is Call.SAFE
    assert (0.5, Call.NOT_YET) in calls
    assert replay(world.journal.read(), "r2").matches


def test_a_drop_in_revenue_is_rolled_back(world: World) -> None:
    """Amounts of money, most of them small: half as many buyers are half the revenue."""

    def spends(_: int, new: bool) -> float:
        buys = world.rng.random() < (0.1 if new else 0.4)
        return round(float(np.exp(world.rng.normal(3.0, 0.8))), 2) if buys else 0.0

    world.deploy(2, plan("revenue >= 0.9 * champion"))
    last = world.run(80, 250, logs=spends, name="revenue")
    assert (last.after, last.guardrail) == (Phase.ROLLED_BACK, "revenue >= 0.9 * champion")


def test_a_rise_in_complaints_is_rolled_back(world: World) -> None:
    """A bound from above works the same way."""
    world.deploy(2, plan("complaint <= champion + 1%"))
    last = world.run(60, 200, logs=world.chance(0.02, 0.2), name="complaint")
    assert (last.after, last.guardrail) == (Phase.ROLLED_BACK, "complaint <= champion + 1%")


def test_what_nobody_logs_is_unmeasured_and_holds(world: World) -> None:
    """No event of that name in hundreds of units: an operator must look, nothing is promoted."""
    world.deploy(2, plan("conversion >= champion - 1%"))
    last = world.run(20, 200)
    assert last.after is Phase.HELD
    assert "none of" in last.reason
    assert "has logged conversion" in last.reason


def test_a_controller_that_dies_counts_no_event_twice(world: World) -> None:
    """After each restart the log is read again, events before answers, and every decision still replays."""
    world.deploy(2, plan("conversion >= 0.7 * champion"))
    for _ in range(10):
        world.callers(150, logs=world.chance(0.4, 0.4))
        world.release = world.controller()
        world.tick()
    found = replay(world.journal.read(), "r2")
    assert found.matches, found.first_difference
    values = found.final.seen.values
    assert values
    assert sum(count for one in values for _, count in (*one.champion, *one.canary)) <= 1500
    shown = sum(count for one in values for value, count in (*one.champion, *one.canary) if value)
    assert 0 < shown <= len(world.events)


def test_a_version_that_decides_otherwise_never_meets_a_caller(world: World) -> None:
    """One answer in ten flips where 2 % may: the shadow phase ends the rollout."""
    world.deploy(2, plan("flip_rate <= 2%", shadow=ShadowPlan(0.0, 100)))
    last = world.run(40, 50, decides=lambda unit, new: int(new and unit % 10 == 0))
    assert (last.after, last.guardrail) == (Phase.ROLLED_BACK, "flip_rate <= 2%")
    assert last.requests.get("canary", 0) == 0
    found = replay(world.journal.read(), "r2")
    assert found.matches, found.first_difference
    assert "decided otherwise more often than allowed" in why(last, found.final)


def test_a_version_that_decides_alike_leaves_the_shadow_when_that_is_shown(world: World) -> None:
    """No flip in a hundred pairs is not yet a rate below 2 %: it waits until it is, and then goes on."""
    world.deploy(2, plan("flip_rate <= 2%", shadow=ShadowPlan(0.0, 100), segments=("country",)))
    world.callers(150)
    assert world.last().after is Phase.SHADOW
    assert "not shown yet to be kept" in world.last().reason
    last = world.run(60, 100)
    assert last.after is Phase.PROMOTED
    paired = replay(world.journal.read(), "r2").final.seen.paired
    assert paired
    assert [one.segment for one in paired] == ["", "country=DE", "country=NZ"]
    assert paired[0].units == paired[1].units + paired[2].units


def test_an_older_plan_knows_no_events(world: World) -> None:
    """A plan of the first edition with such a bound holds for an operator, as it always did."""
    world.deploy(2, plan("conversion >= champion - 1%", edition=1))
    last = world.run(10, 200, logs=world.chance(0.2, 0.2))
    assert last.after is Phase.HELD
    assert "a rollout does not measure conversion" in last.reason
    assert replay(world.journal.read(), "r2").final.seen.values is msgspec.UNSET


def test_events_of_other_models_and_units_are_nobodys(world: World) -> None:
    """What cannot be joined to an answer of this rollout is no evidence."""
    world.deploy(2, plan("conversion >= champion - 1%"))
    now = world.clock.now()
    strange: Sequence[EventRecord] = [
        EventRecord("1", "hotel", "nobody", "conversion", 1, now, now),
        EventRecord("2", "other", "u1", "conversion", 1, now, now),
        EventRecord("3", "hotel", "u1", "visit", 1, now, now),
        EventRecord("4", "hotel", "u1", "conversion", "yes", now, now),
        EventRecord("5", "hotel", "u2", "conversion", 1, now - 900.0, now),
    ]
    world.release.observe_events(strange)
    for _ in range(5):
        world.callers(50)
    seen = replay(world.journal.read(), "r2").final.seen.values
    assert seen
    assert {value for one in seen for value, _ in (*one.champion, *one.canary)} == {0.0}
