"""The drift tests that the settings name: ks, chi-squared, MMD and PSI over sliding windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from msgspec import Raw
from tests.flows.page_desk import page_settings

from fairlead.config.load import parse_settings
from fairlead.core.drift_tests import DriftTest, alarm_of_tests
from fairlead.core.record import Prediction
from fairlead.core.verdict import Outcome
from fairlead.flows.drift_windows import Compared, DriftWindows
from fairlead.operations.drift_named import named_tests
from fairlead.stats.columns import CategoricalColumn, NumericColumn
from fairlead.stats.intervals import clopper_pearson
from fairlead.stats.profile import profile

DAY = 86_400.0
START = 19_700 * DAY
KINDS = ("a", "b", "c")
RNG = np.random.default_rng(3)
LENGTHS, CODES = RNG.normal(100.0, 20.0, 4000), RNG.choice(3, 4000, p=[0.5, 0.3, 0.2])
REFERENCE = Compared(
    profile((NumericColumn("response_length", LENGTHS), CategoricalColumn("category", CODES.astype(np.int32), KINDS))),
    {"response_length": LENGTHS[:1000].tolist(), "category": [KINDS[code] for code in CODES[:1000]]},
)
KS = DriftTest("response_length_drift", "ks", ("response_length",))
CHI = DriftTest("category_distribution_drift", "chi_squared", ("category",))
PSI = DriftTest("length_psi", "psi", ("response_length",), threshold=0.25)
MMD = DriftTest("both", "mmd", ("response_length", "category"))


def rows(count: int, seed: int, mean: float = 100.0, shares: Sequence[float] = (0.5, 0.3, 0.2)) -> list[dict[str, Any]]:
    """Requests whose lengths and categories follow the reference unless told otherwise."""
    rng = np.random.default_rng(seed)
    lengths, codes = rng.normal(mean, 20.0, count), rng.choice(3, count, p=shares)
    return [
        {"response_length": float(length), "category": KINDS[code], "other": 1}
        for length, code in zip(lengths, codes, strict=True)
    ]


def records(found: list[dict[str, Any]], day: float, version: int = 1, **changes: Any) -> list[Prediction]:
    """Their records, over one day."""
    made = []
    for place, row in enumerate(found):
        at = START + (day + place / len(found)) * DAY
        known = {"arm": "champion", "status": 200, "shadow_of": None, **changes}
        made.append(
            Prediction(
                f"q{day}-{place}-{version}", "hotel", version, known["arm"], "u", 1.0, at, at,
                Raw(msgspec.json.encode(row)), 0, 0.5, 1.0, status=known["status"], shadow_of=known["shadow_of"],
            )
        )  # fmt: skip
    return made


def windows(*tests: DriftTest, size: float = 7.0, reference: Compared | str = REFERENCE) -> DriftWindows:
    """Windows of a week that slide by a day."""
    return DriftWindows("hotel", tests, size * DAY, DAY, lambda _: reference)


@pytest.mark.parametrize("test", [KS, PSI, MMD], ids=lambda test: test.method)
def test_a_shift_of_a_number_is_found(test: DriftTest) -> None:
    """By KS, PSI and MMD alike; the reason has distance, p-value and rows."""
    watch = windows(test)
    watch.observe(records(rows(800, 1, mean=115.0), 0.0))
    window = watch.judge(START + DAY)
    assert window is not None
    (found,) = window.drifted
    assert found.found.effect > test.least
    assert test.name in found.reason
    assert "800 rows" in found.reason


@pytest.mark.parametrize("test", [CHI, MMD], ids=lambda test: test.method)
def test_a_shift_of_categories_is_found(test: DriftTest) -> None:
    """By chi-squared and MMD."""
    watch = windows(test)
    watch.observe(records(rows(800, 1, shares=(0.2, 0.3, 0.5)), 0.0))
    window = watch.judge(START + DAY)
    assert window is not None
    assert [one.found.test for one in window.drifted] == [test]


def test_nothing_is_found_where_nothing_moved() -> None:
    """All four tests hold, and say by how much."""
    watch = windows(KS, CHI, PSI, MMD)
    watch.observe(records(rows(800, 1), 0.0))
    window = watch.judge(START + DAY)
    assert window is not None
    assert [one.outcome for one in window.verdicts] == [Outcome.HOLDS] * 4
    assert "4 tests found no drift" in window.verdict.reason


def test_a_p_value_alone_is_no_drift() -> None:
    """With 40,000 rows a shift of a twelfth of a deviation is significant, and does not count."""
    watch = windows(KS)
    for part in range(4):
        watch.observe(records(rows(10_000, part, mean=101.6), float(part)))
    window = watch.judge(START + 4 * DAY)
    assert window is not None
    (verdict,) = window.verdicts
    assert verdict.found.p_value is not None
    assert verdict.found.p_value < 0.05
    assert verdict.outcome is Outcome.HOLDS


def test_the_share_of_false_alarms_is_below_the_threshold() -> None:
    """Over 120 windows without a change the page's two tests call drift in no more than 5 % of them."""
    false = 0
    for seed in range(120):
        watch = windows(KS, CHI, size=1.0)
        watch.observe(records(rows(150, 1000 + seed), 0.0))
        window = watch.judge(START + DAY)
        assert window is not None
        false += bool(window.drifted)
    assert clopper_pearson(false, 120, 0.01)[0] <= 0.05


