"""Faults injected into a past: the same windows judged with a fault and without it, by the watch's own code.

A fault counts as found in the first window in which the watch says something that it does not say of the same rows
without the fault: an alert, a column that is broken, or drifts, jumps or no longer goes together with the others by a
higher level than before, or a rule of the backtest.
The right column is suspected if it is the first suspect of that report.

Rows that the contract refuses are answered by nobody and are in no window: such a fault is found where the alert on
refused requests would be told, if that is before the watch says something of the rows that are left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from zlib import crc32

import numpy as np
from msgspec import Struct

from fairlead.core import faults as catalogue
from fairlead.core.alarm import alarms_of
from fairlead.core.alert import PAGING
from fairlead.core.contract import Task
from fairlead.core.faults import Fault
from fairlead.core.report import SCORE, Stage, WindowReport
from fairlead.core.verdict import Outcome
from fairlead.core.window import WindowPlan
from fairlead.flows.backtest import Before, Look, looks
from fairlead.flows.backtest_refusals import ALERT, Mask, Told, refuses, told_of, unusual_window
from fairlead.flows.backtest_rows import Rows, tallied
from fairlead.flows.backtest_rules import RULES, Rule
from fairlead.flows.watching.judge import Policy
from fairlead.flows.watching.reference import Reference
from fairlead.stats import faults as do
from fairlead.stats.columns import CategoricalColumn, Column, NumericColumn

Answer = Callable[[Rows], Rows]
_LEVELS = {"": 0, "none": 0, "unmeasured": 0, "warning": 1, "critical": 2}
_PRACTICE = ("any column drifts", "any column PSI > 0.25", "any column p < 0.05")  # true of some column on most days


class Scene(Struct, frozen=True, eq=False):
    """Windows in which faults begin: `calm` before them, `after` from the first faulty one on. `answer` gives the
    model's answers to changed features; None where there is no model, and answers stay as they were logged."""

    reference: Reference
    plan: WindowPlan
    policy: Policy
    calm: tuple[Rows, ...]
    after: tuple[Rows, ...]
    answer: Answer | None = None


class Found(Struct, frozen=True):
    """How one fault fared. `windows` is the delay in windows, `seconds` from the fault's begin to the instant at which
    it was said."""

    fault: str
    column: str
    found: bool
    by: str = ""
    windows: int | None = None
    seconds: float | None = None
    suspect: str = ""
    right: bool | None = None
    paged: bool = False
    note: str = ""


def run_faults(scene: Scene, faults: Sequence[Fault] = catalogue.CATALOGUE) -> tuple[Found, ...]:
    """Every fault in every column that it can befall. The calm windows are judged once, with all of their labels."""
    before = Before()
    for _ in _judged(scene, scene.calm, before):
        pass
    clean = {(look.window, look.report.stage): look.report for look in _judged(scene, scene.after, before.copy())}
    found = []
    for fault in faults:
        found += [_run(scene, fault, column, clean, before.copy()) for column in columns_of(fault, scene)]
    return tuple(found)


def columns_of(fault: Fault, scene: Scene) -> tuple[str, ...]:
    """The features that a fault can befall; a fault of the labels has the target alone."""
    task = scene.reference.contract.task
    if fault.on == "label":
        fits = task is not Task.REGRESSION and any(not np.isnan(one.truth).all() for one in scene.after)
        return (scene.reference.contract.target or "labels",) if fits else ()
    first = scene.after[0]
    names = [grid.name for grid in scene.reference.profile.grids if grid.name in first.features]
    return tuple(name for name in names if name != SCORE and _befalls(fault, first.features[name]))


def injected(fault: Fault, rows: Rows, column: str, classes: int = 2) -> Rows:
    """Rows with a fault; seeded by fault and column."""
    rng = np.random.default_rng(crc32(f"{fault.name}:{column}:{rows.size}".encode()))
    if fault is catalogue.PRIOR:
        return rows.take(do.commoner(rows.truth, fault.size, rng))
    features, truth = dict(rows.features), rows.truth
    if fault is catalogue.FLIP:
        truth = do.flipped(truth, fault.size, classes, rng)
    else:
        features[column] = faulty(fault, features[column], rng)
    return Rows(rows.at, features, rows.score, rows.decided, truth, rows.observed_at)


