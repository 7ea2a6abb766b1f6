"""The settings: one frozen value, read once and handed down. Every field has a default that works on a laptop."""

from __future__ import annotations

from itertools import pairwise
from math import isfinite
from typing import Literal, get_args

from msgspec import Struct, field
from msgspec.structs import replace

from fairlead.config.grammar import duration, guardrail
from fairlead.core.admission import Limits
from fairlead.core.amend import Amendments
from fairlead.core.contract import Task
from fairlead.core.cost import CostMatrix
from fairlead.core.rollout import Guardrail, Plan, ShadowPlan, Step
from fairlead.core.split import By, Split, fault_of
from fairlead.errors import SettingsError, UsageError

Strategy = Literal["shadow", "canary", "blue-green", "rolling"]
Severity = Literal["critical", "high", "medium", "low"]
# The least and the most that a limit may be; durations in seconds.
LIMIT_RANGES = (
    ("timeout", 0.01, 600.0),
    ("concurrency", 1, 64),
    ("queue", 1, 100_000),
    ("wait", 0.0, 600.0),
    ("batch", 1, 4096),
    ("batch_wait", 0.0, 1.0),
)


class Duration(float):
    """Seconds, written as 30s, 4h or 7d."""


class Share(float):
    """A share of one, written as 5% or 0.05."""


class Size(int):
    """Bytes, written as 512MB."""


def _plain(value: float) -> float | int:
    """A duration as a plain number."""
    return float(value) if isinstance(value, float) else value


class Bound(Struct, frozen=True):
    """A guardrail, written as in `error_rate <= 1.25 * champion`."""

    rule: Guardrail


class _Section(Struct, frozen=True, forbid_unknown_fields=True):
    """A part of the file. Unknown keys are errors."""


class Labels(_Section, frozen=True):
    """How late the truth arrives: after `delay` a cohort counts as mature even if some labels never came."""

    delay: Duration = Duration(14 * 86400)


class Cost(_Section, frozen=True):
    """What a wrong answer of a binary model costs, in the currency you count in."""

    false_positive: float = 0.0
    false_negative: float = 0.0

    def __post_init__(self) -> None:
        """Refuses what is no cost."""
        costs = (self.false_positive, self.false_negative)
        if not all(isfinite(cost) and cost >= 0.0 for cost in costs):
            raise SettingsError("a cost is a finite number, not negative: write it as in {false_positive: 5}")
        if not any(costs):
            raise SettingsError("cost names no error above 0: give false_positive or false_negative, or leave cost out")

    @property
    def matrix(self) -> CostMatrix:
        """The costs as decisions take them."""
        return CostMatrix(float(self.false_positive), float(self.false_negative))


class LimitSettings(_Section, frozen=True):
    """What one version of a slow model may take up in a worker, see `core.admission.Limits`. What is left out is as for
    all models."""

    timeout: Duration | None = None
    concurrency: int | None = None
    queue: int | None = None
    wait: Duration | None = None
    batch: int | None = None
    batch_wait: Duration | None = None

    def __post_init__(self) -> None:
        """Refuses what would answer nobody."""
        for name, least, most in LIMIT_RANGES:
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                raise SettingsError(f"limits.{name} is {value:g}: write {least:g} to {most:g}")

    def over(self, every: Limits) -> Limits:
        """These limits, where they say something, over those of all models."""
        said = {name: getattr(self, name) for name, _, _ in LIMIT_RANGES}
        return replace(every, **{name: _plain(value) for name, value in said.items() if value is not None})


class ModelSettings(_Section, frozen=True):
    """What is known of a model before it is registered."""

    task: Task | None = None
    unit: str | None = None
    segments: tuple[str, ...] = ()
    owner: str = ""
    labels: Labels = Labels()
    cost: Cost | None = None
    contract: Amendments = Amendments()
    limits: LimitSettings = LimitSettings()

    def __post_init__(self) -> None:
        """A false positive is something only a binary model can give."""
        if self.cost is not None and self.task not in (None, Task.BINARY):
            raise SettingsError(f"cost prices false positives and negatives, which a {self.task} model does not give")


class Serving(_Section, frozen=True):
    """The data plane and the control plane. Loopback unless told otherwise."""

    host: str = "127.0.0.1"
    port: int = 8080
    control_port: int = 8081
    workers: int = 2
    durability: Literal["batch", "sync"] = "batch"
    limits: LimitSettings = LimitSettings()


class Gates(_Section, frozen=True):
    """What a version must measure up to before it may be deployed."""

    p99: Duration = Duration(0.05)
    peak_memory: Size = Size(1_000_000_000)
    against_champion: Literal["better", "not_worse"] = "better"
    margin: float = 0.01
    valid_for: Duration = Duration(30 * 86400)


