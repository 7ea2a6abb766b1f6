"""Performance without labels: fairlead's estimates against what was realised, and against nannyml's on the same data.

Three public sets with shipped predictions (car loan, binary; credit cards, three classes; car prices, regression): the
reference part is learned from, the analysis part estimated in chunks of 5,000. Printed are the mean absolute error of
each metric's estimate over the chunks, the peer's, and how many chunks' realised metric lies in the interval. Of the
car loans also whether the assumptions held: labels against what score, or inputs and score, had promised, by decision.
Then, by simulation, the coverage of the intervals and PAPE against CBPE where inputs move, P(truth | inputs) does not.

    python benchmarks/estimation.py --data FOLDER [--peer-python PYTHON] [--skip-simulation]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from fairlead.operations.estimate import estimate_performance
from fairlead.stats import performance as metrics
from fairlead.stats.estimate import (
    density_ratio,
    error_model,
    estimate,
    estimate_classes,
    estimate_error,
    heldout,
    heldout_classes,
    prediction_powered,
)

ROOT = Path(__file__).resolve().parents[1]
CHUNK = 5_000
PUBLISHED = {  # nannyml 0.13.1, the same chunks
    "car loan": {"auroc": 0.002115, "f1": 0.002575, "accuracy": 0.003112},
    "credit": {"macro_auroc": 0.0339, "macro_f1": 0.03708, "accuracy": 0.03772},
    "car price": {"mae": 9.532, "rmse": 14.68},
}
LOAN = [
    "car_value", "salary_range", "debt_to_income_ratio", "loan_length", "repaid_loan_on_prev_car",
    "size_of_downpayment", "driver_tenure",
]  # fmt: skip
CREDIT = [
    "acq_channel", "app_behavioral_score", "requested_credit_limit", "app_channel", "credit_bureau_score",
    "stated_income", "is_customer",
]  # fmt: skip
PRICE = ["car_age", "km_driven", "price_new", "accident_count", "door_count", "fuel", "transmission"]
CARDS = {name: f"y_pred_proba_{name}" for name in ("prepaid_card", "highstreet_card", "upmarket_card")}
SETS: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "car loan": (
        "nannyml_car_loan.parquet",
        {"target": "repaid", "prediction": "y_pred", "score": "y_pred_proba"},
        LOAN,
    ),
    "credit": (
        "nannyml_credit_multiclass.parquet",
        {"target": "y_true", "prediction": "y_pred", "probabilities": CARDS},
        CREDIT,
    ),
    "car price": (
        "nannyml_car_price.parquet",
        {"target": "y_true", "prediction": "y_pred", "task": "regression"},
        PRICE,
    ),
}
PEER = """
import json, sys
import numpy as np, pandas as pd, nannyml
folder, chunk = sys.argv[1], int(sys.argv[2])
B = dict(y_pred_proba="y_pred_proba", y_pred="y_pred", timestamp_column_name="timestamp")
cards = {k: "y_pred_proba_" + k for k in ("prepaid_card", "highstreet_card", "upmarket_card")}
jobs = {
    "car loan": ("nannyml_car_loan", ["roc_auc", "f1", "accuracy"],
        dict(B, y_true="repaid", problem_type="classification_binary")),
    "credit": ("nannyml_credit_multiclass", ["roc_auc", "f1", "accuracy"],
        dict(B, y_pred_proba=cards, y_true="y_true", problem_type="classification_multiclass")),
    "car price": ("nannyml_car_price", ["mae", "rmse"],
        dict(y_pred="y_pred", y_true="y_true", timestamp_column_name="timestamp")),
}
found = {}
for name, (file, metrics, kw) in jobs.items():
    data = pd.read_parquet(f"{folder}/{file}.parquet")
    for column in data.select_dtypes(["object", "string"]):
        data[column] = data[column].astype(object)
    ref = data[data.partition == "reference"].drop(columns="partition").reset_index(drop=True)
    new = data[data.partition == "analysis"].drop(columns="partition").reset_index(drop=True)
    if name == "car price":
        features = ["car_age", "km_driven", "price_new", "accident_count", "door_count", "fuel", "transmission"]
        e = nannyml.DLE(feature_column_names=features, metrics=metrics, chunk_size=chunk, **kw).fit(ref)
        kw = dict(kw, problem_type="regression")
    else:
        e = nannyml.CBPE(metrics=metrics, chunk_size=chunk, **kw).fit(ref)
    e = e.estimate(new.drop(columns=[kw["y_true"]])).filter(period="analysis").to_df()
    r = nannyml.PerformanceCalculator(metrics=metrics, chunk_size=chunk, **kw).fit(ref)
    r = r.calculate(new).filter(period="analysis").to_df()
    found[name] = {}
    for m in metrics:
        a, b = e[(m, "value")].to_numpy(float), r[(m, "value")].to_numpy(float)
        low, high = (e[(m, f"{side}_confidence_boundary")].to_numpy(float) for side in ("lower", "upper"))
        found[name][m] = [float(np.mean(np.abs(a - b))), int(((low <= b) & (b <= high)).sum()), len(a)]
