"""The readiness gate, end to end: real bookings, real models, a real gateway worker."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace as with_field
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fairlead.adapters.bundle_folder import BundleFolder
from fairlead.adapters.gate_store import GateStore
from fairlead.adapters.route_file import RouteFile
from fairlead.adapters.segment_log import SegmentLog
from fairlead.adapters.segment_reader import SegmentReader
from fairlead.adapters.system_clock import SystemClock
from fairlead.config.fields import Duration, Size, Span
from fairlead.config.gates import Gates
from fairlead.config.settings import Settings
from fairlead.core.bundle import CARD
from fairlead.core.event import GateMeasured
from fairlead.core.gate import CHECKS, DAY_SECONDS, GateReport
from fairlead.core.verdict import Outcome
from fairlead.errors import NotFound, Refused, UsageError
from fairlead.faces.demo.bookings import Bookings
from fairlead.faces.demo.train import FEATURES, TARGET, train
from fairlead.operations.context import Context
from fairlead.operations.gates import champion_of, gate, history, last_report, passed_gate, policy_of
from fairlead.operations.models import Registration, register
from fairlead.operations.recounts import recount
from fairlead.ports import VersionInfo
from fairlead.testing.journal import MemoryJournal
from fairlead.testing.registry import MemoryRegistry

CARD_FIELDS = {
    "owner": "revenue",
    "intended_use": "Overbooking by the share of bookings that will be cancelled.",
    "out_of_scope_use": "Anything that a guest is told.",
    "ethical_considerations": "No personal data; the model acts on groups of bookings.",
    "caveats_and_recommendations": "Learned in one autumn.",
    "maintenance_plan": "Retrained when its windows say so.",
}


BRIEF = {"predictions": 2000, "load_seconds": 1.0, "spike_seconds": 0.2, "log_days": 0.1}


def open_home(home: Path) -> Context:
    """A home whose journal and registry are in memory."""
    registry = MemoryRegistry()
    return Context(
        home=home,
        settings=Settings(gates=Gates(p99=Duration(5.0), bounds=BRIEF)),
        actor="ann",
        clock=SystemClock(),
        journal=MemoryJournal(),
        bundles=BundleFolder(home / "bundles"),
        board=RouteFile(home / "routes"),
        follow_board=lambda: nullcontext(RouteFile(home / "routes")),
        open_registry=lambda: registry,
        open_log=lambda: SegmentReader(home / "log"),
        open_writer=lambda: SegmentLog(home / "log", 0),
        open_trainer=lambda: None,
    )


def table(rows: pa.Table, path: Path, seed: int | None = None) -> Path:
    """Writes the columns of the model; with a seed the outcomes are dealt anew, at random."""
    chosen = rows.select([*FEATURES, TARGET])
    if seed is not None:
        dealt = np.random.default_rng(seed).permutation(chosen[TARGET].to_numpy())
        chosen = chosen.set_column(chosen.column_names.index(TARGET), TARGET, pa.array(dealt, chosen[TARGET].type))
    pq.write_table(chosen, path)
    return path


@pytest.fixture(scope="module")
def hotel(tmp_path_factory: pytest.TempPathFactory) -> Context:
    """Three versions: a good one (the champion), one that learned nothing, and the good one without a card."""
    folder = tmp_path_factory.mktemp("hotel")
    rows = Bookings().arrivals("2015-07-01", "2015-11-01")
    rows = rows.take(np.random.default_rng(0).permutation(rows.num_rows))
    reference = table(rows.slice(0, 5000), folder / "reference.parquet")
    heldout = table(rows.slice(5000, 2000), folder / "heldout.parquet")
    context = open_home(folder / "home")
    good = train(reference, folder / "good")
    noise = train(table(rows.slice(0, 5000), folder / "noise.parquet", seed=1), folder / "noise")
    for model, card in ((good, CARD_FIELDS), (noise, CARD_FIELDS), (good, {"owner": "nobody"})):
        asked = Registration("hotel", str(model), reference, TARGET, heldout, segments=("hotel",), card=card)
        register(context, asked)
    return context


def version(context: Context, number: int) -> VersionInfo:
    """A registered version."""
    return context.registry.versions("hotel")[number - 1]


@pytest.fixture(scope="module")
def report(hotel: Context) -> GateReport:
    """The gate of the first version, without a champion, run once."""
    return gate(hotel, "hotel@1")


def test_a_good_model_passes_every_check(report: GateReport) -> None:
    """All ten checks hold on the real served path, and say so with their figures."""
    assert report.passed, [f"{check.name}: {check.reason}" for check in report.checks if not check.holds]
    assert tuple(check.name for check in report.checks) == CHECKS
    served = report.check("latency_and_memory")
    assert served is not None
    assert served.measured["requests"] == 400
    assert float(served.measured["peak_memory_mb"]) > 20.0
    assert report.champion is None


def test_the_report_is_kept_and_journalled(hotel: Context, report: GateReport) -> None:
    """The journal's fact carries the digest under which the evidence lies."""
    fact = history(hotel, "hotel")[0].fact
    assert isinstance(fact, GateMeasured)
    assert (fact.version, fact.passed, fact.failed, fact.bundle) == (1, True, (), version(hotel, 1).bundle)
    assert GateStore(hotel.home / "gates").get(fact.report) == report
    assert last_report(hotel, "hotel@1") == report


