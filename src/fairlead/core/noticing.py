"""What an outbox makes of its alerts at an instant: notices, that a trouble is over, who is told in whose place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from urllib.parse import quote

from msgspec import Raw, Struct
from msgspec.structs import replace

from fairlead.core.alarm import UNACKNOWLEDGED
from fairlead.core.event import canonical
from fairlead.core.facts_act import NoticeEscalated, NoticeMade
from fairlead.core.held import Holding, Quiet, never_quiet, works_on
from fairlead.core.listing import counted
from fairlead.core.notice import Notice
from fairlead.core.outbox import PAGING, RANK, Change, Known, Outbox, Posting, Thread
from fairlead.core.pages_made import Made, does_harm, models_of, window_of

STORM = "storm"  # the group of what came at once from many
_LISTED = 50  # alerts that a fact names
_SHOWN = 5  # alerts that a notice tells of by their own words
_CHANGE_SECONDS = 3600.0  # an older change is no news


class _Batch(Struct, frozen=True):
    """Alerts that are told together. `severity` is the gravest, `thread` the one that they join."""

    group: str
    alerts: tuple[Known, ...]
    severity: str
    thread: Thread | None = None

    @property
    def grave(self) -> Known:
        """The gravest, and of these the first."""
        return min(self.alerts, key=lambda one: (-RANK[one.severity], one.seq))

    @property
    def rises(self) -> bool:
        """Whether it is graver than what people were told of before."""
        return self.thread is None or RANK[self.severity] > RANK[self.thread.severity]


def notices(box: Outbox, now: float, quiet: Quiet = never_quiet) -> list[NoticeMade | NoticeEscalated]:
    """The facts that are due at an instant of the journal's clock. Each is made once, since the box has taken it in by
    the next time that it is asked."""
    facts: list[NoticeMade | NoticeEscalated] = list(_raised(box, now, quiet))
    facts += _ended(box)
    facts += _seen(box, now)
    facts += _escalated(box, now)
    facts += _in_place_of_dead(box, now)
    facts += _changes(box, now)
    return facts


def held(box: Outbox, now: float, quiet: Quiet = never_quiet) -> dict[tuple[str, str], str]:
    """Why alerts that stand are told to nobody for now, by model and alert."""
    holding = Holding(box.alerts, box.silences.values(), box.plan.inhibit, quiet, now)
    found = {one.key: holding.why(one) for one in box.untold()}
    return {key: why for key, why in found.items() if why}


# -- alerts ----------------------------------------------------------------------------------------------------------


def _raised(box: Outbox, now: float, quiet: Quiet) -> Iterator[NoticeMade]:
    untold = list(box.untold())
    if not untold:
        return
    holding = Holding(box.alerts, box.silences.values(), box.plan.inhibit, quiet, now)
    free = [one for one in untold if not holding.why(one)]
    before, left = list(box.made), _left(box, now)
    for batch in _batches(box, free, now):
        if not _is_due(box, batch, now) or (left <= 0 and batch.severity != "critical"):
            continue
        made = _made(box, batch, untold, _over_budget(box, batch, before, now))
        before.append(Made(now, made.pages, models_of(made)))
        left -= batch.thread is None
        yield made


def _batches(box: Outbox, free: Sequence[Known], now: float) -> list[_Batch]:
    """What is told together: what joins a trouble that people know of, new groups, or all of these as a storm."""
    joining: dict[str, list[Known]] = {}
    fresh: dict[str, list[Known]] = {}
    storm = _open(box, STORM, now)
    raging = storm is not None and now - storm.last_at < box.plan.interval
    for one in free:
        group = box.group_of(one)
        thread = _open(box, group, now) or (storm if raging else None)
        (fresh.setdefault(group, []) if thread is None else joining.setdefault(thread.id, [])).append(one)
    if len(fresh) > box.plan.storm:
        many = [one for ones in fresh.values() for one in ones]
        fresh = {STORM: sorted(many, key=lambda one: one.seq)}
        if storm is not None:  # it goes on
            joining.setdefault(storm.id, []).extend(fresh.pop(STORM))
    found = [_batch(box.threads[identity].group, ones, box.threads[identity]) for identity, ones in joining.items()]
    return found + [_batch(group, ones) for group, ones in fresh.items()]


def _batch(group: str, alerts: Sequence[Known], thread: Thread | None = None) -> _Batch:
    return _Batch(
        group,
        tuple(sorted(alerts, key=lambda one: one.seq)),
        max((one.severity for one in alerts), key=RANK.__getitem__),
        thread,
    )


def _open(box: Outbox, group: str, now: float) -> Thread | None:
    """The thread that a group's new alerts belong to: it is not over, and its page is not too long ago."""
    thread = box.threads.get(box.current.get(group, ""))
    return thread if thread is not None and now - thread.paged_at < box.plan.join else None


