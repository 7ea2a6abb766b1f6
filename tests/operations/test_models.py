"""Registering the hotel model, and everything a person may type wrongly on the way."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from skops import io as skops

import fairlead
from fairlead.adapters.sqlite_journal import SqliteJournal
from fairlead.app.compose import open_context
from fairlead.config.models import ModelSettings
from fairlead.core.bundle import HELDOUT, PORTABLE, ModelCard
from fairlead.core.contract import Task
from fairlead.errors import BundleError, DigestMismatch, FairleadError, NotFound, UntrustedFormat, UsageError
from fairlead.operations.context import Context
from fairlead.operations.models import Registration, models, parse_version, register, resolve, show
from fairlead.testing.registry import MemoryRegistry

BOOKINGS = Path(fairlead.__file__).parent / "faces/demo/data/hotel_bookings.parquet"
ASIDE = ("booking_id", "arrival_date", "known_at", "is_canceled")


@dataclass(frozen=True)
class Hotel:
    """The model file, its training data from July to October 2015, and bookings that came later."""

    model: Path
    fitted: Any
    reference: Path
    later: pd.DataFrame
    features: list[str]


@pytest.fixture(scope="module")
def hotel(tmp_path_factory: pytest.TempPathFactory) -> Hotel:
    """A small gradient boosting pipeline on real bookings."""
    folder = tmp_path_factory.mktemp("hotel")
    bookings = pq.read_table(BOOKINGS).to_pandas()
    training = bookings[bookings.arrival_date < datetime(2015, 11, 1)]  # noqa: DTZ001  # the data's days have no zone
    features = [name for name in bookings.columns if name not in ASIDE]
    texts = [name for name in features if not pd.api.types.is_numeric_dtype(bookings[name])]
    encode = ColumnTransformer(
        [("texts", OneHotEncoder(handle_unknown="ignore", sparse_output=False), texts)], remainder="passthrough"
    )
    fitted = make_pipeline(encode, HistGradientBoostingClassifier(max_iter=40, random_state=0))
    fitted.fit(training[features], training.is_canceled)
    (folder / "model.skops").write_bytes(skops.dumps(fitted))
    training.to_parquet(folder / "reference.parquet", index=False)
    later = bookings[bookings.arrival_date >= datetime(2015, 11, 1)].head(50)  # noqa: DTZ001  # as above
    return Hotel(folder / "model.skops", fitted, folder / "reference.parquet", later, features)


@pytest.fixture(scope="module")
def registered(hotel: Hotel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    """A home with the hotel model in it, on a real MLflow registry."""
    context = replace(open_context(tmp_path_factory.mktemp("home")), actor="anna")
    register(context, asked(hotel, segments=("hotel",), card={"owner": "anna"}, dataset_version="summer-2015"))
    yield context
    _close(context)


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    """An empty home, with a registry in memory."""
    registry = MemoryRegistry()
    opened = replace(open_context(tmp_path / "home"), open_registry=lambda: registry)
    yield opened
    _close(opened)


def _close(context: Context) -> None:
    assert isinstance(context.journal, SqliteJournal)
    context.journal.close()


def asked(hotel: Hotel, **changes: Any) -> Registration:
    said = Registration("hotel", str(hotel.model), hotel.reference, "is_canceled", time_column="arrival_date")
    return msgspec.structs.replace(said, **changes)


def test_the_hotel_model_becomes_a_version(registered: Context, hotel: Hotel) -> None:
    """Contract, parity, lineage and metrics are those of the data; the translation is served."""
    seen = show(registered, "hotel@1")
    manifest = seen.manifest
    assert manifest.contract.names == tuple(hotel.features)
    assert (manifest.contract.task, manifest.contract.classes) == (Task.BINARY, ("0", "1"))
    assert manifest.parity is not None
    assert manifest.parity.holds
    assert manifest.parity.rows > 2_000
    assert manifest.served == PORTABLE
    assert manifest.metrics["portable_speedup"] > 1
    assert manifest.metrics["auroc"] > 0.8
    lineage = seen.lineage
    assert (lineage.dataset, lineage.trained_from) == ("summer-2015", "2015-07-01 00:00:00")
    assert lineage.trained_to is not None
    assert lineage.trained_to < "2015-10-31"
    held = pq.read_metadata(registered.bundles.path(seen.info.bundle) / HELDOUT).num_rows
    assert lineage.rows + held == pq.read_metadata(hotel.reference).num_rows
    assert held == round(0.2 * (lineage.rows + held))
    assert lineage.environment["python"]


def test_what_is_shown_of_it(registered: Context) -> None:
    """Status, aliases, card and history, with actor and reason."""
    seen = show(registered, "hotel@challenger")
    assert (seen.info.version, seen.info.status, seen.info.aliases) == (1, "none", ("challenger",))
    assert (seen.card.owner, seen.card.version, seen.card.model_name) == ("anna", "1", "hotel")
    assert "City Hotel" in seen.card.subgroup_performance
    assert [(line.actor, line.what) for line in seen.history] == [
        ("anna", "registered from summer-2015"),
        ("anna", "status none"),
        ("anna", "became challenger"),
    ]
    assert "times faster" in seen.history[0].reason
    (view,) = models(registered)
    assert (view.name, view.champion, view.challenger, len(view.versions)) == ("hotel", None, 1, 1)
    assert models(registered, "hotel") == (view,)
    assert registered.journal.verify() == 3


def test_what_is_served_answers_as_the_original(registered: Context, hotel: Hotel) -> None:
    """50 later bookings, within 1e-5, by the bundle that was validated."""
    digest = resolve(registered, "hotel@1").bundle
    lists = [hotel.later[name].tolist() for name in hotel.features]
    rows = list(zip(*lists, strict=True))
    expected = hotel.fitted.predict_proba(hotel.later[hotel.features])
    assert np.abs(registered.bundles.load(digest).predict(rows) - expected).max() < 1e-5
    assert np.array_equal(registered.bundles.load(digest, original=True).predict(rows), expected)


def test_a_version_can_be_registered_from_the_registry(registered: Context, hotel: Hotel, tmp_path: Path) -> None:
    """The run's own artifact is a model to register again: in another home, as `runs:/…`, and the run is in the
    lineage."""
    run = resolve(registered, "hotel@1").run_id
    uri = f"sqlite:///{registered.home}/registry/mlflow.db"
    settings = msgspec.structs.replace(registered.settings, tracking_uri=uri)
    registry = MemoryRegistry()
    other = replace(open_context(tmp_path / "home"), settings=settings, open_registry=lambda: registry)
    info = register(other, asked(hotel, model=f"runs:/{run}/model/model.skops"))
    lineage = show(other, f"hotel@{info.version}").lineage
    assert lineage.run_id == run
    assert register(other, asked(hotel, model="models:/hotel@challenger")).version == 2
    with pytest.raises(UsageError, match="cannot fetch the model models:/nobody/1"):
        register(other, asked(hotel, model="models:/nobody/1"))
    _close(other)


def test_any_tampering_is_found(registered: Context) -> None:
    """Each file of the bundle, changed by one byte, is named by `verify`."""
    digest = resolve(registered, "hotel@1").bundle
    manifest = registered.bundles.verify(digest)
    assert len(manifest.files) == 7
    for name in manifest.files:
        path = registered.bundles.path(digest) / name
        whole = path.read_bytes()
        path.chmod(0o644)
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(DigestMismatch, match=name):
            registered.bundles.verify(digest)
        if name == manifest.served:
            with pytest.raises(DigestMismatch, match=name):
                registered.bundles.load(digest)
        path.write_bytes(whole)
    registered.bundles.verify(digest)


@pytest.fixture(scope="module")
def wrong(hotel: Hotel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files that cannot be used."""
    folder = tmp_path_factory.mktemp("wrong")
    training = pq.read_table(hotel.reference)
    pq.write_table(training.slice(0, 0), folder / "empty.parquet")
    pq.write_table(training.slice(0, 5), folder / "short.parquet")
    pq.write_table(training.drop_columns(["adr", "meal"]), folder / "narrow.parquet")
    unknown = training.set_column(3, "is_canceled", pa.nulls(training.num_rows, pa.int8()))
    pq.write_table(unknown, folder / "unlabelled.parquet")
    one = training.set_column(3, "is_canceled", pa.array([1] * training.num_rows, pa.int8()))
    pq.write_table(one, folder / "constant.parquet")
    swapped = training.set_column(training.schema.get_field_index("adr"), "adr", training["meal"])
    pq.write_table(swapped, folder / "swapped.parquet")
    (folder / "model.pkl").write_bytes(pickle.dumps(hotel.fitted))
    (folder / "model.skops").write_bytes(b"garbage")
    other = LogisticRegression().fit([[0.0, 1.0], [1.0, 0.0]], [0, 1])
    (folder / "other.skops").write_bytes(skops.dumps(other))
    (folder / "card.yaml").write_text("ownr: anna")
    return folder


