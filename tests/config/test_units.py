"""A number without its unit is refused where minutes, hours or days are usual: by `delay: 7` nobody means seconds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import inspect

from fairlead.config.fields import Span
from fairlead.config.grammar import duration, span
from fairlead.config.load import parse_settings
from fairlead.config.settings import Settings
from fairlead.errors import SettingsError, UsageError
from fairlead.faces.cli.options import duration_option

# Where each stands; what is beside it makes the rest of its part valid.
PLACES = (
    ("models: {a: {labels: {delay: %s}}}", "models[...].labels.delay"),
    ("models: {a: {labels: {at_most: %s}}}", "labels.at_most"),
    ("monitoring: {slide: %s}", "monitoring.slide"),
    ("monitoring: {lateness: %s}", "monitoring.lateness"),
    ("monitoring: {keep_evidence: %s}", "monitoring.keep_evidence"),
    ("monitoring: {slots: {every: %s}}", "monitoring.slots.every"),
    ("monitoring: {slots: {keep: %s}}", "monitoring.slots.keep"),
    ("log: {retention: %s}", "log.retention"),
    ("log: {segments: %s}", "log.segments"),
    ("log: {compact_every: %s}", "log.compact_every"),
    ("log: {sampling: {rest: 10%%, after: %s}}", "log.sampling.after"),
    ("log: {quarantine: {keep: %s}}", "log.quarantine.keep"),
    ("rollout: {shadow: {for: %s}}", "rollout.shadow.for"),
    ("rollout: {steps: [{traffic: 5%%, hold: %s}]}", "rollout.steps[0].hold"),
    ("rollout: {deadline: %s}", "rollout.deadline"),
    ("rollout: {split: {block: %s}}", "rollout.split.block"),
    ("rollout: {after: {for: %s}}", "rollout.after.for"),
    ("rollout: {after: {events: %s}}", "rollout.after.events"),
    ("gates: {valid_for: %s}", "gates.valid_for"),
    ("gates: {production: {valid_for: %s}}", "gates.production.valid_for"),
    ("gates: {longest_waiver: %s}", "gates.longest_waiver"),
    ("alerting: {repeat_after: %s}", "alerting.repeat_after"),
    ("alerting: {window: %s}", "alerting.window"),
    ("alerting: {budget: {pages: 1, per: %s}}", "alerting.budget.per"),
    ("alerting: {throttle: {per: %s}}", "alerting.throttle.per"),
    ("alerting: {group_interval: %s}", "alerting.group_interval"),
    ("alerting: {group_for: %s}", "alerting.group_for"),
    ("alerting: {dead_after: %s}", "alerting.dead_after"),
    ("alerting: {escalation: [{after: %s, to: [console]}]}", "alerting.escalation[0].after"),
    ("incidents: {resolve_after: %s}", "incidents.resolve_after"),
    ("incidents: {acknowledge: {high: %s}}", "incidents.acknowledge"),
    ("incidents: {escalate: [{after: %s}]}", "incidents.escalate[0].after"),
    ("incidents: {tell: [{audience: users, within: %s}]}", "incidents.tell[0].within"),
    ("loops: {audit: %s}", "loops.audit"),
    ("pipeline: {rollback: {within: %s}}", "pipeline.rollback.within"),
    ("pipeline: {timeout: %s}", "pipeline.timeout"),
    ("pipeline: {stages: [{name: a, steps: [{name: b, run: c, timeout: %s}]}]}", "timeout"),
    ("retraining: {timeout: %s}", "retraining.timeout"),
    ("retraining: {at_most_every: %s}", "retraining.at_most_every"),
    ("retraining: {worth: {horizon: %s}}", "retraining.worth.horizon"),
)


@pytest.mark.parametrize(("text", "place"), PLACES)
@pytest.mark.parametrize("number", ["7", "'7'", "1.5"])
def test_a_number_without_its_unit_is_refused_where_it_stands(text: str, place: str, number: str) -> None:
    """Also as the text that a variable of the environment brings; with the three that it may be."""
    bare = number.strip("'")
    with pytest.raises(SettingsError, match=f"{bare} says no unit: write {bare}d, {bare}h or {bare}s") as caught:
        parse_settings(text % number)
    assert place in caught.value.line


def test_every_setting_of_hours_and_days_is_among_them() -> None:
    """So that none is forgotten: each field of the kind, by name."""
    found = {place.rpartition(".")[2] for _, place in PLACES}
    assert set(_spans(inspect.type_info(Settings), set())) == found


def _spans(info: inspect.Type, seen: set[type]) -> Iterator[str]:
    """The names of the fields that hold a span, wherever they stand."""
    if isinstance(info, inspect.StructType) and info.cls not in seen:
        seen.add(info.cls)
        for field in info.fields:
            if any(isinstance(one, inspect.CustomType) and issubclass(one.cls, Span) for one in _parts(field.type)):
                yield field.encode_name
            for part in _parts(field.type):
                yield from _spans(part, seen)


def _parts(info: inspect.Type) -> list[inspect.Type]:
    if isinstance(info, inspect.UnionType):
        return [each for one in info.types for each in _parts(one)]
    if isinstance(info, inspect.DictType):
        return _parts(info.value_type)
    return _parts(info.item_type) if isinstance(info, inspect.VarTupleType) else [info]


@pytest.mark.parametrize("text", ["monitoring: {window: 7}", "monitoring: {window: '7'}", "alerting: {budget: 1/30}",
                                  "rollout: {after: {alarms: 1 per 90}}"])  # fmt: skip
def test_what_is_written_within_a_text_says_its_unit_too(text: str) -> None:
    """A window, a budget of pages and one of alarms."""
    with pytest.raises(SettingsError):
        parse_settings(text)


@pytest.mark.parametrize("number", ["-7", ".inf", ".nan", "true", "7 apples", "[7]"])
def test_what_is_no_duration_at_all_is_refused(number: str) -> None:
    """With what one looks like."""
    with pytest.raises(SettingsError, match=r"is not a duration such as|labels\.delay"):
        parse_settings(f"models: {{a: {{labels: {{delay: {number}}}}}}}")


def test_what_is_short_may_be_a_number_of_seconds_and_nothing_is_nothing() -> None:
    """Time limits of requests, and 0 in any unit."""
    text = "serving: {limits: {timeout: 10}}\nmonitoring: {lateness: 0}\nrollout: {steps: [{traffic: 100%, hold: 0}]}"
    settings = parse_settings(text)
    assert settings.serving.limits.timeout == 10.0
    assert settings.monitoring.lateness == settings.rollout.steps[0].hold == 0.0


def test_options_of_hours_and_days_say_their_unit_too() -> None:
    """As a silence's length; in one line with the option's name."""
    with pytest.raises(UsageError, match="--for: 7 says no unit: write 7d, 7h or 7s"):
        duration_option("--for", "7")


@given(st.floats(0.001, 1e6), st.sampled_from(["ms", "s", "m", "min", "h", "d", "w"]))
def test_with_its_unit_a_span_is_a_duration(amount: float, unit: str) -> None:
    """The same seconds; and the bare number is refused, whatever it is."""
    text = f"{amount:.6f}"
    assert span(f"{text}{unit}") == span(f" {text} {unit} ") == duration(f"{text}{unit}")
    for bare in (text, float(text)):
        with pytest.raises(SettingsError, match="says no unit"):
            span(bare)
