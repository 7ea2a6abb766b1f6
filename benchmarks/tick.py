"""One controller, many models, hourly windows: what the tick that judges them costs, in time, memory and bytes.

The real follow-up on a real SQLite journal and a real folder of evidence: watch, alerts, incidents, retraining
decisions. Scripted are the clock and the model (a logistic curve of one feature); the models share one bundle's files
under manifests of their own, and each has a reference of its own in memory. Each hour every model gives `--rows`
answers with `--features` numbers, told in batches of 10,000 as a log is read; with `--delay` their outcomes follow so
many hours later. Of the drawn rows, `--moved` of the models have a feature that moved.

    python -m benchmarks.tick --models 1000 --features 50 --rows 200 --hours 3

A tick is the first one after the hour. CPU time is the ticking thread's; wall time is beside it, with the machine's
load. The price of a CPU hour is an assumption that `--price` changes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from fairlead.core.bundle import HELDOUT, PROFILE, Lineage, Manifest, digest_of
from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.core.event import VersionRegistered
from fairlead.core.record import OutcomeRecord, Prediction
from fairlead.core.report import SCORE
from fairlead.stats.columns import NumericColumn
from fairlead.stats.profile import profile

START, HOUR = 1_451_865_600.0, 3_600.0
HELD = 2_000
BATCH = 10_000


class Clock:
    """The hour that the benchmark says."""

    at = START

    def now(self) -> float:
        """Seconds since 1970."""
        return self.at

    def monotonic(self) -> float:
        """Seconds since the start."""
        return self.at - START


class Logistic:
    """Answers 1 / (1 + exp(1 - 1.5 x)) of the first feature."""

    def predict(self, rows: Sequence[tuple[Any, ...]]) -> Any:
        """Probabilities of both classes, (n, 2)."""
        x = np.array([row[0] for row in rows], float)
        p = 1 / (1 + np.exp(1 - 1.5 * x))
        return np.stack([1 - p, p], axis=1)


class OneFolder:
    """Bundles that share one folder's files, each with its own manifest."""

    def __init__(self, folder: Path, manifests: dict[str, Manifest]) -> None:
        self._folder, self._manifests = folder, manifests

    def put(self, folder: Path, manifest: Manifest) -> str:
        """Takes nothing in."""
        raise NotImplementedError

    def path(self, digest: str) -> Path:  # noqa: ARG002 - a port's signature
        """The one folder."""
        return self._folder

    def manifest(self, digest: str) -> Manifest:
        """The bundle's own."""
        return self._manifests[digest]

    def verify(self, digest: str) -> Manifest:
        """Believed."""
        return self._manifests[digest]

    def load(self, digest: str, *, original: bool = False) -> Logistic:  # noqa: ARG002 - a port's signature
        """The one model."""
        return Logistic()


def written(folder: Path, names: Sequence[str], rng: np.random.Generator) -> dict[str, bytes]:
    """The bundle's files: a profile and held-out rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    x = rng.normal(size=(HELD, len(names)))
    score = Logistic().predict(x.tolist())[:, 1]
    truth = (rng.random(HELD) < score).astype(int)
    columns = [NumericColumn(name, x[:, place]) for place, name in enumerate(names)]
    folder.mkdir(parents=True)
    (folder / PROFILE).write_bytes(msgspec.json.encode(profile([*columns, NumericColumn(SCORE, score)])))
    table = {name: x[:, place] for place, name in enumerate(names)}
    pq.write_table(pa.table({**table, "y": truth}), folder / HELDOUT)
    return {name: (folder / name).read_bytes() for name in (PROFILE, HELDOUT)}


def opened(home: Path, models: Sequence[str], names: Sequence[str], settings: str) -> tuple[Any, Clock]:
    """A home with the models registered, one version each."""
    from fairlead.app.compose import open_context
    from fairlead.testing.registry import MemoryRegistry

    files = written(home / "files", names, np.random.default_rng(0))
    contract = Contract(tuple(Feature(name, Kind.NUMBER) for name in names), Task.BINARY, "y", ("0", "1"))
    digests = {name: sha256(content).hexdigest() for name, content in files.items()}
    manifests = [
        Manifest(model, contract, "skops", "model", "model", digests, Lineage("july", "0" * 64, HELD))
        for model in models
    ]
    (home / "fairlead.yaml").write_text(settings)
    clock = Clock()
    context = replace(
        open_context(home / "home", home / "fairlead.yaml"),
        bundles=OneFolder(home / "files", {digest_of(one): one for one in manifests}),
        clock=clock,
        open_registry=MemoryRegistry,
    )
    facts = [VersionRegistered(one.name, 1, digest_of(one), "july") for one in manifests]
    context.journal.append(facts, actor="benchmark", at=START)
    return context, clock


def answers(
    models: Sequence[str], names: Sequence[str], rows: int, hour: int, moved: set[str]
) -> Iterator[tuple[list[Prediction], list[tuple[str, int]]]]:
    """An hour's answers in the order of their time, in batches, with each one's truth."""
    rng = np.random.default_rng(hour)
    x = rng.normal(size=(rows, len(names)))
    told, shifted = (_encoded(names, x + np.eye(1, len(names), 1) * by) for by in (0.0, 1.0))
    score = Logistic().predict(x.tolist())[:, 1]
    truth = (rng.random((rows, len(models))) < score[:, None]).astype(int)
    batch: list[Prediction] = []
    truths: list[tuple[str, int]] = []
    for row in range(rows):
        at = START + (hour + row / rows) * HOUR
        for place, model in enumerate(models):
            request = f"{model}-{hour:04d}-{row:06d}-{place:08x}"
            features = msgspec.Raw(bytes(shifted[row] if model in moved else told[row]))
            batch.append(
                Prediction(
                    request_id=request,
                    model_name=model,
                    model_version=1,
                    arm="champion",
                    unit_id=f"unit-{row}",
                    propensity=1.0,
                    timestamp=at,
                    received_at=at,
                    features=features,
                    prediction=int(score[row] >= 0.5),
                    score=float(score[row]),
                    latency_ms=1.0,
                    status=200,
                )
            )
            truths.append((request, int(truth[row, place])))
            if len(batch) >= BATCH:
                yield batch, truths
                batch, truths = [], []
    yield batch, truths


def _encoded(names: Sequence[str], x: Any) -> list[bytes]:
    return [msgspec.json.encode(dict(zip(names, row, strict=True))) for row in x.tolist()]


def resident() -> int:
    """MiB of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 2**20


