"""The demo's summary, read back from a small journal and log made by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from msgspec import Raw
from numpy.typing import NDArray

from fairlead.app.compose import open_context
from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.core.event import (
    AnyFact,
    EvidenceSeen,
    IncidentOpened,
    PostmortemWritten,
    RetrainDecided,
    RetrainFinished,
    RolloutDecided,
    RolloutStarted,
    RouteApplied,
    canonical,
)
from fairlead.core.report import fact_of
from fairlead.core.rollout import Baseline, Call, Decision, Evidence, Phase, Plan, Reading, Step
from fairlead.faces.demo.bookings import Bookings
from fairlead.faces.demo.home import MODEL
from fairlead.faces.demo.stage import Facts
from fairlead.faces.demo.summary import LAST_MONTHS, Run, Summary, summarise
from fairlead.faces.demo.traffic import Tally
from fairlead.operations.context import Context
from fairlead.stats.performance import auroc
from fairlead.testing.bundles import ScriptedBundles, example
from fairlead.testing.journal import MemoryJournal
from fairlead.testing.log import MemoryLog, make_prediction
from fairlead.testing.registry import MemoryRegistry
from fairlead.testing.reports import benign_report, harmful_report, window_report

AT = 1_700_000_000.0
PLAN = Plan("canary", (Step(0.1, 0.0, 10), Step(1.0)), ())
HALVES = Baseline(1.0, (0.5,), (0.5, 0.5))
RUN = Run(workers_killed=1, seconds=61.26, console="http://127.0.0.1:9", process=77)


class ByLeadTime:
    """A model: the later the arrival, the likelier the cancellation; or the other way round."""

    def __init__(self, sign: float) -> None:
        self._sign = sign

    def predict(self, rows: Sequence[tuple[Any, ...]]) -> NDArray[np.float64]:
        """(n, 2) probabilities."""
        one = 0.5 + self._sign * np.array([row[0] for row in rows], np.float64) / 2_000
        return np.column_stack([1 - one, one])


class House:
    """A home with three versions, whose journal, log and registry are in memory."""

    def __init__(self, home: Path) -> None:
        self.journal, self.log, registry = MemoryJournal(), MemoryLog(), MemoryRegistry()
        bundles = ScriptedBundles(home / "bundles")
        contract = Contract((Feature("lead_time", Kind.NUMBER),), Task.BINARY, "is_canceled", ("0", "1"))
        for number, sign in ((1, 1.0), (2, -1.0), (3, 1.0)):
            place = home / f"draft-{number}"
            manifest = msgspec.structs.replace(example(place, name=MODEL, note=str(number)), contract=contract)
            digest = bundles.put(place, manifest)
            bundles.script(digest, ByLeadTime(sign))
            registry.register(manifest, digest, place)
        self.tally = Tally()
        self.at = AT
        self.context: Context = replace(
            open_context(home),
            journal=self.journal,
            bundles=bundles,
            open_registry=lambda: registry,
            open_log=lambda: self.log,
        )

    def tell(self, *facts: AnyFact) -> None:
        """A second later."""
        self.at += 1.0
        self.journal.append(facts, actor="controller", at=self.at)

    def roll(self, version: int, after: Phase, *readings: Reading, guardrail: str | None = None) -> None:
        """A rollout that one decision ended."""
        key = f"r{version}"
        self.tell(RolloutStarted(MODEL, key, version, "b" * 64, None if version == 1 else 1, PLAN, raw(HALVES)))
        decision = Decision(
            key, self.at + 1.0, Call.SAFE, Phase.CANARY, after, 0, 0.0, readings, None, "", "so it was decided",
            guardrail,
        )  # fmt: skip
        facts: list[AnyFact] = [EvidenceSeen(MODEL, key, raw(Evidence())), RolloutDecided(MODEL, key, raw(decision))]
        self.tell(*facts)

    def summary(self) -> Summary:
        """What is made of it all."""
        return summarise(self.context, Facts(self.context), Bookings(20), self.tally, RUN)


def raw(value: object) -> Raw:
    """A value as it stands in a fact."""
    return Raw(canonical(value))


def reading(text: str, log_e: float) -> Reading:
    """One guardrail's evidence."""
    return Reading(text, "prediction_psi", Call.NOT_YET, log_e, log_e, 5.0, 0.1, 0.2, "as read")


@pytest.fixture
def house(tmp_path: Path) -> House:
    """Nothing has happened."""
    return House(tmp_path / "home")


def test_nothing_is_a_summary(house: House) -> None:
    """An empty home gives zeros, no months and an unmeasured drift, not an error."""
    said = house.summary()
    assert (said.predictions_requested, said.predictions_answered, said.predictions_lost) == (0, 0, 0)
    assert (said.performance, said.rollouts, said.incidents, said.retraining) == ((), (), (), None)
    assert (said.drift.verdict, said.drift.first_breach_at) == ("unmeasured", None)
    assert said.left_alone == {}
    assert (said.workers_killed, said.seconds, said.console, said.process) == (1, 61.3, RUN.console, 77)


