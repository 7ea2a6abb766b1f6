"""The whole watch on real bookings: trained on the summer and autumn of 2015, it must find what early 2016 brings."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pytest

import fairlead
from fairlead.adapters.arrow_dataset import ArrowDataset, open_dataset
from fairlead.adapters.postmortems import PostmortemFolder
from fairlead.adapters.tables import read_table, to_columns
from fairlead.core.alert import PAGING
from fairlead.core.bundle import HELDOUT, PROFILE, Lineage, Manifest
from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.core.event import AlertRaised, VersionRegistered
from fairlead.core.incident import incidents
from fairlead.core.quadrant import Quadrant
from fairlead.core.record import OutcomeRecord, Prediction
from fairlead.core.report import SCORE, Performance, Stage, WindowReport
from fairlead.core.verdict import Outcome
from fairlead.core.window import DAY, WindowPlan
from fairlead.flows.respond import Responder
from fairlead.flows.watch import Watch
from fairlead.stats.columns import CategoricalColumn, NumericColumn
from fairlead.stats.performance import Floats
from fairlead.stats.profile import profile
from fairlead.testing.bundles import ScriptedBundles
from fairlead.testing.clock import ManualClock
from fairlead.testing.journal import MemoryJournal

DATA = Path(fairlead.__file__).parent / "faces/demo/data/hotel_bookings.parquet"
NOT_FEATURES = ("booking_id", "arrival_date", "known_at", "is_canceled")
NOVEMBER, APRIL = 1_446_336_000.0, 1_459_468_800.0  # 2015 and 2016
Row = tuple[Any, ...]


class Boosted:
    """A gradient-boosted model over plain rows; text becomes numbers in the order of its appearance."""

    def __init__(self, rows: Sequence[Row], truth: Sequence[int], text: Sequence[bool]) -> None:
        from sklearn.ensemble import HistGradientBoostingClassifier

        self._codes: list[dict[str, int] | None] = [{} if is_text else None for is_text in text]
        for row in rows:
            for code, value in zip(self._codes, row, strict=True):
                if code is not None:
                    code.setdefault(value, len(code))
        self._model = HistGradientBoostingClassifier(max_iter=40, max_leaf_nodes=15, random_state=0)
        self._model.fit(self._numbers(rows), truth)

    def predict(self, rows: Sequence[Row]) -> Floats:
        """Probabilities of both classes."""
        return np.asarray(self._model.predict_proba(self._numbers(rows)), np.float64)

    def _numbers(self, rows: Sequence[Row]) -> Floats:
        return np.array([[_number(*pair) for pair in zip(self._codes, row, strict=True)] for row in rows])


def _number(code: dict[str, int] | None, value: Any) -> float:
    if value is None:
        return float("nan")
    return float(value) if code is None else float(code.get(value, -1))


class Replay(NamedTuple):
    """What five months brought."""

    reports: tuple[WindowReport, ...]
    journal: MemoryJournal
    home: Path

    def month(self, name: str) -> WindowReport:
        """A month's last word."""
        return [report for report in self.reports if report.window == name][-1]


@pytest.fixture(scope="module")
def replay(tmp_path_factory: pytest.TempPathFactory) -> Replay:
    """November 2015 to March 2016, judged and answered day by day, with labels as late as they really were."""
    home = tmp_path_factory.mktemp("hotel")
    table = read_table(DATA)
    data = ArrowDataset(table, "the bookings")
    names = [name for name in data.names if name not in NOT_FEATURES]
    arrived, known = (_instants(table, name) for name in ("arrival_date", "known_at"))
    before = np.flatnonzero(arrived < NOVEMBER)
    live = np.flatnonzero((arrived >= NOVEMBER) & (arrived < APRIL)).tolist()
    in_held = np.random.default_rng(0).random(before.size) < 0.3
    fit, held = before[~in_held].tolist(), before[in_held].tolist()
    text = [isinstance(column, CategoricalColumn) for column in data.columns(names)]
    model = Boosted(data.tuples(names, fit), _truth(data, fit), text)
    bundles, journal, clock = ScriptedBundles(home / "bundles", model), MemoryJournal(), ManualClock()
    digest = _bundle(home, bundles, ArrowDataset(table.take(held), "held out"), names, model, text)
    journal.append([VersionRegistered("hotel", 1, digest, "2015")], actor="anna", at=clock.now())
    watch = Watch("hotel", journal, bundles, open_dataset, clock, WindowPlan())
    responder = Responder("hotel", journal, {}, clock, PostmortemFolder(home).write)
    scores = model.predict(data.tuples(names, live))[:, 1].tolist()
    rows, truth = data.tuples(names, live), _truth(data, live)
    answers = [(str(i), float(arrived[i]), row, score) for i, row, score in zip(live, rows, scores, strict=True)]
    watch.observe(
        [_record(names, *answer) for answer in answers],
        [OutcomeRecord(str(i), y, float(known[i]), clock.now()) for i, y in zip(live, truth, strict=True)],
    )
    reports = []
    for day in range(1, 185):
        clock.advance(1.0)
        for report in watch.judge(NOVEMBER + day * DAY):
            reports.append(report)
            responder.on_window(report)
    return Replay(tuple(reports), journal, home)


def _record(names: list[str], identity: str, at: float, row: Row, score: float) -> Prediction:
    features = msgspec.Raw(msgspec.json.encode(dict(zip(names, row, strict=True))))
    return Prediction(identity, "hotel", 1, "champion", identity, 1.0, at, at, features, int(score >= 0.5), score, 1.0)


def _instants(table: Any, name: str) -> Floats:
    (column,) = to_columns(table, [name])
    assert isinstance(column, NumericColumn)
    return column.values


