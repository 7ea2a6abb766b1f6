"""why: one sentence for each decision in the journal, by whatever name it is asked for."""

from __future__ import annotations

from contextlib import suppress

from msgspec.structs import replace

from fairlead.core.event import Entry, GateMeasured
from fairlead.core.reasons import KINDS, Why, names_of, why_of
from fairlead.errors import FairleadError, NotFound
from fairlead.operations.context import Context
from fairlead.operations.gates import store_of


def reasons(context: Context, name: str) -> tuple[Why, ...]:
    """Every decision that a name means, oldest first: an entry's number, `name@version`, or the id of a gate report, a
    window, an alert, an experiment, an incident, a run, an item of a checklist or a rollout. Empty for no such name."""
    entries = context.journal.read(kinds=KINDS)
    return tuple(why for entry in entries if _meant(entry, name) and (why := _told(context, entry)))


def all_of(context: Context, model: str) -> tuple[Why, ...]:
    """Every decision about a model, oldest first. Raises `NotFound`."""
    found = [why for entry in context.journal.read(model=model, kinds=KINDS) if (why := _told(context, entry))]
    if not found:
        raise NotFound(f"nothing was decided about a model {model!r} yet: `fairlead models` lists what there is")
    return tuple(found)


def _meant(entry: Entry, name: str) -> bool:
    if name == str(entry.seq):
        return True
    return any(name == one or _shortened(name, one) for one in names_of(entry.fact))


def _shortened(name: str, digest: str) -> bool:
    return len(digest) == 64 and len(name) >= 8 and digest.startswith(name)


def _told(context: Context, entry: Entry) -> Why | None:
    """A gate that did not pass is told with the figures of its report, as long as that is kept."""
    why, fact = why_of(entry), entry.fact
    if why is not None and isinstance(fact, GateMeasured) and not fact.passed:
        with suppress(FairleadError):
            report = store_of(context).get(fact.report)
            said = f"Version {fact.version} of {fact.model} did not pass its {fact.environment} gate: {report.reason}"
            return replace(why, why=said)
    return why
