"""Alerts: what stands, what is held back or not delivered, what each condition says now, and the budget of pages."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from fairlead.config.paging_plan import USUAL_BUDGET, collects, daily, paging_plan, quiet_hours
from fairlead.core.alert import Standing, standing
from fairlead.core.event import AlertRaised, Entry
from fairlead.core.held import works_on
from fairlead.core.noticing import held, lined_up
from fairlead.core.outbox import KINDS, Key, Outbox, Silence
from fairlead.core.pages_made import pages_made
from fairlead.core.paging import Outlet
from fairlead.core.verdict import Outcome
from fairlead.errors import FairleadError, NotFound
from fairlead.operations.aims import Aim, aims
from fairlead.operations.context import Context
from fairlead.operations.page_budget import balance
from fairlead.operations.silences import silences
from fairlead.ports import Notice
from fairlead.ports.notifier import Resolver

FOLDER, NAME = "conditions", "controller"
_KINDS = ("alert_raised", "alert_quieted")
STALE_SECONDS = 180.0


class ConditionState(Struct, frozen=True):
    """One condition as the controller saw it last, at an instant of the wall clock."""

    model: str
    name: str
    condition: str
    outcome: Outcome
    reason: str
    at: float
    version: int | None = None


class StandingAlert(Struct, frozen=True):
    """An alert that was raised and is not over."""

    model: str
    alert: str
    severity: str
    raised_at: float
    title: str
    reason: str
    owner: str
    held: str = ""  # why nobody is told of it for now
    acknowledged: str = ""  # who works on it


class Undelivered(Struct, frozen=True):
    """A notice that a channel has not taken yet: why, and when it is tried again."""

    channel: str
    title: str
    severity: str
    attempts: int
    next_at: float
    reason: str


class Budget(Struct, frozen=True):
    """Pages of one model in the last `per_seconds`: how many notices paged, and may. `allowed` is None where the
    settings state no budget. `false_pages` is how many the looks of that time may have made where nothing is wrong, at
    most, by expectation; `dealt` says it of each monitor."""

    model: str
    spent: int
    allowed: int | None
    per_seconds: float
    false_pages: float | None = None
    dealt: str = ""


class AlertsView(Struct, frozen=True):
    """Everything about alerts. Without conditions nothing looked at them, or `stale` says that nobody does now."""

    standing: tuple[StandingAlert, ...]
    conditions: tuple[ConditionState, ...]
    budgets: tuple[Budget, ...]
    stale: bool = False
    undelivered: tuple[Undelivered, ...] = ()
    silences: tuple[Silence, ...] = ()
    aims: tuple[Aim, ...] = ()  # the alerts that are of some models only


class Delivery(Struct, frozen=True):
    """What became of a test notice on one channel; without a failure it was delivered, or taken for the digest."""

    channel: str
    failure: str = ""


def alerts(context: Context) -> AlertsView:
    """What stands in all models, what their conditions say, and their budgets."""
    entries = list(context.journal.read(kinds=KINDS))
    raised: dict[str, list[Entry]] = {model: [] for model in context.settings.models}
    for entry in entries:
        if entry.fact.__struct_config__.tag in _KINDS:
            raised.setdefault(entry.fact.model, []).append(entry)
    models = sorted(raised)
    now = context.clock.now()
    box = _outbox(context, entries)
    found, written_at = read_note(context.home)
    words = _words(context, box, now)
    return AlertsView(
        standing=tuple(alert for model in models for alert in _standing(raised[model], model, words)),
        conditions=found,
        budgets=tuple(_budget(context, entries, model, now) for model in models if model),
        stale=bool(found) and now - written_at > STALE_SECONDS,
        undelivered=tuple(
            Undelivered(one.channel, one.body.title, one.body.severity, one.attempts, at, one.reason)
            for one, at in lined_up(box)
        ),
        silences=silences(context),
        aims=aims(context),
    )


def _outbox(context: Context, entries: list[Entry]) -> Outbox:
    """What people have still to be told, as the controller has it."""
    alerting = context.settings.alerting
    outlets = [
        Outlet(one.name, alerting.takes(one), every=collects(one), daily=daily(one)) for one in alerting.channels
    ]
    box = Outbox(paging_plan(alerting, outlets))
    box.take(entries)
    return box


def _words(context: Context, box: Outbox, now: float) -> dict[Key, tuple[str, str]]:
    """Why each alert is held back, and who works on it."""
    why = held(box, now, quiet_hours(context.settings.alerting))
    return {
        key: (why.get(key, ""), known.acknowledged.said if known.acknowledged and works_on(known, now) else "")
        for key, known in box.alerts.items()
    }


def send_test(context: Context, channel: str = "") -> tuple[Delivery, ...]:
    """Sends a test notice by every channel, or by one. Raises `NotFound` for a channel that there is not."""
    notifiers = [one for one in context.open_notifiers() if channel in ("", one.name)]
    if not notifiers:
        names = ", ".join(one.name for one in context.open_notifiers())
        raise NotFound(f"there is no channel {channel!r} in the settings: there is {names}")
    notice = Notice(
        model="",
        alert="test",
        severity="low",
        title="Test of the channel",
        reason=f"{context.actor} asked for this notice: nothing is wrong",
        owner=context.settings.alerting.owner,
        runbook="",
        at=context.clock.now(),
    )
    deliveries = []
    for notifier in notifiers:
        failure = ""
        try:
            notifier.send(notice)
            if isinstance(notifier, Resolver):
                notifier.resolve(notice)  # what it keeps open until then would stand for ever
        except FairleadError as error:
            failure = error.line
        deliveries.append(Delivery(notifier.name, failure))
    return tuple(deliveries)


def read_note(home: Path) -> tuple[tuple[ConditionState, ...], float]:
    """What the controller saw last, and when it wrote that down; nothing where the note cannot be read."""
    path = home / FOLDER / f"{NAME}.json"
    with suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode(path.read_bytes(), type=tuple[ConditionState, ...]), path.stat().st_mtime
    return (), 0.0


def _standing(entries: list[Entry], model: str, words: dict[Key, tuple[str, str]]) -> list[StandingAlert]:
    known = standing(entries, model)
    raised = {entry.fact.alert: entry.fact for entry in entries if isinstance(entry.fact, AlertRaised)}
    return [_stands(name, one, raised[name], words.get((model, name), ("", ""))) for name, one in sorted(known.items())]


def _stands(name: str, one: Standing, fact: AlertRaised, words: tuple[str, str]) -> StandingAlert:
    return StandingAlert(fact.model, name, one.severity, one.raised_at, fact.title, fact.reason, fact.owner, *words)


def _budget(context: Context, entries: list[Entry], model: str, now: float) -> Budget:
    stated = context.settings.alerting.budget
    budget = stated or USUAL_BUDGET
    per = float(budget.per)
    spent, ledger = pages_made(entries, now - per, model), balance(context, model)
    if ledger is None:
        return Budget(model, spent, budget.pages, per)
    return Budget(model, spent, budget.pages, per, ledger.total, ledger.said())