class ShadowSettings(_Section, frozen=True):
    """The unseen phase: at least this long, and this many paired requests."""

    seconds: Duration = field(default=Duration(3600), name="for")
    at_least: int = 1000


class StepSettings(_Section, frozen=True):
    """A share of traffic, how long it is held, and the canary requests it needs before the next."""

    traffic: Share
    hold: Duration = Duration(0)
    at_least: int = 0


class SplitSettings(_Section, frozen=True):
    """What a rollout deals to the two versions: units, which keep their version, or requests, each anew.

    `within` restricts it to requests with some values of `feature` (a region first), `stratified` draws each value's
    units apart, `explore` is the share that is dealt evenly.
    """

    by: By = By.UNIT
    feature: str = ""
    within: tuple[str, ...] = ()
    stratified: bool = False
    explore: Share = Share(0.0)

    def __post_init__(self) -> None:
        """Refuses what cannot be dealt, and what would be dealt in clusters."""
        if self.by in (By.FEATURE, By.TIME):
            raise SettingsError(
                f"rollout.split deals units or requests, whose evidence is tested one by one; by {self.by.value} is "
                "for an experiment: write by: unit, with within: [...] for one region first"
            )
        if fault := fault_of(self.split):
            raise SettingsError(f"rollout.split: {fault}")

    @property
    def split(self) -> Split:
        """The same, as routes take it."""
        return Split(self.by, self.feature, self.within, self.stratified, explore=float(self.explore))


_STEPS = (
    StepSettings(Share(0.01), Duration(4 * 3600), 100),
    StepSettings(Share(0.05), Duration(24 * 3600), 500),
    StepSettings(Share(0.25), Duration(24 * 3600), 1000),
    StepSettings(Share(0.50), Duration(48 * 3600), 1000),
    StepSettings(Share(1.0)),
)
# A rolling rollout replaces a quarter of the traffic after another, whoever asks.
_ROLLING = (*(Step(share, 60.0, 100) for share in (0.25, 0.5, 0.75)), Step(1.0))
_GUARDRAILS = tuple(
    Bound(guardrail(text))
    for text in ("error_rate <= 1.25 * champion", "p99_latency <= 2 * champion", "prediction_psi < 0.25")
)


class RolloutSettings(_Section, frozen=True):
    """How a version earns its traffic. `alpha` is the budget of false rollbacks per rollout."""

    strategy: Strategy = "canary"
    shadow: ShadowSettings | None = ShadowSettings()
    steps: tuple[StepSettings, ...] = _STEPS
    guardrails: tuple[Bound, ...] = _GUARDRAILS
    alpha: Share = Share(0.01)
    undecided: Literal["hold", "roll_back", "promote"] = "hold"
    deadline: Duration | None = None
    split: SplitSettings = SplitSettings()

    def __post_init__(self) -> None:
        """Refuses now what could only fail in the middle of a release."""
        if not self.steps:
            raise SettingsError("rollout.steps is empty: give at least {traffic: 100%}")
        shares = [float(step.traffic) for step in self.steps]
        if min(shares) <= 0.0:
            raise SettingsError("a rollout step of 0% of the traffic proves nothing: write more than 0%")
        if any(later <= before for before, later in pairwise(shares)):
            raise SettingsError("rollout.steps must grow: each step takes more traffic than the one before")
        if not 0.0 < self.alpha < 1.0:
            raise SettingsError("rollout.alpha is a budget of false rollbacks: write more than 0% and less than 100%")
        latencies = [bound.rule for bound in self.guardrails if bound.rule.metric == "p99_latency"]
        if len(latencies) > 1:
            raise SettingsError("rollout.guardrails bound p99_latency twice: keep one")

    def plan(self, strategy: str | None = None) -> Plan:
        """The rollout's plan for a strategy: shadow (unseen first), canary (steps only), blue-green (one flip), rolling
        (by quarters of all requests, each request dealt anew).

        Raises `UsageError` for any other.
        """
        chosen = strategy or self.strategy
        if chosen not in get_args(Strategy):
            raise UsageError(f"{chosen!r} is no strategy: use one of {', '.join(get_args(Strategy))}")
        shadow = self.shadow
        steps = tuple(Step(float(step.traffic), float(step.hold), step.at_least) for step in self.steps)
        split = self.split.split
        return Plan(
            strategy=chosen,
            steps={"blue-green": (Step(1.0),), "rolling": _ROLLING}.get(chosen, steps),
            guardrails=tuple(bound.rule for bound in self.guardrails),
            shadow=ShadowPlan(float(shadow.seconds), shadow.at_least) if shadow and chosen == "shadow" else None,
            alpha=float(self.alpha),
            undecided=self.undecided,
            deadline_seconds=None if self.deadline is None else float(self.deadline),
            split=replace(split, by=By.REQUEST) if chosen == "rolling" else split,
        )


