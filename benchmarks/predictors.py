"""What a row costs: each flavour of model as it was trained, against what its registration would serve.

Real hotel bookings; 60 trees or a linear model. CPU time of this process per call, for one row and for 64, median of
alternating rounds: the original's, the served one's, and the ratio of the two, taken within a round. `--rows` and
`--rounds` make it longer.
"""

from __future__ import annotations

import argparse
import logging
import os
import pickle
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

import fairlead
from fairlead.adapters.predictors.reader import ModelFiles
from fairlead.adapters.system_clock import SystemClock
from fairlead.core.bundle import Golden
from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.flows.fast_path import Original, choose_served
from fairlead.ports.predictor import Predictor

BOOKINGS = Path(fairlead.__file__).parent / "faces/demo/data/hotel_bookings.parquet"
NUMBERS = ["lead_time", "adr", "total_of_special_requests", "stays_in_week_nights", "adults", "previous_cancellations"]
TEXTS = ["hotel", "deposit_type", "market_segment", "meal"]
TREES, TARGET = 60, "is_canceled"
MANY = 64
TRUST = ("pickle", "python", "pyfunc")


class Case(NamedTuple):
    """A flavour: its name, its file, and the columns that it takes."""

    name: str
    path: Path
    columns: list[str]


def bookings(rows: int) -> pd.DataFrame:
    """The first bookings."""
    found: pd.DataFrame = pq.read_table(BOOKINGS, columns=[*NUMBERS, *TEXTS, TARGET]).to_pandas().iloc[:rows]
    return found.astype(dict.fromkeys(NUMBERS, float))


def contract_of(data: pd.DataFrame, columns: Sequence[str]) -> Contract:
    """Numbers and texts, two classes."""
    features = tuple(
        Feature(name, Kind.CATEGORY, categories=tuple(sorted(data[name].unique())))
        if name in TEXTS
        else Feature(name, Kind.NUMBER)
        for name in columns
    )
    return Contract(features, Task.BINARY, TARGET, ("0", "1"))


def sklearn_cases(data: pd.DataFrame, folder: Path) -> list[Case]:
    """A pipeline of one-hot codes and boosted trees, and a linear one."""
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler
    from skops import io as skops

    def codes() -> Any:
        encode = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
        return ColumnTransformer([("texts", encode, TEXTS)], remainder=StandardScaler())

    found: list[Case] = []
    for name, last in (
        ("scikit-learn, linear pipeline", LogisticRegression(max_iter=300)),
        ("scikit-learn, boosted pipeline", HistGradientBoostingClassifier(max_iter=TREES)),
    ):
        model = make_pipeline(codes(), last).fit(data[NUMBERS + TEXTS], data[TARGET])
        path = folder / f"{len(found)}.skops"
        path.write_bytes(skops.dumps(model))
        found.append(Case(name, path, NUMBERS + TEXTS))
    return found


def _save(model: Any, path: Path) -> None:
    model.save_model(str(path))


def _save_booster(model: Any, path: Path) -> None:
    model.booster_.save_model(str(path))


def booster_cases(data: pd.DataFrame, folder: Path) -> list[Case]:
    """Each library: its own file with numbers, with categories too, and its wrapper in a pickle."""
    from catboost import CatBoostClassifier
    from lightgbm import LGBMClassifier
    from xgboost import XGBClassifier

    def fitted(maker: Callable[..., Any], settings: dict[str, Any], *, texts: bool) -> Any:
        columns = data[NUMBERS + TEXTS] if texts else data[NUMBERS]
        if texts and maker is CatBoostClassifier:
            settings = {**settings, "cat_features": TEXTS}
        elif texts:
            columns = columns.astype(dict.fromkeys(TEXTS, "category"))
        return maker(n_estimators=TREES, **settings).fit(columns, data[TARGET])

    found = []
    quiet = {"verbose": 0, "allow_writing_files": False}
    for library, maker, settings, suffix, save in (
        ("XGBoost", XGBClassifier, {"enable_categorical": True}, ".ubj", _save),
        ("LightGBM", LGBMClassifier, {"verbose": -1}, ".txt", _save_booster),
        ("CatBoost", CatBoostClassifier, quiet, ".cbm", _save),
    ):
        for texts in (False, True):
            model = fitted(maker, settings, texts=texts)
            path = folder / f"{library}-{texts}{suffix}"
            save(model, path)
            columns = NUMBERS + TEXTS if texts else NUMBERS
            found.append(Case(f"{library} {suffix}, {'with categories' if texts else 'numbers'}", path, columns))
            if not texts:
                path = folder / f"{library}.pkl"
                path.write_bytes(pickle.dumps(model))
                found.append(Case(f"{library} wrapper in a pickle", path, columns))
    return found