def _is_due(box: Outbox, batch: _Batch, now: float) -> bool:
    if batch.thread is not None and not batch.rises:
        return now - batch.thread.last_at >= box.plan.interval
    return any(now - one.at >= box.plan.waits(one.severity) for one in batch.alerts)


def _made(box: Outbox, batch: _Batch, untold: Sequence[Known], over: str) -> NoticeMade:
    plan, thread = box.plan, batch.thread
    severity = "medium" if over else batch.severity
    identity = _identity(batch.group, f"raised {batch.alerts[0].seq}")
    body = replace(
        compose(batch.alerts, plan.dashboard), severity=severity, notice=identity, thread=thread.id if thread else ""
    )
    if over:
        body = replace(body, reason=f"{body.reason} ({over})")
    models = {one.model for one in batch.alerts}
    return NoticeMade(
        model=models.pop() if len(models) == 1 else "",
        notice=identity,
        group=batch.group,
        severity=severity,
        alerts=tuple(f"{one.model}/{one.alert}" for one in batch.alerts[:_LISTED]),
        count=len(batch.alerts),
        channels=_channels(box, batch, severity),
        body=Raw(canonical(body)),
        pages=severity in PAGING and batch.rises,
        thread="" if thread is None else thread.id,
        places=_runs(batch.alerts, untold),
    )


def _channels(box: Outbox, batch: _Batch, severity: str) -> tuple[str, ...]:
    """All that any of the alerts goes to: those that it names, else those that take its severity; where it is graver
    than before, all that were told before too."""
    mild = {"high": "medium"} if severity == "medium" else {}
    takes = {mild.get(one.severity, one.severity) for one in batch.alerts if not one.fact.channels}
    named = {name for one in batch.alerts for name in one.fact.channels}
    if batch.thread is not None and batch.rises:
        named |= set(batch.thread.channels)
    return tuple(one.name for one in box.plan.outlets if one.name in named or not takes.isdisjoint(one.severities))


def compose(alerts: Sequence[Known], dashboard: str = "") -> Notice:
    """One notice of several alerts: the gravest first, then the others by their titles."""
    ranked = sorted(alerts, key=lambda one: (-RANK[one.severity], one.seq))
    first, rest = ranked[0], ranked[1:]
    fact = first.fact
    models = dict.fromkeys(one.model for one in ranked)
    details = list(fact.details)
    details += [(one.fact.title, one.fact.reason) for one in rest[: _SHOWN - 1]]
    if len(ranked) > _SHOWN:
        details.append(("And", f"{counted(len(ranked) - _SHOWN, 'other alert')} of {counted(len(models), 'model')}"))
    title = fact.title if not rest else f"{fact.title}, and {counted(len(rest), 'other alert')}"
    model = first.model if len(models) == 1 else ""
    page = _place(dashboard.rstrip("/"), model, first) if dashboard else ""
    return Notice(
        model=model,
        alert=first.alert,
        severity=first.severity,
        title=title,
        reason=fact.reason,
        owner=", ".join(list(dict.fromkeys(one.fact.owner for one in ranked))[:_SHOWN]),
        runbook=fact.runbook,
        at=min(one.at if one.fact.event_at is None else one.fact.event_at for one in ranked),
        link=fact.dashboard or page,
        details=tuple(details),
        count=len(ranked),
    )