def size_of(folder: Path) -> int:
    """Bytes of all files under a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def settled(home: Path) -> int:
    """Bytes that a home takes, once the journal's write-ahead log is in the journal."""
    with closing(sqlite3.connect(home / "journal.db")) as journal:
        journal.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return size_of(home)


def timed(act: Any) -> tuple[float, float]:
    """CPU seconds of this thread, and wall seconds."""
    cpu, wall = time.thread_time(), time.perf_counter()
    act()
    return time.thread_time() - cpu, time.perf_counter() - wall


def main() -> None:
    """Prints an hour a line, then what a day costs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=100)
    parser.add_argument("--features", type=int, default=50)
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--hours", type=int, default=3)
    parser.add_argument("--delay", type=int, default=0, help="hours until outcomes come; 0: none come")
    parser.add_argument("--moved", type=float, default=0.01, help="share of models in which a feature moved")
    parser.add_argument("--evidence", default="breached", choices=("all", "breached", "none"))
    parser.add_argument("--slots", default="all", choices=("all", "none"), help="counts by the hour: kept or not")
    parser.add_argument("--price", type=float, default=0.04, help="of an hour of one CPU core")
    asked = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="tick-"))
    try:
        measure(asked, home)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def measure(asked: argparse.Namespace, home: Path) -> None:
    """Runs the hours."""
    from fairlead.app.follow_up import FollowUp

    models = [f"m{place:04d}" for place in range(asked.models)]
    names = [f"f{place:02d}" for place in range(asked.features)]
    slots = "" if asked.slots == "all" else ", slots: {keep: 0s}"
    settings = f"monitoring: {{window: 1h, evidence: {asked.evidence}{slots}}}\n"
    context, clock = opened(home, models, names, settings)
    moved = set(models[: round(asked.moved * asked.models)])
    follow = FollowUp(context, None, "")
    coming: list[list[tuple[str, int]]] = []
    spent: list[float] = []
    ticks: list[tuple[float, float, int]] = []
    print(f"{asked.models} models x {asked.features} features x {asked.rows} rows an hour; start {resident()} MiB")
    try:
        for hour in range(asked.hours):
            before = settled(home / "home")
            taken, truths = 0.0, []
            for batch, known in answers(models, names, asked.rows, hour, moved):
                clock.at = batch[-1].timestamp if batch else clock.at
                taken += timed(lambda batch=batch: follow.observe(batch, []))[0]
                truths += known
            coming.append(truths if asked.delay else [])
            labels = 0.0
            if asked.delay and hour >= asked.delay:
                labels = _told(follow, coming[hour - asked.delay], clock.at)
                coming[hour - asked.delay] = []
            idle = [timed(follow.tick) for _ in range(10)]
            clock.at = START + (hour + 1) * HOUR
            load = os.getloadavg()[0]
            cpu, wall = timed(follow.tick)
            ticks.append((cpu, wall, resident()))
            spent.append(taken + labels + sum(each for each, _ in idle) + cpu)
            print(
                f"hour {hour}: tick {cpu:6.2f} s CPU, {wall:6.2f} s wall (load {load:.1f}); "
                f"{cpu / asked.models * 1e3:.1f} ms a model; taking in {taken:.2f} s, labels {labels:.2f} s; "
                f"ten ticks within the hour {sum(each for each, _ in idle):.2f} s; {resident()} MiB; "
                f"{(settled(home / 'home') - before) / asked.models / 1e3:.1f} kB a model",
                flush=True,
            )
    finally:
        follow.close()
    cpus, walls, memory = zip(*ticks, strict=True)
    print(
        f"the longest tick {max(cpus):.2f} s CPU, {max(walls):.2f} s wall; "
        f"MiB after each hour: {', '.join(str(each) for each in memory)}"
    )
    _day(asked, spent[-1], home)


def _told(follow: Any, truths: Sequence[tuple[str, int]], at: float) -> float:
    records = [OutcomeRecord(request, str(truth), at, at) for request, truth in truths]
    return sum(
        timed(lambda start=start: follow.observe([], records[start : start + BATCH]))[0]
        for start in range(0, len(records), BATCH)
    )


def _day(asked: argparse.Namespace, hourly: float, home: Path) -> None:
    seconds = hourly * 24 / asked.models
    folders = {path.name: size_of(path) if path.is_dir() else path.stat().st_size for path in (home / "home").iterdir()}
    kept = sum(size for name, size in folders.items() if name != "journal.db-wal") / asked.hours * 24 / asked.models
    parts = ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in folders.items())
    print(
        f"a model and day: {seconds:.2f} s CPU = {seconds / 3600 * asked.price:.6f} at {asked.price} an hour; "
        f"{kept / 1e6:.2f} MB on the disk ({parts})"
    )


if __name__ == "__main__":
    main()
