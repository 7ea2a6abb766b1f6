"""What a rollout's evidence is measured against: score cells and the champion's latency, fixed when it starts."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable

import msgspec
import numpy as np
from msgspec import structs

from fairlead.core.bundle import PROFILE
from fairlead.core.contract import Task
from fairlead.core.record import Prediction
from fairlead.core.report import SCORE
from fairlead.core.rollout import Baseline
from fairlead.errors import BundleError
from fairlead.ports import BundleStore
from fairlead.stats.profile import NumericProfile, TableProfile

CELLS = 10
_REMEMBERED = 5_000
# Below this many live answers the champion's own past is too thin to be a baseline.
_ENOUGH = 200

Cells = tuple[tuple[float, ...], tuple[float, ...]]


class Recent:
    """The champion's latest answers: what its scores and its latency were just before a rollout."""

    def __init__(self) -> None:
        self._scores: deque[float] = deque(maxlen=_REMEMBERED)
        self._latencies: deque[float] = deque(maxlen=_REMEMBERED)
        self._failures: deque[bool] = deque(maxlen=_REMEMBERED)
        self._times: deque[float] = deque(maxlen=_REMEMBERED)
        self._version: int | None = None

    def add(self, records: Iterable[Prediction], champion: int | None) -> None:
        """Remembers what the champion served; a new champion begins anew."""
        if champion != self._version:
            self._scores.clear()
            self._latencies.clear()
            self._failures.clear()
            self._times.clear()
            self._version = champion
        for record in records:
            if record.arm != "champion" or record.model_version != champion:
                continue
            self._failures.append(record.status >= 500)
            self._times.append(record.received_at)
            if record.score is not None:
                self._scores.append(record.score)
                self._latencies.append(record.latency_ms)

    @property
    def p99_ms(self) -> float | None:
        """The 99th percentile of latency in milliseconds; None where there were too few answers."""
        return self.latency_ms(0.99)

    def latency_ms(self, quantile: float) -> float | None:
        """A quantile of latency in milliseconds; None where there were too few answers."""
        return float(np.quantile(self._latencies, quantile)) if len(self._latencies) >= _ENOUGH else None

    @property
    def error_rate(self) -> float | None:
        """The share of requests that failed; None where there were too few."""
        return sum(self._failures) / len(self._failures) if len(self._failures) >= _ENOUGH else None

    @property
    def per_second(self) -> float | None:
        """Requests a second, from the first remembered to the last; None where there were too few."""
        if len(self._times) < _ENOUGH:
            return None
        lasted = max(self._times) - min(self._times)
        return (len(self._times) - 1) / lasted if lasted > 0.0 else None

    @property
    def cells(self) -> Cells | None:
        """Ten score cells of equal share; None where there were too few answers."""
        return cells_of_scores(list(self._scores)) if len(self._scores) >= _ENOUGH else None


def baseline_for(bundles: BundleStore, candidate: str, champion: str | None, recent: Recent) -> Baseline:
    """The baseline of a rollout, from the two bundles' held-out scores and the champion's recent answers."""
    own, found = heldout_cells(bundles, candidate), recent.cells
    if found is None and champion is not None:
        found = heldout_cells(bundles, champion)
    return structs.replace(baseline_of(recent, own, found or ((), ())), positive=_positive(bundles, candidate))


def _positive(bundles: BundleStore, digest: str) -> str:
    """The last of a version's two classes: its score is the probability of that."""
    contract = bundles.manifest(digest).contract
    return contract.classes[-1] if contract.task is Task.BINARY and contract.classes else ""


def baseline_of(recent: Recent, own: Cells, champions: Cells) -> Baseline:
    """The baseline from the score cells of the new version and of the champion, and the champion's recent answers."""
    edges, cells = own
    champion_edges, champion_cells = champions
    return Baseline(
        recent.p99_ms,
        edges,
        cells,
        champion_edges,
        champion_cells,
        recent.error_rate,
        recent.per_second,
        recent.latency_ms(0.95),
        recent.latency_ms(0.5),
    )


def heldout_cells(bundles: BundleStore, digest: str) -> Cells:
    """The ten score cells of a version's own held-out data. Raises `BundleError` where its profile has no scores."""
    try:
        profile = msgspec.json.decode((bundles.path(digest) / PROFILE).read_bytes(), type=TableProfile)
    except (OSError, msgspec.MsgspecError) as error:
        raise BundleError(
            f"the profile of bundle {digest[:12]} cannot be read ({error}): register the version again"
        ) from error
    for column in profile.columns:
        if column.grid.name == SCORE and isinstance(column, NumericProfile):
            return cells_of_profile(column)
    raise BundleError(f"the bundle {digest[:12]} has no held-out scores in its profile: register the version again")


def cells_of_profile(profile: NumericProfile) -> Cells:
    """Inner edges at the profile's deciles, and the share that each cell holds.

    A cell of the profile's grid ends with its cut; here a score equal to an edge lies above it, so the edge is the
    next number after the cut.
    """
    counts = np.asarray(profile.counts, dtype=np.float64)
    reached = np.cumsum(counts) / max(counts.sum(), 1.0)
    cuts = np.asarray(profile.grid.cuts)
    marks = np.searchsorted(reached, np.arange(1, CELLS) / CELLS - 1e-12)
    marks = np.unique(marks[marks < len(cuts)])
    marks = marks[(reached[marks] > 0.0) & (reached[marks] < 1.0)]
    edges = tuple(float(math.nextafter(cut, math.inf)) for cut in cuts[marks])
    shares = np.diff(np.concatenate(([0.0], reached[marks], [1.0])))
    return edges, tuple(float(share) for share in shares)


def cells_of_scores(scores: list[float]) -> Cells:
    """Inner edges at the deciles of some scores, and the share that each cell holds."""
    ordered = np.sort(np.asarray(scores, dtype=np.float64))
    edges = np.unique(np.quantile(ordered, np.arange(1, CELLS) / CELLS, method="higher"))
    below = np.searchsorted(ordered, edges, side="left")
    edges, below = edges[below > 0], below[below > 0]
    shares = np.diff(np.concatenate(([0], below, [len(ordered)]))) / len(ordered)
    return tuple(edges.tolist()), tuple(shares.tolist())
