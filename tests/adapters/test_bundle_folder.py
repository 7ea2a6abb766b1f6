"""Bundles in a folder."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from fairlead.adapters import bundle_folder
from fairlead.adapters.bundle_folder import BundleFolder
from fairlead.core.bundle import MANIFEST, digest_of
from fairlead.core.event import canonical
from fairlead.errors import BundleError, DigestMismatch, StateError, UntrustedFormat
from fairlead.testing.bundles import check_bundles, example


def folder(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


def test_keeps_the_port(tmp_path: Path) -> None:
    """It is a bundle store."""
    check_bundles(BundleFolder(tmp_path / "store"), folder(tmp_path / "work"))


def test_nothing_half_written_is_left(tmp_path: Path) -> None:
    """After a put, and after one that was refused, the store holds finished bundles only."""
    store = BundleFolder(tmp_path / "store")
    digest = store.put(folder(tmp_path / "a"), example(tmp_path / "a"))
    manifest = example(folder(tmp_path / "b"), name="other")
    (tmp_path / "b" / "extra").write_text("more")
    with pytest.raises(DigestMismatch, match="extra of the bundle"):
        store.put(tmp_path / "b", manifest)
    assert [path.name for path in (tmp_path / "store").iterdir()] == [digest]


def test_moves_between_file_systems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder on another file system is copied first; the last step is a rename all the same."""
    monkeypatch.setattr(bundle_folder, "_same_file_system", lambda one, other: False)
    store = BundleFolder(tmp_path / "store")
    digest = store.put(folder(tmp_path / "a"), example(tmp_path / "a", card__text="hello"))
    assert (store.path(digest) / "card/text").read_text() == "hello"
    assert not (tmp_path / "a").exists()
    assert [path.name for path in (tmp_path / "store").iterdir()] == [digest]


def test_several_may_put_the_same_bundle_at_once(tmp_path: Path) -> None:
    """Whoever comes second finds it there."""
    store = BundleFolder(tmp_path / "store")
    jobs = [(path, example(folder(path))) for path in (tmp_path / str(number) for number in range(8))]
    with ThreadPoolExecutor(8) as pool:
        digests = set(pool.map(lambda job: store.put(*job), jobs))
    assert len(digests) == 1
    store.verify(digests.pop())
    assert not any(path.exists() for path, _ in jobs)


def test_files_are_read_only(tmp_path: Path) -> None:
    """A bundle's files carry no write permission, and others may read them."""
    store = BundleFolder(tmp_path / "store")
    digest = store.put(folder(tmp_path / "a"), example(tmp_path / "a"))
    modes = {path.name: path.stat().st_mode & 0o777 for path in store.path(digest).rglob("*") if path.is_file()}
    assert modes == {"model.skops": 0o444, MANIFEST: 0o444}


def test_a_link_is_not_a_file(tmp_path: Path) -> None:
    """A file that was replaced by a link to the same bytes is found: the bytes could change behind it."""
    store = BundleFolder(tmp_path / "store")
    digest = store.put(folder(tmp_path / "a"), example(tmp_path / "a"))
    model = store.path(digest) / "model/model.skops"
    model.rename(tmp_path / "elsewhere")
    model.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DigestMismatch, match=r"model/model\.skops"):
        store.verify(digest)


@pytest.mark.parametrize("name", ["card", "model", MANIFEST])
def test_a_linked_folder_and_a_linked_manifest_are_found(tmp_path: Path, name: str) -> None:
    """A folder that was added as a link, one that was replaced by a link to the same files, and the manifest."""
    store = BundleFolder(tmp_path / "store")
    digest = store.put(folder(tmp_path / "a"), example(tmp_path / "a"))
    path, elsewhere = store.path(digest) / name, tmp_path / "elsewhere"
    if path.exists():
        path.rename(elsewhere)
    else:
        elsewhere.mkdir()
    path.symlink_to(elsewhere)
    with pytest.raises(DigestMismatch, match=f"^{name}|^model/model"):
        store.verify(digest)


def test_a_folder_with_a_linked_manifest_is_not_put(tmp_path: Path) -> None:
    """Nothing is written to where it leads."""
    store = BundleFolder(tmp_path / "store")
    manifest = example(folder(tmp_path / "a"))
    (tmp_path / "outside").write_text("mine")
    (tmp_path / "a" / MANIFEST).symlink_to(tmp_path / "outside")
    with pytest.raises(DigestMismatch, match="is a link"):
        store.put(tmp_path / "a", manifest)
    assert (tmp_path / "outside").read_text() == "mine"


def test_a_manifest_of_another_time_is_named(tmp_path: Path) -> None:
    """A manifest that this version cannot read is an error of the bundle, with a way out."""
    data = canonical({"name": "hotel", "shape": "unknown"})
    digest = sha256(data).hexdigest()
    (folder(tmp_path / "store" / digest) / MANIFEST).write_bytes(data)
    with pytest.raises(BundleError, match="upgrade fairlead"):
        BundleFolder(tmp_path / "store").manifest(digest)


def test_a_store_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A file where the folder should be is an error of the state, with the path."""
    (tmp_path / "store").write_text("a file")
    manifest = example(folder(tmp_path / "a"))
    with pytest.raises(StateError, match=r"cannot be written to .*store"):
        BundleFolder(tmp_path / "store").put(tmp_path / "a", manifest)


def test_a_pickle_is_loaded_only_when_trusted(tmp_path: Path) -> None:
    """Even a verified bundle does not run code unless its format is allowed by name."""
    manifest = msgspec.structs.replace(example(folder(tmp_path / "a")), model_format="pickle")
    digest = BundleFolder(tmp_path / "store").put(tmp_path / "a", manifest)
    assert digest == digest_of(manifest)
    with pytest.raises(UntrustedFormat, match="--trust pickle"):
        BundleFolder(tmp_path / "store").load(digest)
    with pytest.raises(BundleError, match="cannot be loaded as a pickle"):
        BundleFolder(tmp_path / "store", trust=["pickle"]).load(digest)
