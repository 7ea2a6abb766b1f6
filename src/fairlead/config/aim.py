"""Which models an alert is of: all of them, or those that it names."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

from fairlead.core.watched import HOME
from fairlead.errors import SettingsError

_NAME = re.compile(r"[a-z0-9_.*?\[\]!-]{1,128}")
_WILD = frozenset("*?[")


def check_aim(alert: str, models: tuple[str, ...], metric: str) -> None:
    """Raises `SettingsError` for an aim at nobody, at what no model can be called, twice at one, and of a metric that
    is of no model.

    >>> check_aim("errors", ("stay", "taxi-*"), "error_rate")
    """
    said = f"the alert {alert!r}"
    if not models:
        raise SettingsError(f"{said} is aimed at no model: leave `models` out for all of them, or name some")
    if metric in HOME:
        raise SettingsError(f"{said} is aimed at models, but {metric} is of all processes: leave `models` out")
    for name in models:
        if not _NAME.fullmatch(name):
            raise SettingsError(
                f"{said} is aimed at {name!r}, which no model can be called: write small letters, digits, '_', '-' and "
                f"'.', or a pattern such as taxi-*"
            )
        if models.count(name) > 1:
            raise SettingsError(f"{said} is aimed at {name!r} twice: keep one")


def aims_at(models: tuple[str, ...] | None, model: str) -> bool:
    """Whether a model is among those that are meant; None means all.

    >>> aims_at(None, "stay"), aims_at(("taxi-*",), "taxi-paris"), aims_at(("taxi-*",), "stay")
    (True, True, False)
    """
    return models is None or model in models or any(fnmatchcase(model, one) for one in models if _WILD & set(one))


def missed(models: tuple[str, ...] | None, registered: frozenset[str]) -> tuple[str, ...]:
    """The names and patterns that no registered model is meant by.

    >>> missed(("stay", "taxi-*", "sty"), frozenset({"stay"}))
    ('taxi-*', 'sty')
    """
    return tuple(name for name in models or () if not any(aims_at((name,), one) for one in registered))


def only(models: tuple[str, ...]) -> str:
    """The one model that is named; empty where there are several, none, or a pattern.

    >>> only(("stay",)), only(("stay-*",))
    ('stay', '')
    """
    return models[0] if len(models) == 1 and not _WILD & set(models[0]) else ""
