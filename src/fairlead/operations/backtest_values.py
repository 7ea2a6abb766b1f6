"""What a backtest says: the windows, the rules, the verdict against a budget of pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from fairlead.core.backtest import (
    KINDS,
    PRACTICE,
    RETRAINING,
    SETTINGS,
    TESTS,
    USUAL,
    WATCH,
    Realised,
    RuleScore,
    allowed_pages,
    stretches,
)
from fairlead.core.listing import counted
from fairlead.core.verdict import Outcome, Verdict
from fairlead.operations.report_output import as_json, frame_of

if TYPE_CHECKING:
    import pandas as pd

FEWEST_WINDOWS = 5
TITLES = {
    WATCH: "the watch's alerts",
    SETTINGS: "the settings' alerts",
    USUAL: "alerts where none is stated",
    TESTS: "drift tests",
    RETRAINING: "retraining",
    PRACTICE: "single judgements",
}
DAY = 86_400.0


class Budget(Struct, frozen=True):
    """How many false pages are allowed in a period."""

    pages: float = 1.0
    per_seconds: float = 30 * DAY

    def __str__(self) -> str:
        return f"{self.pages:g} in {self.per_seconds / DAY:g} days"


class WindowLine(Struct, frozen=True):
    """One window as it is shown: what happened, what was said of it last, and whether somebody was paged."""

    name: str
    rows: int
    labels: int
    loss: float | None
    harmful: bool | None
    outcome: str
    reason: str
    paged: bool
    moved: tuple[str, ...] = ()


class FaultLine(Struct, frozen=True):
    """One fault of the catalogue in one column: whether it was found, by which rule, how late, and who was suspected
    first. `windows` is the delay in windows: 0 is the window in which it began."""

    fault: str
    column: str
    found: bool
    by: str = ""
    windows: int | None = None
    seconds: float | None = None
    suspect: str = ""
    right: bool | None = None  # whether the first suspect is the faulty column; None where no column is at fault
    paged: bool = False
    note: str = ""


class BacktestReport(Struct, frozen=True, dict=True):
    """Would these monitors have paged? `rules` has the product's own pages first; `reference` names what the windows
    were compared with, `reference_loss` its mean loss, beyond which windows count as harmful."""

    model: str
    reference: str
    reference_loss: float | None
    seconds: float  # of a window
    windows: tuple[Realised, ...]
    lines: tuple[WindowLine, ...]
    rules: tuple[RuleScore, ...]
    budget: Budget
    verdict: Verdict
    notes: tuple[str, ...] = ()
    faults: tuple[FaultLine, ...] = ()

    @property
    def span_seconds(self) -> float:
        """From the first window's start to the last one's end."""
        return self.windows[-1].ends_at - self.windows[0].starts_at if self.windows else 0.0

    @property
    def sections(self) -> dict[str, tuple[RuleScore, ...]]:
        """The rules that were asked, by the title of their section, in order; the first rule, the pages, is in none."""
        asked = [one for one in self.rules[1:] if not one.missing]
        found = {TITLES[kind]: tuple(one for one in asked if one.kind == kind) for kind in KINDS}
        return {title: rules for title, rules in found.items() if rules}

    @property
    def unasked(self) -> dict[str, tuple[RuleScore, ...]]:
        """The rules that could not be asked, by the reason."""
        missing = [one for one in self.rules if one.missing]
        reasons = dict.fromkeys(one.missing for one in missing)
        return {reason: tuple(one for one in missing if one.missing == reason) for reason in reasons}

    def to_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        for rule, one in zip(plain["rules"], self.rules, strict=True):
            rule |= {"delay_median": one.delay_median, "delay_90": one.delay_worst, "pages": one.pages}
        return plain

    def to_json(self) -> str:
        """`to_dict` as one JSON document."""
        return as_json(self.to_dict())

    def to_frame(self) -> pd.DataFrame:
        """A pandas frame, one row a rule. Raises `MissingExtra` without pandas."""
        rows = [{**rule, "delays": list(rule["delays"])} for rule in self.to_dict()["rules"]]
        return frame_of(rows, "BacktestReport.to_frame()")


def judge_backtest(rules: tuple[RuleScore, ...], windows: tuple[Realised, ...], budget: Budget) -> Verdict:
    """Breached where the product's own pages were false more often than the budget allows; unmeasured with too few
    windows, or none whose harm is known."""
    known = [one for one in windows if one.harmful is not None]
    if len(windows) < FEWEST_WINDOWS:
        return Verdict(
            Outcome.UNMEASURED,
            f"{counted(len(windows), 'window')}: at least {FEWEST_WINDOWS} are needed for a backtest",
        )
    if not known:
        return Verdict(Outcome.UNMEASURED, "no window has enough labels: which pages are false is not known")
    pages = rules[0]
    span = windows[-1].ends_at - windows[0].starts_at
    allowed = allowed_pages(budget.pages, budget.per_seconds, span)
    harm = len(stretches(windows))
    found = f"; {pages.found} of {counted(harm, 'harmful stretch', 'harmful stretches')} found" if harm else ""
    said = (
        f"{counted(pages.false_notices, 'false page')} of {pages.notices} in {span / DAY:.3g} days, "
        f"{allowed} allowed ({budget}){found}"
    )
    return Verdict(Outcome.BREACHED if pages.false_notices > allowed else Outcome.HOLDS, said)
