"""Incidents: list them, look at one, read its postmortem, write down what a person did."""

from __future__ import annotations

from hashlib import sha256

from fairlead.adapters.postmortems import PostmortemFolder
from fairlead.core.action_items import due_after
from fairlead.core.alert import RESPONSE_SECONDS
from fairlead.core.communication import drafts
from fairlead.core.communication import due_at as told_by
from fairlead.core.event import AnyFact, IncidentNoted, IncidentOpened, WindowJudged
from fairlead.core.facts_act import ItemAssigned, MessageDrafted, MessageSent, UpstreamChanged
from fairlead.core.incident import KINDS, STATES, Incident, incidents
from fairlead.core.incident_terms import Audience
from fairlead.core.postmortem import postmortem as written
from fairlead.core.reach import counted, reach_of
from fairlead.core.triage import CATEGORIES
from fairlead.errors import NotFound, Refused, UsageError
from fairlead.flows.drafting import draft, told
from fairlead.operations.acknowledging import of_alerts
from fairlead.operations.context import Context


def list_incidents(context: Context, model: str | None = None, state: str | None = None) -> tuple[Incident, ...]:
    """All incidents, newest first; of one model, in one state, if named. Raises `UsageError` for an unknown state."""
    if state is not None and state not in STATES:
        raise UsageError(f"an incident is never {state!r}: use one of {', '.join(STATES)}")
    found = incidents(context.journal.read(model=model, kinds=KINDS))
    return tuple(each for each in reversed(found) if state in (None, each.state))


def show_incident(context: Context, incident: str) -> Incident:
    """One incident with its timeline. Raises `NotFound`."""
    found = incidents(context.journal.read(kinds=KINDS))
    for each in found:
        if each.id == incident:
            return each
    known = ", ".join(each.id for each in found[-5:])
    raise NotFound(
        f"there is no incident {incident!r}" + (f": the latest are {known}" if known else ": none was opened")
    )


def read_postmortem(context: Context, incident: str) -> str:
    """The postmortem as it stands on disk, with what people wrote into it; drafted now where there is none yet."""
    found = show_incident(context, incident)
    try:
        return PostmortemFolder(context.home).read(incident)
    except NotFound:
        return written(found, told(context.journal, found))


def note_incident(context: Context, incident: str, note: str, state: str = "", *, without_triage: str = "") -> Incident:
    """Writes down what a person saw or did; `state` (acknowledged, mitigated, resolved) says how far it went.
    `without_triage` is why an incident is resolved of which no triage has run.

    Raises `NotFound`, `UsageError` for an unknown state or an empty note, `Refused` for a step back, and for an end
    before the triage without a reason.
    """
    found = show_incident(context, incident)
    if not note.strip():
        raise UsageError(f"a note on {incident} says nothing: write what was seen or done")
    if state and state not in STATES[1:]:
        raise UsageError(f"an incident does not become {state!r}: use one of {', '.join(STATES[1:])}")
    if state and STATES.index(state) <= STATES.index(found.state):
        raise Refused(f"incident {incident} is {found.state} already: it does not go back to {state}")
    if state == "resolved":
        note = _said_at_end(found, note.strip(), without_triage.strip())
    if state == "acknowledged":
        seen = of_alerts(context, found, note.strip())
        if seen:
            context.journal.append(seen, actor=context.actor, at=context.clock.now())
    return _write(context, found, IncidentNoted(found.model, incident, note.strip(), state))


def open_incident(
    context: Context,
    model: str,
    title: str,
    severity: str = "high",
    category: str = "model",
    *,
    reason: str = "",
    began_at: float | None = None,
) -> Incident:
    """Opens an incident by hand; only a person resolves it. The same words within a minute are the same incident.

    Raises `NotFound` for a model that is not known, `UsageError` for words that say nothing or that are none.
    """
    if not title.strip():
        raise UsageError("an incident needs a title: say in a few words what users see")
    if severity not in RESPONSE_SECONDS:
        raise UsageError(f"{severity!r} is no severity: use one of {', '.join(RESPONSE_SECONDS)}")
    if category not in CATEGORIES:
        raise UsageError(f"{category!r} is no category: use one of {', '.join(CATEGORIES)}")
    _known_model(context, model)
    now = context.clock.now()
    if began_at is not None and began_at > now:
        raise UsageError("an incident cannot begin in the future: give the instant at which it was first seen")
    identity = f"inc-{model}-{sha256(f'{title.strip()}{int(now // 60)}'.encode()).hexdigest()[:8]}"
    fact = IncidentOpened(
        model=model,
        incident=identity,
        severity=severity,
        title=title.strip(),
        category=category,
        reason=reason.strip() or f"{context.actor} reported it",
        owner=context.settings.owner_of(model),
        began_at=began_at,
        detected_at=None if began_at is None else now,
    )
    context.journal.append([fact], actor=context.actor, at=now)
    _redraft(context, model, identity)
    return show_incident(context, identity)


