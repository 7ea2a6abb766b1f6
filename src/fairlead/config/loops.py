"""Feedback loops: which share of the traffic explores, and how often what is decided is audited."""

from __future__ import annotations

from fairlead.config.fields import Duration, Section, Share
from fairlead.errors import SettingsError


class Loops(Section, frozen=True):
    """`explore` is the least share of decisions that chance deals to another version; left out, none is asked for.

    Every `audit` the decisions are read again, also by `slices` (features; left out: the model's segments).
    """

    explore: Share | None = None
    audit: Duration = Duration(30 * 86_400)
    slices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuses audits that would never end, and slices that are named twice."""
        if not self.audit >= 3_600.0:
            raise SettingsError(f"loops.audit is {float(self.audit):g} s: decisions are audited every hour at most")
        if self.explore is not None and not 0.0 < self.explore <= 0.5:
            raise SettingsError(f"loops.explore is {float(self.explore):.3g}: write a share above 0 and up to 50%")
        twice = next((name for name in self.slices if self.slices.count(name) > 1), None)
        if twice:
            raise SettingsError(f"loops.slices names {twice} twice: keep one")
