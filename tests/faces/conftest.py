"""A model's life, told by the journal: hotel cancellations from the first version to a rollback and an incident."""

from __future__ import annotations

import asyncio
import math
from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec
import pytest

from fairlead.core import event
from fairlead.core.event import AnyFact, canonical
from fairlead.core.quadrant import Quadrant
from fairlead.core.report import FeatureShift, Layer, Performance, Stage, WindowReport, fact_of
from fairlead.core.rollout import Call, Decision, Evidence, Guardrail, Phase, Plan, Reading, ShadowPlan, Step
from fairlead.core.route import Arm, ModelRoute, RouteTable
from fairlead.core.verdict import Outcome
from fairlead.operations.overview import LiveOverview
from fairlead.ports import WorkerState
from fairlead.testing.clock import ManualClock
from fairlead.testing.journal import MemoryJournal
from fairlead.testing.routes import MemoryBoard

MODEL = "hotel-cancellation"
START = datetime(2026, 11, 20, 9, 0, tzinfo=UTC).timestamp()
GUARDRAILS = (
    Guardrail("error_rate <= 1.25 * champion", "error_rate", 1.25, relative=True),
    Guardrail("p99_latency <= 2 * champion", "p99_latency", 2.0, relative=True),
    Guardrail("prediction_psi < 0.25", "prediction_psi", 0.25),
)
STEPS = (Step(0.01, 3), Step(0.05, 3), Step(0.25, 3), Step(0.5, 3), Step(1.0))
PLAN = Plan("canary", STEPS, GUARDRAILS, ShadowPlan(4, 400), 0.01)
THRESHOLD = math.log(3 / 0.01)
# Feature, how strongly the season and the years move it (PSI at its worst), and the month from which the years do.
FEATURES = (
    ("lead_time", 0.62, 3), ("adr", 0.58, 6), ("total_of_special_requests", 0.24, 12), ("market_segment", 0.31, 8),
    ("customer_type", 0.27, 2), ("distribution_channel", 0.19, 9), ("stays_in_week_nights", 0.16, 2),
    ("deposit_type", 0.21, 14), ("hotel", 0.14, 5), ("meal", 0.22, 10), ("previous_cancellations", 0.12, 1),
    ("stays_in_weekend_nights", 0.08, 2), ("reserved_room_type", 0.11, 11), ("children", 0.07, 4), ("adults", 0.09, 3),
    ("is_repeated_guest", 0.05, 7), ("previous_bookings_not_canceled", 0.03, 6), ("babies", 0.01, 1),
)  # fmt: skip
ROWS = (1665, 1982, 1849, 2806, 3831, 3770, 3780, 3517, 3851, 4423, 3851, 4234, 3330, 3149, 2844, 3292, 3682, 4138,
        4575, 4248, 4532, 4381)  # fmt: skip


