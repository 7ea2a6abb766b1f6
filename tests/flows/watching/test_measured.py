"""What is measured of a window is what was measured before its columns were counted and compared side by side.

`recorded/measured.json.gz` was written by the plain code, column by column, for four worlds of six windows each.
"""

from __future__ import annotations

import gzip
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from msgspec import Raw

from fairlead.core.bundle import Lineage, Manifest
from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.core.harm import HarmPolicy
from fairlead.core.record import Prediction
from fairlead.core.report import SCORE
from fairlead.flows.watching.cohort import Cohort
from fairlead.flows.watching.features import on_grid
from fairlead.flows.watching.reference import Reference, build_reference
from fairlead.flows.watching.shifts import compared
from fairlead.stats.columns import NumericColumn
from fairlead.stats.estimate import estimate
from fairlead.stats.grid import CategoryGrid, NumericGrid
from fairlead.stats.profile import profile
from fairlead.stats.sparse import sparse

RECORDED = Path(__file__).parent / "recorded" / "measured.json.gz"
NAMES = ("a", "b", "years", "maybe", "city", "fixed")
WORLDS = range(4)


class Linear:
    """Answers a rank of the first feature: no function whose last bit depends on the machine."""

    def predict(self, rows: Any) -> Any:
        """Scores of both classes, (n, 2)."""
        x = np.clip([row[0] for row in rows], -4.0, 4.0)
        p = 0.5 + np.round(x, 6) / 10.0
        return np.stack([1.0 - p, p], axis=1)


def drawn(rng: np.random.Generator, n: int, shift: float) -> list[tuple[Any, ...]]:
    """Rows of six features; what is drawn of them is the same on every machine."""
    a, b = np.round(rng.normal(size=(2, n)) + shift, 6).tolist()
    years = (rng.integers(18, 60, n) + int(5 * shift)).tolist()
    maybe = [None if one < 0.1 + 0.2 * shift else round(one, 6) for one in rng.random(n).tolist()]
    city = [f"c{place}" for place in (rng.integers(0, 5, n) + int(shift)).tolist()]
    return list(zip(a, b, years, maybe, city, [3.5] * n, strict=True))


def reference_of(rng: np.random.Generator) -> Reference:
    """A version and its held-out rows."""
    rows = drawn(rng, 600, 0.0)
    score = Linear().predict(rows)[:, 1]
    truth = [str(int(one)) for one in rng.random(600) < score]
    kinds = [Kind.CATEGORY if name == "city" else Kind.NUMBER for name in NAMES]
    contract = Contract(tuple(map(Feature, NAMES, kinds)), Task.BINARY, "y", ("0", "1"))
    grids = [CategoryGrid(name, ()) if name == "city" else NumericGrid(name, ()) for name in NAMES]
    columns = [on_grid(grid, list(values)) for grid, values in zip(grids, zip(*rows, strict=True), strict=True)]
    known = profile([*columns, NumericColumn(SCORE, score)])
    manifest = Manifest("m", contract, "skops", "model", "model", {}, Lineage("july", "0" * 64, 600))
    return build_reference(1, manifest, known, (rows, truth), Linear(), HarmPolicy(), weighed=False)


def measured(world: int) -> list[dict[str, Any]]:
    """What is measured of six windows: counts, distances from the reference, and estimates."""
    rng = np.random.default_rng(world)
    reference = reference_of(rng)
    assert reference.known is not None
    found = []
    for window, (rows, shift) in enumerate(((200, 0.0), (200, 1.5), (37, 0.0), (1_300, 0.0), (200, 0.0), (5_000, 0.5))):
        cohort = Cohort(reference, profiled=True)
        live = drawn(rng, rows, shift)
        for place, (row, score) in enumerate(zip(live, Linear().predict(live)[:, 1].tolist(), strict=True)):
            told: dict[str, Any] = dict(zip(NAMES, row, strict=True))
            if window == 4 and place % 9 == 0:
                told["b"] = "n/a"
            if window != 0 and place % 50 == 1:
                del told["years"]
            raw = Raw(msgspec.json.encode(told))
            cohort.add(
                Prediction(
                    f"{window}-{place}",
                    "m",
                    1,
                    "champion",
                    f"u{place}",
                    1.0,
                    place,
                    place,
                    raw,
                    1,
                    score,
                    1.0,
                    status=200,
                )
            )
        now = cohort.profile()
        assert now is not None
        estimates = estimate(cohort.scores(), reference.known, 0.5, np.random.default_rng(window))
        found.append(
            {
                "counts": sha256(msgspec.msgpack.encode(sparse(now))).hexdigest(),
                "drift": msgspec.to_builtins(compared(reference.profile, now, 0.05)),
                "estimates": msgspec.to_builtins(estimates),
            }
        )
    return found


def flat(value: Any, path: str = "") -> dict[str, Any]:
    """A nested value by its paths."""
    if isinstance(value, dict | list | tuple):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        return {key: each for name, one in pairs for key, each in flat(one, f"{path}/{name}").items()}
    return {path: value}


@pytest.mark.parametrize("world", WORLDS)
def test_what_is_measured_has_not_changed(world: int) -> None:
    """Of windows of few rows and of many, shifted ones, with nulls, texts among numbers and missing features: counts
    to the last bit, distances and estimates to twelve digits, as far as machines agree."""
    known = msgspec.json.decode(gzip.decompress(RECORDED.read_bytes()))[world]
    found = msgspec.json.decode(msgspec.json.encode(measured(world)))
    assert [one["counts"] for one in found] == [one["counts"] for one in known]
    for drift in (drift for one in found for drift in one["drift"]):
        assert drift.pop("evident") or drift["level"] == "none"  # both follow from what is compared below
        assert drift.pop("nulls") is not None or drift["unmeasured"]
    before, now = flat(known), flat(found)
    assert before.keys() == now.keys()
    for path, value in before.items():
        same = pytest.approx(value, rel=1e-10, abs=1e-12) if isinstance(value, float) else value
        assert now[path] == same, path