class Monitoring(_Section, frozen=True):
    """Windows by event time. `window` is a duration, or `month` for calendar months (UTC)."""

    window: str = "7d"
    lateness: Duration = Duration(0)
    alpha: Share = Share(0.01)

    def __post_init__(self) -> None:
        """Reads the window now, so that a wrong one is told at the start."""
        if self.window != "month":
            duration(self.window)

    @property
    def window_seconds(self) -> float | None:
        """The window's length; None for calendar months."""
        return None if self.window == "month" else duration(self.window)


class Channel(_Section, frozen=True):
    """Where notices of some severities go."""

    name: str
    type: Literal["console", "webhook"]
    url: str = ""
    severity: tuple[Severity, ...] = ("critical", "high", "medium", "low")


class Alerting(_Section, frozen=True):
    """Who is told, how often, and where the runbooks are."""

    owner: str = "unassigned"
    runbooks: str = "docs/runbooks"
    repeat_after: Duration = Duration(7 * 86400)
    channels: tuple[Channel, ...] = (Channel("console", "console"),)


class Retraining(_Section, frozen=True):
    """When a challenger is trained, from how much, and how. Without a command nothing is trained."""

    command: str = ""
    rows: int = 15_000
    at_least_labels: int = 1_000
    at_most_every: Duration = Duration(30 * 86400)
    timeout: Duration = Duration(3600)
    strategy: Strategy = "shadow"
    promote: Literal["gated", "manual"] = "gated"


class SamplingSettings(_Section, frozen=True):
    """What of the log is kept once it is `after` old: every failure, every prediction with an outcome, and this share
    of the rest, chosen by a hash of the request id."""

    rest: Share = Share(1.0)
    after: Duration = Duration(30 * 86400)

    def __post_init__(self) -> None:
        """A day is thinned once, when nothing comes into it any more."""
        if self.after < 86_400.0:
            raise SettingsError("log.sampling.after is less than a day, and outcomes still come: write at least 1d")


class LogSettings(_Section, frozen=True):
    """The prediction log: write-ahead segments, moved into a Delta table every `compact_every`."""

    table: str = ""  # a folder or an object store's URL; empty: log/table in the home folder
    storage: dict[str, str] = {}  # options of the object store, as deltalake takes them
    compact_every: Duration = Duration(300)
    segments: Duration = Duration(7 * 86400)  # a segment lives on for this long after its last record
    retention: Duration | None = None  # what is older leaves the table; without it everything is kept
    sampling: SamplingSettings = SamplingSettings()
    when_full: Literal["shed", "serve-unlogged"] = "shed"

    def __post_init__(self) -> None:
        """Refuses what would lose records that someone still reads."""
        if self.compact_every < 1.0:
            raise SettingsError("log.compact_every is a pause between two rounds: write at least 1s")
        if self.segments < 3600.0:
            raise SettingsError("log.segments is less than an hour, and readers may still be at work: at least 1h")
        if self.retention is not None and self.retention < 86_400.0:
            raise SettingsError("log.retention is counted in whole days: write at least 1d")


class Settings(_Section, frozen=True):
    """The whole file."""

    project: str = "fairlead"
    models: dict[str, ModelSettings] = {}
    serving: Serving = Serving()
    gates: Gates = Gates()
    rollout: RolloutSettings = RolloutSettings()
    monitoring: Monitoring = Monitoring()
    alerting: Alerting = Alerting()
    retraining: Retraining = Retraining()
    log: LogSettings = LogSettings()
    # Formats that run code when they are loaded.
    trust: tuple[Literal["pickle", "joblib", "cloudpickle", "python", "pyfunc"], ...] = ()
    tracking_uri: str = ""  # an MLflow server; empty: SQLite in the home folder

    def limits(self) -> dict[str, Limits]:
        """What models may take up: by name for those with limits of their own, under the empty name for all others."""
        every = self.serving.limits.over(Limits())
        own = {name: known.limits.over(every) for name, known in self.models.items()}
        return {"": every, **{name: limits for name, limits in own.items() if limits != every}}

    def owner_of(self, model: str) -> str:
        """Who answers for a model."""
        known = self.models.get(model)
        return (known.owner if known else "") or self.alerting.owner
