"""What a person does about alerts: silences, their end, and that somebody works on one."""

from __future__ import annotations

from hashlib import sha256

from fairlead.config.alert_names import alert_names, called
from fairlead.config.names import nearest
from fairlead.core.alert import standing
from fairlead.core.event import AlertRaised, AnyFact
from fairlead.core.facts_act import AlertAcknowledged, SilenceEnded, SilenceSet
from fairlead.core.outbox import Silence
from fairlead.errors import NotFound, UsageError
from fairlead.operations.acknowledging import of_incidents
from fairlead.operations.context import Context

LONGEST_SECONDS = 30 * 86_400.0
_KINDS = ("silence_set", "silence_ended")


def silences(context: Context) -> tuple[Silence, ...]:
    """The silences that stand or are to come, the next to end first."""
    found: dict[str, Silence] = {}
    now = context.clock.now()
    for entry in context.journal.read(kinds=_KINDS):
        fact = entry.fact
        if isinstance(fact, SilenceSet):
            found[fact.silence] = Silence(
                fact.silence, fact.model, fact.alerts, fact.starts_at, fact.ends_at, fact.reason, entry.actor
            )
        elif isinstance(fact, SilenceEnded):
            found.pop(fact.silence, None)
    return tuple(sorted((one for one in found.values() if one.ends_at > now), key=lambda one: one.ends_at))


def silence(context: Context, pattern: str, seconds: float, reason: str, model: str = "") -> Silence:
    """Tells nobody of alerts whose names match a pattern for a while; of one model, or of all.

    Raises `UsageError` for no pattern, no reason, or a time that is none or longer than 30 days, `NotFound` for a model
    that nothing is known of, and for a name or pattern that no alert has had, nor can have.
    """
    if not pattern.strip() or not reason.strip():
        raise UsageError("a silence needs the alerts' name or a pattern such as 'data-*', and a --reason")
    if not 0.0 < seconds <= LONGEST_SECONDS:
        raise UsageError(f"a silence of {seconds:g} s: give --for a time of up to 30d, such as 2h")
    if model and model not in context.settings.models and next(context.journal.read(model=model), None) is None:
        raise NotFound(f"there is no model {model!r} to be silenced: `fairlead models list` names them")
    _known_alert(context, pattern.strip())
    now = context.clock.now()
    name = sha256(f"{model}\n{pattern}\n{now!r}".encode()).hexdigest()[:8]
    fact = SilenceSet(model, name, (pattern.strip(),), now, now + seconds, reason.strip())
    context.journal.append([fact], actor=context.actor, at=now)
    return Silence(name, model, fact.alerts, now, fact.ends_at, fact.reason, context.actor)


def _known_alert(context: Context, pattern: str) -> None:
    """A silence of a slip of the pen would keep nobody from being called. Raises `NotFound`."""
    known = alert_names(context.settings)
    facts = (entry.fact for entry in context.journal.read(kinds=("alert_raised",)))
    raised = {fact.alert for fact in facts if isinstance(fact, AlertRaised)}
    if not called(pattern, (*known, *raised)):
        raise NotFound(f"no alert is called {pattern!r}: {nearest(pattern, (*known, *sorted(raised)))}")


def end_silence(context: Context, name: str, reason: str = "") -> Silence:
    """Ends a silence before its time. Raises `NotFound` for one that does not stand."""
    for one in silences(context):
        if one.id == name:
            context.journal.append(
                [SilenceEnded(one.model, name, reason)], actor=context.actor, at=context.clock.now()
            )  # fmt: skip
            return one
    raise NotFound(f"no silence {name!r} stands: `fairlead alerts silences` lists those that do")


def acknowledge(
    context: Context, model: str, alert: str, note: str = "", seconds: float | None = None
) -> AlertAcknowledged:
    """Says that somebody works on an alert, and on its incident: nobody else is called for it, until it rises, is over,
    or the time is up.

    Raises `NotFound` for an alert that does not stand, `UsageError` for a time that is none.
    """
    if seconds is not None and not 0.0 < seconds <= LONGEST_SECONDS:
        raise UsageError(f"an acknowledgement for {seconds:g} s: give --for a time of up to 30d, or leave it out")
    known = standing(context.journal.read(model=model, kinds=("alert_raised", "alert_quieted")), model)
    if alert not in known:
        stands = ", ".join(sorted(known)) or "none"
        raise NotFound(f"no alert {alert!r} stands in {model or 'the home itself'}: {stands} does")
    now = context.clock.now()
    fact = AlertAcknowledged(model, alert, note.strip(), None if seconds is None else now + seconds)
    of_both: list[AnyFact] = [fact, *of_incidents(context, model, alert, fact.note)]
    context.journal.append(of_both, actor=context.actor, at=now)
    return fact
