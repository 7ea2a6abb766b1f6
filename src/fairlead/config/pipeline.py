"""A pipeline: stages of steps, and what takes a version back by itself."""

from __future__ import annotations

from fairlead.config.conditions import condition
from fairlead.config.fields import Comparison, Duration, Section
from fairlead.config.rollout import Strategy
from fairlead.config.watched import known_metric
from fairlead.core.condition import Condition
from fairlead.errors import SettingsError


class StageSettings(Section, frozen=True):
    """A stage: its steps, one after another. `strategy` is for the steps that deploy."""

    name: str
    steps: tuple[str, ...] = ()
    strategy: Strategy | None = None

    def __post_init__(self) -> None:
        """Refuses a stage that does nothing."""
        if not self.name or not self.steps:
            raise SettingsError("a pipeline stage has a name and steps: write {name: test, steps: [unit_tests]}")


class RollbackSettings(Section, frozen=True):
    """When a version is taken back without anyone asking: while it is rolled out, and for `within` after its promotion.

    `automatic: false` tells people, and leaves it to them.
    """

    automatic: bool = True
    trigger: Comparison | None = None
    within: Duration = Duration(7 * 86400)

    def __post_init__(self) -> None:
        """Reads the trigger now, so that a wrong one is told at the start."""
        if self.condition is not None:
            known_metric(self.condition.metric)

    @property
    def condition(self) -> Condition | None:
        """The trigger as it is evaluated; None where there is none."""
        return None if self.trigger is None else condition(self.trigger)


class Pipeline(Section, frozen=True):
    """The stages a version goes through, and its automatic rollback."""

    stages: tuple[StageSettings, ...] = ()
    rollback: RollbackSettings = RollbackSettings()

    def __post_init__(self) -> None:
        """Refuses two stages of one name."""
        names = [stage.name for stage in self.stages]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise SettingsError(f"pipeline.stages has two of the name {twice!r}: name them apart")