def _place(dashboard: str, model: str, first: Known) -> str:
    """The console's page of what an alert tells: its incident, its window, its model."""
    if not model:
        return f"{dashboard}/"
    kind, _, rest = first.alert.partition(":")
    if kind == UNACKNOWLEDGED and ":" in rest:
        return f"{dashboard}/incidents/{quote(rest.rpartition(':')[0], safe='')}"
    page, window = f"{dashboard}/models/{quote(model, safe='')}", window_of(first.fact)
    return f"{page}/ladder?window={quote(window, safe='')}" if window else page


def _runs(alerts: Sequence[Known], untold: Sequence[Known]) -> tuple[tuple[int, int], ...]:
    """The alerts' places in the journal, as runs that no other untold alert lies in."""
    mine = {one.seq for one in alerts}
    runs: list[tuple[int, int]] = []
    broken = True
    for one in untold:
        if one.seq not in mine:
            broken = True
        elif broken:
            runs.append((one.seq, one.seq))
            broken = False
        else:
            runs[-1] = (runs[-1][0], one.seq)
    return tuple(runs)


def _over_budget(box: Outbox, batch: _Batch, made: Sequence[Made], now: float) -> str:
    """Why a notice pages nobody: the pages of all its models are spent, and nothing in it does harm. Empty where it
    may page, or would not."""
    plan = box.plan
    if plan.pages is None or batch.severity != "high" or not batch.rises:
        return ""
    grave = [one for one in batch.alerts if one.severity == "high"]
    if any(does_harm(one.fact) for one in grave):
        return ""
    models = {one.model for one in grave} if plan.each else {None}
    spent = min(_spent(made, now - plan.pages_seconds, model) for model in models)
    if spent < plan.pages:
        return ""
    whose = "" if plan.each else " of all models"
    return f"told as medium: {spent} of {plan.pages} pages{whose} in {plan.pages_seconds / 86_400:g} days are spent"


def _spent(made: Sequence[Made], since: float, model: str | None) -> int:
    return sum(one.pages and one.at > since and (model is None or model in one.models) for one in made)


def _left(box: Outbox, now: float) -> float:
    """How many notices of new trouble the throttle still lets through."""
    if box.plan.throttle is None:
        return float("inf")
    return box.plan.throttle - sum(one.at > now - box.plan.throttle_seconds for one in box.made)


# -- what becomes of them ----------------------------------------------------------------------------------------------


def _ended(box: Outbox) -> Iterator[NoticeMade]:
    for thread in box.threads.values():
        if box.is_over(thread):
            yield _about(box, thread, "over")


def _seen(box: Outbox, now: float) -> Iterator[NoticeMade]:
    for thread in box.threads.values():
        if not thread.acknowledged and is_acknowledged(box, thread, now):
            yield _about(box, thread, "acknowledged")


def _about(box: Outbox, thread: Thread, what: str) -> NoticeMade:
    """That a trouble is over, or that somebody works on it: told to the channels that want to know."""
    wants = {one.name for one in box.plan.outlets if (one.ends if what == "over" else one.acknowledges)}
    identity = _identity(thread.id, f"{what} {thread.last_at!r}")
    reason = "nothing of it stands any more" if what == "over" else _workers(box, thread)
    body = replace(thread.body, reason=reason, notice=identity, thread=thread.id)
    return NoticeMade(
        model=thread.body.model,
        notice=identity,
        group=thread.group,
        severity=thread.severity,
        alerts=(),
        count=0,
        channels=tuple(name for name in thread.channels if name in wants),
        body=Raw(canonical(body)),
        over=what == "over",
        acknowledged=what == "acknowledged",
        thread=thread.id,
    )


def _workers(box: Outbox, thread: Thread) -> str:
    seen = dict.fromkeys(one.acknowledged.said for one in box.standing_in(thread) if one.acknowledged)
    return "; ".join(list(seen)[:_SHOWN])