def faulty(fault: Fault, column: Column, rng: np.random.Generator) -> Column:
    """A column with a fault of its kind."""
    if fault is catalogue.NULLS:
        return do.nulls(column, fault.size, rng)
    if fault is catalogue.STALE:
        return do.frozen(column)
    if fault is catalogue.DEFAULT:
        return do.defaulted(column, fault.size, rng)
    if isinstance(column, NumericColumn):
        return do.scaled(column, fault.size) if fault is catalogue.UNIT else do.logged(column)
    return do.renamed(column) if fault is catalogue.RENAME else do.remapped(column)


def _befalls(fault: Fault, column: Column) -> bool:
    """Whether the fault changes anything: a column of zeros has no unit, a constant one cannot go stale."""
    number = isinstance(column, NumericColumn)
    if fault.on == ("category" if number else "number") or column.empty:
        return False
    after = faulty(fault, column, np.random.default_rng(0))
    if isinstance(column, NumericColumn) and isinstance(after, NumericColumn):
        return bool((_filled(column) != _filled(after)).mean() >= _FELT)
    if isinstance(column, CategoricalColumn) and isinstance(after, CategoricalColumn):
        return after.categories != column.categories or bool((column.codes != after.codes).mean() >= _FELT)
    return True


_FELT = 0.05  # the share of rows that a fault must change to be one


def _filled(column: NumericColumn) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.nan_to_num(column.values, nan=-1.234e300)


def _run(
    scene: Scene, fault: Fault, column: str, clean: Mapping[tuple[int, Stage], WindowReport], before: Before
) -> Found:
    classes = max(2, len(scene.reference.contract.classes))
    parts = tuple(injected(fault, one, column, classes) for one in scene.after)
    gate = _Gate(scene, parts, column) if fault.on != "label" else None
    refused = None if gate is None else gate.found(fault.name)
    parts, note = (parts, "") if gate is None else (gate.taken, gate.note)
    if scene.answer is not None and fault.on != "label":
        try:
            parts = tuple(scene.answer(one) for one in parts)
        except (TypeError, ValueError) as error:
            failed = Found(fault.name, column, found=True, by="the model refuses it", windows=0, note=str(error)[:120])
            return refused or failed
    begins = float(np.nanmin(scene.after[0].at))
    for look in _judged(scene, parts, before):
        report = look.report
        if refused is not None and begins + (refused.seconds or 0.0) <= look.at:
            return refused
        by = _new(clean.get((look.window, report.stage)), report, column)
        if by:
            suspect = report.suspects[0] if report.suspects else ""
            right = None if fault.on == "label" else suspect == column
            paged = any(one.verdict.outcome is Outcome.BREACHED and one.severity in PAGING for one in alarms_of(report))
            return Found(fault.name, column, True, by, look.window, look.at - begins, suspect, right, paged, note)
    return refused or Found(fault.name, column, found=False, right=None if fault.on == "label" else False, note=note)


