"""Comparisons in the settings file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.config.conditions import condition
from fairlead.core.condition import Condition
from fairlead.errors import SettingsError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("error_rate > 5%", Condition("error_rate > 5%", "error_rate", ">", 0.05, unit="%")),
        ("drift_p_value < 0.05", Condition("drift_p_value < 0.05", "drift_p_value", "<", 0.05)),
        ("profit >= -5", Condition("profit >= -5", "profit", ">=", -5.0)),
        ("daily_cost > budget * 1.5", Condition("daily_cost > budget * 1.5", "daily_cost", ">", 1.5, "budget")),
        ("p99_latency > 2 * champion", Condition("p99_latency > 2 * champion", "p99_latency", ">", 2.0, "champion")),
        (
            "p99_latency > 200% * champion",
            Condition("p99_latency > 200% * champion", "p99_latency", ">", 2.0, "champion"),
        ),
        ("auroc < champion - 5%", Condition("auroc < champion - 5%", "auroc", "<", 1.0, "champion", -0.05, "%")),
        ("wait <= control + 2s", Condition("wait <= control + 2s", "wait", "<=", 1.0, "control", 2000.0, "s")),
        (
            "add to cart>=Champion-.5%",
            Condition("add to cart>=Champion-.5%", "add to cart", ">=", 1.0, "champion", -0.005, "%"),
        ),
    ],
)
def test_what_is_compared_with_what(text: str, expected: Condition) -> None:
    """A number with a unit, another figure, a multiple of it, a step from it: each becomes the same few values."""
    assert condition(text) == expected


def test_the_place_may_name_the_metric() -> None:
    """Where the metric is known from the place, the comparison alone is enough, and another name is refused."""
    found = condition(">500ms", "p50_latency")
    assert (found.metric, found.operator, found.factor, found.unit) == ("p50_latency", ">", 500.0, "ms")
    assert condition("p50_latency > 500ms", "p50_latency").metric == "p50_latency"
    with pytest.raises(SettingsError, match="is about error_rate, where p50_latency is meant"):
        condition("error_rate > 5%", "p50_latency")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("be nice", "is no condition"),
        ("> 5%", "names no metric"),
        ("error_rate == 5%", "is no condition"),
        ("error_rate > ", "is no condition"),
        ("error_rate > 5 apples", "because of '5 apples'"),
        ("error_rate > 1 * budget * 2", "two factors"),
        ("error_rate > champion - ", "is no condition"),
        ("a < b < c", "is no condition"),
        ("", "is no condition"),
        ("x > 1e5", "because of '1e5'"),
    ],
)
def test_what_is_no_condition_is_refused(text: str, said: str) -> None:
    """A sentence says what is wrong with it and what to write."""
    with pytest.raises(SettingsError, match=said):
        condition(text)


@given(
    st.sampled_from(("<", "<=", ">", ">=")),
    st.decimals(0, 1000, places=3),
    st.sampled_from(("", "champion", "budget")),
    st.decimals(-50, 50, places=2),
    st.sampled_from(("", "%", "ms", "s")),
)
def test_what_is_written_is_what_is_read(operator: str, factor: object, of: str, step: object, unit: str) -> None:
    """Every condition that can be written is read back as it was meant."""
    scale = {"%": 0.01, "s": 1000.0}.get(unit, 1.0)
    sign, size = ("-" if str(step).startswith("-") else "+"), str(step).lstrip("-")
    right = f"{factor} * {of} {sign} {size}{unit}" if of else f"{factor}{unit}"
    found = condition(f"some_metric {operator} {right}")
    assert (found.metric, found.operator, found.of, found.unit) == ("some_metric", operator, of, unit)
    assert found.factor == pytest.approx(float(str(factor)) * (1.0 if of else scale), rel=1e-12)
    assert found.offset == pytest.approx(float(str(step)) * scale if of else 0.0, rel=1e-12)


@given(st.text(max_size=40))
def test_no_text_does_worse_than_being_refused(text: str) -> None:
    """Whatever is typed is a condition or a `SettingsError`."""
    try:
        found = condition(text)
    except SettingsError:
        return
    assert found.metric
    assert found.operator in found.text
