"""Refuses, at the start, metrics that nobody measures and messages that could not be filled in."""

from __future__ import annotations

from difflib import get_close_matches
from string import Formatter

from fairlead.core.condition import Condition
from fairlead.core.watched import METRICS, PLACES, WITH_BUDGET, WITH_REFERENCE, WITH_USUAL, event_of
from fairlead.errors import SettingsError


def known_metric(name: str) -> None:
    """Raises `SettingsError` for a metric that is not watched.

    >>> known_metric("error_rate")
    """
    if name in METRICS:
        return
    close = get_close_matches(name, METRICS, n=1)
    hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(METRICS)}"
    raise SettingsError(f"{name!r} is not a metric that is watched ({hint})")


def metric_or_event(name: str) -> None:
    """Raises `SettingsError` for what is neither a metric that is watched nor the name of a business event.

    >>> metric_or_event("conversion")
    """
    if not event_of(name):
        known_metric(name)


def watchable(condition: Condition) -> Condition:
    """The condition. Raises `SettingsError` for one over a metric that is not watched, or beside a budget of none, and
    for events beside the champion's."""
    metric_or_event(condition.metric)
    if event_of(condition.metric) and condition.of:
        raise SettingsError(
            f"{condition.text!r}: an event's mean is that of all versions together, so write a number; a guardrail of "
            f"the rollout compares versions"
        )
    if condition.of == "budget" and condition.metric not in WITH_BUDGET:
        raise SettingsError(f"{condition.text!r}: only {', '.join(WITH_BUDGET)} has a budget; write a number")
    if condition.of == "usual" and condition.metric not in WITH_USUAL:
        raise SettingsError(f"{condition.text!r}: only of {', '.join(WITH_USUAL)} a usual is known; write a number")
    if condition.of == "reference" and condition.metric not in WITH_REFERENCE:
        raise SettingsError(f"{condition.text!r}: only {', '.join(WITH_REFERENCE)} has a reference; write a number")
    if condition.of not in ("", "champion", "budget", "usual", "reference"):
        raise SettingsError(
            f"{condition.text!r} compares with {condition.of}: write champion, usual, reference, budget or a number"
        )
    return condition


def check_message(text: str) -> None:
    """Raises `SettingsError` for a message with a place that nothing fills.

    >>> check_message("Data drift detected in {feature}")
    """
    try:
        places = [name for _, name, _, _ in Formatter().parse(text) if name is not None]
    except ValueError:
        raise SettingsError(f"the message {text!r} has a brace too many: write {{{{ and }}}} for braces") from None
    for place in places:
        if place not in PLACES:
            close = get_close_matches(place, PLACES, n=1)
            hint = f"did you mean {{{close[0]}}}?" if close else ", ".join(f"{{{known}}}" for known in PLACES)
            raise SettingsError(f"the message holds {{{place}}}, which nothing fills ({hint})")