def _truth(data: ArrowDataset, indices: Sequence[int]) -> list[int]:
    return [row[0] for row in data.tuples(["is_canceled"], indices)]


def _bundle(
    home: Path, bundles: ScriptedBundles, held: ArrowDataset, names: list[str], model: Boosted, text: list[bool]
) -> str:
    folder = home / "new"
    folder.mkdir()
    score = model.predict(held.tuples(names, slice(None)))[:, 1]
    reference = profile([*held.columns(names), NumericColumn(SCORE, score)])
    (folder / PROFILE).write_bytes(msgspec.json.encode(reference))
    held.write(folder / HELDOUT, [*names, "is_canceled"])
    kinds = [Kind.CATEGORY if is_text else Kind.NUMBER for is_text in text]
    features = tuple(Feature(name, kind) for name, kind in zip(names, kinds, strict=True))
    manifest = Manifest(
        name="hotel",
        contract=Contract(features, Task.BINARY, "is_canceled", ("0", "1")),
        model_format="skops",
        model_entry="model",
        served="model",
        files={path.name: sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()},
        lineage=Lineage("2015", "0" * 64, held.rows),
    )
    return bundles.put(folder, manifest)


def test_every_month_is_judged(replay: Replay) -> None:
    """Five months, each ending with matured labels; what comes after them is silence, told once."""
    months = [report.window for report in replay.reports if report.stage is Stage.MATURED and report.rows]
    assert months == ["2015-11", "2015-12", "2016-01", "2016-02", "2016-03"]
    assert [report.window for report in replay.reports if not report.rows] == ["2016-04"]
    assert sum(replay.month(name).rows for name in months) == 12_133


def test_autumn_drift_is_not_harmful(replay: Replay) -> None:
    """Before the year turns features move, yet nothing is harmful and nobody is paged."""
    for name in ("2015-11", "2015-12"):
        report = replay.month(name)
        assert len(report.moved) > 3
        assert not report.harmful
    assert replay.month("2015-12").quadrant is Quadrant.BENIGN
    assert replay.month("2015-12").verdict is Outcome.HOLDS


def test_early_2016_is_harmful_and_names_its_suspects(replay: Replay) -> None:
    """In January the AUROC falls by more than a tenth; the suspects are what cost it: who books, and how long ahead.
    The winter's prices moved too, to where the model ranks no worse."""
    for name in ("2016-01", "2016-02", "2016-03"):
        report = replay.month(name)
        assert report.harmful, name
        assert report.reason.startswith("AUROC fell from 0.8")
        assert {"lead_time", "market_segment", "customer_type"} <= set(report.suspects[:5])
        price = next(shift for shift in report.drift if shift.name == "adr")
        assert (price.level, price.harm) == ("critical", 0.0)
        assert report.quadrant in (Quadrant.COVARIATE, Quadrant.CONCEPT)


def test_the_estimate_holds_until_the_concept_drifts(replay: Replay) -> None:
    """In December the estimated and the realised interval of the AUROC meet; from January on the estimate flatters."""
    calm = replay.month("2015-12").performance
    assert calm is not None
    assert _band(calm, "estimated_low") <= _band(calm, "high")
    assert _band(calm, "low") <= _band(calm, "estimated_high")
    for name in ("2016-01", "2016-02", "2016-03"):
        drifted = replay.month(name).performance
        assert drifted is not None
        assert _band(drifted, "realised") < _band(drifted, "estimated"), name


def _band(performance: Performance, end: str) -> float:
    value: float | None = getattr(performance, end)
    assert value is not None
    return value


def test_it_is_answered_with_one_incident(replay: Replay) -> None:
    """One incident for the whole drift, critical alerts only, and a postmortem with the suspects."""
    (incident,) = incidents(replay.journal.read())
    assert incident.id == "inc-hotel-2016-01"
    raised = [entry.fact for entry in replay.journal.read() if isinstance(entry.fact, AlertRaised)]
    harmful = [fact for fact in raised if fact.alert == "harmful-drift"]
    assert [fact.severity for fact in harmful] == ["critical"] * len(harmful)
    assert harmful[0].event_at == replay.month("2016-01").judged_at
    assert incident.postmortem is not None
    text = (replay.home / incident.postmortem).read_text()
    assert "- Suspect: lead_time (" in text
    assert "in 3 windows" in text


def test_benign_drift_of_real_bookings_is_recorded_and_pages_nobody(replay: Replay) -> None:
    """Autumn's drift is on record as benign; before January's harm nobody is paged, and no benign alert ever pages."""
    raised = [entry.fact for entry in replay.journal.read() if isinstance(entry.fact, AlertRaised)]
    benign = [fact for fact in raised if fact.benign]
    assert {fact.alert for fact in benign} == {"benign-drift"}
    assert not any(fact.paged for fact in benign)
    harm_at = replay.month("2016-01").judged_at
    paging = [fact for fact in raised if fact.severity in PAGING and fact.paged]
    assert paging
    assert all(fact.event_at is not None and fact.event_at >= harm_at for fact in paging)


def test_the_alert_of_harm_says_what_it_costs(replay: Replay) -> None:
    """January's notice begins with the fall and its interval, the kind of drift and the suspects."""
    raised = [entry.fact for entry in replay.journal.read() if isinstance(entry.fact, AlertRaised)]
    first = next(fact for fact in raised if fact.alert == "harmful-drift")
    assert first.reason.startswith("AUROC .8")
    told = dict(first.details)
    assert set(told) >= {"change", "quadrant", "suspects"}
    assert told["quadrant"] in ("concept drift", "covariate shift")
    change = replay.month("2016-01").harm.change
    assert change is not None
    assert change.realised
    assert 0.05 < change.low < change.value < change.high
