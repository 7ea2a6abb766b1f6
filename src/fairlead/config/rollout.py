"""How a version earns its traffic."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, get_args

from msgspec import field
from msgspec.structs import replace

from fairlead.config.after import AfterSettings
from fairlead.config.fields import Bound, Duration, Section, Share, Span
from fairlead.config.grammar import guardrail
from fairlead.core.metrics import LATENCIES, SINCE_3, is_event
from fairlead.core.rollout import EDITION, Plan, ShadowPlan, Step
from fairlead.core.split import By, Split, fault_of
from fairlead.errors import SettingsError, UsageError

Strategy = Literal["shadow", "canary", "blue-green", "ab", "rolling"]


class ShadowSettings(Section, frozen=True):
    """The unseen phase: at least this long, and this many paired requests, of this share of the units."""

    seconds: Span = field(default=Span(3600), name="for")
    at_least: int = 1000
    traffic: Share = Share(1.0)

    def __post_init__(self) -> None:
        """Refuses a phase that sees nobody."""
        if not 0.0 < self.traffic <= 1.0:
            raise SettingsError(f"rollout.shadow.traffic is {self.traffic:g}: write more than 0%, at most 100%")

    @property
    def plan(self) -> ShadowPlan:
        """The same, as rollouts take it."""
        return ShadowPlan(float(self.seconds), self.at_least, float(self.traffic))


class StepSettings(Section, frozen=True):
    """A share of traffic, how long it is held, and the canary requests it needs before the next; `manual`: an operator
    resumes the rollout before it goes on from here."""

    traffic: Share
    hold: Span = Span(0)
    at_least: int = 0
    manual: bool = False


class SplitSettings(Section, frozen=True):
    """What a rollout deals to its versions: units, which keep theirs, or requests, each anew; an A/B rollout also deals
    all requests with one value of `feature` together, or all of one `block` of time.

    `within` restricts it to requests with some values of `feature` (a region first), `stratified` draws each value's
    units apart, `explore` is the share that is dealt evenly.
    """

    by: By = By.UNIT
    feature: str = ""
    within: tuple[str, ...] = ()
    stratified: bool = False
    explore: Share = Share(0.0)
    block: Span = Span(0)

    def __post_init__(self) -> None:
        """Refuses what cannot be dealt."""
        if fault := fault_of(self.split):
            raise SettingsError(f"rollout.split: {fault}")

    @property
    def split(self) -> Split:
        """The same, as routes take it."""
        return Split(self.by, self.feature, self.within, self.stratified, float(self.block), float(self.explore))

    def fault_for(self, strategy: str) -> str:
        """Why a strategy cannot be judged under this split; nothing where it can."""
        if strategy == "ab" or not self.split.clusters:
            return ""
        return (
            f"rollout.split deals units or requests, whose evidence is tested one by one; by {self.by.value} is for "
            "strategy ab, or an experiment: write by: unit, with within: [...] for one region first"
        )


_STEPS = (
    StepSettings(Share(0.01), Span(4 * 3600), 100),
    StepSettings(Share(0.05), Span(24 * 3600), 500),
    StepSettings(Share(0.25), Span(24 * 3600), 1000),
    StepSettings(Share(0.50), Span(48 * 3600), 1000),
    StepSettings(Share(1.0)),
)
# A rolling rollout replaces a quarter of the traffic after another, whoever asks.
_ROLLING = (*(Step(share, 60.0, 100) for share in (0.25, 0.5, 0.75)), Step(1.0))
_GUARDRAILS = tuple(
    Bound(guardrail(text))
    for text in ("error_rate <= 1.25 * champion", "p99_latency <= 2 * champion", "prediction_psi < 0.25")
)


class RolloutSettings(Section, frozen=True):
    """How a version earns its traffic. `alpha` is the budget of false rollbacks per rollout."""

    strategy: Strategy = "canary"
    shadow: ShadowSettings | None = None  # stated: before the steps of any strategy; else before those of shadow
    steps: tuple[StepSettings, ...] = _STEPS
    guardrails: tuple[Bound, ...] = _GUARDRAILS
    alpha: Share = Share(0.01)
    undecided: Literal["hold", "roll_back", "promote"] = "hold"
    deadline: Span | None = None
    automatic: Literal["always", "after_selftest"] = "always"  # when a broken guardrail may roll back by itself
    split: SplitSettings = SplitSettings()
    after: AfterSettings = AfterSettings()
    golden: Duration = Duration(60)  # between two tests of a served version's golden rows

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
        if fault := self.split.fault_for(self.strategy):
            raise SettingsError(fault)
        if self.golden < 1.0:
            raise SettingsError(f"rollout.golden is {self.golden:g} s between two tests: write 1s or more")
        latencies = [bound.rule for bound in self.guardrails if bound.rule.metric in LATENCIES]
        if len(latencies) > 1:
            raise SettingsError("rollout.guardrails bound latency twice: keep one of them")

    def plan(self, strategy: str | None = None, segments: tuple[str, ...] = ()) -> Plan:
        """The rollout's plan for a strategy: shadow (unseen first), canary (steps only), blue-green (one flip), ab (one
        constant share, until a person decides), rolling (by quarters of all requests, each request dealt anew). A
        shadow phase that is stated comes first under any of them but ab.

        `segments` are features by whose values a shadow is told apart. Raises `UsageError` for any other, and for
        one that cannot be judged under the split.
        """
        chosen = strategy or self.strategy
        if chosen not in get_args(Strategy):
            raise UsageError(f"{chosen!r} is no strategy: use one of {', '.join(get_args(Strategy))}")
        if fault := self.split.fault_for(chosen):
            raise UsageError(fault)
        shadow = self.shadow or (ShadowSettings() if chosen == "shadow" else None)
        if fault := self._unmeasurable(chosen, shadow):
            raise UsageError(fault)
        steps = tuple(Step(float(one.traffic), float(one.hold), one.at_least, one.manual) for one in self.steps)
        split = self.split.split
        return Plan(
            strategy=chosen,
            steps={"blue-green": (Step(1.0),), "ab": (Step(0.5),), "rolling": _ROLLING}.get(chosen, steps),
            guardrails=tuple(bound.rule for bound in self.guardrails),
            shadow=shadow.plan if shadow and chosen != "ab" else None,
            alpha=float(self.alpha),
            undecided=self.undecided,
            deadline_seconds=None if self.deadline is None or chosen == "ab" else float(self.deadline),
            split=replace(split, by=By.REQUEST) if chosen == "rolling" else split,
            edition=EDITION,
            segments=segments,
            after=self.after.plan,
        )

    def _unmeasurable(self, strategy: str, shadow: ShadowSettings | None) -> str:
        """Which guardrail a strategy could never measure; nothing where there is none."""
        for rule in (bound.rule for bound in self.guardrails):
            if rule.metric == "flip_rate" and shadow is None and strategy != "ab":
                return (
                    f"{rule.text} is measured while both versions answer, and {strategy} has no such phase here: write "
                    "rollout.shadow: {for: 1h, at_least: 1000}"
                )
            beside = is_event(rule.metric) or rule.metric in SINCE_3
            if beside and strategy == "blue-green":
                return f"{rule.text} is compared to a champion at the same time, and blue-green leaves none: use canary"
        return ""
