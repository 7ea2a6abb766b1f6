"""One simulated rollout on the controller's own code: `flows.release.Release`, its collector and `core.advance`, with a
journal and a board in memory and a clock that the simulation moves.

The stream is drawn at once as arrays: for each request its unit, and what either version would answer (failed or not,
milliseconds, score). Who answers is dealt by `core.route.choose` from the route that the controller published.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import NamedTuple

import msgspec
import numpy as np
from msgspec import Raw

from fairlead.config.grammar import guardrail
from fairlead.core.bundle import PROFILE
from fairlead.core.event import DeployAsked, RolloutDecided, VersionRegistered
from fairlead.core.record import Prediction
from fairlead.core.replay import replay
from fairlead.core.rollout import EDITION, Decision, Phase, Plan, Step
from fairlead.core.route import ModelRoute, Route, choose, place
from fairlead.flows.baseline import Cells, heldout_cells
from fairlead.flows.release import Release
from fairlead.ports import WorkerState
from fairlead.stats.columns import NumericColumn
from fairlead.stats.profile import profile
from fairlead.testing.bundles import ScriptedBundles, example
from fairlead.testing.clock import ManualClock
from fairlead.testing.journal import MemoryJournal
from fairlead.testing.routes import MemoryBoard

TICK_SECONDS = 0.1
HISTORY = 1_000  # what the champion answered before the rollout
NOTHING = Raw(b"{}")
LATENCY_MS, LATENCY_SPREAD = 20.0, 0.25  # of a log-normal; its p99 is 36 ms
USERS, ZIPF = 3_000, 1.1  # the heaviest of these users sends about one request in eight
STRICT = ("error_rate <= 1 * champion", "p99_latency <= 1 * champion", "prediction_psi < 0.25")
DEFAULT = ("error_rate <= 1.25 * champion", "p99_latency <= 2 * champion", "prediction_psi < 0.25")
BOTH = (*STRICT, "score_shift <= 10%")  # the index against the version's own past, the shift against the champion


class Scene(NamedTuple):
    """The traffic, the plan, and what the new version does differently.

    `error_rate` is the champion's share of failed requests. The new version's failures are `risk` times as many, its
    latency is `slower` times as long, its scores are moved by `shift` standard deviations. The champion took `before`
    times as long until the deploy.
    """

    name: str
    steps: tuple[Step, ...]
    requests: int
    per_second: int = 500
    rules: tuple[str, ...] = STRICT
    alpha: float = 0.01
    error_rate: float = 0.02
    risk: float = 1.0
    slower: float = 1.0
    shift: float = 0.0
    heavy_users: bool = False
    outage: bool = False
    before: float = 1.0


class Stream(NamedTuple):
    """What each request of a run would get of the champion [0] and of the new version [1]; arrays of shape (n,)."""

    units: list[str]
    failed: tuple[np.ndarray, np.ndarray]
    latency: tuple[np.ndarray, np.ndarray]
    score: tuple[np.ndarray, np.ndarray]


class Run(NamedTuple):
    """How a rollout ended, and what its callers saw: `canary`, `failed`, `latency` (ms) and `score` are one entry a
    request, as dealt."""

    phase: str
    guardrail: str | None
    exposed: int  # canary requests until the last decision
    requests: int  # all requests until then
    canary: np.ndarray
    failed: np.ndarray
    latency: np.ndarray
    score: np.ndarray
    replays: bool


def draw(scene: Scene, rng: np.random.Generator) -> Stream:
    """A seeded stream."""
    n = scene.requests
    rate, slowdown, latency, level, units = _people(scene, rng)
    if scene.outage:  # a database, a network: whatever both versions stand on
        down = slice(int(0.35 * n), int(0.55 * n))
        rate[down], slowdown[down] = np.maximum(rate[down], 0.4), 4.0
    dice = rng.random(n)
    latency = latency * slowdown
    return Stream(
        units,
        (dice < rate, dice < np.minimum(1.0, rate * scene.risk)),
        (latency, latency * scene.slower),
        (_squash(level), _squash(level + scene.shift)),
    )


def past_of(scene: Scene, rng: np.random.Generator) -> Stream:
    """What the champion answered before the deploy."""
    past = draw(scene._replace(requests=HISTORY, outage=False), rng)
    return past._replace(latency=(past.latency[0] * scene.before, past.latency[1]))


def _people(scene: Scene, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, list[str]]:
    """Each request's failure rate, slow-down, latency, score level and unit. A heavy user's requests are alike: one in
    fifty users fails with nearly every request, some are always slow, each has a score of its own."""
    n, wide = scene.requests, LATENCY_SPREAD
    if not scene.heavy_users:
        latency = LATENCY_MS * np.exp(rng.normal(0.0, wide, n))
        units = _names(n)
        return np.full(n, scene.error_rate), np.ones(n), latency, rng.normal(size=n), units
    weight = np.arange(1, USERS + 1, dtype=np.float64) ** -ZIPF
    who = rng.choice(USERS, n, p=weight / weight.sum())
    failing = np.where(rng.random(USERS) < scene.error_rate, 0.95, 0.001)
    speed = np.exp(rng.normal(0.0, wide * 0.9, USERS))
    latency = LATENCY_MS * speed[who] * np.exp(rng.normal(0.0, wide * 0.4, n))
    names = _names(USERS)
    return failing[who], np.ones(n), latency, rng.normal(size=USERS)[who], [names[one] for one in who.tolist()]


@cache
def _names(count: int) -> list[str]:
    return [f"u{number}" for number in range(count)]


def _squash(level: np.ndarray) -> np.ndarray:
    scores: np.ndarray = 1.0 / (1.0 + np.exp(-level))
    return scores


@cache
def _bundles() -> tuple[ScriptedBundles, tuple[str, str]]:
    """Two versions with the same held-out scores, once a process."""
    folder = Path(mkdtemp(prefix="fairlead-rollouts-"))
    store = ScriptedBundles(folder / "bundles")
    scores = NumericColumn("__score__", _squash(np.random.default_rng(5).normal(size=20_000)))
    text = msgspec.json.encode(profile((scores,))).decode()
    digests = []
    for note in ("1", "2"):
        place = folder / f"new-{note}"
        digests.append(store.put(place, example(place, **{"note": note, PROFILE: text})))
    return store, (digests[0], digests[1])


@cache
def heldout() -> Cells:
    """The cells of the held-out scores."""
    store, (digest, _) = _bundles()
    return heldout_cells(store, digest)


class World:
    """A controller with its journal, board and clock in memory; version 1 of hotel serves and has a past."""

    def __init__(self, scene: Scene, name: str, rng: np.random.Generator) -> None:
        self.clock, self.journal, self.board = ManualClock(), MemoryJournal(), MemoryBoard()
        bundles, self._digests = _bundles()
        facts = [VersionRegistered("hotel", n + 1, digest, "july") for n, digest in enumerate(self._digests)]
        self.journal.append(facts, actor="ana", at=self.clock.now())
        self.release = Release(self.journal, self.board, bundles, self.clock)
        self._rollout = f"r-{name}"  # the salt: each run is a deal of its own
        self._asked = 0
        rules = tuple(guardrail(text) for text in scene.rules)
        plan = Plan("canary", scene.steps, rules, alpha=scene.alpha, edition=EDITION)
        self._deploy("first", 1, plan)
        self.serve(past_of(scene, rng), slice(0, HISTORY), 500)
        self._deploy(self._rollout, 2, plan)

    def _deploy(self, rollout: str, version: int, plan: Plan) -> None:
        asked = DeployAsked("hotel", rollout, version, self._digests[version - 1], plan)
        self.journal.append([asked], actor="ana", at=self.clock.now())
        self.tick()
        self.tick()

    def tick(self) -> None:
        """A tenth of a second; the worker has the table."""
        self.clock.advance(TICK_SECONDS)
        now = self.clock.now()
        self.board.report(WorkerState(0, 1, self.board.current().generation, now, now))
        self.release.tick()

    @property
    def route(self) -> ModelRoute:
        """What the workers deal by."""
        return self.board.current().models["hotel"]

    def serve(self, stream: Stream, part: slice, per_second: int) -> list[bool]:
        """Some requests of a stream, as the present route deals them; whether each was the canary's. Then a tick."""
        route = self.route
        now, pause = self.clock.now(), 1.0 / per_second
        units = stream.units[part]
        columns = [[side[part].tolist() for side in pair] for pair in (stream.failed, stream.latency, stream.score)]
        failed, latency, score = columns
        records, dealt = [], []
        for row, unit in enumerate(units):
            to = choose(route, unit)
            which = to.version - 1
            bad = failed[which][row]
            outcome = (bad, latency[which][row], None if bad else score[which][row])
            records.append(self._record(unit, to, now + row * pause, outcome))
            dealt.append(to.arm == "canary")
        self.release.observe(records)
        self.tick()
        return dealt

    def _record(self, unit: str, to: Route, at: float, outcome: tuple[bool, float, float | None]) -> Prediction:
        failed, latency, score = outcome
        self._asked += 1
        return Prediction(
            request_id=f"q{self._asked:07d}",
            model_name="hotel",
            model_version=to.version,
            arm=to.arm,
            unit_id=unit,
            propensity=to.propensity,
            timestamp=at,
            received_at=at,
            features=NOTHING,
            prediction=None if failed else 0,
            score=score,
            latency_ms=latency,
            status=500 if failed else 200,
            rollout=to.rollout,
        )

    def last(self) -> Decision:
        """The rollout's latest decision."""
        facts = [entry.fact for entry in self.journal.read(kinds=["rollout_decided"])]
        mine = [fact for fact in facts if isinstance(fact, RolloutDecided) and fact.rollout == self._rollout]
        return msgspec.json.decode(mine[-1].decision, type=Decision)

    def replays(self) -> bool:
        """Whether the journal gives every decision again, byte for byte."""
        return replay(self.journal.read(), self._rollout).matches

    @property
    def runs(self) -> bool:
        """Whether the rollout is not over, and waits for no operator."""
        running = self.release.running("hotel")
        return running is not None and running.phase is not Phase.HELD


