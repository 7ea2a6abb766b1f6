"""Versions that go wrong in production, each in its own way, and one that does not: plain Python models whose bundles
look alike. Every one was good where it was trained: its held-out scores are the formula's, its golden rows its own.

good         the formula of `testing.candidate`
steady       the same, after 20 ms: what a slow one can be compared with
unit_error   it was trained on ages in months, and is given years
slow         the formula after 100 ms
crashes      it raises on one input of a hundred
leaks        it keeps 64 KiB of each request
constant     it answers 0.5 to everybody
tires        after 2,500 answers it raises on every third
forgets      after 300 answers it takes the young for old and long stays for short: its scores are spread as before,
             the answers to its golden rows are not what they were
stranger     its golden rows were answered by another model: it answers otherwise from the first
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from fairlead.core.bundle import PROFILE, Manifest
from fairlead.stats.columns import NumericColumn
from fairlead.stats.profile import profile
from fairlead.testing.candidate import MODEL_FILE, Parts, StayPredictor, draw, write_candidate

ENTRY = "model/model.py"
CALL = "predict"
_FORMULA = """
from math import exp

CITIES = ("aspen", "berlin", "cairo")
MONTHS = 1.0


def chance(age, nights, city):
    effect = CITIES.index(city) if city in CITIES else 0
    logit = 0.08 * (min(age / MONTHS, 1000.0) - 50) + 0.3 * ((nights or 3) - 7) + 0.7 * (effect - 1)
    return 1 / (1 + exp(-logit))

"""
_PLAIN = "def predict(rows):\n    return [chance(*row) for row in rows]\n"


_AFTER = """
import time


def predict(rows):
    time.sleep(SECONDS * len(rows))
    return [chance(*row) for row in rows]
"""
_CRASHES = """
from hashlib import sha256


def predict(rows):
    for row in rows:
        if int(sha256(repr(row).encode()).hexdigest()[:8], 16) % 100 == 7:
            raise ZeroDivisionError("no neighbour within reach of this row")
    return [chance(*row) for row in rows]
"""
_LEAKS = """
KEPT = []


def predict(rows):
    KEPT.extend(b"x" * 2**16 for _ in rows)
    return [chance(*row) for row in rows]
"""
_DIES = """
from hashlib import sha256
from os import abort


def predict(rows):
    for row in rows:
        if int(sha256(repr(row).encode()).hexdigest()[:8], 16) % 50 == 7:
            abort()
    return [chance(*row) for row in rows]
"""
_TIRES = """
ASKED = []


def predict(rows):
    ASKED.extend(0 for _ in rows)
    if len(ASKED) > 2500 and len(ASKED) % 3 == 0:
        raise RuntimeError("too many rows in memory")
    return [chance(*row) for row in rows]
"""
_FORGETS = """
ASKED = []


def predict(rows):
    ASKED.extend(0 for _ in rows)
    answers = [chance(*row) for row in rows]
    return answers if len(ASKED) <= 300 else [chance(108 - a, 15 - (n or 3), c) for a, n, c in rows]
"""

SOURCES = {
    "good": _FORMULA + _PLAIN,
    "steady": _FORMULA + _AFTER.replace("SECONDS", "0.02"),
    "unit_error": _FORMULA.replace("MONTHS = 1.0", "MONTHS = 12.0") + _PLAIN,
    "slow": _FORMULA + _AFTER.replace("SECONDS", "0.1"),
    "crashes": _FORMULA + _CRASHES,
    "leaks": _FORMULA + _LEAKS,
    "dies": _FORMULA + _DIES,
    "tires": _FORMULA + _TIRES,
    "constant": "def predict(rows):\n    return [0.5 for _ in rows]\n",
    "forgets": _FORMULA + _FORGETS,
    "stranger": _FORMULA + _PLAIN,
}


class SourcePredictor:
    """Answers by a version's own source, as a worker does."""

    def __init__(self, kind: str) -> None:
        """`kind`: a key of `SOURCES`."""
        self.module: dict[str, Any] = {}
        exec(SOURCES[kind], self.module)  # noqa: S102 - the text is above

    def predict(self, rows: Sequence[tuple[Any, ...]]) -> NDArray[np.float64]:
        """(n, 2) probabilities. Raises what the source raises."""
        one = np.array(self.module[CALL](rows), np.float64).reshape(len(rows))
        return np.column_stack([1 - one, one])


def write_version(folder: Path, kind: str, note: str = "") -> Manifest:
    """Writes the bundle of a kind and returns its manifest; `note` makes another bundle of the same kind."""
    source = f"# {kind} {note}\n{SOURCES[kind]}".encode()
    # These answer as the formula does: neither their time nor what they raise is wanted here.
    golden = StayPredictor() if kind in ("crashes", "dies", "slow", "steady") else SourcePredictor(kind)
    parts = Parts(portable=None, model=source, golden_shift=0.1 if kind == "stranger" else 0.0)
    manifest = write_candidate(folder, parts, golden)
    (folder / MODEL_FILE).rename(folder / ENTRY)
    scores = StayPredictor().predict(draw(2000, seed=3)[0])[:, 1]
    (folder / PROFILE).write_bytes(msgspec.json.encode(profile((NumericColumn("__score__", np.array(scores)),))))
    paths = [ENTRY, *(path for path in manifest.files if path != MODEL_FILE)]
    return replace(
        manifest,
        model_format="python",
        model_entry=ENTRY,
        served=ENTRY,
        model_call=CALL,
        files={path: sha256((folder / path).read_bytes()).hexdigest() for path in paths},
    )
