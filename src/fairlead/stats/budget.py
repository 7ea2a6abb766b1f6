"""One budget of false pages, spent over features, segments, windows and monitors.

A user states how many false pages a period may bring, P. Each monitor has a share of it, s:

- a *windowed* monitor tests once per closed window. With W windows a period its alpha is s P / W for a whole window,
  over all its features and segments together (Benjamini-Hochberg at alpha keeps that, since with nothing changed its
  false discovery rate is the chance of any flag), or that over tests for each of its tests alone (Bonferroni).
  Expected false pages: at most W alpha = s P, whatever the dependence of tests and windows.
- a change *detector* looks at every observation of each of its streams. With N observations a period in all, an average
  run length of A = N / (s P) observations costs at most N / A = s P: an e-detector M has E[M] <= E[tau] at every
  stopping time tau since its last alarm, and M >= A at an alarm, so A E[alarms] <= N (Shin, Ramdas, Rinaldo 2024).

What is spent is counted by looks: a window charges its alpha, an observation 1 / A. A ledger never lends: a look that
would exceed its monitor's share is granted what is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from msgspec import Struct
from msgspec.structs import replace

MOST_ALPHA = 0.05  # per window: a larger one is a coin toss, not a test


class Windowed(Struct, frozen=True):
    """A monitor that judges closed windows. `tests` a window: features times segments. `weight` shares the budget."""

    name: str
    windows: float  # a period
    tests: int = 1
    weight: float = 1.0


class Detector(Struct, frozen=True):
    """A monitor that looks at each observation. `observations` a period, of each of its `streams`."""

    name: str
    observations: float
    streams: int = 1
    weight: float = 1.0


Monitor = Windowed | Detector


class Grant(Struct, frozen=True):
    """What a monitor may do. `pages` is its part of the budget, a period.

    `alpha` is for a whole window, `alpha_per_test` for each of its tests alone; `run_length` the average run length in
    observations that each stream must keep. What does not apply is None.
    """

    name: str
    pages: float
    alpha: float | None = None
    alpha_per_test: float | None = None
    run_length: float | None = None

    @property
    def per_look(self) -> float:
        """The expected false pages of one window, or one observation, at most."""
        if self.alpha is not None:
            return self.alpha
        return 0.0 if self.run_length is None else 1.0 / self.run_length


class Ledger(Struct, frozen=True):
    """A period's budget: `allowed` false pages, each monitor's grant, and what has been `spent` of it, by name."""

    allowed: float
    grants: tuple[Grant, ...]
    spent: dict[str, float]

    @property
    def total(self) -> float:
        """The expected false pages spent so far, at most."""
        return sum(self.spent.values())

    @property
    def left(self) -> float:
        """What may still be spent."""
        return max(0.0, self.allowed - self.total)

    def grant(self, name: str) -> Grant:
        """A monitor's grant. Raises `KeyError` for one that has none."""
        for one in self.grants:
            if one.name == name:
                return one
        raise KeyError(name)

    def charge(self, name: str, looks: float = 1.0) -> tuple[Ledger, float]:
        """The ledger after `looks` more windows, or observations of all streams together, and the share granted.

        A share of 1 is the planned alpha (or run length); where less is left of the monitor's part, each look may use
        that share of its alpha only, and 0 means that it must not page. Raises `KeyError` for a monitor without a
        grant, `ValueError` for a negative number of looks.

        >>> ledger = allocate(1.0, [Windowed("drift", windows=30)])
        >>> ledger, share = ledger.charge("drift", 20)
        >>> round(ledger.total, 3), share
        (0.667, 1.0)
        >>> ledger, share = ledger.charge("drift", 20)
        >>> round(ledger.total, 3), round(share, 3)
        (1.0, 0.5)
        """
        if not looks >= 0.0:
            raise ValueError(f"{looks} looks: charge what was looked at, never less than nothing")
        grant = self.grant(name)
        before = self.spent.get(name, 0.0)
        wanted = grant.per_look * looks
        paid = min(wanted, max(0.0, grant.pages - before))
        share = paid / wanted if wanted > 0.0 else float(grant.per_look > 0.0)
        return replace(self, spent={**self.spent, name: min(before + paid, grant.pages)}), share

    def said(self) -> str:
        """One line for people.

        >>> allocate(1.0, [Windowed("drift", windows=30)]).charge("drift", 3)[0].said()
        '0.10 of 1 false pages spent: drift 0.10'
        """
        parts = ", ".join(f"{one.name} {self.spent.get(one.name, 0.0):.2f}" for one in self.grants)
        return f"{self.total:.2f} of {self.allowed:g} false pages spent: {parts}"


