"""Models that leak and models that do not, on a real gateway worker."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from fairlead.adapters.arrow_dataset import open_dataset
from fairlead.adapters.bundle_folder import BundleFolder
from fairlead.adapters.worker_stage import WorkerStage
from fairlead.core.gate import GatePolicy
from fairlead.core.verdict import Outcome
from fairlead.flows.gate_checks.memory import check_memory
from fairlead.flows.gate_checks.served import candidate_table
from fairlead.flows.gate_checks.subject import Subject
from fairlead.ports.registry import VersionInfo
from fairlead.testing.candidate import Parts, write_candidate

SCORER = """
import math

KEPT = []
SIZE = {size}


def predict(rows):
    if SIZE:
        KEPT.extend(bytearray(SIZE) for _ in rows)
    cities = ("aspen", "berlin", "cairo")
    logits = [0.08 * (age - 50) + 0.3 * (nights - 7) + 0.7 * (cities.index(city) - 1) for age, nights, city in rows]
    return [1 / (1 + math.exp(-one)) for one in logits]
"""


def subject(root: Path, size: int) -> Subject:
    """A scorer that keeps `size` bytes of each row that it is asked."""
    draft = root.parent / f"draft-{size}"
    draft.mkdir()
    manifest = write_candidate(draft, Parts(model=SCORER.format(size=size).encode(), portable=None))
    told = msgspec.structs.replace(manifest, model_format="python", model_call="predict")
    store = BundleFolder(root, ("python",))
    return Subject(VersionInfo("stay", 1, store.put(draft, told)), None, GatePolicy(), store, open_dataset)


@pytest.mark.slow
@pytest.mark.parametrize(("size", "outcome"), [(0, Outcome.HOLDS), (1_000, Outcome.BREACHED)])
def test_a_kilobyte_a_prediction_is_a_leak(root: Path, size: int, outcome: Outcome) -> None:
    """Ten thousand predictions by a scorer that keeps 1 kB of each leave about 10 MB; by one that keeps none, none."""
    examined = subject(root, size)
    with WorkerStage(root, candidate_table(examined), ("python",)) as stage:
        found = check_memory(examined, stage)
    assert found.outcome is outcome, found.reason
    assert abs(float(found.measured["growth_mb"]) - size / 100.0) < 2.0
