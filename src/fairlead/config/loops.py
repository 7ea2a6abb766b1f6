"""Feedback loops: which share of the traffic explores, and how often what is decided is audited."""

from __future__ import annotations

from collections.abc import Mapping

from fairlead.config.fields import Section, Share, Span
from fairlead.core.exploring import Draws
from fairlead.errors import SettingsError


class Randomise(Section, frozen=True):
    """Of the `models` (those that answer with classes) a share of the decisions is drawn, where the score lies from
    `low` to `high`: any class, each with the same chance."""

    models: tuple[str, ...]
    share: Share
    low: Share = Share(0.0)
    high: Share = Share(1.0)

    def __post_init__(self) -> None:
        """Refuses what would draw nothing, or nearly everything."""
        if not self.models:
            raise SettingsError("loops.randomise.models is empty: name the models whose decisions are drawn")
        if not 0.0 < self.share <= 0.5:
            raise SettingsError(
                f"loops.randomise.share is {float(self.share):.3g}: write a share above 0 and up to 50%"
            )
        if not self.low < self.high:
            raise SettingsError(
                f"loops.randomise draws from {float(self.low):g} to {float(self.high):g}: let low be below high"
            )


class Loops(Section, frozen=True):
    """`explore` is the least share of decisions that chance takes; left out, none is asked for. `randomise` takes them;
    left out, chance deals among versions only, while a rollout runs.

    Every `audit` the decisions are read again, also by `slices` (features; left out: the model's segments).
    """

    explore: Share | None = None
    randomise: Randomise | None = None
    audit: Span = Span(30 * 86_400)
    slices: tuple[str, ...] = ()

    @property
    def draws(self) -> Mapping[str, Draws]:
        """Of which models decisions are drawn, and how."""
        one = self.randomise
        if one is None:
            return {}
        return dict.fromkeys(one.models, Draws(float(one.share), float(one.low), float(one.high)))

    def __post_init__(self) -> None:
        """Refuses audits that would never end, and slices that are named twice."""
        if not self.audit >= 3_600.0:
            raise SettingsError(f"loops.audit is {float(self.audit):g} s: decisions are audited every hour at most")
        if self.explore is not None and not 0.0 < self.explore <= 0.5:
            raise SettingsError(f"loops.explore is {float(self.explore):.3g}: write a share above 0 and up to 50%")
        twice = next((name for name in self.slices if self.slices.count(name) > 1), None)
        if twice:
            raise SettingsError(f"loops.slices names {twice} twice: keep one")
