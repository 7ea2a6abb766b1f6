"""The plan beside the columns: schema, correlations, answers, classes, groups and fairness, all from the bundle."""

from __future__ import annotations

import numpy as np
import pytest

from fairlead.config.load import parse_settings
from fairlead.config.monitoring import Monitoring
from fairlead.config.watchpoints import stand_ins
from fairlead.core.bundle import HELDOUT, Lineage, Manifest
from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.core.groups import Rules
from fairlead.operations.watch_lines import of_answers, of_columns, of_parts, of_schema
from fairlead.stats.columns import CategoricalColumn, NumericColumn
from fairlead.stats.profile import TableProfile, profile


def table(numbers: int = 3) -> TableProfile:
    """Some numbers, and a protected category."""
    rng = np.random.default_rng(0)
    found = [NumericColumn(f"n{place}", rng.normal(size=200)) for place in range(numbers)]
    return profile([*found, CategoricalColumn("sex", np.arange(200, dtype=np.int32) % 2, ("f", "m"))])


def manifest(task: Task = Task.BINARY, *, heldout: bool = True) -> Manifest:
    """A bundle of it."""
    features = (Feature("n0", Kind.NUMBER), Feature("n1", Kind.NUMBER, nullable=True), Feature("sex", Kind.CATEGORY))
    contract = Contract(features, task, "y", () if task is Task.REGRESSION else ("no", "yes"))
    return Manifest("m", contract, "skops", "m", "m", {HELDOUT: "d"} if heldout else {}, Lineage("d", "d", 1))


def test_without_a_setting_everything_is_planned_that_the_bundle_allows() -> None:
    """Fields, pairs of columns, the answers' own shape, classes, groups, and a column named like a protected one."""
    assert of_schema(manifest()).how == "3 fields of each request, 2 never null"
    assert of_schema(manifest()).threshold.endswith("; no condition is of what is refused")
    limits = of_schema(manifest(), stand_ins(parse_settings("{}"))).threshold
    assert limits.endswith("; refused_share > 1%: medium, refused_share > 5%: high")
    columns = of_columns(Monitoring(), table(), manifest())
    assert (columns.how, columns.part) == ("6 pairs of 4 columns", HELDOUT)
    assert [one.what for one in of_answers(Task.BINARY)] == ["drift and collapse of the answers", "calibration"]
    told = {one.what: one for one in of_parts(manifest(), table(), Rules(segments=("n0",)))}
    assert told["precision, recall, F1 and share of each class"].how == "2 classes, with intervals"
    assert told["accuracy of each group"].how == "6 groups of n0, sex"
    assert told["fairness"].how == "selection, true and false positive rates by sex"
    values = of_parts(manifest(Task.REGRESSION), table(), Rules())
    assert [one.what for one in values] == ["mean absolute error of each group"]


@pytest.mark.parametrize(
    ("monitoring", "numbers", "heldout", "said"),
    [
        (Monitoring(), 3, False, "the bundle has no held-out rows"),
        (Monitoring(), 0, True, "fewer than two numbers or categories"),
        (Monitoring(correlations="off"), 3, True, "switched off"),
        (Monitoring(), 101, True, "ask for them by monitoring.correlations: on"),
    ],
)
def test_what_is_not_watched_says_what_would_mend_it(
    monitoring: Monitoring, numbers: int, heldout: bool, said: str
) -> None:
    """No held-out rows, too few numbers, too many, or switched off."""
    line = of_columns(monitoring, table(numbers), manifest(heldout=heldout))
    assert line.threshold.startswith("unmeasured: ")
    assert said in line.threshold
    assert heldout or of_parts(manifest(heldout=False), table(), Rules()) == []