def test_a_lost_prediction_is_one_that_was_answered_and_not_logged(house: House) -> None:
    """Shadows, failures and doubles in the log make up for none."""
    house.tally = Tally(6, {"a", "b", "c", "d"}, Counter({200: 4, 500: 1, 302: 1}), 3)
    house.log.predictions(
        [
            make_prediction("a"),
            make_prediction("a"),
            make_prediction("b", arm="shadow", shadow_of=1, model_version=2),
            make_prediction("c", status=500),
            make_prediction("d", arm="canary", model_version=2),
            make_prediction("unasked"),
        ]
    )
    said = house.summary()
    assert (said.predictions_requested, said.predictions_answered) == (6, 4)
    assert (said.predictions_logged, said.predictions_lost) == (2, 2)
    assert (said.non_2xx, said.reconnects) == (2, 3)


def test_drift_is_told_by_its_first_breach(house: House) -> None:
    """With its suspects by harm; the last word on each window is its month."""
    house.tell(fact_of(window_report(0)))
    house.tell(fact_of(harmful_report(1)))
    house.tell(fact_of(harmful_report(2)))
    house.tell(fact_of(benign_report(2)))
    said = house.summary()
    assert (said.drift.verdict, said.drift.first_breach_at) == ("breached", "w1")
    assert said.drift.features == ("market_segment", "adr", "lead_time")
    assert [(month.month, month.harmful) for month in said.performance] == [("w0", False), ("w1", True), ("w2", False)]
    assert [month.realised for month in said.performance] == [0.815, 0.67, 0.815]


def test_no_breach_is_told_as_the_last_verdict(house: House) -> None:
    """Without one there is no month to name."""
    house.tell(fact_of(window_report(0)))
    said = house.summary()
    assert (said.drift.verdict, said.drift.first_breach_at, said.drift.features) == ("holds", None, ())


def test_a_retraining_carries_its_reason(house: House) -> None:
    """That of the decision that asked for it; a run by hand has none. The first one is the demo's."""
    house.tell(RetrainDecided(MODEL, "run-1", False, "calm", "w0"))
    house.tell(RetrainDecided(MODEL, "run-2", True, "auroc fell", "w1"))
    house.tell(RetrainFinished(MODEL, "run-2", 2, True, "better by 0.03", Raw(b"{}")))
    house.tell(RetrainFinished(MODEL, "by-hand", None, False, "too few labels", Raw(b"{}")))
    said = house.summary()
    assert said.retraining == said.retrainings[0]
    assert [(run.reason, run.challenger, run.beats_champion, run.result) for run in said.retrainings] == [
        ("auroc fell", 2, True, "better by 0.03"),
        ("", None, False, "too few labels"),
    ]


def test_a_rollback_is_told_with_the_guardrail_that_was_broken(tmp_path: Path) -> None:
    """The outcome, the exposure and the swap are those of the journal and the log."""
    house = House(tmp_path / "home")
    house.roll(1, Phase.PROMOTED)
    house.log.predictions([make_prediction(f"q{n}", arm="canary", model_version=1) for n in range(12)])
    house.log.predictions([make_prediction("s", arm="shadow", shadow_of=1, model_version=1)])
    house.tell(RouteApplied(MODEL, 1, 2, 0.04, "r1"))
    (one,) = house.summary().rollouts
    assert (one.id, one.version, one.outcome, one.requests_exposed) == ("r1", 1, "promoted", 12)
    assert one.seconds_to_swap == 0.04
    assert one.guardrail is None


def test_incidents_name_their_postmortems(house: House) -> None:
    """Newest first; None while there is none."""
    house.tell(IncidentOpened(MODEL, "inc-1", "high", "AUC fell", "model", "it fell"))
    house.tell(PostmortemWritten(MODEL, "inc-1", "incidents/inc-1.md", "d" * 64))
    house.tell(IncidentOpened(MODEL, "inc-2", "high", "rolled back", "model", "it was bad"))
    said = house.summary()
    assert [(one.id, one.title, one.postmortem) for one in said.incidents] == [
        ("inc-2", "rolled back", None),
        ("inc-1", "AUC fell", "incidents/inc-1.md"),
    ]
    assert said.journal_entries == 3


def test_each_champion_is_measured_on_the_last_months(house: House) -> None:
    """Only versions that ever were champion, by their own AUC on the same bookings."""
    house.roll(1, Phase.PROMOTED)
    rows = Bookings(20).arrivals(*LAST_MONTHS)
    truth = np.array(rows["is_canceled"].to_pylist(), np.float64)
    expected = auroc(truth, np.array(rows["lead_time"].to_pylist(), np.float64))
    assert expected is not None
    assert house.summary().left_alone == {"version 1": round(expected, 4)}


def test_the_document_is_json(house: House) -> None:
    """It goes through JSON and back unchanged."""
    house.roll(1, Phase.PROMOTED)
    house.tell(fact_of(harmful_report(1)))
    said = house.summary()
    assert msgspec.json.decode(msgspec.json.encode(said), type=Summary) == said
