from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import fairlead as fl
from fairlead.core.verdict import Outcome
from fairlead.errors import TableError, UsageError
from fairlead.operations.policies import PolicyReport, evaluate_policy

DATA = Path(__file__).parents[3] / "shared" / "data"
ITEMS = {"all": 80, "women": 46}


def bandit(campaign: str) -> pd.DataFrame:
    """The Open Bandit sample: 10,000 rows of a uniformly random policy and 10,000 of Thompson sampling."""
    columns = ["behavior_policy", "timestamp", "item_id", "position", "click", "action_prob"]
    found: pd.DataFrame = pq.read_table(DATA / f"open_bandit_{campaign}.parquet", columns=columns).to_pandas()
    return found


def log(rows: int = 4_000, seed: int = 0) -> dict[str, Any]:
    """Two actions, "a" worth 0.2 and "b" 0.4, drawn evenly; the new policy takes b nine times of ten."""
    rng = np.random.default_rng(seed)
    took = rng.choice(["a", "b"], rows)
    return {
        "took": took,
        "won": (rng.random(rows) < np.where(took == "b", 0.4, 0.2)).astype(int),
        "p": np.full(rows, 0.5),
        "new": np.where(took == "b", 0.9, 0.1),
        "to_a": np.full(rows, 0.1),
        "to_b": np.full(rows, 0.9),
        "guess": np.where(took == "b", 0.4, 0.2),
        "guess_new": np.full(rows, 0.38),
        "user": np.arange(rows) // 2,
    }


def evaluated(data: Any = None, **more: Any) -> PolicyReport:
    options: dict[str, Any] = {"reward": "won", "propensity": "p", "target": "new", **more}
    return evaluate_policy(log() if data is None else data, **options)


def test_every_kind_of_table_is_read_alike(tmp_path: Path) -> None:
    """pandas, polars, Arrow, a dict, a file."""
    data = log()
    pq.write_table(pa.table(data), tmp_path / "log.parquet")
    tables: list[Any] = [data, pd.DataFrame(data), pl.DataFrame(data), pa.table(data), tmp_path / "log.parquet"]
    assert len({evaluated(one).to_json() for one in tables}) == 1


@pytest.mark.parametrize(
    "options",
    [{"estimator": "ips"}, {}, {"estimator": "dr", "model": ("guess", "guess_new")}, {"unit": "user"}],
)
def test_a_better_policy_is_told_as_such(options: dict[str, Any]) -> None:
    """Worth 0.38 where the log earned 0.30: inside the interval, and the gain above 0."""
    report = evaluated(**options)
    assert report.verdict.outcome is Outcome.HOLDS
    assert report.value is not None
    assert report.gain is not None
    assert report.value.low < 0.38 < report.value.high
    assert 0 < report.gain.low < 0.08 < report.gain.high


def test_a_worse_policy_is_breached_and_a_like_one_undecided() -> None:
    """Turned around, it earns less; a policy that is nearly the old one earns about as much."""
    data = log()
    assert evaluated({**data, "new": 1 - data["new"]}).verdict.outcome is Outcome.BREACHED
    like = evaluated({**data, "new": np.where(data["took"] == "b", 0.502, 0.498)})
    assert like.verdict.outcome in (Outcome.UNDECIDED, Outcome.HOLDS)
    same = evaluated({**data, "new": data["p"]})
    assert same.verdict.outcome is Outcome.UNDECIDED
    assert same.support.effective == pytest.approx(4_000)


def test_a_column_for_each_action_is_the_same_policy() -> None:
    """And is checked: it adds up to 1, and names every action of the log."""
    each = {"a": "to_a", "b": "to_b"}
    assert evaluated(target=each, action="took").value == evaluated().value
    with pytest.raises(UsageError, match="column of the logged action"):
        evaluated(target=each)
    with pytest.raises(UsageError, match="holds b, for which"):
        evaluated(target={"a": "to_a"}, action="took")
    with pytest.raises(UsageError, match=r"sum of the new policy's probabilities is 1\.8 in row 0"):
        evaluated(target={"a": "to_b", "b": "to_b"}, action="took")


def test_a_deterministic_champion_is_unmeasured() -> None:
    """All propensities are 1: it says so, and shows no value."""
    data = {**log(), "p": np.ones(4_000)}
    report = evaluated({**data, "new": np.where(data["took"] == "b", 1.0, 0.0)})
    assert report.verdict.outcome is Outcome.UNMEASURED
    assert "took every action for sure" in report.verdict.reason
    assert (report.value, report.gain) == (None, None)


def test_actions_that_were_never_taken_are_unmeasured() -> None:
    """A third of the new policy's decisions have no row in the log."""
    data = log()
    report = evaluated({**data, "new": 0.5 * np.full(4_000, 2 / 3)})
    assert report.verdict.outcome is Outcome.UNMEASURED
    assert "33.3% of the new policy's decisions" in report.verdict.reason


