"""Bundles that more than one adapter is tried on, and how a connection to PostgreSQL is lost."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from fairlead.adapters.bundle_folder import BundleFolder
from fairlead.adapters.postgres_database import Database
from fairlead.adapters.predictors.sklearn import SklearnPredictor
from fairlead.testing.candidate import CONTRACT, Parts, draw, write_candidate
from fairlead.testing.postgres import PostgresServer


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where bundles are kept."""
    return tmp_path / "bundles"


@pytest.fixture
def pickled(root: Path) -> str:
    """The digest of a bundle whose model was pickled and is served as it is."""
    import pandas as pd
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    rows, truth = draw(200, 7)
    model = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression())
    model.fit(pd.DataFrame(rows, columns=list(CONTRACT.names)), truth)
    draft = root.parent / "draft-pickled"
    draft.mkdir()
    parts = Parts(model=pickle.dumps(model), portable=None)
    manifest = write_candidate(draft, parts, SklearnPredictor(model, CONTRACT))
    return BundleFolder(root).put(draft, msgspec.structs.replace(manifest, model_format="pickle"))


@pytest.fixture
def lose(postgres: PostgresServer) -> Callable[[str, Database], None]:
    """Loses the connection to the database of a URL, and waits until the server has noticed: it does a moment later."""

    def lost(url: str, database: Database) -> None:
        before = postgres.sessions(url)
        database.close()
        deadline = time.monotonic() + 30
        while postgres.sessions(url) >= before:
            assert time.monotonic() < deadline, "the server keeps the session of a connection that was closed"
            time.sleep(0.01)

    return lost