def test_windows_slide() -> None:
    """A shift shows in each window that holds its day, and no longer; each is judged once."""
    watch = windows(KS, size=2.0)
    seen = []
    for day in range(6):
        watch.observe(records(rows(600, day, mean=140.0 if day == 2 else 100.0), float(day)))
        window = watch.judge(START + (day + 1) * DAY)
        assert window is not None
        assert watch.judge(START + (day + 1) * DAY) is None
        seen.append(bool(window.drifted))
        assert window.ends_at - window.starts_at == 2 * DAY
    assert seen == [False, False, True, True, False, False]


def test_what_is_no_answer_of_a_served_version_is_not_tested() -> None:
    """Shadows, failures and what fell back."""
    watch = windows(KS)
    watch.observe(records(rows(500, 1), 0.0))
    for changes in ({"arm": "shadow", "shadow_of": 1}, {"status": 500}, {"arm": "fallback"}):
        watch.observe(records(rows(2000, 2, mean=200.0), 0.0, version=2, **changes))
    window = watch.judge(START + DAY)
    assert window is not None
    assert (window.version, len(window.drifted)) == (1, 0)


UNMEASURED = {
    "no column 'length'": DriftTest("length_drift", "ks", ("length",)),
    "test it by chi_squared": DriftTest("category_drift", "ks", ("category",)),
    "test it by ks": DriftTest("response_length_drift", "chi_squared", ("response_length",)),
    "the reference has no rows of other": DriftTest("m", "mmd", ("response_length", "other")),
}


@pytest.mark.parametrize("said", list(UNMEASURED))
def test_what_cannot_be_tested_says_why(said: str) -> None:
    """It is unmeasured, neither drift nor calm, and the alarm stays as it is."""
    watch = windows(UNMEASURED[said])
    watch.observe(records(rows(300, 1), 0.0))
    window = watch.judge(START + DAY)
    assert window is not None
    assert window.verdict.outcome is Outcome.UNMEASURED
    assert said in window.verdict.reason
    assert alarm_of_tests("hotel", window).verdict.outcome is Outcome.UNDECIDED


def test_too_few_rows_and_a_lost_reference_are_unmeasured() -> None:
    """With the reason."""
    few = windows(KS, MMD)
    few.observe(records(rows(10, 1), 0.0))
    window = few.judge(START + DAY)
    assert window is not None
    assert [one.outcome for one in window.verdicts] == [Outcome.UNMEASURED] * 2
    assert "too few" in window.verdict.reason
    lost = windows(KS, reference="the bundle is gone")
    lost.observe(records(rows(300, 1), 0.0))
    window = lost.judge(START + DAY)
    assert window is not None
    assert "the bundle is gone" in window.verdict.reason


def test_broken_features_count_as_nulls() -> None:
    """What is no object, and a field of another type, stop nothing."""
    watch = windows(KS, CHI)
    made = records(rows(300, 5), 0.0)
    texts = (b"[1]", b"{", b'{"response_length": "x"}')
    broken = [msgspec.structs.replace(made[place], features=Raw(text)) for place, text in enumerate(texts)]
    watch.observe([*made[3:], *broken])
    window = watch.judge(START + DAY)
    assert window is not None
    assert not window.drifted


def test_the_named_tests_the_page_fire() -> None:
    """`response_length_drift` and `category_distribution_drift`, each on its column; one alarm names both."""
    settings = page_settings()
    watch = windows(*named_tests(settings.drift_detection))
    watch.observe(records(rows(800, 1, mean=130.0, shares=(0.1, 0.3, 0.6)), 0.0))
    window = watch.judge(START + DAY)
    assert window is not None
    alarm = alarm_of_tests("hotel", window, settings.alerting.channels_called("slack"))
    assert alarm.title == "Data drift detected in response_length, category"
    assert (alarm.severity, alarm.channels) == ("medium", ("slack-alerts",))
    assert alarm.verdict.outcome is Outcome.BREACHED


def test_columns_and_effects_may_be_stated() -> None:
    """A test of two columns is two verdicts; a larger effect asks for more."""
    columns = "columns: [response_length, category], effect: 5"
    text = f"drift_detection: {{tests: [{{name: big, type: psi, threshold: 0.25, {columns}}}]}}"
    (test,) = named_tests(parse_settings(text).drift_detection)
    watch = windows(test)
    watch.observe(records(rows(800, 1, mean=130.0), 0.0))
    window = watch.judge(START + DAY)
    assert window is not None
    assert [one.outcome for one in window.verdicts] == [Outcome.HOLDS] * 2