def test_few_effective_rows_are_refused() -> None:
    """One row in a thousand carries everything: undecided, with the sizes; no value."""
    rng = np.random.default_rng(1)
    p = np.where(rng.random(3_000) < 0.01, 0.001, 0.999)
    data = {"won": rng.integers(2, size=3_000), "p": p, "new": 1.0 - p}
    report = evaluated(data)
    assert (report.verdict.outcome, report.value) == (Outcome.UNDECIDED, None)
    assert "3,000 rows, worth " in report.verdict.reason
    assert report.support.effective < 100


def test_clipping_states_its_bias_and_the_exact_bounds_are_given_on_demand() -> None:
    """A note with the share clipped; Maurer and Pontil's interval holds the normal one."""
    clipped = evaluated(estimator="clipped", clip=1.5)
    assert clipped.value is not None
    assert (clipped.value.bias or 0.0) < 0
    assert "exceed 1.5 and were clipped" in clipped.notes[0]
    exact = evaluated(estimator="ips", reward_range=(0, 1), largest_weight=1.8)
    assert exact.bernstein is not None
    assert exact.value is not None
    assert exact.bernstein.low < exact.value.low < exact.value.high < exact.bernstein.high
    switched = evaluated(estimator="switch", clip=1.5, model=("guess", "guess_new"))
    assert "left to the model" in switched.notes[0]


@pytest.mark.parametrize("campaign", ITEMS)
def test_thompson_sampling_is_valued_from_the_random_policys_log(campaign: str) -> None:
    """Open Bandit (Saito et al. 2020): what it earned where it ran lies in the interval, by IPS, SNIPS and exactly. Its
    probability of an item at a position is the share it gave it."""
    data = bandit(campaign)
    ran, random = (data[data["behavior_policy"] == name] for name in ("bts", "random"))
    gave = ran.groupby(["position", "item_id"]).size() / ran.groupby("position").size()
    places = pd.MultiIndex.from_frame(random[["position", "item_id"]])
    rows = random.assign(new=gave.reindex(places).fillna(0.0).to_numpy(), p=1 / ITEMS[campaign])
    for estimator in ("ips", "snips"):
        report = fl.evaluate_policy(
            rows,
            reward="click",
            propensity="p",
            target="new",
            estimator=estimator,
            reward_range=(0, 1),
            largest_weight=ITEMS[campaign],
        )
        assert report.value is not None
        assert report.bernstein is not None
        assert report.support.effective > 2_000
        for found in (report.value, report.bernstein):
            assert found.low < ran["click"].mean() < found.high


def test_the_random_policy_is_valued_from_thompson_samplings_log_where_that_can_be() -> None:
    """In the campaign of all items what it earned lies in the interval (340 effective rows of 10,000); in the other,
    where one row weighs 21,739, the reading is refused."""
    for campaign, readable in (("all", True), ("women", False)):
        data = bandit(campaign)
        ran, random = (data[data["behavior_policy"] == name] for name in ("bts", "random"))
        report = fl.evaluate_policy(
            ran.assign(new=1 / ITEMS[campaign]), reward="click", propensity="action_prob", target="new"
        )
        if readable:
            assert report.value is not None
            assert report.value.low < random["click"].mean() < report.value.high
        else:
            assert (report.verdict.outcome, report.value) == (Outcome.UNDECIDED, None)
            assert "10,000 rows, worth 2.1 of equal weight" in report.verdict.reason


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"reward": "nope"}, "no column 'nope'"),
        ({"reward": "took"}, "holds text"),
        ({"target": "nope"}, "no column 'nope'"),
        ({"estimator": "magic"}, "no estimator 'magic'"),
        ({"estimator": "clipped"}, "needs a clip"),
        ({"estimator": "dr"}, "needs a reward model"),
        ({"propensity": "zero"}, "logged propensity is 0 in row 0"),
        ({"target": "two"}, "under the new policy is 2 in row 0"),
        ({"target": "zero"}, "never takes"),
        ({"reward": "gap"}, "no number in 1 row, the first is row 3"),
        ({"unit": "gap"}, "no unit in 1 row:"),
        ({"alpha": 0.0}, "alpha is 0"),
        ({"reward_range": (0, 0.5), "largest_weight": 2.0}, "outside 0 to 0.5"),
    ],
)
def test_what_a_user_passes_wrongly_is_told(options: dict[str, Any], said: str) -> None:
    """Each with what is wrong; a policy without support is unmeasured."""
    gap = np.where(np.arange(4_000) == 3, np.nan, 1.0)
    data = {**log(), "zero": np.zeros(4_000), "two": np.full(4_000, 2.0), "gap": gap}
    call: Callable[[], PolicyReport] = lambda: evaluated(data, **options)  # noqa: E731
    if "never takes" in said:
        assert call().verdict.outcome is Outcome.UNMEASURED
        return
    with pytest.raises((UsageError, TableError), match=said):
        call()


def test_an_empty_log_is_refused() -> None:
    """No rows, no answer."""
    with pytest.raises(TableError, match="no rows"):
        evaluated({"won": [], "p": [], "new": []})


def test_the_report_is_plain_values_and_a_frame() -> None:
    """Fit for JSON; a row for each estimate that there is."""
    report = evaluated()
    assert json.loads(report.to_json())["verdict"]["outcome"] == "holds"
    assert report.to_dict()["estimator"] == "snips"
    assert list(report.to_frame()["estimate"]) == ["logged", "value", "gain"]
