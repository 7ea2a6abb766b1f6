"""backtest: would these monitors have paged? Over a table of logged answers, or a model's own log."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from fairlead.config.grammar import duration
from fairlead.core.alert import AlertPolicy
from fairlead.core.backtest import Told
from fairlead.core.contract import Contract
from fairlead.core.groups import Rules
from fairlead.core.harm import HarmPolicy
from fairlead.core.listing import counted
from fairlead.core.page_budget import Watched, compiled, thresholds
from fairlead.core.window import DAY, WindowPlan
from fairlead.errors import SettingsError, TableError, UsageError
from fairlead.flows.backtest import Past, alert_signals, look_back, pages_of, reference_loss, score_rules
from fairlead.flows.backtest_reference import reference_of, with_groups
from fairlead.flows.backtest_rows import Tally
from fairlead.flows.backtest_rules import RULES
from fairlead.flows.watching.harms import Informed
from fairlead.flows.watching.judge import Policy
from fairlead.flows.watching.reference import Reference
from fairlead.operations.backtest_read import (
    Asked,
    Reader,
    all_rows,
    check_columns,
    check_groups,
    contract_of,
    opened,
    tallies_of,
    times_of,
)
from fairlead.operations.backtest_values import BacktestReport, Budget, WindowLine, judge_backtest
from fairlead.operations.drift_report import check_alpha
from fairlead.operations.performance_clock import instant, written
from fairlead.ports.engine import Source

MONTH = 365.25 / 12 * DAY
FIRST_SHARE = 0.2  # of the time: the reference where none is named


def backtest(  # noqa: PLR0913 - one verb, its whole vocabulary by keyword
    data: Any,
    *,
    timestamp: str,
    target: str | None = None,
    prediction: str | None = None,
    score: str | None = None,
    reference: Any = None,
    window: str | float = "1d",
    observed_at: str | None = None,
    label_delay: str | float = 0.0,
    columns: Sequence[str] | None = None,
    threshold: float = 0.5,
    budget: Budget | None = None,
    alpha: float = 0.01,
    segments: Sequence[str] = (),
    protected: Sequence[str] = (),
    workers: int | None = None,
) -> BacktestReport:
    """Runs the watch over a table of logged answers, and scores every rule against what really happened.

    `data` is a path (Parquet, a folder of it, CSV, JSON lines) or a table in memory; larger than memory is no matter.
    `reference` is another such table, an instant before which rows are the reference, or left out: the first fifth
    of the time. `window` is a duration, or "month". A label is known `label_delay` after its answer, or when
    `observed_at` says. A stated `budget` is compiled into the thresholds of every monitor, as the live watch does;
    without one the usual thresholds are tried, and held to a page in 30 days. Answers are told apart by features of few
    categories, by `segments`, and by `protected` columns, whose groups must be treated alike. Without labels nothing is
    known to be false, and the verdict is unmeasured. Raises `TableError` for columns that are not there or hold
    something else, `UsageError` for a question that they cannot answer.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> chance = rng.random(20_000)
    >>> log = {"at": np.arange(20_000) * 432.0, "p": chance, "y": (rng.random(20_000) < chance) * 1, "x": chance}
    >>> found = backtest(log, timestamp="at", target="y", score="p", window="5d")
    >>> found.verdict.reason
    '0 false pages of 0 in 85 days, 3 allowed (1 in 30 days)'
    """
    asking = Asking(
        timestamp, target, prediction, score, reference, window, observed_at, label_delay, columns, threshold, alpha,
        budget, tuple(segments), tuple(protected),
    )  # fmt: skip
    source, known, reader, plan, policy = prepared(data, asking)
    said = _said(known, reader)
    tallies = tallies_of(source, reader, known, plan, workers)
    if not tallies:
        raise TableError(f"no row is left beside the reference ({said}): name an earlier instant, or another table")
    past = look_back("", known, tallies, policy)
    return report_of(past, tallies, known, (said, plan, budget or Budget()), Tried(alpha=policy.alpha))


class Asking(Struct, frozen=True):
    """What a backtest of a table is asked, as `backtest` has it."""

    timestamp: str
    target: str | None = None
    prediction: str | None = None
    score: str | None = None
    reference: Any = None
    window: str | float = "1d"
    observed_at: str | None = None
    label_delay: str | float = 0.0
    columns: Sequence[str] | None = None
    threshold: float = 0.5
    alpha: float = 0.01
    budget: Budget | None = None
    segments: Sequence[str] = ()
    protected: Sequence[str] = ()


def prepared(data: Any, asking: Asking) -> tuple[Source, Informed, Reader, WindowPlan, Policy]:
    """The source, what it is compared with, how its rows are read, cut and judged. Raises as `backtest` does."""
    check_alpha(asking.alpha)
    asked = Asked(
        asking.timestamp,
        asking.target,
        asking.prediction,
        asking.score,
        asking.observed_at,
        _seconds("label_delay", asking.label_delay, least=0.0),
        asking.threshold,
        tuple(asking.columns or ()),
    )
    late = asked.delay_seconds if asked.observed_at is None else 14 * DAY
    plan = plan_of(asking.window)
    source = opened(data, "data")
    check_columns(source, asked)
    contract = contract_of(source, asked)
    check_groups(contract, asking.segments, asking.protected)
    policy = replace(_policy(asking, plan, len(contract.features)), maturity_seconds=late)
    known, since = _reference(source, asking.reference, asked, contract, policy)
    return source, known, Reader(asked, contract, since), plan, policy


class Tried(Struct, frozen=True):
    """What a past was tried with beside the watch: whose it is, its alpha, how often alerts are told, and what further
    rules said."""

    model: str = ""
    alpha: float = 0.01
    alerts: AlertPolicy = AlertPolicy()
    beside: tuple[Told, ...] = ()


def report_of(
    past: Past,
    tallies: Sequence[Tally],
    known: Reference,
    asked: tuple[str, WindowPlan, Budget],
    tried: Tried = Tried(),  # noqa: B008 - a frozen value
) -> BacktestReport:
    """Everything that is said of a past that was judged, and by rules `beside` the watch."""
    said, plan, budget = asked
    alerts, beside = tried.alerts, tried.beside
    rules = score_rules(past, RULES, alerts, beside)
    paged = {one.window for one in pages_of(past.looks, alert_signals(past.looks, alerts), beside) if one.notice}
    last = {look.window: look.report for look in past.looks}
    lines = tuple(
        WindowLine(
            one.window,
            one.rows,
            one.labels,
            one.loss,
            one.harmful,
            last[place].verdict.value,
            last[place].reason,
            place in paged,
            last[place].moved,
        )
        for place, one in enumerate(past.windows)
    )
    seconds = plan.seconds or 0.0
    return BacktestReport(
        tried.model,
        said,
        reference_loss(known),
        seconds,
        past.windows,
        lines,
        rules,
        budget,
        judge_backtest(rules, past.windows, budget),
        tuple(_notes(tallies, known, tried.alpha)),
    )


def _policy(asking: Asking, plan: WindowPlan, features: int) -> Policy:
    """The usual thresholds, or those that a stated budget is compiled into."""
    ledger, budget = None, asking.budget
    if budget is not None:
        ledger = compiled(budget.pages, Watched(budget.per_seconds / (plan.seconds or MONTH), features))
    levels = thresholds(ledger, asking.alpha)
    rules = Rules(tuple(asking.segments), tuple(asking.protected), alpha=levels.groups)
    harm = HarmPolicy(alpha=levels.harm, drop_alpha=levels.metric, loss_alpha=levels.loss)
    return Policy(harm, levels.drift, groups=rules)


def plan_of(window: str | float, lateness: float = 0.0) -> WindowPlan:
    """How time is cut. Raises `UsageError`."""
    return WindowPlan(None if window == "month" else _seconds("window", window, least=1.0), lateness)


def _reference(source: Source, given: Any, asked: Asked, contract: Contract, policy: Policy) -> tuple[Informed, float]:
    """What is compared with, and from when on the data are judged."""
    other, since = source, inf
    if _names_data(given):
        other, since = opened(given, "reference"), -inf
        check_columns(other, asked)
    elif given is None:
        low, high = times_of(source, asked.timestamp)
        since = low + FIRST_SHARE * (high - low)
    else:
        since = instant(given)
    rows = all_rows(other, Reader(asked, contract, until=since if since > -inf else inf))
    if not rows.size:
        where = "the reference has no dated row" if since == -inf else f"no row lies before {written(since)}"
        raise TableError(f"{where}: nothing can be compared with it")
    known = reference_of(rows, contract, asked.threshold, policy.harm)
    return with_groups(known, rows, policy.groups), since


def _said(known: Reference, reader: Reader) -> str:
    rows = counted(known.profile.rows, "row")
    return f"{rows} of the reference" if reader.since == -inf else f"{rows} before {written(reader.since)}"


def _names_data(given: Any) -> bool:
    if isinstance(given, str):
        return Path(given).exists() or bool(Path(given).suffix and not given[:1].isdigit())
    if given is None:
        return False
    return isinstance(given, Path) or not (isinstance(given, int | float) or hasattr(given, "timestamp"))


def _notes(tallies: Sequence[Tally], known: Reference, alpha: float) -> list[str]:
    rows = sum(one.profile.rows for one in tallies)
    some = sum(one.some.shape[1] for one in tallies)
    notes = [f"each window may flag {alpha:.0%} of its calm columns"]
    if some < rows or any(one.some.shape[1] > 50_000 for one in tallies):
        notes.append(
            "drift and harm are of all rows; AUROC, the estimate and the test of the loss of every so many-th row, at "
            "most 50,000 a window"
        )
    if not known.measures:
        notes.append("the reference has no labels: neither performance nor harm can be judged")
    return notes


def _seconds(name: str, given: str | float, *, least: float) -> float:
    try:
        seconds = duration(given)
    except SettingsError as error:
        raise UsageError(f"{name}: {error}") from error
    if seconds < least:
        raise UsageError(f"{name} is {given}: at least {least:g} s")
    return seconds
