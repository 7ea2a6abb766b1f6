"""One table of metrics, read by everybody who judges, tells or shows one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec import structs

from fairlead.core.advance import advance
from fairlead.core.metrics import METRICS, SINCE_3, UNBOUND, bounds, is_event, meant, metric
from fairlead.core.rollout import Call, Evidence, Phase, Reading, Rollout
from fairlead.core.why import why
from fairlead.operations.overview_ladder import format_metric

Begin = Callable[..., Rollout]
NAMES = (*METRICS, "conversion", "revenue", "what nobody thought of")


@pytest.mark.parametrize("name", NAMES)
def test_every_metric_has_words(begin: Begin, name: str) -> None:
    """A rollback by it can be told and its value shown, whatever it is called."""
    state, decision = advance(begin(), Evidence(), 0.0)
    reading = Reading(f"{name} bound", name, Call.REGRESS, 9.0, 9.0, 5.0, 0.01, 0.25, "broken")
    broken = structs.replace(
        decision, after=Phase.ROLLED_BACK, call=Call.REGRESS, guardrail=reading.guardrail, readings=(reading,)
    )
    said = why(broken, state)
    assert metric(name).broken in said
    assert "the champion's" in said
    assert format_metric(name, 0.25) != "not measured"
    passed = structs.replace(broken, after=Phase.PROMOTED, readings=(structs.replace(reading, call=Call.SAFE),))
    assert metric(name).figure in why(passed, state)


def test_the_four_layers() -> None:
    """Service and model are the table's; product and business are what callers log."""
    assert {metric(name).layer for name in METRICS} == {"service", "model"}
    assert [metric(name).layer for name in ("conversion", "revenue", "order revenue", "Profit-EUR")] == [
        "product",
        "business",
        "business",
        "business",
    ]
    assert set(bounds()) == set(METRICS) - set(UNBOUND)
    assert [is_event(name) for name in ("error_rate", "conversion")] == [False, True]


def test_an_earlier_plan_means_the_event_by_a_name_that_the_table_took() -> None:
    """What edition 3 measures by itself was anybody's name before; the rest of the table never was."""
    assert {name for name in METRICS if is_event(name, 2)} == set(SINCE_3)
    assert not [name for name in METRICS if is_event(name, 3)]


def test_a_slip_is_told_from_a_name() -> None:
    """Near to a name of the table is meant as that; its own name and an unlike one are not."""
    assert meant("eror_rate") == "error_rate"
    assert meant("error_rate") == meant("conversion") == ""