def test_a_measured_gate_is_judged_the_same_again(hotel: Context, report: GateReport) -> None:
    """Every check of a real run keeps what it was judged from, and comes out byte for byte; a report or evidence that
    was edited is found."""
    fact = report.fact
    store = GateStore(hotel.home / "gates")
    assert isinstance(report.evidence, str)
    assert set(store.evidence(report.evidence).given) == {check.name for check in report.checks}
    assert recount(hotel, fact.report[:12]).state == "same"
    for path in (hotel.home / "gates" / f"{fact.report}.json", store.place_of_evidence(report.evidence)):
        kept = path.read_bytes()
        path.write_bytes(kept.replace(b"0", b"1", 1))
        found = recount(hotel, fact.report[:12]).found[0]
        assert (found.state, "is not what was measured" in found.said) == ("different", True)
        path.unlink()
        assert recount(hotel, fact.report[:12]).state == "unproven"
        path.write_bytes(kept)


def test_a_passed_gate_lets_its_own_bundle_through(hotel: Context, report: GateReport) -> None:
    """Until it expires, and no other bundle under the same version's name."""
    info, now = version(hotel, 1), report.measured_at + 60.0
    assert passed_gate(hotel, info, now) == report
    with pytest.raises(Refused, match="its gate expired"):
        passed_gate(hotel, info, now + 31 * DAY_SECONDS)
    foreign = VersionInfo("hotel", 1, version(hotel, 2).bundle)
    with pytest.raises(Refused, match="another bundle"):
        passed_gate(hotel, foreign, now)


def test_a_version_that_was_never_measured_is_refused(hotel: Context) -> None:
    """The message says what to run."""
    with pytest.raises(Refused, match=r"hotel@9 has not passed its gate: .*run `fairlead gate hotel@9`"):
        passed_gate(hotel, VersionInfo("hotel", 9, "0" * 64), 0.0)


def test_a_worse_model_than_the_champion_does_not_pass(hotel: Context, report: GateReport) -> None:
    """The comparison on the same held-out rows tells that it learned nothing, and so do a simple model, its
    probabilities and its features; all else holds."""
    hotel.registry.set_alias("hotel", "champion", 1)
    worse = gate(hotel, "hotel@2")
    assert worse.champion == 1
    told = ("better_than_champion", "simpler_not_better", "slices_hold", "calibrated", "features_useful")
    assert worse.failed == told, worse.reason
    check = worse.check("better_than_champion")
    assert check is not None
    assert check.outcome is Outcome.BREACHED
    with pytest.raises(Refused, match=r"run `fairlead gate hotel@2`; failed: better_than_champion"):
        passed_gate(hotel, version(hotel, 2), worse.measured_at + 1.0)


def test_a_model_without_a_card_does_not_pass(hotel: Context, report: GateReport) -> None:
    """The missing fields are named; being no better than itself is told too."""
    hotel.registry.set_alias("hotel", "champion", 1)
    bare = gate(hotel, "hotel@3", "staging")
    assert bare.failed == ("model_card_complete", "better_than_champion"), bare.reason
    assert "intended_use" in bare.reason
    assert bare.environment == "staging"


def test_a_tampered_bundle_does_not_pass(hotel: Context, report: GateReport) -> None:
    """A card that was filled in by hand afterwards breaks the digest."""
    card = hotel.bundles.path(version(hotel, 3).bundle) / CARD
    before = card.read_bytes()
    card.chmod(0o644)
    card.write_bytes(before.replace(b'"nobody"', b'"somebody"'))
    try:
        found = gate(hotel, "hotel@3")
    finally:
        card.write_bytes(before)
    assert found.failed == CHECKS
    assert found.checks[0].outcome is Outcome.BREACHED
    assert CARD in found.reason


def test_the_last_run_counts(hotel: Context, report: GateReport) -> None:
    """A failed run takes back what an earlier one allowed; an edited report allows nothing."""
    copy = with_field(hotel, journal=MemoryJournal())
    copy.journal.append([report.fact], actor="ann", at=report.measured_at)
    assert passed_gate(copy, version(hotel, 1), report.measured_at + 1.0).passed
    checks = tuple(check for check in report.checks if check.name != "logging_proven")

    failed = msgspec.structs.replace(report, checks=checks)
    GateStore(hotel.home / "gates").put(failed)
    copy.journal.append([failed.fact], actor="ann", at=report.measured_at + 2.0)
    with pytest.raises(Refused, match="failed: logging_proven"):
        passed_gate(copy, version(hotel, 1), report.measured_at + 3.0)
    missing = msgspec.structs.replace(report, seconds=99.0)  # a fact whose evidence is nowhere
    copy.journal.append([missing.fact], actor="ann", at=report.measured_at + 4.0)
    with pytest.raises(Refused, match="there is no gate report"):
        passed_gate(copy, version(hotel, 1), report.measured_at + 5.0)


def test_the_champion_is_not_compared_to_itself(hotel: Context) -> None:
    """Measuring the champion again is measuring it alone."""
    hotel.registry.set_alias("hotel", "champion", 1)
    assert champion_of(hotel, version(hotel, 1)) is None
    assert champion_of(hotel, version(hotel, 2)) == version(hotel, 1)


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda context: gate(context, "hotel@1", "moon"), UsageError, "use one of dev, staging, production"),
        (lambda context: gate(context, "hotel@99"), NotFound, "hotel"),
        (lambda context: gate(context, "motel@1"), NotFound, "motel"),
    ],
)
def test_what_is_asked_wrongly_is_told(
    hotel: Context, call: Callable[[Context], object], error: type[Exception], said: str
) -> None:
    """Before anything is measured."""
    with pytest.raises(error, match=said):
        call(hotel)


def test_the_policy_is_that_of_the_settings() -> None:
    """Seconds become milliseconds and days, bytes megabytes."""
    policy = policy_of(Gates(Duration(0.2), Size(512_000_000), "not_worse", 0.02, Span(7 * DAY_SECONDS)))
    assert (policy.p99_ms, policy.peak_memory_mb, policy.max_age_days) == (200.0, 512.0, 7.0)
    assert (policy.against_champion, policy.margin) == ("not_worse", 0.02)
