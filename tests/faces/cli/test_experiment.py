from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fairlead.app.compose import open_context
from fairlead.faces.cli.app import build, run


def fairlead(*arguments: str) -> int:
    """Runs one command in this process."""
    return run(build(open_context, "0.0.0"), list(arguments))


@pytest.fixture
def shop(tmp_path: Path) -> str:
    """8,000 users in two arms: 10 % buy, 14 % with the new one."""
    rng = np.random.default_rng(1)
    new = np.arange(8_000) % 2 == 1
    table = pa.table(
        {
            "arm": np.where(new, "new", "old"),
            "bought": (rng.random(8_000) < np.where(new, 0.14, 0.10)).astype(int),
            "cost": rng.gamma(2, 5, 8_000),
            "city": rng.choice(["Lisbon", "Porto"], 8_000),
        }
    )
    pq.write_table(table, tmp_path / "shop.parquet")
    return str(tmp_path / "shop.parquet")


def test_a_plan_is_told_in_a_few_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """Units, weeks, the cost of looking, powers and weeks."""
    assert fairlead("experiment", "plan", "--baseline", "10%", "--detect", "11%", "--traffic", "2000/day") == 0
    said = capsys.readouterr().out
    for part in (
        "14,749 units an arm, 29,498 in all",
        "3 whole weeks at 2,000 units a day",
        "10.84 %",
        "read at every",
    ):
        assert part in said
    assert "11 %    80%" in said


@pytest.mark.parametrize(
    ("arguments", "key", "value"),
    [
        (["--baseline", "0.1", "--detect", "11%"], "control_units", 14_749),
        (["--baseline", "50", "--detect", "52", "--metric", "mean", "--sd", "20"], "control_units", 1_571),
        (["--baseline", "10%", "--detect", "11%", "--one-sided"], "control_units", 11_618),
        (["--baseline", "10%", "--detect", "11%", "--arms", "3", "--alpha", "10%"], "control_units", 14_749),
        (["--baseline", "10%", "--margin", "1%"], "control_units", 11_129),
        (["--baseline", "10%", "--traffic", "14,000/week", "--weeks", "2"], "total", 28_000),
        (["--baseline", "10%", "--detect", "11%", "--correlation", "0.6"], "control_units", 9_439),
        (["--baseline", "10%", "--detect", "11%", "--ratio", "4"], "treatment_units", 35_941),
    ],
)
def test_every_option_of_a_plan(arguments: list[str], key: str, value: int, capsys: pytest.CaptureFixture[str]) -> None:
    """As one JSON document."""
    assert fairlead("experiment", "plan", *arguments, "--json") == 0
    assert json.loads(capsys.readouterr().out)[key] == value


def test_the_text_of_a_plan_covers_means_margins_and_several_arms(capsys: pytest.CaptureFixture[str]) -> None:
    """What is told of each."""
    assert fairlead("experiment", "plan", "--baseline", "10%", "--margin", "1%", "--traffic", "2000/day") == 0
    assert "not worse than 10 % by 1 points or more" in capsys.readouterr().out
    arguments = ["--baseline", "50", "--detect", "52", "--metric", "mean", "--sd", "20", "--arms", "3", "--ratio", "2"]
    assert fairlead("experiment", "plan", *arguments) == 0
    said = capsys.readouterr().out
    assert "for each treatment" in said
    assert "2.5 % (Bonferroni)" in said


def test_an_experiment_that_ships_leaves_with_0(shop: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The reason, the figures, the page."""
    page = tmp_path / "report.html"
    arguments = ["--arm", "arm", "--metric", "bought", "--control", "old", "--planned", "4000", "--html", str(page)]
    assert (
        fairlead("experiment", "read", shop, *arguments, "--guardrail", "cost <= 1.1 * control", "--segment", "city")
        == 0
    )
    said = capsys.readouterr().out
    assert said.startswith("ship: bought is better with new")
    for part in ("held", "city = Porto", "lift"):
        assert part in said
    assert "<svg" in page.read_text()


def test_an_experiment_that_stops_leaves_with_1_and_one_that_goes_on_with_3(
    shop: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A cost that rose; units still missing; a broken split; looks while it runs."""
    common = ["experiment", "read", shop, "--arm", "arm", "--metric", "bought", "--control", "old", "--json"]
    for more, code, decision in (
        (["--planned", "4000", "--lower-is-better"], 1, "stop"),
        (["--planned", "9000"], 3, "extend"),
        (["--planned", "4000", "--share", "old=20%", "--share", "new=80%"], 1, "fix"),
        (["--always-valid"], 0, "ship"),
        ([], 0, "ship"),
    ):
        assert fairlead(*common, *more) == code
        assert json.loads(capsys.readouterr().out)["decision"] == decision


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["plan", "--baseline", "10%"], "nothing says what is to be found"),
        (["plan", "--baseline", "ten", "--detect", "11%"], "'ten' is not a share"),
        (["plan", "--baseline", "10%", "--detect", "11%", "--traffic", "lots"], "--traffic lots"),
        (["plan", "--baseline", "10%", "--detect", "11%", "--metric", "median"], "proportion or mean"),
        (["plan", "--baseline", "10", "--detect", "11", "--metric", "mean"], "--sd"),
        (["plan", "--baseline", "x", "--detect", "11", "--metric", "mean", "--sd", "1"], "a mean is a number"),
        (["plan", "--baseline", "10%", "--detect", "11%", "--alpha", "0"], "alpha is 0"),
        (["read", "nothing.csv", "--arm", "a", "--metric", "b"], "nothing.csv"),
        (["read", "SHOP", "--arm", "nope", "--metric", "bought"], "no column 'nope'"),
        (["read", "SHOP", "--arm", "arm", "--metric", "bought"], "which arm is the control"),
        (["read", "SHOP", "--arm", "arm", "--metric", "bought", "--control", "old", "--share", "old"], "--share old"),
        (["read", "SHOP", "--arm", "arm"], "--metric"),
    ],
)
def test_what_was_typed_wrongly_is_one_line_and_exit_2(
    arguments: list[str], said: str, shop: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says what, where and the fix."""
    assert fairlead("experiment", *(shop if one == "SHOP" else one for one in arguments)) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert said in captured.err