@pytest.mark.parametrize(
    ("changes", "error", "what"),
    [
        ({"name": "Hotel!"}, UsageError, "cannot be a model's name"),
        ({"name": "h" * 65}, UsageError, "cannot be a model's name"),
        ({"name": "../hotel"}, UsageError, "cannot be a model's name"),
        ({"reference": "missing.parquet"}, UsageError, "does not exist"),
        ({"reference": "empty.parquet"}, UsageError, "no rows"),
        ({"reference": "short.parquet"}, UsageError, "has 5 rows: a reference needs at least 10"),
        ({"reference": "narrow.parquet"}, UsageError, "which has no meal, adr"),
        ({"reference": "unlabelled.parquet"}, UsageError, "no value in the target"),
        ({"reference": "constant.parquet"}, UsageError, "holds only 1"),
        ({"reference": "swapped.parquet"}, UsageError, "cannot answer the reference's rows"),
        ({"target": "canceled"}, UsageError, "no target column 'canceled'"),
        ({"time_column": "when"}, UsageError, "no column 'when'"),
        ({"heldout": "missing.parquet"}, UsageError, "does not exist"),
        ({"heldout": "unlabelled.parquet"}, UsageError, "no value in the target"),
        ({"model": "missing.skops"}, UsageError, "does not exist"),
        ({"model": "model.skops"}, BundleError, "cannot be loaded as a skops file"),
        ({"model": "model.pkl"}, UntrustedFormat, "--trust pickle"),
        ({"model": "other.skops"}, UsageError, "takes 2 features, but the reference has 20"),
        ({"card": "card.yaml"}, UsageError, "did you mean owner"),
        ({"segments": ("region",)}, UsageError, "no segment column 'region'"),
        ({"task": Task.REGRESSION}, UsageError, "is a binary model, not a regression one"),
    ],
)
def test_what_was_asked_wrongly_leaves_nothing(
    changes: dict[str, Any], error: type[FairleadError], what: str, context: Context, hotel: Hotel, wrong: Path
) -> None:
    """One error on one line; no version, no fact, no bundle, no unfinished folder."""
    files = {"reference", "heldout", "model", "card"}
    placed = {name: wrong / value if name in files else value for name, value in changes.items()}
    if "model" in placed:
        placed["model"] = str(placed["model"])
    with pytest.raises(error, match=what) as caught:
        register(context, asked(hotel, **placed))
    assert caught.value.line == str(caught.value)
    assert context.registry.models() == ()
    assert list(context.journal.read()) == []
    bundles = context.home / "bundles"
    assert not bundles.exists() or not list(bundles.iterdir())


