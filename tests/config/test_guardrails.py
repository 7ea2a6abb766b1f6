"""Guardrails in the settings file: every metric may guard a rollout."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from fairlead.config.grammar import guardrail
from fairlead.config.load import parse_settings
from fairlead.config.settings import Settings
from fairlead.core.metrics import OUTCOMES, bounds, is_event, meant
from fairlead.core.outlook import Traffic, sights, told
from fairlead.core.rollout import EDITION
from fairlead.errors import SettingsError, UsageError
from fairlead.stats.sequential.combine import non_inferiority_units

PAGE_FILE = Path(__file__).parents[2] / "docs" / "guardrails.md"
PAGE = (
    "error_rate <= 1.25 * champion",
    "p99_latency <= 2 * champion",
    "prediction_psi < 0.25",
    "conversion >= champion - 1%",
)


def settings(text: str) -> Settings:
    """The settings in a text."""
    return parse_settings(text, {})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("conversion >= champion - 1%", ("conversion", 1.0, True, True, -0.01)),
        ("conversion > 0.95 * champion", ("conversion", 0.95, True, True, 0.0)),
        ("revenue >= champion - 0.5", ("revenue", 1.0, True, True, -0.5)),
        ("refund <= 1.1 * champion", ("refund", 1.1, True, False, 0.0)),
        ("complaint < champion + 0.2%", ("complaint", 1.0, True, False, 0.002)),
        ("add to cart >= 90% * champion", ("add to cart", 0.9, True, True, 0.0)),
        ("flip_rate <= 2%", ("flip_rate", 0.02, False, False, 0.0)),
        ("error_rate <= 5%", ("error_rate", 0.05, False, False, 0.0)),
        ("accuracy >= champion - 2%", ("accuracy", 1.0, True, True, -0.02)),
        ("auroc >= 0.98 * champion", ("auroc", 0.98, True, True, 0.0)),
        ("made >= champion - 2%", ("made", 1.0, True, True, -0.02)),  # no slip of mae
        ("p99_latency < 0.2s", ("p99_latency", 200.0, False, False, 0.0)),
    ],
)
def test_a_bound_from_either_side(text: str, expected: tuple[str, float, bool, bool, float]) -> None:
    """Events are bound by a factor of the champion's or a step from it; units and shares are as written."""
    found = guardrail(text)
    assert (found.metric, found.bound, found.relative, found.lower, found.margin) == expected
    assert found.text == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("conversion >= 3%", "compares an event to a number.*write conversion >= champion - 1%"),
        ("complaint <= 3%", "write complaint <= 1.1 \\* champion"),
        ("conversion >= champion", "leaves nothing to lose"),
        ("conversion >= champion + 1%", "leaves nothing to lose"),
        ("conversion >= 1.2 * champion", "leaves nothing to lose"),
        ("conversion >= 0.9 * champion - 1%", "one number for what may be lost"),
        ("refund <= 0.9 * champion", "leaves nothing to lose"),
        ("refund <= 0 * champion", "leaves nothing to lose"),
        ("conversion >= budget * 0.9", "compares to 'budget'"),
        ("error_rte <= 5%", "did you mean error_rate"),
        ("flip_rates <= 5%", "did you mean flip_rate"),
        ("error_rate >= 5%", "good when it is low"),
        ("error_rate <= champion + 1%", "has a step"),
        ("error_rate <= 5", "at most 100%"),
        ("p99_latency <= 200", "has no unit"),
        ("flip_rate <= 2 * champion", "compared to a number"),
        ("sample_ratio <= 2%", "takes no bound"),
        ("accuracy >= 90%", "compares accuracy to a number.*write accuracy >= champion - 2%"),
        ("accuracy <= champion + 2%", "accuracy is good when it is high: write accuracy >= champion - 2%"),
        ("brier >= champion - 2%", "brier is good when it is low: write brier <= 1.1 \\* champion"),
        ("auroc >= champion", "leaves nothing to lose"),
        ("mae <= 0.9 * champion", "leaves nothing to lose"),
        ("acuracy >= champion - 2%", "did you mean accuracy"),
        ("conversion", "is not a guardrail: write METRIC"),
        (">= champion - 1%", "is not a guardrail"),
    ],
)
def test_what_could_not_guard_is_refused(text: str, said: str) -> None:
    """Each with what is wrong and what to write; and with its place in the file."""
    with pytest.raises(SettingsError, match=said):
        guardrail(text)
    with pytest.raises(SettingsError):
        settings(f"rollout: {{guardrails: [{text!r}]}}")


def test_four_layers_guard_one_rollout() -> None:
    """The four guardrails of the promised file load, with its shadow phase under a canary."""
    found = settings(
        f"rollout: {{strategy: canary, shadow: {{for: 1h, at_least: 1000}}, guardrails: {list(PAGE)}, alpha: 1%}}"
    )
    plan = found.rollout.plan()
    assert [rule.metric for rule in plan.guardrails] == ["error_rate", "p99_latency", "prediction_psi", "conversion"]
    assert plan.shadow is not None
    assert (plan.shadow.seconds, plan.shadow.at_least) == (3600.0, 1000)
    assert plan.edition == EDITION


def test_a_shadow_phase_comes_first_where_it_is_stated() -> None:
    """Under every strategy but ab; the strategy of that name has one whether or not it is stated."""
    stated = settings("rollout: {shadow: {for: 5m, at_least: 50, traffic: 20%}}").rollout
    for strategy in ("canary", "shadow", "blue-green", "rolling"):
        shadow = stated.plan(strategy).shadow
        assert shadow is not None
        assert (shadow.seconds, shadow.at_least, shadow.traffic) == (300.0, 50, 0.2)
    assert stated.plan("ab").shadow is None
    silent = settings("rollout: {}").rollout
    assert silent.plan("canary").shadow is None
    assert silent.plan("shadow").shadow is not None