class _Gate:
    """The contract before a fault's rows: `taken` are those that it lets through, `note` says how many it does not."""

    def __init__(self, scene: Scene, parts: Sequence[Rows], column: str) -> None:
        self._scene, self._column, self._parts = scene, column, tuple(parts)
        self._feature = next((one for one in scene.reference.contract.features if one.name == column), None)
        masks = [self._refused(one) for one in parts]
        self._told = _news(self._told_of(scene.after), self._told_of(parts))
        kept = [one.take(np.flatnonzero(~mask)) if mask.any() else one for one, mask in zip(parts, masks, strict=True)]
        self.taken = tuple(one for one in kept if one.size)
        total, refused = sum(one.size for one in parts), sum(int(mask.sum()) for mask in masks)
        self.note = f"the contract refuses {refused:,} of {total:,} rows" if refused else ""

    def found(self, fault: str) -> Found | None:
        """The fault, where somebody would have been told of refused requests, and would not have been without it. The
        alert names the field; the window's figure does not."""
        told = self._told
        if told is None:
            return None
        place = max(i for i, one in enumerate(self._parts) if one.size and float(np.nanmin(one.at)) < told.at)
        seconds, names = told.at - float(np.nanmin(self._parts[0].at)), told.by == ALERT
        suspect = self._column if names else ""
        return Found(fault, self._column, True, told.by, place, seconds, suspect, names, told.paged, self.note)

    def _refused(self, rows: Rows) -> Mask:
        return (
            np.zeros(rows.size, np.bool_)
            if self._feature is None
            else refuses(self._feature, rows.features[self._column])
        )

    def _told_of(self, parts: Sequence[Rows]) -> Told | None:
        """What tells of refused requests first: within minutes the alert, else the figure of a window, at its close."""
        masks = [self._refused(one) for one in parts]
        told = told_of(np.concatenate([one.at for one in parts]), np.concatenate(masks))
        if told is not None or not any(mask.any() for mask in masks):
            return told
        before = [one for one in self._scene.calm if one.size]
        shares = [
            (self._scene.plan.window_of(float(np.nanmin(one.at))), int(self._refused(one).sum()), one.size)
            for one in (*before, *(one for one in parts if one.size))
        ]
        return unusual_window(shares, len(before))


def _news(clean: Told | None, faulty_one: Told | None) -> Told | None:
    """What is told of the faulty rows and not of the same rows without the fault."""
    is_news = faulty_one is not None and (clean is None or (faulty_one.paged and not clean.paged))
    return faulty_one if is_news else None


def _judged(scene: Scene, parts: Sequence[Rows], before: Before) -> Iterator[Look]:
    tallies = [tally for part in parts for tally in tallied(part, scene.reference, scene.plan, 1)]
    return looks("faults", scene.reference, tallies, scene.policy, scene.plan.lateness_seconds, before)


def _new(clean: WindowReport | None, faulty_one: WindowReport, column: str) -> str:
    """What is said of the faulty window and not of the clean one: an alert, the column, a rule. Empty: nothing."""
    return next(_told(clean, faulty_one, column), "")


def _told(clean: WindowReport | None, faulty_one: WindowReport, column: str) -> Iterator[str]:
    yield from sorted(_breached(faulty_one) - (_breached(clean) if clean else set()))
    one, two = _shift(clean, column), _shift(faulty_one, column)
    if two[0] and not one[0]:
        yield f"{column} is broken"
    if two[1] > one[1]:
        yield f"drift of {column}"
    if two[2] > one[2]:
        yield f"jump of {column}"
    if _apart(faulty_one) > _apart(clean) or (_apart(faulty_one, column) and not _apart(clean, column)):
        yield f"correlations of {column}"
    for rule in RULES:
        if rule.name not in _PRACTICE and _says(rule, faulty_one) and not (clean and _says(rule, clean)):
            yield f"rule: {rule.name}"


def _apart(report: WindowReport | None, column: str = "") -> int:
    """How far the columns no longer go together; where one is named, how far it no longer does with the others."""
    found = None if report is None else report.uncoupled
    return 0 if found is None or column not in ("", found.column) else _LEVELS[found.level]


def _breached(report: WindowReport) -> set[str]:
    return {one.alert for one in alarms_of(report) if one.verdict.outcome is Outcome.BREACHED and not one.benign}


def _says(rule: Rule, report: WindowReport) -> bool:
    return rule.asks(report) is Outcome.BREACHED


def _shift(report: WindowReport | None, column: str) -> tuple[bool, int, int]:
    """Whether a column is broken, how far it drifted, how far it jumped."""
    shift = next((one for one in report.drift if one.name == column), None) if report else None
    if shift is None:
        return False, 0, 0
    return bool(shift.broken), _LEVELS[shift.level], _LEVELS[shift.jump_level]
