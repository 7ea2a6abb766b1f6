"""The streams of the shared data, each with a frozen model: trained on the first part, then asked about the rest.

A model is a histogram gradient boosting of the first rows (or the predictions that the data ship with); 30 % of those
rows, drawn at random, are kept from it and are everybody's reference. What follows is cut into windows of equal rows,
at most 80 and at least 200 rows each, and a window stands for a day.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

KNOWN = "change points known"
MOST_WINDOWS, FEWEST_ROWS = 80, 200
HELDOUT = 0.3
WORDS = "change points known"
HOTEL = [
    "hotel", "lead_time", "stays_in_weekend_nights", "stays_in_week_nights", "adults", "children", "babies", "meal",
    "market_segment", "distribution_channel", "is_repeated_guest", "previous_cancellations",
    "previous_bookings_not_canceled", "reserved_room_type", "deposit_type", "customer_type", "adr",
    "total_of_special_requests",
]  # fmt: skip
FLIGHTS = [
    "month", "day", "sched_dep_time", "sched_arr_time", "carrier", "origin", "dest", "distance", "hour", "temp",
    "dewp", "humid", "wind_dir", "wind_speed", "precip", "pressure", "visib",
]  # fmt: skip


class Stream(NamedTuple):
    """A stream that is ready: reference rows and later rows (features only, no null), their answers and truths.
    `task` is binary, multiclass or regression; classes are numbers from 0."""

    name: str
    kind: str  # change points known | natural | calm
    task: str
    numeric: list[str]
    categorical: list[str]
    reference: pd.DataFrame  # features, __score__, __decided__, __truth__
    current: pd.DataFrame  # the same and __window__
    classes: int
    predict: Callable[[pd.DataFrame], tuple[np.ndarray, np.ndarray]] | None  # score and decision


class Plan(NamedTuple):
    """Where a stream comes from. `train` is a number of first rows or a test of rows."""

    name: str
    kind: str
    file: str
    task: str
    target: str
    train: int | Callable[[pd.DataFrame], np.ndarray]
    features: list[str] | None = None
    dropped: tuple[str, ...] = ()
    time: str | None = None
    shipped: tuple[str, str] | None = None  # score, decision
    unique: bool = False
    log: bool = False


def _before(column: str, day: str) -> Callable[[pd.DataFrame], np.ndarray]:
    return lambda frame: (frame[column] < pd.Timestamp(day)).to_numpy()


def _partition(frame: pd.DataFrame) -> np.ndarray:
    return (frame["partition"] == "reference").to_numpy()


BANK = [
    "age", "job", "marital", "education", "credit_default", "housing_loan", "personal_loan", "contact", "day_of_week",
    "campaign", "pdays", "previous", "poutcome",
]  # fmt: skip
METRO = ["hour", "weekday", "temp_k", "rain_1h", "snow_1h", "clouds_all", "weather_main"]
CARDS = tuple(f"y_pred_proba_{one}_card" for one in ("prepaid", "highstreet", "upmarket"))


def _first_year(frame: pd.DataFrame) -> np.ndarray:
    return (frame["year"] == 2011).to_numpy()


PLANS = (
    Plan("sea", KNOWN, "synth_sea_abrupt", "binary", "target", 8_000, dropped=("seq", "concept")),
    Plan("agrawal", KNOWN, "synth_agrawal_gradual", "binary", "target", 10_000, dropped=("seq", "concept")),
    Plan("hyperplane", KNOWN, "synth_hyperplane_incremental", "binary", "target", 5_000, dropped=("seq",)),
    Plan("insects", KNOWN, "insects_abrupt_shuffle", "multiclass", "target", 888, dropped=("seq", "segment")),
    Plan("insects prior", KNOWN, "insects_prior_shift", "multiclass", "target", 1_066, dropped=("seq",)),
    Plan(
        "car loan", KNOWN, "nannyml_car_loan", "binary", "repaid", _partition,
        dropped=("id", "timestamp", "partition"), time="timestamp", shipped=("y_pred_proba", "y_pred"),
    ),
    Plan(
        "car price", KNOWN, "nannyml_car_price", "regression", "y_true", _partition,
        dropped=("id", "timestamp", "partition"), time="timestamp", shipped=("y_pred", "y_pred"),
    ),
    Plan(
        "credit products", KNOWN, "nannyml_credit_multiclass", "multiclass", "y_true", _partition,
        dropped=("id", "timestamp", "partition", *CARDS),
        time="timestamp", shipped=("", "y_pred"),
    ),
    Plan(
        "hotel", "natural", "hotel_bookings", "binary", "is_canceled", _before("arrival_date", "2015-11-01"),
        features=HOTEL, time="arrival_date", unique=True,
    ),
    Plan(
        "bank", "natural", "bank_marketing", "binary", "subscribed", _before("call_date", "2009-01-01"),
        features=BANK,
        time="call_date",
    ),
    Plan(
        "bike", "natural", "bike_sharing_hourly", "regression", "count", _before("ts", "2011-10-01"),
        dropped=("ts", "row_id", "casual", "registered", "year"), time="ts",
    ),
    Plan(
        "gas turbine", "natural", "gas_turbine_emissions", "regression", "nox", _first_year,
        dropped=("ts_synthetic", "year", "seq_in_year", "co"),
    ),
    Plan(
        "metro", "natural", "metro_traffic_volume", "regression", "traffic_volume", _before("ts", "2016-01-01"),
        features=METRO, time="ts",
    ),
    Plan(
        "flights", "natural", "nyc_flights_2013", "binary", "arr_delayed_15", _before("sched_dep_ts", "2013-03-01"),
        features=FLIGHTS, time="sched_dep_ts",
    ),
    Plan(
        "appliances", "natural", "appliances_energy", "regression", "appliances", _before("ts", "2016-02-15"),
        dropped=("ts", "rv1", "rv2"), time="ts", log=True,
    ),
    Plan("adult", "calm", "adult_census_income", "binary", "income_gt_50k", 15_000, dropped=("split",)),
    Plan("credit card", "calm", "credit_card_default", "binary", "default_next_month", 10_000, dropped=("row_id",)),
)  # fmt: skip


def stream(plan: Plan, data: Path) -> Stream:
    """Reads a stream and answers it."""
    frame = _loaded(plan, data)
    train = np.arange(len(frame)) < plan.train if isinstance(plan.train, int) else plan.train(frame)
    names = plan.features or [str(c) for c in frame if c not in (plan.target, *plan.dropped, *(plan.shipped or ()))]
    categorical = [name for name in names if frame[name].dtype.kind not in "iufb"]
    numeric = [name for name in names if name not in categorical]
    truth, labels = _truth(frame[plan.target], plan)
    x = _filled(frame, numeric, categorical)
    held = train & (np.random.default_rng(0).random(len(frame)) < HELDOUT)
    predict = None
    if plan.shipped is not None:
        held = train
        score, decided = _shipped(frame, plan, labels)
    else:
        predict = _fitted(x[train & ~held], truth[train & ~held], categorical, plan.task)
        score, decided = predict(x)
    x = x.assign(__score__=score, __decided__=decided, __truth__=truth)
    later = x[~train].reset_index(drop=True)
    windows = max(1, min(MOST_WINDOWS, len(later) // FEWEST_ROWS))
    each = len(later) // windows
    current = later[: each * windows].assign(__window__=np.repeat(np.arange(windows), each))
    return Stream(
        plan.name, plan.kind, plan.task, numeric, categorical, x[held].reset_index(drop=True), current,
        max(2, len(labels)), predict,
    )  # fmt: skip


def _loaded(plan: Plan, data: Path) -> pd.DataFrame:
    frame = pd.read_parquet(data / f"{plan.file}.parquet")
    if plan.unique:
        frame = frame.drop_duplicates()
    if plan.name == "metro":
        frame = frame.assign(hour=frame["ts"].dt.hour, weekday=frame["ts"].dt.dayofweek)
    if plan.name == "appliances":
        frame = frame.assign(hour=frame["ts"].dt.hour)
    frame = frame[frame[plan.target].notna()]
    if plan.kind == "calm":
        return frame.sample(frac=1.0, random_state=0).reset_index(drop=True)
    return (frame.sort_values(plan.time, kind="stable") if plan.time else frame).reset_index(drop=True)


def _truth(values: pd.Series, plan: Plan) -> tuple[np.ndarray, list[object]]:
    if plan.task == "regression":
        found = values.to_numpy(float)
        return (np.log(found) if plan.log else found), []
    labels = sorted(values.unique().tolist())
    return values.map({label: place for place, label in enumerate(labels)}).to_numpy(float), labels


def _filled(frame: pd.DataFrame, numeric: list[str], categorical: list[str]) -> pd.DataFrame:
    """Not every peer takes nulls: those of numbers become the median, those of text a category."""
    x = frame[[*numeric, *categorical]].copy()
    for name in numeric:
        x[name] = x[name].astype(float).fillna(float(frame[name].astype(float).median()))
    for name in categorical:
        x[name] = x[name].astype(object).where(x[name].notna(), "none").astype(str)
    return x


def _shipped(frame: pd.DataFrame, plan: Plan, labels: list[object]) -> tuple[np.ndarray, np.ndarray]:
    assert plan.shipped is not None
    score, decided = plan.shipped
    place = {label: float(number) for number, label in enumerate(labels)}
    decisions = frame[decided].map(place).to_numpy(float) if labels else frame[decided].to_numpy(float)
    return (frame[score].to_numpy(float) if score else np.full(len(frame), np.nan)), decisions


def _fitted(
    x: pd.DataFrame, truth: np.ndarray, categorical: list[str], task: str
) -> Callable[[pd.DataFrame], tuple[np.ndarray, np.ndarray]]:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    codes = {name: {v: i for i, v in enumerate(x[name].value_counts().index[:200])} for name in categorical}

    def coded(rows: pd.DataFrame) -> np.ndarray:
        return np.column_stack(
            [rows[name].map(codes[name]).to_numpy(float) if name in codes else rows[name].to_numpy(float) for name in x]
        )

    kind = HistGradientBoostingRegressor if task == "regression" else HistGradientBoostingClassifier
    model = kind(max_iter=100, learning_rate=0.08, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(coded(x), truth)

    def predict(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        if task == "regression":
            found = model.predict(coded(rows))
            return found, found
        chance = model.predict_proba(coded(rows))
        if task == "binary":
            return chance[:, 1], (chance[:, 1] >= 0.5).astype(float)
        return chance.max(axis=1), model.classes_[chance.argmax(axis=1)]

    return predict
