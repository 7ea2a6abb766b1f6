"""Settings that differ from those of the last start are a change like any other: a triage lays it beside what began.

What the settings say is not journalled, only which of their sections changed: there may be secrets in them.
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

from fairlead.config.settings import Settings
from fairlead.core.facts_act import UpstreamChanged
from fairlead.errors import StateError
from fairlead.operations.context import Context

NAME = "settings.seen.json"


def note_settings(context: Context) -> tuple[str, ...]:
    """Journals which sections changed since the last start, and keeps what they are now. The first start changes
    nothing. Raises `StateError` where the home cannot be written to."""
    path, now = context.home / NAME, digests(context.settings)
    before = _read(path)
    changed = tuple(name for name in now if before and before.get(name) != now[name])
    if changed:
        at = context.clock.now()
        fact = UpstreamChanged("", "settings", f"{', '.join(changed)} changed with this start", at)
        context.journal.append([fact], actor=context.actor, at=at)
    if before != now:
        try:
            fresh = path.with_suffix(".new")
            fresh.write_text(json.dumps(now))
            fresh.replace(path)
        except OSError as error:
            raise StateError(f"{path} cannot be written ({error.strerror}): what changed is not known") from None
    return changed


def digests(settings: Settings) -> dict[str, str]:
    """Each section's digest; of a secret only whether there is one."""
    return {
        name: sha256(repr(getattr(settings, name)).encode()).hexdigest()[:16] for name in settings.__struct_fields__
    }


def _read(path: Path) -> dict[str, str]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
