"""The names that alerts may have under some settings, and settings that name alerts which there are not."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from fairlead.config.names import nearest
from fairlead.config.settings import Settings
from fairlead.config.watchpoints import ROLLBACK as TRIGGER
from fairlead.config.watchpoints import stand_ins, watchpoints
from fairlead.core import alarm
from fairlead.core.drift_tests import KEY
from fairlead.core.group_alarms import FAIRNESS, GROUP
from fairlead.core.sudden_alarms import PRIOR, WORSE
from fairlead.core.watchpoint import UNMEASURED
from fairlead.errors import SettingsError

BUILT_IN = (
    alarm.HARMFUL,
    alarm.DEGRADED,
    alarm.DATA,
    alarm.SILENT,
    alarm.BENIGN,
    alarm.CALIBRATION,
    alarm.PREDICTIONS,
    alarm.IMPACT,
    alarm.LOOP,
    alarm.LOG_REFUSED,
    alarm.NO_WORKER,
    GROUP,
    FAIRNESS,
    WORSE,
    PRIOR,
    KEY,
)
# Their keys go on with what they are of: `rollout-rolled-back:ro-7`.
OF_SOMETHING = (
    alarm.ROLLBACK,
    alarm.GOLDEN,
    alarm.PROMOTION,
    alarm.REGRESS_HELD,
    alarm.UNACKNOWLEDGED,
)
_ANY = ":*"


def alert_names(settings: Settings) -> tuple[str, ...]:
    """Every alert that may be raised; one whose name goes on ends in `:*`."""
    stated = [one.key for one in watchpoints(settings)]
    usual = [one.key for one in stand_ins(settings)]
    trigger = [] if settings.pipeline.rollback.condition is None else [TRIGGER]
    going_on = [f"{name}{_ANY}" for name in (*OF_SOMETHING, *trigger)]
    return (*BUILT_IN, *going_on, *stated, *usual, *(f"{UNMEASURED}:{name}" for name in (*stated, "NAME")))


def check_alert_names(settings: Settings) -> None:
    """Raises `SettingsError` for an inhibition by, or of, alerts that there are not."""
    known = alert_names(settings)
    for rule in settings.alerting.inhibit:
        for key, name in (("when", rule.when), ("mutes", rule.mutes)):
            if not called(name, known):
                raise SettingsError(
                    f"alerting.inhibit: no alert is called {name!r}, as `{key}` says: {_fix(name, known)}"
                )


def called(pattern: str, known: Iterable[str]) -> bool:
    """Whether any of some alerts may be meant by a name or pattern.

    >>> called("errors", ("errors",)), called("err*", ("errors",)), called("eror", ("errors",))
    (True, True, False)
    >>> called("golden-set-failed:3", ("golden-set-failed:*",)), called("golden-set-failed", ("golden-set-failed:*",))
    (True, False)
    """
    return any(_meant(pattern, name) for name in known)


def _meant(pattern: str, name: str) -> bool:
    if not name.endswith(_ANY):
        return fnmatchcase(name, pattern)
    return pattern.startswith(name[:-1]) or fnmatchcase(f"{name[:-1]}x", pattern)


def _fix(name: str, known: tuple[str, ...]) -> str:
    if f"{name}{_ANY}" in known:
        return f"write '{name}{_ANY}', as its name goes on with what it is of"
    return nearest(name, known)