class Story:
    """Tells facts in order. Time goes on with every one."""

    def __init__(self) -> None:
        self.journal = MemoryJournal()
        self.clock = ManualClock(START)
        self.board = MemoryBoard()
        self.live = LiveOverview(self.journal, self.board, self.clock)
        self.asked: list[tuple[str, str, str, str]] = []

    def tell(self, *facts: AnyFact, after: float = 1.0, actor: str = "controller") -> None:
        """Appends facts, some seconds after what was told before."""
        self.clock.advance(after)
        self.journal.append(facts, actor=actor, at=self.clock.now())

    def ask(self, model: str, verb: str, reason: str, *, actor: str) -> None:
        """The operator's hand."""
        self.asked.append((model, verb, reason, actor))
        self.tell(event.OperatorAsked(model, verb, reason), actor=actor)

    def route(self, champion: int, canary: int | None = None, share: float = 0.0, rollout: str | None = None) -> None:
        """Publishes a route, and both workers take it."""
        generation = self.board.current().generation + 1
        arms: tuple[Arm, ...] = (Arm("champion", champion, 1 - share),)
        if canary is not None:
            arms = (Arm("canary", canary, share), *arms)
        warm = sorted({champion, canary or champion})
        self.board.publish(RouteTable(generation, {MODEL: ModelRoute(arms, dict.fromkeys(warm, "b"))}))
        self.tell(
            event.RouteChanged(MODEL, generation, "the rollout moved", champion, canary, share, rollout), after=0.01
        )
        for worker in (0, 1):
            self.board.report(
                WorkerState(worker, 4100 + worker, generation, self.clock.now(), self.clock.now(), {MODEL: warm})
            )
        self.tell(event.RouteApplied(MODEL, generation, 2, 0.041, rollout), after=0.05)

    def register(self, version: int, dataset: str) -> None:
        """A version with passed gates."""
        bundle = f"{version}{'9f3ac27b1d' * 6}"
        self.tell(event.VersionRegistered(MODEL, version, bundle, dataset), actor="mara", after=20)
        self.tell(event.StatusChanged(MODEL, version, "staging", "registered for evaluation"), actor="mara")
        self.tell(event.GateMeasured(MODEL, version, bundle, passed=True, failed=(), report="0" * 64), after=8)

    def begin(self, version: int, champion: int | None) -> str:
        """Starts a rollout in shadow."""
        rollout = f"{MODEL}-{version}-1"
        self.tell(event.RolloutStarted(MODEL, rollout, version, "b", champion, PLAN, msgspec.Raw(b"{}")))
        return rollout

    def look(self, rollout: str, decision: Decision, requests: dict[str, int], errors: dict[str, int]) -> None:
        """One look at the evidence."""
        seen = Evidence(requests=requests, errors=errors)
        self.tell(
            event.EvidenceSeen(MODEL, rollout, msgspec.Raw(canonical(seen))),
            event.RolloutDecided(MODEL, rollout, msgspec.Raw(canonical(decision))),
            after=0.5,
        )


def readings(step: float, harm: float) -> tuple[Reading, ...]:
    """Three guardrails; `harm` is the evidence that latency is worse."""
    peak = max(0.4, harm)
    crossed = harm >= THRESHOLD
    latency = 18.4 if harm < 0.5 else 57.9
    return (
        Reading(GUARDRAILS[0].text, "error_rate", Call.NOT_YET, -0.35 * step, 0.3, THRESHOLD, 0.0012, 0.0011,
                "no sign of harm yet"),
        Reading(GUARDRAILS[1].text, "p99_latency", Call.REGRESS if crossed else Call.NOT_YET, harm, peak, THRESHOLD,
                18.1, latency, "slower than twice the champion" if crossed else "not enough slow answers to tell"),
        Reading(GUARDRAILS[2].text, "prediction_psi", Call.SAFE, -0.2 * step, 0.1, THRESHOLD, 0.01, 0.02,
                "scores lie as on the held-out data"),
    )  # fmt: skip


def decision(
    rollout: str, at: float, phases: tuple[Phase, Phase], stand: tuple[int, float], read: tuple[Reading, ...], why: str
) -> Decision:
    """A decision with its forecast."""
    broken = next((each.guardrail for each in read if each.call is Call.REGRESS), None)
    call = Call.REGRESS if broken else Call.SAFE if phases[1] is Phase.PROMOTED else Call.NOT_YET
    forecast = "A verdict on this step is about 12 s away at 180 requests a second."
    return Decision(rollout, at, call, *phases, *stand, read, 12.0, forecast, why, broken)


