"""Drift tests over sliding windows of event time, by columns that the settings name.

Records are counted into one profile per slide, on the reference's grid, and a window is the sum of its slides: memory
is by columns and slides, whatever the traffic. For MMD a sample of rows is kept of each slide (reservoir sampling,
seeded by the slide); what is taken of it follows the slide's traffic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from math import ceil, floor, inf
from typing import Any

import msgspec
import numpy as np
from msgspec import Raw, Struct

from fairlead.core import fallback
from fairlead.core.drift_tests import DriftTest, DriftWindow, Found, judge_tests
from fairlead.core.record import Prediction
from fairlead.flows.watching.features import on_grid
from fairlead.stats import distances
from fairlead.stats.columns import Column
from fairlead.stats.multivariate.encoding import for_kernel
from fairlead.stats.multivariate.mmd import mmd
from fairlead.stats.profile import CategoryProfile, ColumnProfile, NumericProfile, TableProfile, profile

CHUNK = 4_096
SAMPLE = 1_000  # rows on each side of an MMD
LEAST_ROWS = 20
_ROW = msgspec.json.Decoder(dict[str, Any])


class Compared(Struct, frozen=True, eq=False):
    """What windows are compared with: a profile of the columns, and (for MMD) some rows of them."""

    profile: TableProfile
    rows: Mapping[str, Sequence[Any]] = {}


class _Slide:
    """One version's answers in one slide."""

    def __init__(self, seed: int) -> None:
        self.rows = 0
        self.profile: TableProfile | None = None
        self.waiting: list[dict[str, Any]] = []
        self.sample: list[dict[str, Any]] = []
        self._rng = np.random.default_rng(seed)

    def add(self, row: dict[str, Any], *, sampled: bool) -> None:
        """Takes a row in."""
        self.rows += 1
        self.waiting.append(row)
        if not sampled:
            return
        if len(self.sample) < SAMPLE:
            self.sample.append(row)
        elif (place := int(self._rng.integers(self.rows))) < SAMPLE:
            self.sample[place] = row


class DriftWindows:
    """One model's tests. `size` and `slide` are seconds; `reference` gives what a version is compared with, or why
    there is nothing."""

    def __init__(
        self,
        model: str,
        tests: Sequence[DriftTest],
        size_seconds: float,
        slide_seconds: float,
        reference: Callable[[int], Compared | str],
    ) -> None:
        self.model = model
        self._tests = tuple(tests)
        self._slide = slide_seconds
        self._slides = ceil(size_seconds / slide_seconds - 1e-9)
        self._reference = reference
        self._known: dict[int, Compared | str] = {}
        self._columns = tuple(dict.fromkeys(column for test in tests for column in test.columns))
        self._sampled = any(test.method == "mmd" for test in tests)
        self._counted: dict[int, dict[int, _Slide]] = {}  # by slide and version
        self._judged = -inf  # the end of the last window

    def observe(self, records: Iterable[Prediction]) -> None:
        """Takes in what versions answered; not shadows', failures', nor what fell back."""
        for record in records:
            if record.model_name != self.model or record.status != 200 or record.shadow_of is not None:
                continue
            place = floor(record.timestamp / self._slide)
            if record.arm in ("shadow", fallback.ARM) or (place + self._slides) * self._slide <= self._judged:
                continue
            slide = self._counted.setdefault(place, {}).get(record.model_version)
            if slide is None:
                slide = self._counted[place][record.model_version] = _Slide(place)
            slide.add(_row(record.features, self._columns), sampled=self._sampled)
            if len(slide.waiting) >= CHUNK:
                self._count(slide, record.model_version)

    def judge(self, event_now: float) -> DriftWindow | None:
        """The last window that has closed, if it has not been judged; earlier ones that nobody looked at are passed
        over. None where there is none, or nothing ever came."""
        end = floor(event_now / self._slide)
        if end * self._slide <= self._judged or not self._counted:
            return None
        self._judged = end * self._slide
        first = end - self._slides
        for place in [place for place in self._counted if place < first]:
            del self._counted[place]
        inside = [self._counted[place] for place in range(first, end) if place in self._counted]
        rows: dict[int, int] = {}
        for versions in inside:
            for version, slide in versions.items():
                rows[version] = rows.get(version, 0) + slide.rows
        if not rows:
            return None
        version = max(rows, key=lambda one: (rows[one], one))
        slides = [versions[version] for versions in inside if version in versions]
        started_at, ended_at = first * self._slide, end * self._slide
        name = f"{datetime.fromtimestamp(ended_at, UTC):%Y-%m-%dT%H:%M}"
        return DriftWindow(name, started_at, ended_at, version, judge_tests(self._found(version, slides)))

    # -- testing ---------------------------------------------------------------------------------------------------

    def _found(self, version: int, slides: Sequence[_Slide]) -> list[Found]:
        reference = self._compared(version)
        if isinstance(reference, str):
            return [Found(test, column, missing=reference) for test in self._tests for column in _named(test)]
        for slide in slides:
            self._count(slide, version)
        current = _sum([slide.profile for slide in slides if slide.profile is not None])
        sample = _sampled(slides)
        found: list[Found] = []
        for test in self._tests:
            if test.method == "mmd":
                found.append(_together(test, reference, sample))
            else:
                found += [_alone(test, column, reference.profile, current) for column in test.columns]
        return found

    def _count(self, slide: _Slide, version: int) -> None:
        reference = self._compared(version)
        rows, slide.waiting = slide.waiting, []
        if isinstance(reference, str) or not rows:
            return
        grids = [one.grid for one in reference.profile.columns if one.grid.name in self._columns]
        if not grids:
            return
        part = profile([on_grid(grid, [row.get(grid.name) for row in rows]) for grid in grids], grids)
        slide.profile = part if slide.profile is None else slide.profile + part

    def _compared(self, version: int) -> Compared | str:
        if version not in self._known:
            self._known[version] = self._reference(version)
        return self._known[version]


