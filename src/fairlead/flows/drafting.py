"""An incident's facts -> its postmortem on disk, and the fact that says so; nothing where the text has not changed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from hashlib import sha256
from itertools import chain

from fairlead.core.event import Entry, PostmortemWritten
from fairlead.core.incident import KINDS, Incident, incidents
from fairlead.core.postmortem import postmortem
from fairlead.errors import FairleadError
from fairlead.ports import Clock, Journal

_LOG = logging.getLogger("fairlead.respond")
ACTOR = "respond"
_STORY = (
    *KINDS,
    "alert_raised",
    "alias_moved",
    "operator_asked",
    "retrain_decided",
    "retrain_finished",
    "rollout_decided",
    "rollout_started",
    "route_applied",
    "upstream_changed",
    "window_judged",
)

SavePostmortem = Callable[[str, str], str]  # incident id, Markdown -> path relative to the home folder


def draft(journal: Journal, clock: Clock, save: SavePostmortem, of: tuple[str, str]) -> tuple[Entry, ...]:
    """Writes the postmortem of an incident, named by its model and its id, where its facts have changed it. A disk that
    refuses is told of in the log: the facts are in the journal all the same."""
    model, identity = of
    known = list(journal.read(model=model, kinds=KINDS))
    incident = next((each for each in incidents(known) if each.id == identity), None)
    if incident is None:
        return ()
    text = postmortem(incident, told(journal, incident))
    digest = sha256(text.encode()).hexdigest()
    before = (entry.fact for entry in known if isinstance(entry.fact, PostmortemWritten))
    if any(fact.incident == identity and fact.digest == digest for fact in before):
        return ()
    try:
        path = save(incident.id, text)
    except FairleadError as error:
        _LOG.warning("the postmortem of %s was not written: %s", incident.id, error.line)
        return ()
    fact = PostmortemWritten(model, incident.id, path, digest)
    return journal.append([fact], actor=ACTOR, at=clock.now())


def told(journal: Journal, incident: Incident) -> list[Entry]:
    """What the story is told from: of a rollout its evidence too, and what happened to all models. The draft must not
    speak of its own writing, or each draft would ask for another."""
    own = journal.read(model=incident.model, kinds=() if incident.rollout is not None else _STORY)
    shared = journal.read(model="", kinds=("upstream_changed",)) if incident.model else iter(())
    entries = [entry for entry in chain(own, shared) if not isinstance(entry.fact, PostmortemWritten)]
    return sorted(entries, key=lambda entry: entry.seq)
