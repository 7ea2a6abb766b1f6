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
SWITCHED = (KEY, alarm.NO_WORKER)  # what is no condition, and yet is looked at only as the settings say
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


def of_settings(key: str) -> bool:
    """Whether an alert is looked at only as the settings say, by its name: no other alert is called so.

    >>> of_settings("errors"), of_settings("no-worker"), of_settings("harmful-drift"), of_settings("regress-held:ro-7")
    (True, True, False, False)
    """
    return key in SWITCHED or not (key in BUILT_IN or key.partition(":")[0] in OF_SOMETHING)


def why_unstated(settings: Settings, model: str, key: str) -> str:
    """Why nothing looks at an alert of a model any more, which a condition of the settings raised; empty where
    something does."""
    silent, trigger = key.removeprefix(f"{UNMEASURED}:"), settings.pipeline.rollback
    stated = {one.key for one in watchpoints(settings, model)}
    usual = {one.key for one in stand_ins(settings, model)} if silent == key else set()
    by_hand = trigger.condition is not None and not trigger.automatic
    looked_at = {KEY: bool(settings.drift_detection.tests), alarm.NO_WORKER: settings.alerting.defaults}
    if silent in stated | usual or looked_at.get(key) or (by_hand and silent.startswith(f"{TRIGGER}:")):
        return ""
    aimed = any(silent == one.key for one in watchpoints(settings))
    return f"the settings no longer aim it at {model}" if aimed else "no longer in the settings"


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