def allocate(pages: float, monitors: Sequence[Monitor], *, most_alpha: float = MOST_ALPHA) -> Ledger:
    """Spends `pages` false pages a period over monitors, by weight.

    An alpha beyond `most_alpha` is not used, and what it leaves is not handed on. A monitor that never looks gets
    nothing to spend. Raises `ValueError` for a budget, weight, count or alpha that is impossible, and for two monitors
    of one name.

    >>> drift = Windowed("drift", windows=30, tests=25 * 4)
    >>> loss = Detector("loss", observations=90_000)
    >>> ledger = allocate(1.0, [drift, loss])
    >>> round(ledger.grant("drift").alpha, 4), round(ledger.grant("loss").run_length)
    (0.0167, 180000)
    """
    _check(pages, monitors, most_alpha)
    total = sum(one.weight for one in monitors)
    grants = tuple(_grant(pages * one.weight / total, one, most_alpha) for one in monitors)
    return Ledger(pages, grants, {one.name: 0.0 for one in grants})


def period_counts(period_seconds: float, *, window_seconds: float, rows_per_second: float) -> tuple[float, float]:
    """Windows and observations of a period, for `Windowed` and `Detector`. Raises `ValueError` for no length.

    >>> period_counts(30 * 86_400.0, window_seconds=86_400.0, rows_per_second=0.5)
    (30.0, 1296000.0)
    """
    if not (period_seconds > 0.0 and window_seconds > 0.0 and rows_per_second >= 0.0):
        raise ValueError(
            f"a period of {period_seconds} s, windows of {window_seconds} s, {rows_per_second} rows a second: "
            "lengths are above 0, rates not below"
        )
    return period_seconds / window_seconds, period_seconds * rows_per_second


def _grant(part: float, one: Monitor, most_alpha: float) -> Grant:
    if isinstance(one, Detector):
        every = one.observations * one.streams
        return Grant(one.name, part if every else 0.0, run_length=max(every / part, 1.0) if every else None)
    alpha = min(part / one.windows, most_alpha) if one.windows else 0.0
    return Grant(one.name, alpha * one.windows, alpha=alpha, alpha_per_test=alpha / one.tests)


def _check(pages: float, monitors: Sequence[Monitor], most_alpha: float) -> None:
    if not (isfinite(pages) and pages > 0.0):
        raise ValueError(f"the budget is {pages} false pages: state a number above 0, as in 1 per 30 days")
    if not 0.0 < most_alpha < 1.0:
        raise ValueError(f"most_alpha is {most_alpha}: it must lie between 0 and 1")
    if not monitors:
        raise ValueError("there is no monitor to spend the budget on: pass at least one")
    names = [one.name for one in monitors]
    if len(set(names)) < len(names):
        raise ValueError(f"two monitors share a name: {', '.join(names)}")
    for one in monitors:
        looks = one.windows if isinstance(one, Windowed) else one.observations
        parts = one.tests if isinstance(one, Windowed) else one.streams
        if not (isfinite(one.weight) and one.weight > 0.0 and isfinite(looks) and looks >= 0.0 and parts >= 1):
            raise ValueError(
                f"monitor {one.name!r} has weight {one.weight}, {looks} looks and {parts} parts: a weight above 0, "
                "looks not below 0, at least one part"
            )