print("RESULT" + json.dumps(found))
"""
NAMED = {
    "car loan": {"roc_auc": "auroc"},
    "credit": {"roc_auc": "macro_auroc", "f1": "macro_f1"},
    "car price": {},
}


def peer(python: str, data: Path) -> dict[str, dict[str, list[float]]]:
    """The peer's errors in its own environment: by set and metric, the mean error, chunks inside its band, chunks."""
    environment = {**os.environ, "NML_DISABLE_USAGE_LOGGING": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [python, "-W", "ignore", "-c", PEER, str(data), str(CHUNK)],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    line = next((text for text in done.stdout.splitlines() if text.startswith("RESULT")), "")
    if not line:
        sys.exit(f"the peer failed: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else 'no output'}")
    raw = json.loads(line.removeprefix("RESULT"))
    return {name: {NAMED[name].get(m, m): value for m, value in of.items()} for name, of in raw.items()}


def errors(
    data: Path, name: str, method: Literal["cbpe", "pape", "dle"], *, featured: bool
) -> tuple[pd.DataFrame, float]:
    """By metric: the mean absolute error, that of the later half of the chunks, and chunks inside the interval."""
    file, columns, features = SETS[name]
    table = pd.read_parquet(data / file)
    parts = [table[table.partition == part] for part in ("reference", "analysis")]
    start = time.perf_counter()
    report = estimate_performance(
        *parts, **columns, method=method, chunk_rows=CHUNK, features=features if featured else None
    )
    taken = time.perf_counter() - start
    frame = report.to_frame()
    frame["error"] = (frame.estimated - frame.realised).abs()
    frame["inside"] = (frame.estimated_low <= frame.realised) & (frame.realised <= frame.estimated_high)
    later = [chunk.name for chunk in report.chunks[len(report.chunks) // 2 :]]
    found = frame.groupby("metric", sort=False).agg(error=("error", "mean"), inside=("inside", "sum"))
    found["later"] = frame[frame.chunk.isin(later)].groupby("metric").error.mean()
    found["chunks"] = len(report.chunks)
    return found, taken


def against_the_peer(data: Path, python: str | None) -> None:
    """The three sets, each by the method that the peer uses, then PAPE where classes are estimated."""
    live = peer(python, data) if python else {}
    for name in SETS:
        plan: list[tuple[Literal["cbpe", "pape", "dle"], bool]] = [("cbpe", False), ("pape", True)]
        if name == "car price":
            plan = [("dle", True)]
        for method, featured in plan:
            found, taken = errors(data, name, method, featured=featured)
            print(f"\n{name}, {method}, {int(found.chunks.iloc[0])} chunks of {CHUNK:,}, {taken:.1f} s")
            for metric, row in found.iterrows():
                text = f"  {metric:16s} error {row.error:10.6f}   later half {row.later:10.6f}"
                text += f"   inside {int(row.inside):2d}/{int(row.chunks)}"
                if metric in PUBLISHED[name]:
                    text += f"   nannyml {PUBLISHED[name][str(metric)]:g}"
                if name in live and metric in live[name]:
                    error, inside, chunks = live[name][str(metric)]
                    text += f"   in this run {error:.6f}, inside {int(inside)}/{int(chunks)}"
                print(text)


def assumptions(data: Path) -> None:
    """Car loans: the share of 1s among rows decided alike against its expectation given the score (CBPE's assumption)
    and given inputs and score (PAPE's), both learned on the reference, with the deviate of the difference. Then
    accuracy in the later half by three estimators that all assume that P(truth | inputs) stayed."""
    from fairlead.adapters.boosting import cross_fit, cross_fitted

    table = pd.read_parquet(data / SETS["car loan"][0])
    y, s, d = (table[name].to_numpy(np.float64) for name in ("repaid", "y_pred_proba", "y_pred"))
    text = [at for at, name in enumerate(LOAN) if not pd.api.types.is_float_dtype(table[name])]
    given = [pd.factorize(table[name])[0] if at in text else table[name] for at, name in enumerate(LOAN)]
    x = np.column_stack([*given, s]).astype(np.float64)
    known, live = (np.flatnonzero(table.partition == part) for part in ("reference", "analysis"))
    fitted = cross_fit(x[known], y[known], task="binary", categorical=text)
    curve = heldout(y[known], s[known]).curve
    later = live[live.size // 2 :]
    print("\ncar loan, did the assumptions hold? share of 1s, expected and realised, deviate")
    for half, rows in (("earlier", live[: live.size // 2]), ("later", later)):
        learned = np.mean([model(x[rows]) for model in fitted.models], axis=0)
        for name, chance in (("score", curve(s[rows])), ("inputs and score", learned)):
            for decided in (0, 1):
                p, came = chance[d[rows] == decided], y[rows][d[rows] == decided]
                deviate = (came - p).sum() / np.sqrt((p * (1 - p)).sum())
                print(
                    f"  {half:8s} given {name:17s} decided {decided}: {p.mean():.4f} {came.mean():.4f} {deviate:+6.1f}"
                )
    both = np.append(known, later)
    chance = cross_fitted(x[both], np.repeat([0, 1], [known.size, later.size]), task="binary", categorical=text)
    weights = density_ratio(chance[: known.size], known.size, later.size).values
    out = np.where(d[known] == 1, fitted.predictions, 1 - fitted.predictions)
    learned = np.where(d[later] == 1, learned, 1 - learned)
    right = (y == d).astype(np.float64)
    weighted, robust = (np.average(each, weights=weights) for each in (right[known], right[known] - out))
    print(
        f"  accuracy of the later half {right[later].mean():.4f}; weighted reference rows {weighted:.4f}, "
        f"a model of the truth {learned.mean():.4f}, both together (doubly robust) {learned.mean() + robust:.4f}"
    )


# -- simulation ----------------------------------------------------------------------------------------------------


def binary(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Truth, and a score that is no probability of it."""
    x = rng.normal(size=n)
    truth = (rng.random(n) < 1 / (1 + np.exp(1 - 1.3 * x))).astype(np.float64)
    return truth, 1 / (1 + np.exp(0.3 - 0.8 * x))


def several(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Class numbers, and probabilities that are too sure."""
    z = rng.normal(size=(n, 3)) * 1.2
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    sure = np.exp(1.6 * z) / np.exp(1.6 * z).sum(axis=1, keepdims=True)
    return (p.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1), sure


def coverage(runs: int, known_rows: int, live_rows: int) -> dict[str, int]:
    """How often 95 % intervals hold what is realised on new rows, reference and live rows drawn anew each time."""
    rng = np.random.default_rng(0)
    hits: dict[str, int] = {}
    cost = {"false_positive": 1.0, "false_negative": 5.0}
    for _ in range(runs):
        known = heldout(*binary(known_rows, rng))
        y, s = binary(live_rows, rng)
        d = (s >= 0.5).astype(np.float64)
        real = {name: getattr(metrics, name)(y, d).value for name in ("accuracy", "precision", "recall", "f1")}
        real |= {"specificity": metrics.specificity(y, d).value, "auroc": metrics.auroc(y, s)}
        real |= {"auprc": metrics.auprc(y, s), "log_loss": metrics.log_loss(y, s).value}
        real |= {"brier": metrics.brier(y, s).value, "cost": metrics.cost_per_row(y, d, cost).value}
        for name, measure in estimate(s, known, 0.5, rng, cost=cost).named().items():
            hits[name] = hits.get(name, 0) + int(measure.low <= real[name] <= measure.high)
    return hits


def class_coverage(runs: int, known_rows: int, live_rows: int) -> dict[str, int]:
    """The same of three classes."""
    rng = np.random.default_rng(0)
    hits: dict[str, int] = {}
    for _ in range(runs):
        y, p = several(known_rows, rng)
        classes = heldout_classes(y, p, rng)
        y, p = several(live_rows, rng)
        d = p.argmax(axis=1)
        matrix = metrics.confusion(y, d, 3)
        real = {f"macro_{kind}": metrics.averaged(matrix, kind).value for kind in ("f1", "precision", "recall")}
        real |= {"accuracy": float((y == d).mean()), "macro_auroc": metrics.macro_auroc(y, p).value}
        for name, measure in estimate_classes(p, classes, rng).named().items():
            hits[name] = hits.get(name, 0) + int(measure.low <= real[name] <= measure.high)
    return hits


def linear(x: np.ndarray, errors: np.ndarray, power: int = 2, folds: int = 5) -> tuple[np.ndarray, Any]:
    """A small error model, so that thousands can be fitted: least squares on 1, x, x² and up, cross-fitted."""

    def terms(new: np.ndarray) -> np.ndarray:
        return np.column_stack([np.ones_like(new), new, new**2, *([new**4] if power == 4 else [])])

    fold = np.arange(x.size) % folds
    weights = [np.linalg.lstsq(terms(x[fold != k]), errors[fold != k], rcond=None)[0] for k in range(folds)]
    held = np.sum(terms(x) * np.stack(weights)[fold], axis=1)
    return held, lambda new: np.stack([terms(new) @ w for w in weights])


ERRORS = (  # name, power of the error, highest power of the model, and how far the input moves
    ("MAE", 1, 2, 0.0),
    ("RMSE", 2, 4, 0.0),
    ("MAE, moved", 1, 2, 0.5),
    ("RMSE, moved", 2, 4, 0.5),
    ("RMSE, moved, by a model without the term that it has", 2, 2, 0.5),
)


def error_coverage(runs: int, known_rows: int, live_rows: int) -> dict[str, int]:
    """The same for an error model, without and with a shift of the input, and for early labels (a fifth of all)."""
    rng = np.random.default_rng(1)
    hits: dict[str, int] = {}

    def world(n: int, at: float) -> tuple[np.ndarray, np.ndarray]:
        x = rng.normal(at, 1.0, n)
        return x, np.abs(rng.normal(size=n)) * (1.0 + 0.5 * x**2)

    for _ in range(runs):
        x, e = world(known_rows, 0.0)
        for name, power, highest, at in ERRORS:
            held, expected = linear(x, e**power, highest)
            new, came = world(live_rows, at)
            found = estimate_error(expected(new), error_model(held, e**power))
            hits[name] = hits.get(name, 0) + int(found.low <= (came**power).mean() <= found.high)
        loss = rng.exponential(1.0, live_rows)
        for name, guess in (("mean loss, powered", 0.7 * loss), ("mean loss, powered by noise", 0.0 * loss)):
            f = guess + rng.normal(0.4, 0.3, live_rows)
            cut = live_rows // 5
            found = prediction_powered(loss[:cut], f[:cut], f[cut:]).measure
            hits[name] = hits.get(name, 0) + int(found.low <= 1.0 <= found.high)
    return hits


def shifted(runs: int, moved: float, rows: int = 6_000) -> dict[str, np.ndarray]:
    """Absolute errors of CBPE and PAPE, and whether PAPE's interval held, (runs, 3): an input that the score ignores
    moves by so many deviations, P(truth | inputs) stays, the weights are learned."""
    from fairlead.adapters.boosting import cross_fitted

    rng = np.random.default_rng(2)
    found: dict[str, list[tuple[float, float, bool]]] = {"accuracy": [], "auroc": [], "f1": []}

    def world(n: int, at: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        x = np.column_stack([rng.normal(size=n), rng.normal(at, 1.0, n)])
        truth = (rng.random(n) < 1 / (1 + np.exp(-x[:, 0] * (2.0 - 1.2 * x[:, 1])))).astype(np.float64)
        return x, truth, 1 / (1 + np.exp(-2.0 * x[:, 0]))

    for run in range(runs):
        x, y, s = world(rows, 0.0)
        new, came, score = world(rows, moved)
        live = np.repeat([0.0, 1.0], rows)
        chance = cross_fitted(
            np.column_stack([np.vstack([x, new]), np.append(s, score)]), live, task="binary", seed=run
        )
        weights = density_ratio(chance[:rows], rows, rows)
        plain = estimate(score, heldout(y, s), 0.5, rng).named()
        weighted = estimate(score, heldout(y, s, weights.values), 0.5, rng).named()
        d = (score >= 0.5).astype(np.float64)
        real = {"accuracy": float((d == came).mean()), "auroc": metrics.auroc(came, score)}
        real["f1"] = metrics.f1(came, d).value
        for name, pairs in found.items():
            one, two, value = plain[name], weighted[name], real[name]
            pairs.append((abs(one.value - value), abs(two.value - value), two.low <= value <= two.high))
    return {name: np.array(pairs, np.float64) for name, pairs in found.items()}


def simulated(runs: int) -> None:
    """Coverage, then PAPE against CBPE."""
    fewer = max(runs // 4, 1)
    for known, live in ((2_000, 1_000), (5_000, 5_000), (20_000, 5_000)):
        print(f"\n95 % intervals, {known:,} reference rows, {live:,} live ones: share of runs that holds what came")
        for name, taken, hits in (
            ("two classes", runs, coverage(runs, known, live)),
            ("three classes", fewer, class_coverage(fewer, known, live) if known < 20_000 else {}),
        ):
            if hits:
                shares = ", ".join(f"{metric} {count / taken:.1%}" for metric, count in hits.items())
                print(f"  {name}, {taken:,} runs: {shares}", flush=True)
    hits = error_coverage(4 * runs, 5_000, 2_000)
    print(f"\nerror models and early labels, 5,000 reference rows, 2,000 live ones, {4 * runs:,} runs")
    print("  " + ", ".join(f"{name} {count / (4 * runs):.1%}" for name, count in hits.items()), flush=True)
    print(f"\nan input that the score ignores moves, P(truth | inputs) stays; {fewer:,} runs, mean absolute error")
    for moved in (0.0, 0.15, 0.3, 1.0):
        for name, pairs in shifted(fewer, moved).items():
            one, two, held = pairs.mean(axis=0)
            better = int((pairs[:, 1] < pairs[:, 0]).sum())
            print(
                f"  by {moved:4.2f} deviations {name:10s} cbpe {one:.4f}   pape {two:.4f}   pape is nearer in {better}/"
                f"{len(pairs)}, its interval holds {held:.1%}",
                flush=True,
            )


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of the three sets")
    parser.add_argument("--peer-python", default=None, help="a Python with nannyml, to run it beside")
    parser.add_argument("--runs", type=int, default=400, help="replications of the simulated coverage")
    parser.add_argument("--skip-simulation", action="store_true")
    parser.add_argument("--skip-data", action="store_true")
    chosen = parser.parse_args()
    python = chosen.peer_python
    if python is None and "FAIRLEAD_PEERS" in os.environ:
        beside = Path(os.environ["FAIRLEAD_PEERS"]) / "dp_nannyml" / "bin" / "python"
        python = str(beside) if beside.exists() else None
    if not chosen.skip_data:
        against_the_peer(chosen.data, python)
        assumptions(chosen.data)
    if not chosen.skip_simulation:
        simulated(chosen.runs)


if __name__ == "__main__":
    main()
