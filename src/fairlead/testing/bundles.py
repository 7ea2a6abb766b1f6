"""Bundles with scripted models, and what every bundle store keeps."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import msgspec

from fairlead.core.bundle import MANIFEST, Lineage, Manifest, digest_of
from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.core.event import canonical
from fairlead.errors import DigestMismatch, FairleadError, NotFound
from fairlead.ports.bundles import BundleStore
from fairlead.ports.predictor import Predictor
from fairlead.testing.predictor import FixedPredictor


class ScriptedBundles:
    """Keeps folders as they are; answers with the predictors it was given."""

    def __init__(self, root: Path, default: Predictor | None = None) -> None:
        """`default` answers for bundles that have no script."""
        self._root = root
        self._default = default or FixedPredictor()
        self._scripts: dict[tuple[str, bool], Predictor] = {}

    def script(self, digest: str, predictor: Predictor, *, original: bool = False) -> None:
        """Says what `load` gives."""
        self._scripts[digest, original] = predictor

    def put(self, folder: Path, manifest: Manifest) -> str:
        """Copies a folder in and removes it where it was."""
        digest = digest_of(manifest)
        (folder / MANIFEST).write_bytes(canonical(manifest))
        _compare(folder, manifest)
        shutil.copytree(folder, self._root / digest, dirs_exist_ok=True)
        shutil.rmtree(folder)
        return digest

    def path(self, digest: str) -> Path:
        """The bundle's folder."""
        if not (self._root / digest / MANIFEST).exists():
            raise NotFound(f"there is no bundle {digest}")
        return self._root / digest

    def manifest(self, digest: str) -> Manifest:
        """Reads and checks the manifest."""
        data = (self.path(digest) / MANIFEST).read_bytes()
        if sha256(data).hexdigest() != digest:
            raise DigestMismatch(f"{MANIFEST} is not what was registered")
        return msgspec.json.decode(data, type=Manifest)

    def verify(self, digest: str) -> Manifest:
        """Checks every file."""
        manifest = self.manifest(digest)
        _compare(self.path(digest), manifest)
        return manifest

    def load(self, digest: str, *, original: bool = False) -> Predictor:
        """Checks the files and gives the scripted predictor."""
        self.verify(digest)
        return self._scripts.get((digest, original), self._default)


def _compare(folder: Path, manifest: Manifest) -> None:
    found = {
        path.relative_to(folder).as_posix(): sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name != MANIFEST
    }
    for name in found.keys() | manifest.files.keys():
        if found.get(name) != manifest.files.get(name):
            raise DigestMismatch(f"{name} is not what was registered")


def example(folder: Path, name: str = "hotel", **files: str) -> Manifest:
    """Writes a small bundle's files (`a__b` stands for a/b) and returns its manifest. It holds no real model."""
    contents = {"model/model.skops": "not a model"} | {path.replace("__", "/"): text for path, text in files.items()}
    for path, text in contents.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return Manifest(
        name=name,
        contract=Contract((Feature("nights", Kind.INTEGER),), Task.BINARY, "canceled", ("0", "1")),
        model_format="skops",
        model_entry="model/model.skops",
        served="model/model.skops",
        files={path: sha256(text.encode()).hexdigest() for path, text in contents.items()},
        lineage=Lineage("july", "0" * 64, 10),
        metrics={"auroc": 0.7},
    )


def check_bundles(store: BundleStore, workspace: Path) -> None:
    """What every store keeps. `store` is empty and keeps its bundles in folders; `workspace` is an empty folder."""
    check_put(store, workspace)
    check_unfinished(store, workspace)
    check_tampering(store, workspace)


def _folder(workspace: Path, name: str) -> Path:
    folder = workspace / name
    folder.mkdir()
    return folder


def check_put(store: BundleStore, workspace: Path) -> None:
    """A folder moves in under its digest; putting it again changes nothing; an unknown digest is not found."""
    folder = _folder(workspace, "first")
    manifest = example(folder, card__text="hello")
    digest = store.put(folder, manifest)
    assert digest == digest_of(manifest), "a bundle is called by its manifest's digest"
    assert not folder.exists(), "the folder was moved"
    assert store.manifest(digest) == manifest, "the manifest is read back"
    assert store.verify(digest) == manifest, "a fresh bundle verifies"
    assert (store.path(digest) / "card/text").read_text() == "hello", "its files are there"
    again = _folder(workspace, "again")
    assert store.put(again, example(again, card__text="hello")) == digest, "putting twice is putting once"
    assert not again.exists(), "the second folder is gone too"
    for missing in ("0" * 64, "", "..", "../" + digest):
        _raises(NotFound, lambda missing=missing: store.path(missing))  # type: ignore[misc]  # bound on purpose
        _raises(NotFound, lambda missing=missing: store.load(missing))  # type: ignore[misc]  # bound on purpose


def check_unfinished(store: BundleStore, workspace: Path) -> None:
    """A folder that is not what its manifest says is refused, and nothing is kept."""
    folder = _folder(workspace, "unfinished")
    manifest = example(folder, name="unfinished")
    (folder / "model/model.skops").write_text("another")
    _raises(DigestMismatch, lambda: store.put(folder, manifest))
    _raises(NotFound, lambda: store.path(digest_of(manifest)))


def check_tampering(store: BundleStore, workspace: Path) -> None:
    """A file that was changed, removed or added is found, and a changed model is not loaded."""
    for number, act in enumerate(("changed", "removed", "added", "manifest")):
        folder = _folder(workspace, act)
        digest = store.put(folder, example(folder, name=f"m{number}", card__text="hello"))
        model = store.path(digest) / "model/model.skops"
        model.chmod(0o644)
        if act == "changed":
            model.write_text("another")
            _raises(DigestMismatch, lambda digest=digest: store.load(digest))  # type: ignore[misc]  # bound on purpose
        elif act == "removed":
            model.unlink()
        elif act == "added":
            model.with_name("extra").write_text("more")
        else:
            manifest = store.path(digest) / MANIFEST
            manifest.chmod(0o644)
            manifest.write_bytes(manifest.read_bytes().replace(b'"july"', b'"june"'))
        _raises(DigestMismatch, lambda digest=digest: store.verify(digest))  # type: ignore[misc]  # bound on purpose


def _raises(error: type[FairleadError], call: Callable[[], object]) -> None:
    try:
        call()
    except error:
        return
    raise AssertionError(f"{error.__name__} was expected")
