"""An alert may be aimed at models, and what is aimed at nobody is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.config.aim import aims_at, missed
from fairlead.config.load import parse_settings
from fairlead.config.watchpoints import stand_ins, watchpoints
from fairlead.errors import SettingsError

NAMES = st.text("abc-", min_size=1, max_size=4)
TEXT = """
alerting:
  alerts:
    - {name: error_rate, models: [stay]}
    - {name: slow, condition: "p99_latency > 2s", severity: high, models: [taxi-*]}
    - {name: psi}
"""


def test_an_aimed_alert_is_looked_at_for_its_models_alone() -> None:
    """With its graver level; one without an aim is of all, and what may be raised anywhere is all of them."""
    settings = parse_settings(TEXT)
    keys = {name: [one.key for one in watchpoints(settings, name)] for name in ("stay", "taxi-paris", "shop")}
    assert keys == {
        "stay": ["error_rate", "psi", "error_rate:critical", "psi:critical"],
        "taxi-paris": ["slow", "psi", "psi:critical"],
        "shop": ["psi", "psi:critical"],
    }
    assert len(watchpoints(settings)) == 5


def test_models_that_an_alert_is_not_aimed_at_keep_what_stands_in_for_it() -> None:
    """Aiming an alert of errors at one model leaves no other without one."""
    settings = parse_settings(TEXT)
    metrics = {
        name: {one.condition.metric for one in stand_ins(settings, name)} for name in ("stay", "taxi-paris", "shop")
    }
    assert metrics == {
        "stay": {"refused_share", "p99_latency", "p50_latency"},
        "taxi-paris": {"error_rate", "refused_share", "p50_latency"},
        "shop": {"error_rate", "refused_share", "p99_latency", "p50_latency"},
    }
    assert {one.condition.metric for one in stand_ins(settings)} == metrics["shop"]


@pytest.mark.parametrize(
    ("models", "said"),
    [
        ("[]", "aimed at no model: leave `models` out for all of them"),
        ("[Stay]", "'Stay', which no model can be called"),
        ("['']", "'', which no model can be called"),
        ("[stay, stay]", "'stay' twice"),
        ("stay", "array"),
        ("[7]", "str"),
    ],
)
def test_an_aim_at_nobody_is_refused(models: str, said: str) -> None:
    """At the start, with the fix."""
    with pytest.raises(SettingsError, match=said):
        parse_settings(f'alerting: {{alerts: [{{name: e, condition: "error_rate > 5%", models: {models}}}]}}')


def test_what_is_of_all_processes_is_aimed_at_no_model() -> None:
    """Memory is the home's."""
    with pytest.raises(SettingsError, match="memory_share is of all processes: leave `models` out"):
        parse_settings("alerting: {alerts: [{name: memory_share, models: [stay]}]}")


@given(st.lists(NAMES, max_size=4), st.sets(NAMES, max_size=4), st.sampled_from(["", "*", "a*", "?"]))
def test_a_name_is_missing_exactly_where_it_aims_at_no_registered_model(
    names: list[str], known: set[str], pattern: str
) -> None:
    """Whatever names and patterns are together; and an aim hits a model where one of its parts does."""
    aim = (*names, *([pattern] if pattern else []))
    lost = set(missed(aim, frozenset(known)))
    for one in aim:
        assert (one in lost) is not any(aims_at((one,), model) for model in known)
    for model in known:
        assert aims_at(aim, model) is any(aims_at((one,), model) for one in aim)