def is_acknowledged(box: Outbox, thread: Thread, now: float) -> bool:
    """Whether somebody works on the gravest alerts of a thread, all of them."""
    stands = box.standing_in(thread)
    grave = [one for one in stands if RANK[one.severity] >= min(RANK[thread.severity], RANK["high"])]
    return bool(grave) and all(works_on(one, now) for one in grave)


def _escalated(box: Outbox, now: float) -> Iterator[NoticeEscalated]:
    """The pages that nobody acknowledged in time, to those who are next."""
    steps = box.plan.escalation
    for thread in box.threads.values() if steps else ():
        if thread.severity not in PAGING or thread.steps >= len(steps) or box.is_over(thread):
            continue
        step = steps[thread.steps]
        if now - thread.paged_at >= step.after and not is_acknowledged(box, thread, now):
            reason = f"nobody acknowledged it in {step.after / 60:g} minutes"
            yield _passed_on(thread.id, thread, step.to, reason)


def _in_place_of_dead(box: Outbox, now: float) -> Iterator[NoticeEscalated]:
    """What a channel has not taken for too long, to others: those of the first escalation, else all."""
    for posting in box.postings.values():
        outlet, thread = box.plan.outlet(posting.channel), box.threads.get(posting.thread)
        if posting.dead or posting.what != "raised" or not posting.attempts or thread is None or outlet is None:
            continue
        if now - posting.made_at - outlet.collects(posting.body.severity) < box.plan.dead_after:
            continue
        wanted = box.plan.escalation[0].to if box.plan.escalation else tuple(one.name for one in box.plan.outlets)
        reason = f"channel {posting.channel} takes nothing: {posting.reason}"
        yield replace(_passed_on(posting.notice, thread, wanted, reason), dead=posting.channel)


def _passed_on(notice: str, thread: Thread, wanted: Iterable[str], reason: str) -> NoticeEscalated:
    body = replace(thread.body, reason=f"{thread.body.reason} ({reason})")
    channels = tuple(name for name in wanted if name not in thread.channels)
    return NoticeEscalated(thread.body.model, notice, channels, reason, Raw(canonical(body)))


def _changes(box: Outbox, now: float) -> Iterator[NoticeMade]:
    channels = tuple(one.name for one in box.plan.outlets if one.changes)
    for change in list(box.changes.values()):
        if now - change.at > _CHANGE_SECONDS:
            del box.changes[change.seq]
            continue
        yield _change(change, channels, box.plan.dashboard)


def _change(change: Change, channels: tuple[str, ...], dashboard: str) -> NoticeMade:
    identity = _identity("change", f"{change.seq}")
    link = f"{dashboard.rstrip('/')}/models/{change.model}" if dashboard else ""
    body = Notice(change.model, "change", "low", change.title, "", "", "", change.at, link, notice=identity)
    return NoticeMade(
        model=change.model,
        notice=identity,
        group="change",
        severity="low",
        alerts=(),
        count=0,
        channels=channels,
        body=Raw(canonical(body)),
        places=((change.seq, change.seq),),
    )


def due(box: Outbox, now: float) -> dict[str, list[Posting]]:
    """What each channel is to be given now, oldest first: of one thread nothing before what came earlier."""
    found: dict[str, list[Posting]] = {}
    waiting: set[tuple[str, str]] = set()
    for posting in sorted(box.postings.values(), key=lambda one: one.seq):
        lane = posting.thread, posting.channel
        if posting.next_at <= now and lane not in waiting:
            found.setdefault(posting.channel, []).append(posting)
        else:
            waiting.add(lane)
    return found


def lined_up(box: Outbox) -> list[tuple[Posting, float]]:
    """What channels have not taken yet, oldest first, and from when each may be tried: of one thread none before what
    came earlier."""
    found: list[tuple[Posting, float]] = []
    free: dict[tuple[str, str], float] = {}
    for posting in sorted(box.postings.values(), key=lambda one: one.seq):
        lane = posting.thread, posting.channel
        free[lane] = max(posting.next_at, free.get(lane, 0.0))
        found.append((posting, free[lane]))
    return found


def _identity(group: str, what: str) -> str:
    return sha256(f"{group}\n{what}".encode()).hexdigest()[:16]
