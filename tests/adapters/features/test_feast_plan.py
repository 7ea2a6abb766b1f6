"""Plans of what is looked up: written, read, and refused."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from fairlead.adapters.features.feast_plan import FeastPlan, check_plan, plan_path, read_plan, write_plan
from fairlead.errors import StateError, UsageError

FEAST = Path(__file__).parent / "feast"


@pytest.fixture
def plan() -> FeastPlan:
    """A plan that Feast made."""
    return read_plan(FEAST / "churn.json")


def test_a_plan_is_what_was_written(plan: FeastPlan, tmp_path: Path) -> None:
    """In a folder that is made for it; a draft is never read."""
    path = plan_path(tmp_path / "home", "churn")
    write_plan(path, plan)
    write_plan(path, plan)
    assert read_plan(path) == plan
    assert [file.name for file in path.parent.iterdir()] == ["churn.json"]
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="cannot be written"):
        write_plan(tmp_path / "file" / "x.json", plan)


def test_what_cannot_be_looked_up_is_refused(plan: FeastPlan) -> None:
    """Old keys, two features of one name, a view without an entity, and types that hold no single cell."""
    replace = msgspec.structs.replace
    spending = plan.views[0]
    odd = replace(spending.features[0], type="double_list")
    for wrong, what in (
        (replace(plan, serialization=2), "set entity_key_serialization_version: 3"),
        (replace(plan, views=(spending, spending)), "have a feature orders, spent: set full_names: true"),
        (replace(plan, views=(replace(spending, keys=()),)), "the feature view spending has no entity"),
        (replace(plan, views=(replace(spending, features=(odd,)),)), "feature orders .* is a double_list: only string"),
        (replace(plan, views=(replace(spending, keys=(("at", "unix_timestamp"),)),)), "key at .* is a unix_timestamp"),
    ):
        with pytest.raises(UsageError, match=what):
            check_plan(wrong)
    assert check_plan(plan) is plan