def test_a_guardrail_that_its_strategy_cannot_measure_is_refused_at_deploy() -> None:
    """Flips need a shadow phase, events a champion beside the version."""
    flips = settings("rollout: {guardrails: ['flip_rate <= 2%']}").rollout
    with pytest.raises(UsageError, match="canary has no such phase here"):
        flips.plan("canary")
    assert flips.plan("shadow").guardrails[0].metric == "flip_rate"
    events = settings("rollout: {guardrails: ['conversion >= champion - 1%']}").rollout
    with pytest.raises(UsageError, match="blue-green leaves none"):
        events.plan("blue-green")
    assert events.plan("rolling").guardrails[0].metric == "conversion"
    shift = settings("rollout: {guardrails: ['score_shift <= 20%']}").rollout
    with pytest.raises(UsageError, match="blue-green leaves none"):
        shift.plan("blue-green")
    assert shift.plan("canary").guardrails[0].bound == 0.2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("score_shift <= 1.1 * champion", "compared to a number, not to the champion: write score_shift < 20%"),
        ("score_shift >= 20%", "bounds it from below"),
        ("score_shift <= 20", "is no share"),
        ("score_shit <= 20%", "did you mean score_shift"),
    ],
)
def test_a_bound_on_the_shift_of_scores_is_a_share(text: str, said: str) -> None:
    """What it cannot be is refused with what to write."""
    with pytest.raises(SettingsError, match=re.escape(said)):
        guardrail(text)


def test_one_quantile_of_latency_may_be_bound() -> None:
    """Requests are counted as slow once; the champion's own quantile needs no unit."""
    with pytest.raises(SettingsError, match="bound latency twice"):
        settings("rollout: {guardrails: ['p99_latency <= 2 * champion', 'p50_latency <= 20ms']}")
    assert guardrail("p95_latency <= 0.5s").bound == 500.0
    with pytest.raises(SettingsError, match="has no unit: write p95_latency"):
        guardrail("p95_latency <= 200")


def test_a_step_may_wait_for_a_person() -> None:
    """`manual: true` on a step, and nowhere else by itself."""
    found = settings("rollout: {steps: [{traffic: 10%, manual: true}, {traffic: 100%}]}").rollout.plan()
    assert [step.manual for step in found.steps] == [True, False]
    with pytest.raises(SettingsError, match="manual"):
        settings("rollout: {steps: [{traffic: 10%, manual: perhaps}]}")


names = st.from_regex(r"[a-z]{5,10}_[a-z]{5,10}", fullmatch=True).filter(
    lambda name: is_event(name) and not meant(name)
)


@given(names, st.integers(1, 99), st.booleans(), st.booleans())
def test_any_event_may_be_bound(name: str, percent: int, lower: bool, stepped: bool) -> None:
    """Whatever callers name their events, the rule says what may be lost and on which side."""
    sign = -1 if lower else 1
    right = f"champion {'-' if lower else '+'} {percent}%" if stepped else f"{100 + sign * percent}% * champion"
    found = guardrail(f"{name} {'>=' if lower else '<='} {right}")
    assert (found.metric, found.lower, found.relative) == (name, lower, True)
    assert found.margin == pytest.approx(sign * percent / 100 if stepped else 0.0)
    assert found.bound == pytest.approx(1.0 if stepped else 1 + sign * percent / 100)


@given(st.text(max_size=60))
def test_no_text_does_worse_than_being_refused(text: str) -> None:
    """Whatever is typed is a guardrail, or refused in one line."""
    try:
        said = guardrail(text).metric
    except SettingsError as error:
        said = error.line
    assert said
    assert "\n" not in said


def test_every_metric_of_the_table_that_may_be_bound_can_be() -> None:
    """For each there is a text that states a bound on it."""
    written = {"error_rate": "<= 5%", "p99_latency": "<= 200ms", "prediction_psi": "< 0.25", "flip_rate": "<= 2%"}
    written |= {"p95_latency": "<= 1.5 * champion", "p50_latency": "<= 20ms", "score_shift": "<= 20%"}
    written |= {"accuracy": ">= champion - 2%", "auroc": ">= 0.98 * champion"}
    written |= {"brier": "<= champion + 0.01", "mae": "<= 1.1 * champion"}
    assert {guardrail(f"{name} {right}").metric for name, right in written.items()} == set(bounds())


def test_the_page_is_true() -> None:
    """Its settings load, it lists every metric that may be bound, its figures are computed, and its tests exist."""
    text = PAGE_FILE.read_text()
    found = settings(text.split("```yaml\n")[1].split("```")[0]).rollout.plan()
    listed = re.findall(r"^\| `(\w+)` \|", text.split("## Events")[0], re.MULTILINE)
    assert set(listed) == set(bounds())
    others = {"p50_latency", "p95_latency", "score_shift", *OUTCOMES}
    assert {rule.metric for rule in found.guardrails} > set(bounds()) - others
    three = structs.replace(found, guardrails=found.guardrails[:3])
    assert told(sights(three, 0.25, Traffic(50.0, 0.02))) in " ".join(text.split())
    assert round(non_inferiority_units(0.218, 0.01, 0.01), -3) == 37_000
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text)
    assert len(named) == 13
    assert [test for path, test in named if f"def {test}(" not in (PAGE_FILE.parents[1] / path).read_text()] == []