def code_cases(_: pd.DataFrame, folder: Path) -> list[Case]:
    """A function, and the same as MLflow's pyfunc."""
    import mlflow

    class Rule(mlflow.pyfunc.PythonModel):  # type: ignore[misc, name-defined]  # MLflow loads its modules late
        def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]  # noqa: ARG002
            return (model_input["lead_time"] / 800.0).clip(0.0, 1.0)

    (folder / "rule.py").write_text("def predict(rows): return [min(1.0, max(0.0, row[0] / 800.0)) for row in rows]")
    settings = {"pip_requirements": [], "infer_code_paths": False}
    mlflow.pyfunc.save_model(str(folder / "pyfunc"), python_model=Rule(), **settings)
    return [
        Case("Python function", folder / "rule.py:predict", NUMBERS),
        Case("MLflow pyfunc", folder / "pyfunc", NUMBERS),
    ]


def cpu_us(predictor: Predictor, rows: list[tuple[Any, ...]], seconds: float) -> float:
    """CPU time of a call, in microseconds, over calls for about so many seconds."""
    calls, before, until = 0, time.process_time(), time.perf_counter() + seconds
    while calls < 3 or time.perf_counter() < until:
        predictor.predict(rows)
        calls += 1
    return (time.process_time() - before) / calls * 1e6


def compared(case: Case, data: pd.DataFrame, rounds: int, seconds: float) -> tuple[str, list[float]]:
    """What is served, and for one row and for many: the original's time, the served one's, the ratio."""
    reader, contract = ModelFiles(TRUST), contract_of(data, case.columns)
    rows = list(data[case.columns].itertuples(index=False, name=None))[:1000]
    opened = reader.open(case.path)
    predictor = opened.predictor(contract)
    answers = predictor.predict(rows)
    golden = Golden((), tuple(map(tuple, answers[:200].tolist())))
    original = Original(predictor, opened.facts.format, golden, rows[:200], rows, answers)
    chosen = choose_served(contract, opened, reader, SystemClock(), original)
    served = reader.translated(chosen.translation, contract) if chosen.translation else predictor
    found: list[float] = []
    for given in (rows[:1], rows[:MANY]):
        if served is predictor:
            own = median(cpu_us(predictor, given, seconds) for _ in range(rounds))
            found += [own, own, 1.0]
            continue
        turns = [(cpu_us(predictor, given, seconds), cpu_us(served, given, seconds)) for _ in range(rounds)]
        first, second = np.array(turns).T
        found += [median(first), median(second), median(first / second)]
    return chosen.translation.format if chosen.translation else "the original", found


def main() -> None:
    """Prints one line for each flavour."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=4000, help="bookings that the models are trained on")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.15, help="of each measurement")
    given = parser.parse_args()
    if os.environ.get("OMP_NUM_THREADS") != "1":  # as in the gateway's workers; the libraries read it when they start
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, "OMP_NUM_THREADS": "1"})
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)  # MLflow's advice
    data = bookings(given.rows)
    print(f"{'flavour':34} {'served':13} {'1 row: own':>11} {'served':>9} {'ratio':>7}", end="")
    print(f" {'64 rows: own':>13} {'served':>9} {'ratio':>7}   (CPU, us a call)")
    with tempfile.TemporaryDirectory(prefix="fairlead-predictors-") as at:
        folder = Path(at)
        for make in (sklearn_cases, booster_cases, code_cases):
            for case in make(data, folder):
                served, (a, b, c, d, e, f) = compared(case, data, given.rounds, given.seconds)
                print(f"{case.name:34} {served:13} {a:11.1f} {b:9.1f} {c:7.1f} {d:13.1f} {e:9.1f} {f:7.1f}", flush=True)


if __name__ == "__main__":
    main()