def good_rollout(story: Story, version: int, champion: int) -> None:
    """From shadow to champion, step by step."""
    rollout = story.begin(version, champion)
    before = Phase.SHADOW
    for look in range(48):
        step, share = max(0, look // 8 - 1), STEPS[max(0, min(4, look // 8 - 1))].traffic
        after = Phase.SHADOW if look < 8 else Phase.CANARY
        reason = (
            "shadow answers agree on 98.9 % of pairs" if look < 8 else f"step {step + 1} of 5 is within its guardrails"
        )
        read = readings(look / 6, 0.6 * math.sin(look / 5))
        arms = {"shadow": 90} if look < 8 else {"canary": round(90 * share), "champion": round(90 * (1 - share))}
        shown = 0.0 if look < 8 else share
        story.look(
            rollout, decision(rollout, story.clock.now(), (before, after), (step, shown), read, reason), arms, {}
        )
        if look in (8, 16, 24, 32, 40):
            story.route(champion, version, share, rollout)
        before = after
    read = readings(8, 0.2)
    done = decision(rollout, story.clock.now(), (before, Phase.PROMOTED), (4, 1.0), read, "every step is safe")
    story.look(rollout, done, {"canary": 90}, {})
    story.tell(
        event.AliasMoved(MODEL, "champion", version, champion, "every step of the rollout was safe"),
        event.StatusChanged(MODEL, version, "production", "promoted"),
        after=0.0,
    )
    story.route(version)


def bad_rollout(story: Story, version: int, champion: int) -> str:
    """A slow version: shadow sees nothing, the canary is rolled back at 5 %."""
    rollout = story.begin(version, champion)
    before = Phase.SHADOW
    for look in range(26):
        after = Phase.SHADOW if look < 8 else Phase.CANARY
        step, share = (0, 0.0) if look < 8 else (0, 0.01) if look < 16 else (1, 0.05)
        harm = 0.1 if look < 16 else 0.05 * (look - 15) ** 2
        read = readings(look / 6, harm)
        arms = {"shadow": 90} if look < 8 else {"canary": max(1, round(90 * share)), "champion": 86}
        reason = "waits for evidence on this step"
        story.look(
            rollout, decision(rollout, story.clock.now(), (before, after), (step, share), read, reason), arms, {}
        )
        if look in (8, 16):
            story.route(champion, version, share, rollout)
        before = after
    reason = "p99_latency is 57.9 ms on v3 against 18.1 ms on v2: the evidence is 307 to 1, the rollout allows 300 to 1"
    read = readings(5, math.log(307))
    done = decision(rollout, story.clock.now(), (before, Phase.ROLLED_BACK), (1, 0.0), read, reason)
    story.look(rollout, done, {"canary": 5, "champion": 86}, {"canary": 0})
    story.route(champion, rollout=rollout)
    return rollout


def window(place: int, *, matured: bool = True) -> WindowReport:
    """The report of one month from November 2015 on."""
    months = [2015 * 12 + 10 + place + more for more in (0, 1)]
    starts, ends = (datetime(each // 12, each % 12 + 1, 1, tzinfo=UTC).timestamp() for each in months)
    name = f"{datetime.fromtimestamp(starts, UTC):%Y-%m}"
    drift = tuple(_shift(*each, place) for each in FEATURES)
    moved = [each for each in drift if each.level == "critical"]
    fall = 0.0 if place < 11 else 0.004 * (place - 10) if place < 18 else 0.02
    realised = 0.842 - fall - 0.008 * math.sin(place * 1.7)
    estimated = 0.845 - fall * 0.45 - 0.004 * math.sin(place * 1.3)
    half = 0.9 / math.sqrt(ROWS[place]) + 0.001
    verdict = Outcome.BREACHED if realised + half < 0.84 and matured else Outcome.HOLDS
    concept = verdict is Outcome.BREACHED
    words = f"AUROC realised {realised:.3f}, estimated {estimated:.3f}, reference 0.846"
    known = realised if matured else None
    low, high = (realised - half, realised + half) if matured else (None, None)
    performance = Performance(
        "auroc", 0.846, 0.84, 0.852, estimated, estimated - half, estimated + half, known, low, high,
        matured_share=1.0 if matured else 0.38, labels=ROWS[place], verdict=verdict, reason=words + ".",
    )  # fmt: skip
    still = Outcome.BREACHED if moved else Outcome.HOLDS
    data = Layer("data", still, f"{len(moved)} of {len(drift)} features moved beyond critical.")
    worst = [each.name for each in sorted(moved, key=lambda each: -(each.effect or 0))]
    return WindowReport(
        MODEL, 2 if place > 8 else 1, name, starts, ends, ends, Stage.MATURED if matured else Stage.CLOSED, ROWS[place],
        verdict, f"{len(moved)} features moved; {words}", drift, (data, Layer("model", verdict, words + ".")),
        performance, Quadrant.CONCEPT if concept else Quadrant.BENIGN,
        "The realised metric lies below what the scores promised: the relation between inputs and truth changed."
        if concept else f"{len(moved)} inputs moved, and the realised metric is not below the reference.",
        suspects=tuple(worst[:3]) if concept else (),
    )  # fmt: skip


def _shift(name: str, most: float, phase: int, place: int) -> FeatureShift:
    """A seasonal swing and a growing shift; deterministic."""
    season = 0.5 - 0.5 * math.cos((place - phase) * math.pi / 6)
    trend = max(0.0, place - phase) / 20
    noise = 0.08 * (1 + math.sin(place * 12.9 + phase * 78.2))
    effect = most * (0.55 * season * min(1.0, 0.4 + place / 12) + 0.6 * trend + noise * 0.5)
    level = "critical" if effect > 0.25 else "warning" if effect > 0.1 else "none"
    return FeatureShift(name, level, "psi", round(effect, 4), 0.25, 1e-9 if level != "none" else 0.2)


def months(story: Story, first: int, last: int) -> None:
    """Judges windows; the youngest one's labels are not all there yet."""
    for place in range(first, last):
        report = window(place, matured=place < 21)
        story.tell(fact_of(report), after=2)
        if report.verdict is Outcome.BREACHED and place % 3 == 0:
            story.tell(event.AlertRaised(
                MODEL, "model-performance", "high", f"AUROC fell in {report.window}", report.reason, "revenue-ml",
                "performance-drop", report.ends_at), after=0.1)  # fmt: skip
        elif report.verdict is Outcome.BREACHED:
            story.tell(event.AlertQuieted(MODEL, "model-performance", "already told, nothing is new"), after=0.1)


class Caller:
    """Calls an application without a network, one call at a time."""

    def __init__(self, app: Any, base_url: str = "http://127.0.0.1:8081") -> None:
        self._app = app
        self._base_url = base_url

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        """One call. A defect in the application is its answer, as it is behind a server."""

        async def call() -> httpx.Response:
            transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url=self._base_url) as client:
                return await client.request(method, path, **more)

        return asyncio.run(call())

    def get(self, path: str, **more: Any) -> httpx.Response:
        """Reads."""
        return self.request("GET", path, **more)

    def post(self, path: str, **more: Any) -> httpx.Response:
        """Writes."""
        return self.request("POST", path, **more)


@pytest.fixture
def call() -> type[Caller]:
    """Puts a caller in front of an application."""
    return Caller


@pytest.fixture
def story() -> Story:
    """An empty home."""
    return Story()


@pytest.fixture
def told(story: Story) -> Story:
    """The whole life: v1, v2 promoted, 22 months, v3 retrained, rolled back, its incident."""
    for worker in (0, 1):
        story.tell(event.WorkerChanged("", worker, "started"), after=0.2, actor="supervisor")
    story.register(1, "bookings to 2015-10")
    story.tell(event.AliasMoved(MODEL, "champion", 1, None, "the first version"), actor="mara")
    story.route(1)
    months(story, 0, 8)
    story.register(2, "bookings to 2016-06")
    good_rollout(story, 2, 1)
    months(story, 8, 22)
    story.tell(
        event.RetrainDecided(MODEL, "retrain-7c1", True, "AUROC breached in 3 windows, 5 features moved", "2017-08")
    )
    story.register(3, "bookings to 2017-07")
    story.tell(event.RetrainFinished(MODEL, "retrain-7c1", 3, True, "AUROC 0.851 against 0.826", msgspec.Raw(b"{}")))
    rollout = bad_rollout(story, 3, 2)
    story.tell(
        event.IncidentOpened(
            MODEL, "INC-1", "high", "v3 was rolled back: p99 latency", "infrastructure",
            "p99_latency <= 2 * champion was broken at 5 % of the traffic.", "revenue-ml",
            story.clock.now() - 5.5, rollout),
        after=0.1,
    )  # fmt: skip
    story.tell(event.IncidentNoted(MODEL, "INC-1", "v2 answers all traffic again", "mitigated"), after=0.4)
    story.tell(event.PostmortemWritten(MODEL, "INC-1", "incidents/INC-1.md", "0" * 64), after=0.2)
    return story


POSTMORTEM = """# INC-1: v3 was rolled back

## Impact

5 % of the traffic was slow for **5.5 seconds**: <script>alert(1)</script> 23 requests.

- detected by `p99_latency <= 2 * champion`
- no request failed

| when | what |
|---|---|
| +0 s | canary at 5 % |
| +5.5 s | rolled back |
"""


@pytest.fixture
def postmortem() -> str:
    """An incident's Markdown, with a script that must stay text."""
    return POSTMORTEM