def acknowledge_incident(context: Context, incident: str, note: str = "") -> Incident:
    """Somebody works on it: the clock of acknowledgement stops. Raises as `note_incident` does."""
    return note_incident(context, incident, note or f"{context.actor} works on it", "acknowledged")


def resolve_incident(context: Context, incident: str, note: str, without_triage: str = "") -> Incident:
    """It is over, and `note` says how that is known. Raises as `note_incident` does."""
    return note_incident(context, incident, note, "resolved", without_triage=without_triage)


def _said_at_end(found: Incident, note: str, without_triage: str) -> str:
    """What the timeline says of an end by hand. Raises `Refused` where nobody knows where the trouble lay, or why."""
    if found.triage is not None:
        if without_triage:
            raise UsageError(f"the triage of {found.id} has run: leave --without-triage out")
        return note
    if not without_triage:
        raise Refused(
            f"the triage of {found.id} has not run, so nothing says where the trouble lay: run `fairlead incident "
            f"triage {found.id}`, or say why none is needed: fairlead incident resolve {found.id} TEXT "
            f"--without-triage REASON"
        )
    return f"{note}; resolved without a triage: {without_triage}"


def message_sent(context: Context, incident: str, audience: str, channel: str = "") -> Incident:
    """An audience was told, by a person, what `message_of` says: the words are kept with it. Raises `NotFound`,
    `UsageError` for an audience that there is not."""
    found, whom = show_incident(context, incident), _audience(context, audience)
    text = _message(context, found, whom)
    before = next((one.text for one in found.messages if one.audience == audience), None)
    if text != before:
        due = told_by(found, whom)
        _write(context, found, MessageDrafted(found.model, incident, audience, due, text, channel or whom.channel))
    return _write(context, found, MessageSent(found.model, incident, audience, channel))


def message_of(context: Context, incident: str, audience: str) -> str:
    """What an audience is to be told as things stand now; once it was told, what it was told. Raises `NotFound`,
    `UsageError` for no audience."""
    return _message(context, show_incident(context, incident), _audience(context, audience))


def assign_item(
    context: Context, incident: str, text: str, owner: str = "", due_at: float | None = None, *, done: bool = False
) -> Incident:
    """Gives something to do to somebody, by a date (default: five working days after the opening), or says that it is
    done. Raises `NotFound`, `UsageError` for an item that says nothing."""
    found = show_incident(context, incident)
    if not text.strip():
        raise UsageError(f"an item of {incident} says nothing: write what is to be done")
    before = next((one for one in found.items if one.item == text.strip()), None)
    whose = owner or ("" if before is None else before.owner) or found.owner or "unassigned"
    due = due_at if due_at is not None else due_after(found) if before is None else before.due_at
    return _write(context, found, ItemAssigned(found.model, incident, text.strip(), whose, due, done))


def note_change(context: Context, model: str, source: str, what: str, at: float | None = None, link: str = "") -> None:
    """Writes down that something was changed elsewhere that models depend on; an empty `model` means all of them.

    Raises `NotFound` for a model that is not known, `UsageError` for a change without a source or without words.
    """
    if model:
        _known_model(context, model)
    if not source.strip() or not what.strip():
        raise UsageError("a change needs a source and words: fairlead timeline note NAME --source crm 'new currency'")
    now = context.clock.now()
    fact = UpstreamChanged(model, source.strip(), what.strip(), now if at is None else at, link)
    context.journal.append([fact], actor=context.actor, at=now)


def _known_model(context: Context, model: str) -> None:
    if next(context.journal.read(model=model, kinds=("version_registered",)), None) is None:
        raise NotFound(f"there is no model {model!r}: `fairlead models list` names them")


def _audience(context: Context, name: str) -> Audience:
    known = {one.name: one for one in context.settings.incidents.audiences}
    if name not in known:
        raise UsageError(f"{name!r} is no audience: use one of {', '.join(known)}")
    return known[name]


def _message(context: Context, incident: Incident, audience: Audience) -> str:
    """As it was sent, else as things stand: who was reached is counted anew."""
    kept = next((one for one in incident.messages if one.audience == audience.name), None)
    if kept is not None and kept.sent_at is not None:
        return kept.text
    judged = list(context.journal.read(model=incident.model, kinds=("window_judged",)))
    windows = {entry.fact.window: counted(entry.fact) for entry in judged if isinstance(entry.fact, WindowJudged)}
    ((_, text),) = drafts(incident, reach_of(incident, judged, windows), (audience,))
    return text


def _write(context: Context, found: Incident, fact: AnyFact) -> Incident:
    context.journal.append([fact], actor=context.actor, at=context.clock.now())
    _redraft(context, found.model, found.id)
    return show_incident(context, found.id)


def _redraft(context: Context, model: str, identity: str) -> None:
    """The postmortem on disk says what the journal says, also where no controller runs."""
    draft(context.journal, context.clock, PostmortemFolder(context.home).write, (model, identity))
