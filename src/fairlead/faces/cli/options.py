"""Options that the settings' grammar reads: what it cannot read is told with the option's name."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from typing import TypeVar

from fairlead.config.grammar import share, span
from fairlead.errors import SettingsError, UsageError

T = TypeVar("T")


def duration_option(option: str, text: str) -> float:
    """Seconds of an option such as `--wait 1s`. Raises `UsageError`.

    >>> duration_option("--wait", "250ms")
    0.25
    """
    return read_as(span, option, text)


def share_option(option: str, text: str) -> float:
    """The share of an option such as `--allow 5%`, in [0, 1]. Raises `UsageError`.

    >>> share_option("--allow", "5%")
    0.05
    """
    return read_as(share, option, text)


def day_option(option: str, text: str) -> float:
    """The first instant of a day such as `--until 2027-01-31`, in seconds since 1970, UTC. Raises `UsageError`.

    >>> day_option("--until", "1970-01-02")
    86400.0
    """
    try:
        day = date.fromisoformat(text.strip())
    except ValueError:
        raise UsageError(f"{option}: {text!r} is no day: write it as 2027-01-31") from None
    return datetime.combine(day, time(), UTC).timestamp()


def read_as(read: Callable[[str], T], option: str, text: str) -> T:
    """What `read` makes of an option's text. Raises `UsageError` with the option's name."""
    try:
        return read(text)
    except SettingsError as error:
        raise UsageError(f"{option}: {error.line}") from None
