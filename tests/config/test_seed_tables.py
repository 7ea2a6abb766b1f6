"""The default levels are the published tables': their rows, written out, each held against what stands in for it."""

from __future__ import annotations

import pytest

from fairlead.config.alerting import AlertSettings
from fairlead.config.fields import Comparison
from fairlead.config.load import parse_settings
from fairlead.config.usual_alerts import STAND_INS, USUAL
from fairlead.core.condition import Condition
from fairlead.core.incident_terms import ACKNOWLEDGE
from fairlead.core.report import FeatureShift, Harm, Predictions
from fairlead.core.thresholds import DEFAULTS
from fairlead.core.window_values import drift_values, null_rates
from fairlead.errors import SettingsError
from fairlead.testing.reports import window_report

# (row of the table, our metric, warning, critical); a level is (sign, factor, compared with, step)
Level = tuple[str, float, str, float]
ROWS: list[tuple[str, str, Level, Level]] = [
    ("PSI (per feature)", "psi", (">", 0.1, "", 0.0), (">", 0.25, "", 0.0)),
    ("KS statistic", "ks", (">", 0.05, "", 0.0), (">", 0.1, "", 0.0)),
    ("JS divergence", "js", (">", 0.05, "", 0.0), (">", 0.1, "", 0.0)),
    ("Null rate increase", "null_rate", (">", 2.0, "reference", 0.0), (">", 5.0, "reference", 0.0)),
    ("New categories", "unseen_share", (">", 0.0, "", 0.0), (">", 0.05, "", 0.0)),
    ("Prediction mean shift", "prediction_mean", (">", 2.0, "", 0.0), (">", 3.0, "", 0.0)),
    ("Prediction variance change", "prediction_variance", (">", 0.5, "", 0.0), (">", 1.0, "", 0.0)),
    ("Calibration drift", "brier", (">", 1.0, "champion", 0.02), (">", 1.0, "champion", 0.05)),
    ("p99 latency", "p99_latency", (">", 2.0, "champion", 0.0), (">", 5.0, "champion", 0.0)),
    ("p50 latency", "p50_latency", (">", 1.5, "champion", 0.0), (">", 3.0, "champion", 0.0)),
    ("Memory usage", "memory_share", (">", 0.8, "", 0.0), (">", 0.95, "", 0.0)),
    ("CPU usage", "cpu_share", (">", 0.7, "", 0.0), (">", 0.9, "", 0.0)),
    ("Queue depth", "queue_depth", (">", 100.0, "", 0.0), (">", 1000.0, "", 0.0)),
    ("Error rate (5xx)", "error_rate", (">", 0.01, "", 0.0), (">", 0.05, "", 0.0)),
    *(
        ("Primary metric degradation", name, ("<", 0.95, "champion", 0.0), ("<", 0.9, "champion", 0.0))
        for name in ("auroc", "auprc", "accuracy", "precision", "recall", "f1", "r2")
    ),
    *(
        ("Primary metric degradation", name, (">", 1.05, "champion", 0.0), (">", 1.1, "champion", 0.0))
        for name in ("log_loss", "rmse", "mae", "mape")
    ),
]


def level_of(found: Condition | None) -> Level:
    """A condition as the table has it."""
    assert found is not None
    return found.operator, found.factor, found.of, found.offset


@pytest.mark.parametrize(("row", "metric", "warning", "critical"), ROWS)
def test_a_row_is_a_default(row: str, metric: str, warning: Level, critical: Level) -> None:
    """An alert that only bears the metric's name has the table's two levels."""
    alert = AlertSettings(metric)
    assert (level_of(alert.stated), level_of(alert.parsed_critical)) == (warning, critical), row


def test_every_usual_level_is_of_a_row() -> None:
    """Nothing else has one, but what a row speaks of under another name, refused requests, and money."""
    others = {"refused_share", "p95_latency", "prediction_psi", "ece", "daily_cost"}
    assert {metric for _, metric, _, _ in ROWS} | others == set(USUAL)


def test_what_stands_in_has_the_same_levels() -> None:
    """Of the model's own usual where the table says baseline; 5 % of failing requests pages, and of refused ones."""
    found = {name: tuple(condition for condition, _ in levels) for name, levels in STAND_INS.items()}
    assert found == {
        "error_rate": ("error_rate > 1%", "error_rate > 5%"),
        "refused_share": ("refused_share > 1%", "refused_share > 5%"),
        "p99_latency": ("p99_latency > 2 * usual", "p99_latency > 5 * usual"),
        "p50_latency": ("p50_latency > 1.5 * usual", "p50_latency > 3 * usual"),
    }
    assert STAND_INS["error_rate"][1][1] == STAND_INS["refused_share"][1][1] == "high"


def test_the_watch_itself_has_them() -> None:
    """Also where no alert is stated; and people answer within the table's times."""
    levels = {name: (one.warning, one.critical) for name, one in DEFAULTS.items()}
    assert (levels["drop"], levels["brier"]) == ((0.05, 0.10), (0.02, 0.05))
    assert (levels["prediction_mean"], levels["prediction_variance"]) == ((2.0, 3.0), (0.5, 1.0))
    assert dict(ACKNOWLEDGE) == {"critical": 300.0, "high": 900.0, "medium": 3600.0, "low": 86_400.0}


def test_token_usage_has_two_names() -> None:
    """As the table's own example writes it."""
    assert AlertSettings("t", Comparison("token_usage_daily > 1000")).parsed.metric == "token_usage_daily"


SHIFTS = (
    FeatureShift("price", "critical", ks=0.2, js=0.12, null_rate=0.06, null_ratio=6.0, broken="nulls"),
    FeatureShift("age", "none", null_rate=0.3),
)


def test_the_values_are_the_windows_own() -> None:
    """A column that did not move meets no distance; nulls are held against the reference's; what predictions did is in
    the table's units."""
    report = window_report(0, drift=SHIFTS)
    ks = drift_values("ks", report)
    assert [(one.feature, one.value, one.sure, one.void) for one in ks] == [
        ("price", 0.2, True, False),
        ("age", None, None, True),
    ]
    nulls = null_rates(report)
    assert [one.others["reference"] for one in nulls] == pytest.approx([0.01, 0.3])
    assert [one.sure for one in nulls] == [True, False]
    seen = Harm(predictions=Predictions(900, -2.5, 0.1, 0.4))
    moved = window_report(0, harm=seen)
    (mean,), (spread,) = drift_values("prediction_mean", moved), drift_values("prediction_variance", moved)
    assert (mean.value, mean.sure) == (2.5, True)
    assert spread.value == pytest.approx(1.5)
    assert spread.sure is True
    (missing,) = drift_values("prediction_mean", window_report(0))
    assert "no predictions" in missing.missing


@pytest.mark.parametrize(
    "text", ["psi > 2 * reference", "auroc < reference", "error_rate > 2 * usual", "p99_latency > 2 * budget"]
)
def test_only_what_has_one_is_compared_with_it(text: str) -> None:
    """A reference, a usual, a budget: refused at the start."""
    with pytest.raises(SettingsError, match="write a number"):
        parse_settings(f'alerting: {{alerts: [{{name: x, condition: "{text}"}}]}}')