def _alone(test: DriftTest, column: str, reference: TableProfile, current: TableProfile | None) -> Found:
    before, now = _column(reference, column), _column(current, column)
    if before is None:
        return Found(test, column, missing=f"the model has no column {column!r}: name its columns with `columns`")
    if now is None or now.present < LEAST_ROWS or before.present < LEAST_ROWS:
        rows = 0 if now is None else now.present
        return Found(test, column, missing=f"{rows} values in the window, {before.present} in the reference: too few")
    if test.method == "ks":
        if not (isinstance(before, NumericProfile) and isinstance(now, NumericProfile)):
            return Found(test, column, missing=f"{column} is no number: test it by chi_squared")
        distance = distances.ks(before, now)
    elif test.method == "chi_squared":
        if not (isinstance(before, CategoryProfile) and isinstance(now, CategoryProfile)):
            return Found(test, column, missing=f"{column} is no category: test it by ks")
        distance = distances.chi_squared(before, now)
    else:
        distance = distances.psi(before, now)
    return Found(test, column, distance.p_value, distance.corrected, now.present)


def _together(test: DriftTest, reference: Compared, sample: Sequence[dict[str, Any]]) -> Found:
    """MMD of the columns together."""
    named = ", ".join(test.columns)
    grids = {one.grid.name: one.grid for one in reference.profile.columns}
    missing = [column for column in test.columns if column not in grids or column not in reference.rows]
    if missing:
        return Found(test, named, missing=f"the reference has no rows of {', '.join(missing)}")
    before = [on_grid(grids[column], reference.rows[column][:SAMPLE]) for column in test.columns]
    if len(sample) < LEAST_ROWS or before[0].rows < LEAST_ROWS:
        return Found(
            test, named, missing=f"{len(sample)} rows in the window, {before[0].rows} in the reference: too few"
        )
    now: list[Column] = [on_grid(grids[column], [row.get(column) for row in sample]) for column in test.columns]
    sides = for_kernel(before, now)
    evidence = mmd(sides.reference, sides.current, np.random.default_rng(len(sample)))
    return Found(test, named, evidence.p_value, evidence.effect, len(sample))


def _named(test: DriftTest) -> tuple[str, ...]:
    return (", ".join(test.columns),) if test.method == "mmd" else test.columns


def _column(table: TableProfile | None, name: str) -> ColumnProfile | None:
    return next((one for one in table.columns if one.grid.name == name), None) if table is not None else None


def _sum(parts: Sequence[TableProfile]) -> TableProfile | None:
    total: TableProfile | None = None
    for part in parts:
        total = part if total is None else total + part
    return total


def _sampled(slides: Sequence[_Slide]) -> list[dict[str, Any]]:
    """At most `SAMPLE` rows of all slides, as many of each as its share of the rows."""
    total = sum(slide.rows for slide in slides)
    rng = np.random.default_rng(total)
    found: list[dict[str, Any]] = []
    for slide in slides:
        most = min(len(slide.sample), ceil(SAMPLE * slide.rows / max(total, SAMPLE)))
        found += [slide.sample[place] for place in rng.permutation(len(slide.sample))[:most]]
    return found


def _row(features: Raw, columns: Sequence[str]) -> dict[str, Any]:
    try:
        whole = _ROW.decode(features)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return {}
    return {column: whole.get(column) for column in columns}
