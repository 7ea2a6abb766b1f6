"""The rollback trigger of the promised settings takes a released version back, and nothing else."""

from __future__ import annotations

from pathlib import Path

from msgspec import Raw
from tests.flows.page_desk import MODEL, Desk, page_settings
from tests.flows.test_release import World

from fairlead.config.watchpoints import rollback_watchpoint
from fairlead.core.event import OperatorAsked, RolloutStarted
from fairlead.core.rollout import Phase, Plan, ShadowPlan, Step
from fairlead.flows.conditions import Conditions, Rollback
from fairlead.flows.live import Live
from fairlead.flows.metrics_now import MetricsNow

STEPS = (Step(0.5, 3600.0, 1_000_000), Step(1.0))


class Shop:
    """A champion, a second version, and the page's conditions over the same journal and traffic."""

    def __init__(self, folder: Path, plan: Plan, within: float = 7 * 86_400.0) -> None:
        self.world = World(folder)
        self.world.deploy(1, Plan("canary", (Step(1.0),), ()))
        self.world.tick()
        self.within = within
        self.plan = plan
        self.start()

    def start(self) -> None:
        """A controller's conditions, from the journal."""
        point = rollback_watchpoint(page_settings())
        assert point is not None
        self.metrics = MetricsNow(MODEL, Live(300.0))
        self.conditions = Conditions(MODEL, (), self.metrics, self.world.journal, Rollback(point, self.within))

    def deploy(self) -> None:
        """The second version's rollout begins."""
        self.world.deploy(2, self.plan)
        self.world.tick()

    def traffic(self, requests: int, fails: tuple[int, ...] = ()) -> None:
        """Requests by the published table."""
        before = len(self.world.log)
        self.world.traffic(requests, fails=fails)
        self.metrics.observe(self.world.log[before:], self.world.clock.now())

    def minute(self) -> None:
        """The conditions are looked at, then the release loop runs."""
        self.conditions.look(self.world.clock.now())
        self.world.tick()

    def asked(self) -> list[OperatorAsked]:
        """What the controller asked for."""
        entries = self.world.journal.read(kinds=["operator_asked"])
        facts = [entry.fact for entry in entries if entry.actor == "controller"]
        return [fact for fact in facts if isinstance(fact, OperatorAsked) and fact.seen]


def test_the_trigger_takes_a_canary_back(tmp_path: Path) -> None:
    """No guardrail watches; the stated trigger does: the route goes back, by the controller, with the figures."""
    shop = Shop(tmp_path, Plan("canary", STEPS, ()))
    shop.deploy()
    shop.traffic(400)
    shop.minute()
    assert shop.asked() == []
    shop.traffic(400, fails=(2,))
    shop.minute()
    (asked,) = shop.asked()
    assert (asked.verb, asked.seen) == ("rollback", "r2")
    assert asked.reason.startswith("the rollback trigger `error_rate > 5%` is met: error_rate is ")
    assert shop.world.last().after is Phase.ROLLED_BACK
    assert shop.world.last().reason == f"the controller asked to rollback: {asked.reason}"
    assert shop.world.champion() == 1
    shop.minute()
    assert len(shop.asked()) == 1


def test_the_champions_errors_take_no_canary_back(tmp_path: Path) -> None:
    """The trigger speaks of the version that is released, not of the model."""
    shop = Shop(tmp_path, Plan("canary", STEPS, ()))
    shop.deploy()
    shop.traffic(800, fails=(1,))
    shop.minute()
    assert shop.asked() == []


def test_a_version_that_was_promoted_lately_is_taken_back(tmp_path: Path) -> None:
    """To the one before it; also by a controller that has just started."""
    shop = Shop(tmp_path, Plan("canary", (Step(0.5, 0.0, 10), Step(1.0)), ()))
    shop.deploy()
    for _ in range(10):
        shop.traffic(50)
    assert shop.world.champion() == 2
    shop.start()
    shop.traffic(400, fails=(2,))
    shop.minute()
    assert [(asked.verb, asked.seen) for asked in shop.asked()] == [("rollback", "r2")]
    assert shop.world.champion() == 1


def test_one_that_has_served_for_long_is_not(tmp_path: Path) -> None:
    """Beyond its window the trigger speaks of the world, not of the release; nor is the first version ever."""
    shop = Shop(tmp_path, Plan("canary", (Step(0.5, 0.0, 10), Step(1.0)), ()), within=3600.0)
    shop.traffic(400, fails=(1,))
    shop.minute()
    shop.deploy()
    for _ in range(10):
        shop.traffic(50)
    assert shop.world.champion() == 2
    shop.world.clock.advance(3601.0)
    shop.traffic(400, fails=(2,))
    shop.minute()
    assert shop.asked() == []
    assert shop.world.champion() == 2


def test_an_unseen_version_that_fails_is_not_measured_as_served(tmp_path: Path) -> None:
    """A shadow harms nobody: the trigger has nothing to say of it."""
    shop = Shop(tmp_path, Plan("shadow", STEPS, (), ShadowPlan(3600.0, 1_000_000)))
    shop.deploy()
    shop.traffic(400, fails=(2,))
    shop.minute()
    assert shop.asked() == []
    assert "no request of version 2" in shop.conditions.looks[-1].judgement.reason


def test_a_trigger_that_is_not_automatic_tells_people() -> None:
    """An alert with the version, and nothing is asked for."""
    text = 'pipeline: {rollback: {automatic: false, trigger: "error_rate > 5%"}}'
    desk = Desk(text)

    started = RolloutStarted(MODEL, "r2", 2, "c", 1, Plan("canary", STEPS, ()), Raw(b"{}"))
    desk.journal.append([started], actor="controller", at=desk.clock.now())
    desk.traffic(500, failed=100, version=2)
    (notice,) = desk.look()
    assert notice.title == "Version 2 of hotel meets its rollback trigger error_rate > 5%"
    assert (notice.alert, notice.severity) == ("rollback-trigger:r2", "high")
    assert desk.facts(OperatorAsked) == []
