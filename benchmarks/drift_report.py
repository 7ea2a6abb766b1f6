"""fairlead's drift report against a plain scipy loop, on the same columns in the same process.

50 numeric columns (normal, lognormal, Student t with 2.5 degrees of freedom, Poisson) and 10 categorical ones (5 to
200 categories, Zipf-like weights), every third shifted. Runs alternate. The loop computes Kolmogorov-Smirnov,
Wasserstein-1, PSI and Jensen-Shannon for each numeric column, chi-squared, PSI and Jensen-Shannon for each categorical
one, with what scipy, numpy and pandas offer. The floor is one `np.sort` of each numeric column and side.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from collections.abc import Callable
from statistics import median

import numpy as np
import pandas as pd
from scipy import stats
from scipy.spatial.distance import jensenshannon

import fairlead as fl

CARDINALITIES = (5, 8, 12, 20, 30, 50, 75, 100, 150, 200)
SHIFTS = (0.02, 0.10, 0.50)


def shift_of(place: int, moved: bool) -> float:
    """Every third column moves, by a tiny, a small or a large part of its spread."""
    return SHIFTS[(place // 3) % 3] if moved and place % 3 == 0 else 0.0


def numbers(rng: np.random.Generator, place: int, rows: int, shift: float) -> np.ndarray:
    """One numeric column; its distribution cycles through four."""
    scale = 1.0 + place
    if place % 4 == 0:
        return rng.normal(10.0 * place, scale, rows) + shift * scale
    if place % 4 == 1:
        return rng.lognormal(0.1 * place + shift * 0.8, 0.8, rows)
    if place % 4 == 2:
        return rng.standard_t(2.5, rows) * scale + shift * scale
    rate = 3.0 + place
    return rng.poisson(rate + shift * rate**0.5, rows).astype(np.float64)


def categories(rng: np.random.Generator, place: int, rows: int, shift: float) -> np.ndarray:
    """One categorical column of text."""
    size = CARDINALITIES[place % len(CARDINALITIES)]
    weights = np.arange(1, size + 1) ** -1.1 * np.exp(shift * np.sin(np.arange(size) * 1.7 + 1))
    names = np.array([f"c{place}_{value:03d}" for value in range(size)], dtype=object)
    return names[rng.choice(size, rows, p=weights / weights.sum())]


def frame(rng: np.random.Generator, rows: int, moved: bool) -> pd.DataFrame:
    """One side of the comparison."""
    columns = {f"num_{i:02d}": numbers(rng, i, rows, shift_of(i, moved)) for i in range(50)}
    columns |= {f"cat_{j:02d}": categories(rng, j, rows, shift_of(j, moved)) for j in range(10)}
    return pd.DataFrame(columns)


def stability(expected: np.ndarray, actual: np.ndarray) -> float:
    """PSI of two vectors of counts, with half a count in each cell."""
    e = (expected + 0.5) / (expected.sum() + 0.5 * expected.size)
    a = (actual + 0.5) / (actual.sum() + 0.5 * actual.size)
    return float(((a - e) * np.log(a / e)).sum())


def loop_numeric(x: np.ndarray, y: np.ndarray) -> tuple[float, ...]:
    """The four distances of one numeric column."""
    found = stats.ks_2samp(x, y, method="asymp")
    distance = stats.wasserstein_distance(x, y) / x.std()
    edges = np.unique(np.quantile(x, np.linspace(0, 1, 11)))
    edges[0], edges[-1] = -np.inf, np.inf
    e, a = np.histogram(x, edges)[0], np.histogram(y, edges)[0]
    return found.statistic, found.pvalue, distance, stability(e, a), jensenshannon(e, a, 2) ** 2


def loop_categorical(x: pd.Series, y: pd.Series) -> tuple[float, ...]:
    """The three distances of one categorical column."""
    counts = pd.concat([x.value_counts(), y.value_counts()], axis=1).fillna(0.0).to_numpy()
    found = stats.chi2_contingency(counts.T)
    return found.statistic, found.pvalue, stability(*counts.T), jensenshannon(*counts.T, 2) ** 2


def scipy_loop(reference: pd.DataFrame, current: pd.DataFrame) -> list[tuple[float, ...]]:
    """The whole report as a loop."""
    found = []
    for name in reference.columns:
        if name.startswith("num"):
            found.append(loop_numeric(reference[name].to_numpy(), current[name].to_numpy()))
        else:
            found.append(loop_categorical(reference[name], current[name]))
    return found


def floor(reference: pd.DataFrame, current: pd.DataFrame) -> None:
    """One sort of each numeric column and side."""
    for name in reference.columns[:50]:
        np.sort(reference[name].to_numpy())
        np.sort(current[name].to_numpy())


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def allocated(work: Callable[[], object]) -> float:
    """The most that one untimed run has allocated at once, in MiB (numpy and Python; not what Arrow keeps)."""
    tracemalloc.start()
    work()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most / 2**20


def main() -> None:
    """Prints medians of alternating runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000, help="rows on each side")
    parser.add_argument("--repeats", type=int, default=5)
    chosen = parser.parse_args()
    rng = np.random.default_rng(0)
    reference, current = frame(rng, chosen.rows, False), frame(rng, chosen.rows, True)
    contenders = {
        "floor (sorts only)": lambda: floor(reference, current),
        "fairlead": lambda: fl.drift(reference, current),
        "scipy loop": lambda: scipy_loop(reference, current),
    }
    fl.drift(reference.head(1000), current.head(1000))
    scipy_loop(reference.head(1000), current.head(1000))
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    for _ in range(chosen.repeats):
        for name, work in contenders.items():
            runs[name].append(timed(work))
    print(
        f"{chosen.rows:,} + {chosen.rows:,} rows, 50 numeric + 10 categorical columns, {chosen.repeats} runs, medians"
    )
    wall = {name: median(run[0] for run in of) for name, of in runs.items()}
    cpu = {name: median(run[1] for run in of) for name, of in runs.items()}
    for name, work in contenders.items():
        times = f"{wall[name]:8.3f} s wall {cpu[name]:8.3f} s CPU"
        ratio = f"{wall['scipy loop'] / wall[name]:6.1f}x wall {cpu['scipy loop'] / cpu[name]:6.1f}x CPU"
        print(f"{name:20s} {times}   {ratio} of the loop   {allocated(work):5.0f} MiB")


if __name__ == "__main__":
    main()
