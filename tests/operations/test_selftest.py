"""selftest: what a model's own log says of its guardrails, and what a deploy makes of that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace
from tests.operations.house import AT, House

from fairlead.config.fields import Share
from fairlead.config.rollout import RolloutSettings, StepSettings
from fairlead.config.settings import Settings
from fairlead.core.bundle import PROFILE
from fairlead.core.event import SelfTested
from fairlead.core.selftest import plan_digest
from fairlead.core.verdict import Outcome
from fairlead.errors import Refused, UsageError
from fairlead.operations.rollouts import deploy
from fairlead.operations.selftest import allowed, selftest
from fairlead.stats.columns import NumericColumn
from fairlead.stats.profile import profile
from fairlead.testing.bundles import example
from fairlead.testing.log import make_prediction

STEPS = (StepSettings(Share(0.2), at_least=50), StepSettings(Share(1.0)))
SETTINGS = Settings(rollout=RolloutSettings(steps=STEPS, alpha=Share(0.25), automatic="after_selftest"))


class Served(House):
    """A home whose version 3 serves and has a log; its held-out scores are even."""

    def __init__(self, home: Path) -> None:
        super().__init__(home, SETTINGS)
        place = home / "draft-3"
        text = msgspec.json.encode(profile((NumericColumn("__score__", np.linspace(0.0, 1.0, 1000)),))).decode()
        manifest = example(place, **{"note": "3", PROFILE: text})
        self.digests.append(self.bundles.put(place, manifest))
        self.registry.register(manifest, self.digests[-1], place)
        self.told()
        self.crown(3)

    def serve(self, count: int, power: float = 1.0) -> None:
        """So many answers; scores are even, to a power."""
        rng = np.random.default_rng(8)
        records = [
            make_prediction(
                f"q{row}",
                model_version=3,
                received_at=AT + row,
                score=float(rng.random() ** power),
                features=msgspec.Raw(b"{}"),
            )
            for row in range(count)
        ]
        log = self.context.open_writer()
        log.predictions(records)
        log.close()

    def facts(self, kind: str) -> list[Any]:
        """The journal's facts of a kind."""
        return [entry.fact for entry in self.journal.read(kinds=[kind])]


@pytest.fixture
def served(tmp_path: Path) -> Served:
    """See `Served`."""
    return Served(tmp_path)


def test_a_self_test_is_measured_and_journalled(served: Served) -> None:
    """The champion's latest answers, so many runs, the bound, and what it was tested on."""
    served.serve(1_500)
    report = selftest(served.context, "hotel", runs=12, requests=900)
    assert (report.model, report.version, report.outcome, report.runs) == ("hotel", 3, Outcome.HOLDS, 12)
    assert (report.rolled_back, report.requests, report.units) == (0, 900, 900)
    assert report.upper == pytest.approx(1.0 - 0.05 ** (1 / 12))
    assert report.reason == (
        "0 of 12 rollouts of version 3 against itself rolled back, at most 22 %, within the budget of 25 %"
    )
    (fact,) = served.facts("self_tested")
    plan = SETTINGS.rollout.plan()
    assert fact == SelfTested("hotel", 12, 0, report.upper, 0.25, fact.digest, report.reason, plan_digest(plan))
    selftest(served.context, "hotel@3", runs=12, requests=900)
    assert served.facts("self_tested")[1].digest == fact.digest, "the same traffic, the same plan"


def test_guardrails_that_break_on_the_models_own_traffic_are_named(served: Served) -> None:
    """Scores that the held-out data do not expect would end every rollout."""
    served.serve(1_500, power=4.0)
    report = selftest(served.context, "hotel", runs=12)
    assert (report.outcome, report.rolled_back) == (Outcome.BREACHED, 12)
    assert report.guardrails == {"prediction_psi < 0.25": 12}
    assert "more than the budget of 25 %" in report.reason


def test_too_little_traffic_is_unmeasured_and_leaves_no_fact(served: Served) -> None:
    """How much there is, and how much it takes."""
    served.serve(80)
    report = selftest(served.context, "hotel", runs=5)
    assert (report.outcome, report.runs) == (Outcome.UNMEASURED, 0)
    assert "the log holds 80 answers of version 3 of hotel" in report.reason
    assert served.facts("self_tested") == []


@pytest.mark.parametrize(("runs", "requests", "said"), [(0, 900, "--runs 0"), (5, -1, "--requests -1")])
def test_numbers_that_make_no_sense_are_refused(served: Served, runs: int, requests: int, said: str) -> None:
    """With the option's name."""
    with pytest.raises(UsageError, match=said):
        selftest(served.context, "hotel", runs, requests)


def test_a_plan_that_deals_nothing_is_refused(served: Served) -> None:
    """Not unmeasured: no traffic would help."""
    served.serve(1_500)
    flip = served.under(Settings(rollout=RolloutSettings(strategy="blue-green")))
    with pytest.raises(Refused, match="nothing to deal by chance"):
        selftest(flip, "hotel", runs=5)


def test_a_deploy_rolls_back_by_itself_only_after_a_self_test(served: Served) -> None:
    """Before, its plan asks an operator and the deploy says why; with `always` it never asks."""
    served.compared(1, 3)
    deploy(served.context, "hotel@1", reason="july")
    (first,) = served.facts("deploy_asked")
    assert not first.plan.automatic
    assert first.reason == "july; a broken guardrail asks an operator, as no self-test was made"
    plan = SETTINGS.rollout.plan()
    good = SelfTested("hotel", 500, 0, 0.006, 0.25, "d", "", plan_digest(plan))
    served.journal.append([good], actor="ana", at=served.clock.now())
    assert allowed(served.context, "hotel", plan) == (plan, "")
    assert "no self-test" in allowed(served.context, "churn", plan)[1]
    served.journal.append([replace(good, upper=0.3)], actor="ana", at=served.clock.now())
    assert not allowed(served.context, "hotel", plan)[0].automatic, "the last one counts"
    always = served.under(Settings(rollout=RolloutSettings(steps=STEPS)))
    assert allowed(always, "hotel", plan) == (plan, "")