def test_a_trusted_pickle_is_served_by_its_translation(context: Context, hotel: Hotel, wrong: Path) -> None:
    """Allowed by name the pickle is registered; what is served afterwards runs none of it."""
    held = wrong / "held.parquet"
    pq.write_table(pq.read_table(hotel.reference).slice(9_000), held)
    info = register(context, asked(hotel, model=str(wrong / "model.pkl"), trust=("pickle",), heldout=held))
    manifest = context.bundles.manifest(info.bundle)
    assert (manifest.model_format, manifest.served) == ("pickle", PORTABLE)
    assert manifest.lineage.rows == pq.read_metadata(hotel.reference).num_rows
    assert context.bundles.load(info.bundle)
    with pytest.raises(UntrustedFormat, match="--trust pickle"):
        context.bundles.load(info.bundle, original=True)


def test_a_held_out_set_is_not_the_reference(context: Context, hotel: Hotel) -> None:
    """Metrics on the training data would say nothing."""
    with pytest.raises(UsageError, match="is the reference itself"):
        register(context, asked(hotel, heldout=hotel.reference))


def test_the_settings_fill_what_was_not_said(context: Context, hotel: Hotel) -> None:
    """Unit and owner of the model's own section; the card's word and the request's go before them."""
    settings = msgspec.structs.replace(
        context.settings, models={"hotel": ModelSettings(unit="booking_id", owner="revenue team")}
    )
    info = register(replace(context, settings=settings), asked(hotel, card=ModelCard(intended_use="overbooking")))
    seen = show(context, f"hotel@{info.version}")
    assert seen.manifest.contract.unit == "booking_id"
    assert (seen.card.owner, seen.card.intended_use) == ("revenue team", "overbooking")


