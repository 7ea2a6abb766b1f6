"""What the budget of pages counts: notices that page, of the models that they tell of; and what pages in spite of it.

An alert is no page: of several that are told together one page is made, of what is silenced or acknowledged none.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec import UNSET, Struct

from fairlead.core.alarm import HARMFUL, IMPACT, PROMOTION, REGRESS_HELD, UNACKNOWLEDGED, runbook_of
from fairlead.core.event import AlertRaised, Entry
from fairlead.core.facts_act import NoticeMade
from fairlead.core.watched import OUTAGE

# Labels or the live loss show it; what serves is shown to be worse, and waits for a person; callers' requests fail (the
# impact is high only there); nobody has answered a page. Their urgency is no budget's to lessen.
_HARM = (HARMFUL, REGRESS_HELD, PROMOTION, IMPACT, UNACKNOWLEDGED)


class Made(Struct, frozen=True):
    """A notice of new trouble: when it was made, whether it paged, and of which models it told."""

    at: float
    pages: bool
    models: frozenset[str] = frozenset()


class _Condition(Struct, frozen=True):
    metric: str = ""


class _Point(Struct, frozen=True):
    condition: _Condition = _Condition()


class _Basis(Struct, frozen=True):
    window: str = ""
    point: _Point = _Point()


class _Seen(Struct, frozen=True):
    basis: _Basis | None = None


def models_of(fact: NoticeMade) -> frozenset[str]:
    """The models that a notice tells of; of a storm's alerts the first ones name theirs."""
    named = {one.partition("/")[0] for one in fact.alerts}
    return frozenset(named | {fact.model} if fact.model else named)


def pages_made(entries: Iterable[Entry], since: float, model: str | None = None) -> int:
    """How many notices have paged a person since an instant of the journal's clock, of one model or of all."""
    return sum(
        isinstance(entry.fact, NoticeMade)
        and entry.fact.pages
        and entry.at > since
        and (model is None or model in models_of(entry.fact))
        for entry in entries
    )


def does_harm(fact: AlertRaised) -> bool:
    """Whether users are worse off by what an alert tells of, or a page went unanswered: no budget of pages makes such
    an alert less urgent."""
    return runbook_of(fact.alert) in _HARM or is_outage(fact)


def is_outage(fact: AlertRaised) -> bool:
    """Whether an alert tells of requests of the last minutes that got no answer."""
    return _basis(fact).point.condition.metric in OUTAGE


def window_of(fact: AlertRaised) -> str:
    """The window that an alert was seen in; empty where it is of none."""
    return _basis(fact).window


def _basis(fact: AlertRaised) -> _Basis:
    """What an alert was seen from, as far as it matters here; nothing where another program wrote it."""
    if fact.seen is UNSET:
        return _Basis()
    try:
        return msgspec.json.decode(fact.seen, type=_Seen).basis or _Basis()
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _Basis()
