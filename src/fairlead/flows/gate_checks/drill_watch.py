"""The watch, shown held-out rows as they are, and with faults: what it judges windows by, run on one window each.

The reference is one half of the held-out rows, and the windows are the other: rows of one population, in which nothing
but the injected fault differs, however far the held-out rows lie from those of training.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
from msgspec import Raw

from fairlead.core.alarm import DATA, alarms_of
from fairlead.core.contract import Feature, Kind
from fairlead.core.decode import Answer, OutputReader, RowDecoder
from fairlead.core.judge_drill import FEWEST_ROWS, Drill
from fairlead.core.record import Prediction
from fairlead.core.report import Stage, WindowReport
from fairlead.core.verdict import Outcome
from fairlead.core.window import Window
from fairlead.errors import ContractError
from fairlead.flows.gate_checks.subject import Subject, spread
from fairlead.flows.watching.cohort import Cohort
from fairlead.flows.watching.features import profile_rows
from fairlead.flows.watching.judge import Policy, Seen, judge
from fairlead.flows.watching.reference import Reference, build_reference

ROWS = 2_000  # of both halves, at most
UNIT = 100.0  # as cents for euros
BURST = 0.3  # of the rows
UNSEEN = "never seen before"
_STEADY = 0.5  # of a number's values that are not 0: multiplying 0 is no fault
_NUMERIC = (Kind.NUMBER, Kind.INTEGER)

Row = dict[str, Any]
Change = Callable[[Any, float], Any]  # a value and its row's place in [0, 1) -> what a fault makes of it


def watch_drills(subject: Subject) -> tuple[int, list[Drill]]:
    """How many rows each half has, and what the watch made of each window."""
    drilled = _Drilled(subject)
    half = len(drilled.live)
    if half < FEWEST_ROWS:
        return half, []
    clean = drilled.window(drilled.live)
    fired = _is_alarm(clean) or clean.layer_breached
    drills = [Drill("rows as they are", must_fire=False, fired=fired, said=clean.report.reason)]
    drills += [drilled.fault(name, fits, change) for name, (fits, change) in _FAULTS.items()]
    return half, drills


class _Window(msgspec.Struct, frozen=True):
    """What the watch said of a window."""

    report: WindowReport

    @property
    def layer_breached(self) -> bool:
        """Whether columns drifted beyond chance and beyond their thresholds."""
        layer = self.report.layer("data")
        return layer is not None and layer.outcome is Outcome.BREACHED


class _Drilled:
    """The two halves: the reference, and the rows that windows are made of."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._reader = RowDecoder(subject.contract)
        self._outputs = OutputReader(subject.contract, subject.manifest.threshold)
        contract, table = subject.contract, subject.heldout
        names = (*contract.names, contract.target)
        taken = table.tuples(names, spread(table, ROWS)) if table.rows else []
        passed = [row for row in taken if self._taken(dict(zip(contract.names, row[:-1], strict=True)))]
        before, after = passed[::2], passed[1::2]  # of one length, or the first has one more
        self.live: list[Row] = [dict(zip(contract.names, row[:-1], strict=True)) for row in after]
        if len(self.live) >= FEWEST_ROWS:
            self._reference = self._made([row[:-1] for row in before], [row[-1] for row in before])

    def window(self, rows: Sequence[Row]) -> _Window:
        """The watch's report of a window with these rows."""
        cohort = Cohort(self._reference, profiled=True)
        for record in self._records(rows):
            cohort.add(record)
        seen = Seen(self._subject.info.model, Window(0.0, 3600.0, "drill"), 3600.0, Stage.CLOSED)
        return _Window(judge(seen, cohort, None, Policy()))

    def fault(self, name: str, fits: Callable[[Feature], bool], change: Change) -> Drill:
        """The window with a fault in the most important feature that it fits and that the contract lets through."""
        chosen = [feature for feature in self._by_importance() if fits(feature)]
        if name == _UNIT:
            chosen = [feature for feature in chosen if self._is_steady(feature)]
        if not chosen:
            return Drill(name, must_fire=True, skipped="no feature that it fits")
        for feature in chosen:
            rows = [{**row, feature.name: change(row[feature.name], at)} for at, row in self._placed()]
            passed = [row for row in rows if self._taken(row)]
            if len(passed) < len(rows):
                continue
            window = self.window(rows)
            found = next((shift for shift in window.report.drift if shift.name == feature.name), None)
            moved = found is not None and found.moved and window.layer_breached
            fired = moved and (name == _UNIT or _is_alarm(window))
            return Drill(f"{name} in {feature.name}", must_fire=True, fired=fired, said=window.report.reason)
        return Drill(name, must_fire=True, skipped="the contract refuses it")

    def _made(self, rows: list[tuple[Any, ...]], outcomes: list[Any]) -> Reference:
        subject = self._subject
        names = subject.contract.names
        raws = [_raw(dict(zip(names, row, strict=True))) for row in rows]
        score = np.array([answer.score for answer in self._answers(rows)], np.float64)
        profile = profile_rows(raws, score, subject.profile)
        labelled = (rows, outcomes)
        policy = Policy().harm
        return build_reference(subject.info.version, subject.manifest, profile, labelled, subject.served, policy)

    def _records(self, rows: Sequence[Row]) -> Iterator[Prediction]:
        asked = [self._reader.check(row)[0] for row in rows]
        for number, (row, answer) in enumerate(zip(rows, self._answers(asked), strict=True)):
            yield Prediction(
                request_id=f"drill-{number}",
                model_name=self._subject.info.model,
                model_version=self._subject.info.version,
                arm="champion",
                unit_id=f"drill-{number}",
                propensity=1.0,
                timestamp=0.0,
                received_at=0.0,
                features=_raw(row),
                prediction=answer.prediction,
                score=answer.score,
                latency_ms=1.0,
                probabilities=answer.probabilities,
            )

    def _answers(self, rows: Sequence[tuple[Any, ...]]) -> Sequence[Answer]:
        return self._outputs.read(self._subject.served.predict(rows), len(rows))

    def _taken(self, row: Row) -> bool:
        try:
            self._reader.check(row)
        except ContractError:
            return False
        return True

    def _by_importance(self) -> list[Feature]:
        known = self._reference.importances
        return sorted(self._subject.contract.features, key=lambda feature: -known.get(feature.name, 0.0))

    def _is_steady(self, feature: Feature) -> bool:
        values = [row[feature.name] for row in self.live]
        return sum(bool(value) for value in values) >= _STEADY * len(values)

    def _placed(self) -> Iterator[tuple[float, Row]]:
        places = np.random.default_rng(0).random(len(self.live))
        return zip(places.tolist(), self.live, strict=True)


def _is_alarm(window: _Window) -> bool:
    """Whether somebody is told: that the data are broken."""
    return any(one.alert == DATA and one.verdict.outcome is Outcome.BREACHED for one in alarms_of(window.report))


def _raw(row: Row) -> Raw:
    return Raw(json.dumps(row).encode())


_UNIT = "a wrong unit"
_FAULTS: dict[str, tuple[Callable[[Feature], bool], Change]] = {
    _UNIT: (
        lambda feature: feature.kind in _NUMERIC,
        lambda value, _: None if value is None else type(value)(value * UNIT),
    ),
    "a burst of nulls": (lambda _: True, lambda value, at: None if at < BURST else value),
    "unseen categories": (
        lambda feature: feature.kind is Kind.CATEGORY,
        lambda value, at: UNSEEN if at < BURST else value,
    ),
}
