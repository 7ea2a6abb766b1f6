"""Bundles that more than one adapter is tried on."""

from __future__ import annotations

import pickle
from pathlib import Path

import msgspec
import pytest

from fairlead.adapters.bundle_folder import BundleFolder
from fairlead.adapters.predictors.sklearn import SklearnPredictor
from fairlead.testing.candidate import CONTRACT, Parts, draw, write_candidate


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