@pytest.mark.parametrize("text", ["hotel", "@3", "hotel@", ""])
def test_a_version_needs_name_and_number(text: str) -> None:
    """Anything else is told with an example."""
    with pytest.raises(UsageError, match="write NAME@3 or NAME@champion"):
        parse_version(text)


def test_a_version_that_is_not_there(registered: Context) -> None:
    """The error says what there is."""
    for reference in ("hotel@9", "hotel@champion"):
        with pytest.raises(NotFound, match="there are 1, challenger"):
            resolve(registered, reference)
    with pytest.raises(NotFound, match="no model 'nobody'"):
        resolve(registered, "nobody@1")
    with pytest.raises(NotFound, match="no model 'nobody'"):
        models(registered, "nobody")


def test_a_registry_that_counts_anew_gives_no_gated_number_away(hotel: Hotel, context: Context) -> None:
    """After the registry was lost, version 1 would be another bundle: registering is refused, and says why."""
    register(context, asked(hotel))
    lost = MemoryRegistry()
    reopened = replace(context, open_registry=lambda: lost)
    with pytest.raises(FairleadError, match="the journal knows hotel@1, the registry only 0 versions"):
        register(reopened, asked(hotel))
    assert lost.models() == ()


def test_a_bundle_that_was_swapped_in_the_registry_is_not_taken(hotel: Hotel, context: Context) -> None:
    """A registry's tags can be edited; what was registered stands in the journal."""
    info = register(context, asked(hotel))
    assert isinstance(context.registry, MemoryRegistry)
    context.registry._replace(info, bundle="f" * 64)
    with pytest.raises(BundleError, match="mend the registry's tag"):
        resolve(context, "hotel@1")


def test_a_delta_table_is_a_reference_at_one_version(context: Context, hotel: Hotel, tmp_path: Path) -> None:
    """The version and its digest are in the lineage, and no later write changes them."""
    table, place = pq.read_table(hotel.reference), tmp_path / "bookings"
    write_deltalake(str(place), table)
    first = register(context, asked(hotel, reference=place))
    write_deltalake(str(place), table.slice(0, 500), mode="append")
    again = register(context, asked(hotel, reference=Path(f"{place}?version=0")))
    newest = register(context, asked(hotel, reference=place))
    one, two, three = (context.bundles.manifest(info.bundle).lineage for info in (first, again, newest))
    assert (one.dataset, two.dataset, three.dataset) == (
        "bookings?version=0",
        "bookings?version=0",
        "bookings?version=1",
    )
    assert one.dataset_digest == two.dataset_digest != three.dataset_digest
    with pytest.raises(UsageError, match="is the reference itself"):
        register(context, asked(hotel, reference=Path(f"{place}?version=1"), heldout=place))
    with pytest.raises(UsageError, match="version 9 of the Delta table"):
        register(context, asked(hotel, reference=Path(f"{place}?version=9")))


def test_tags_of_the_users_own_are_kept(context: Context, hotel: Hotel) -> None:
    """With the version; a name that is not the user's, or none, is refused before anything is measured."""
    info = register(context, asked(hotel, tags={"learning rate": "0.1", "team": "pricing"}))
    assert info.tags == resolve(context, "hotel@1").tags == {"learning rate": "0.1", "team": "pricing"}
    for tags, said in (
        ({"fairlead.status": "production"}, "cannot be a tag"),
        ({"mlflow.user": "eve"}, "cannot be a tag"),
        ({"a=b": "c"}, "cannot be a tag"),
        ({"long": "x" * 5_001}, "at most 5,000 are kept"),
    ):
        with pytest.raises(UsageError, match=said):
            register(context, asked(hotel, tags=tags))
    assert len(context.registry.versions("hotel")) == 1
