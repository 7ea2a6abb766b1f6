"""A running system that is given versions which go wrong, and callers who see what it does about them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import pytest

from fairlead.adapters.bundle_folder import BundleFolder
from fairlead.adapters.gate_store import GateStore
from fairlead.adapters.segment_reader import SegmentReader
from fairlead.config.grammar import guardrail
from fairlead.core.event import OperatorAsked, VersionRegistered
from fairlead.core.gate import CHECKS, Check, GateReport
from fairlead.core.rollout import Decision, Plan, Step
from fairlead.core.verdict import Outcome
from fairlead.testing.bad_models import write_version
from fairlead.testing.callers import Callers

System = Any  # see `tests/app/conftest.py`
SETTINGS = "trust: [python]\n"
RULES = ("error_rate <= 1.25 * champion", "p99_latency <= 2 * champion", "prediction_psi < 0.25")
FLIP = Plan("blue-green", (Step(1.0),), ())


def canary(*steps: Step) -> Plan:
    """A canary under the three default guardrails."""
    return Plan("canary", steps, tuple(guardrail(text) for text in RULES))


WATCHED = canary(Step(0.25, 0.0, 10**9), Step(1.0))  # a step that only a guardrail ends
GOOD = canary(Step(0.25, 0.0, 150), Step(0.5, 0.0, 300), Step(1.0))


class Ending(NamedTuple):
    """How a rollout ended. `requests` are the version's until the decision, `seconds` those from its deploy."""

    phase: str
    guardrail: str | None
    reason: str
    requests: int
    seconds: float
    decided_at: float


class Trial:
    """A system on which the version `champion` serves; versions of `testing.bad_models` are deployed on it."""

    def __init__(self, system: System, champion: str = "good") -> None:
        self.system = system
        system.wait(lambda: self.decisions("r1"))
        self.promote(self.register(champion))

    def register(self, kind: str) -> int:
        """A version of a kind, with its number."""
        system = self.system
        number = len(system.digests) + 1
        draft = system.home / f"draft-{kind}-{number}"
        draft.mkdir()
        digest = BundleFolder(system.home / "bundles").put(draft, write_version(draft, kind, str(number)))
        system.digests.append(digest)
        fact = VersionRegistered("stay", number, digest, "drawn")
        system.context.journal.append([fact], actor="ana", at=time.time())
        return number

    def promote(self, version: int) -> None:
        """All traffic to a version, without a question."""
        rollout = self.system.deploy(version, Plan("canary", (Step(0.5, 0.0, 1), Step(1.0)), ()))
        while not self.is_over(rollout):
            assert self.system.ready()
        self.system.wait(lambda: self.system.context.board.workers()[0].generation)

    def admit(self, version: int) -> None:
        """Puts the versions into the home's registry, and a passed gate of one of them beside it: `deploy` takes it."""
        system, context = self.system, self.system.context
        known = len(context.registry.versions("stay")) if "stay" in context.registry.models() else 0
        for digest in system.digests[known:]:
            context.registry.register(context.bundles.manifest(digest), digest, context.bundles.path(digest))
        champion = [fact.version for fact in system.facts("alias_moved") if fact.alias == "champion"][-1]
        report = GateReport(
            "stay", version, system.digests[version - 1], "production", time.time(), 5.0,
            tuple(Check(name, Outcome.HOLDS, "as measured", {}, "") for name in CHECKS),
            context.settings.gates.policy("production"), champion, system.digests[champion - 1],
        )  # fmt: skip
        GateStore(system.home / "gates").put(report)
        context.journal.append([report.fact], actor="ana", at=time.time())

    def decisions(self, rollout: str) -> list[Decision]:
        """What was decided of a rollout, in order."""
        facts = [fact for fact in self.system.facts("rollout_decided") if fact.rollout == rollout]
        return [msgspec.json.decode(fact.decision, type=Decision) for fact in facts]

    def roll_out(self, version: int, plan: Plan, callers: Callers, seconds: float = 120.0) -> Ending:
        """To its end, under load; the champion answers enough before to be compared with."""
        seen = len(callers.answers)
        self.system.wait(lambda: len(callers.answers) >= seen + 300, seconds)
        begun = time.time()
        rollout = self.system.deploy(version, plan)
        self.system.wait(lambda: self.is_over(rollout), seconds)
        last = self.decisions(rollout)[-1]
        self.system.wait(lambda: self._is_applied(rollout))
        time.sleep(0.5)  # a bad version that were asked still would be seen
        asked = last.requests.get("canary", 0)
        return Ending(last.after.value, last.guardrail, last.reason, asked, last.at - begun, last.at)

    def abort(self, rollout: str) -> None:
        """Ends a rollout by hand."""
        asked = OperatorAsked("stay", "abort", "that will do", seen=rollout)
        self.system.context.journal.append([asked], actor="ana", at=time.time())
        self.system.wait(lambda: self.is_over(rollout))

    def is_held(self, rollout: str) -> bool:
        """Whether it waits for an operator."""
        decided = self.decisions(rollout)
        return bool(decided) and decided[-1].after.value == "held"

    def is_over(self, rollout: str) -> bool:
        """Whether it was promoted or rolled back."""
        decided = self.decisions(rollout)
        return bool(decided) and decided[-1].after.value in ("promoted", "rolled_back")

    def _is_applied(self, rollout: str) -> bool:
        """Whether every worker has the route that the rollout's end asks for."""
        changed = [fact.generation for fact in self.system.facts("route_changed") if fact.rollout == rollout]
        applied = [fact.generation for fact in self.system.facts("route_applied")]
        return bool(changed) and max(changed) in applied