def run(scene: Scene, seed: tuple[int, ...]) -> Run:
    """One rollout, from its deploy until it is over, held, or the stream ends. Where it was rolled back the rest of the
    stream is dealt as before: what another rule would have seen."""
    rng = np.random.default_rng(seed)
    world = World(scene, "-".join(map(str, seed)), rng)
    stream, step = draw(scene, rng), max(1, int(scene.per_second * TICK_SECONDS))
    dealt: list[bool] = []
    route = world.route
    while world.runs and len(dealt) < scene.requests:
        route = world.route
        dealt += world.serve(stream, slice(len(dealt), len(dealt) + step), scene.per_second)
    last, seen = world.last(), len(dealt)
    if last.after is Phase.ROLLED_BACK:
        share = route.arms[0].share
        dealt += [place(route.salt, unit) < share for unit in stream.units[seen:]]
    return _told(world, last, seen, (stream, np.asarray(dealt)))


def _told(world: World, last: Decision, seen: int, answered: tuple[Stream, np.ndarray]) -> Run:
    stream, canary = answered
    n = len(canary)
    pairs = (stream.failed, stream.latency, stream.score)
    failed, latency, score = (np.where(canary, version[:n], champion[:n]) for champion, version in pairs)
    exposed = last.requests.get("canary", 0)
    return Run(last.after.value, last.guardrail, exposed, seen, canary, failed, latency, score, world.replays())
