"""When a challenger is trained, from how much, and how."""

from __future__ import annotations

from math import isfinite
from typing import Literal

from msgspec.structs import replace

from fairlead.config.conditions import condition
from fairlead.config.fields import Comparison, Section, Share, Span
from fairlead.config.rollout import Strategy
from fairlead.config.trainer import TrainerSettings
from fairlead.config.watched import known_metric
from fairlead.core.retrain import RetrainPolicy
from fairlead.core.schedule import schedule
from fairlead.core.triggers import Trigger
from fairlead.errors import SettingsError

_PER_FEATURE = ("psi", "drift_p_value")
_EXPECTED = (
    'a trigger is one of {schedule: weekly}, {drift: "psi > 0.25", features: 2}, '
    '{performance: "auroc < champion - 5%"}, {volume: 20%}'
)


class TriggerSettings(Section, frozen=True):
    """One reason to train: a schedule (hourly, daily, weekly, monthly, or five fields of cron, UTC), drift of so many
    features, a fall of a metric of matured labels, or so much more labelled data than the version was trained on."""

    schedule: str | None = None
    drift: Comparison | None = None
    features: int | None = None
    performance: Comparison | None = None
    volume: Share | None = None

    def __post_init__(self) -> None:
        """Refuses none, several in one, and what cannot be read."""
        stated = [one for one in (self.schedule, self.drift, self.performance, self.volume) if one is not None]
        if len(stated) != 1:
            raise SettingsError(_EXPECTED)
        if self.features is not None and (self.drift is None or self.features < 1):
            raise SettingsError("features is how many must have drifted, 1 or more: write it beside `drift`")
        if self.volume is not None and self.volume <= 0.0:
            raise SettingsError("a volume of 0% would train all the time: write for instance {volume: 20%}")
        self._check_metrics()
        _ = self.trigger

    def _check_metrics(self) -> None:
        if self.drift is not None and condition(self.drift).metric not in _PER_FEATURE:
            raise SettingsError(f'a drift trigger compares {" or ".join(_PER_FEATURE)}: write "psi > 0.25"')
        if self.performance is not None:
            known_metric(condition(self.performance).metric)

    @property
    def trigger(self) -> Trigger:
        """The same, as decisions take it."""
        return Trigger(
            schedule=None if self.schedule is None else schedule(self.schedule),
            drift=None if self.drift is None else condition(self.drift),
            features=self.features or 1,
            performance=None if self.performance is None else condition(self.performance),
            volume=None if self.volume is None else float(self.volume),
        )


class WorthSettings(Section, frozen=True):
    """What a challenger must be worth where the model has a cost matrix: what it saves in `horizon`, less `cost` (of
    training it and bringing it out), must be above 0 beyond chance, or it is not brought out."""

    cost: float = 0.0
    horizon: Span = Span(30 * 86400)

    def __post_init__(self) -> None:
        """Refuses what is no cost, and no time."""
        if not (isfinite(self.cost) and self.cost >= 0.0):
            raise SettingsError("retraining.worth.cost is a finite number, not negative: write it as in {cost: 500}")
        if self.horizon <= 0.0:
            raise SettingsError("retraining.worth.horizon is how long a version is expected to serve: write it as 30d")


class Retraining(Section, frozen=True):
    """When a challenger is trained, from how much, and how: by a command here, or by a service. With neither nothing is
    trained.

    Without `triggers` a harmful window trains, and so does drift of two features that foretells harm. `at_most_every`
    holds for whatever is not on a schedule; where it is stated, for that too.
    """

    command: str = ""
    trainer: TrainerSettings | None = None
    triggers: tuple[TriggerSettings, ...] = ()
    rows: int = 15_000
    at_least_labels: int = 1_000
    at_most_every: Span | None = None  # left out: 30d
    timeout: Span = Span(3600)
    strategy: Strategy = "shadow"
    promote: Literal["gated", "manual"] = "gated"
    worth: WorthSettings | None = None

    def __post_init__(self) -> None:
        """Refuses two ways to train at once."""
        if self.command and self.trainer is not None:
            raise SettingsError("retraining has a command and a trainer: keep the one that trains")

    @property
    def policy(self) -> RetrainPolicy:
        """The same, as decisions take it."""
        policy = RetrainPolicy(self.at_least_labels, triggers=tuple(one.trigger for one in self.triggers))
        if self.at_most_every is None:
            return policy
        every = float(self.at_most_every)
        return replace(policy, at_most_every_seconds=every, schedule_every_seconds=every)

    @property
    def trains(self) -> bool:
        """Whether anything trains."""
        return bool(self.command) or self.trainer is not None