def versions(system: System) -> dict[str, int]:
    """Who answered each request, failed ones included, as the log says."""
    reader, found = SegmentReader(system.home / "log"), {}
    while batch := reader.poll()[0]:
        found.update({record.request_id: record.model_version for record in batch if record.arm != "shadow"})
    return found


def seen(system: System, callers: Callers, version: int, ending: Ending) -> str:
    """A line for the record, once nobody but the version failed anybody."""
    who = versions(system)
    failed = Counter(who.get(answer.request_id, 0) for answer in callers.answers if answer.status != 200)
    assert callers.broken == []
    assert set(failed) <= {version}, "somebody outside the version's share was failed"
    mine = [answer for answer in callers.answers if who.get(answer.request_id) == version]
    late = max(0.0, max((answer.ended for answer in mine), default=0.0) - ending.decided_at)
    return (
        f"{ending.guardrail or ending.reason}: {len(mine)} of {len(callers.answers)} answers, {failed[version]} bad; "
        f"decided after {ending.requests} requests, {ending.seconds:.1f} s; last answer {late:.3f} s later"
    )


@pytest.fixture(scope="module")
def trial(start: Callable[..., System]) -> Callable[..., Trial]:
    """A system of its own for each champion."""
    made: dict[str, Trial] = {}

    def on(champion: str = "good", settings: str = "") -> Trial:
        key = champion + settings
        if key not in made:
            made[key] = Trial(start(settings=SETTINGS + settings, workers=2), champion)
        return made[key]

    return on


@pytest.fixture
def callers() -> type[Callers]:
    """See `Callers`."""
    return Callers


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Callable[..., None]:
    """Checks that nobody else was failed and prints what was seen."""

    def say(system: System, what: str, made: Callers, version: int, ending: Ending) -> None:
        line = seen(system, made, version, ending)
        with capsys.disabled():
            print(f"\n{what:12s} {line}")

    return say


@pytest.fixture
def watched() -> Plan:
    """A quarter of the traffic until a guardrail speaks."""
    return WATCHED


@pytest.fixture
def to_the_end() -> Plan:
    """Two steps, then all traffic."""
    return GOOD
