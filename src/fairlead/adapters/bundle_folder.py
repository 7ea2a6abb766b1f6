"""Bundles in a folder, each under its digest: put in whole or not at all, checked whenever it is read."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection
from hashlib import file_digest, sha256
from pathlib import Path
from tempfile import mkdtemp

import msgspec

from fairlead.adapters.predictors.recalibrated import recalibrated
from fairlead.adapters.predictors.served import Checked, predictor_of
from fairlead.core.bundle import MANIFEST, Manifest, digest_of
from fairlead.core.event import canonical
from fairlead.errors import BundleError, DigestMismatch, NotFound, StateError
from fairlead.ports.predictor import Predictor

_DIGEST = re.compile(r"[0-9a-f]{64}")


class BundleFolder:
    """Content-addressed and immutable. What is not finished lies under a name that begins with a dot."""

    def __init__(self, root: Path, trust: Collection[str] = ()) -> None:
        """`trust` names the model formats that may run code when they are loaded."""
        self._root = root
        self._trust = frozenset(trust)

    def put(self, folder: Path, manifest: Manifest) -> str:
        """Moves a finished folder in and returns its digest. Putting twice is putting once.

        Raises `DigestMismatch` when the folder does not hold what the manifest says, `StateError` when it cannot be
        written; the store is then as it was.
        """
        digest = digest_of(manifest)
        _check_files(folder, manifest, f"the bundle {digest[:12]}")
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            _finish(folder, manifest)
            self._move(folder, self._root / digest)
        except OSError as error:
            raise StateError(f"the bundle {digest[:12]} cannot be written to {self._root}: {error.strerror}") from error
        return digest

    def _move(self, folder: Path, target: Path) -> None:
        """A rename within the file system. Into another one a copy is made first, so that the last step is a rename."""
        if target.exists():
            shutil.rmtree(folder)
            return
        if not _same_file_system(folder, self._root):
            folder = self._copied(folder)
        try:
            folder.rename(target)
        except OSError:
            if not target.exists():
                raise
            shutil.rmtree(folder)  # another process put the same bundle in the meantime
        _sync(self._root)

    def _copied(self, folder: Path) -> Path:
        """Moves a folder into the store's own file system, under a temporary name."""
        incoming = Path(mkdtemp(prefix=".incoming-", dir=self._root))
        try:
            shutil.copytree(folder, incoming, dirs_exist_ok=True)
        except BaseException:
            shutil.rmtree(incoming, ignore_errors=True)
            raise
        shutil.rmtree(folder)
        for path in [*incoming.rglob("*"), incoming]:
            _sync(path)
        return incoming

    def path(self, digest: str) -> Path:
        """The bundle's folder. Raises `NotFound`."""
        path = self._root / digest
        if not _DIGEST.fullmatch(digest) or not path.is_dir():
            raise NotFound(f"there is no bundle {digest[:12]} in {self._root}: register the model again")
        return path

    def remove(self, digest: str) -> None:
        """Removes a bundle: it is gone at once, or not at all. Removing twice is removing once. Raises `StateError`."""
        try:
            folder = self.path(digest)
        except NotFound:
            return
        try:
            going = Path(mkdtemp(prefix=".going-", dir=self._root))
            folder.rename(going / digest)
            shutil.rmtree(going)
        except OSError as error:
            raise StateError(f"the bundle {digest[:12]} cannot be removed: {error.strerror}") from error

    def manifest(self, digest: str) -> Manifest:
        """Reads the manifest and checks it against the digest. Raises `DigestMismatch`."""
        data = _read(self.path(digest) / MANIFEST, digest)
        if sha256(data).hexdigest() != digest:
            raise _mismatch(f"the bundle {digest[:12]}", MANIFEST, "is not what was registered")
        try:
            return msgspec.json.decode(data, type=Manifest)
        except msgspec.DecodeError as error:
            raise BundleError(
                f"the bundle {digest[:12]} has a manifest that this fairlead cannot read ({error}): "
                "upgrade fairlead, or register the model again"
            ) from error

    def verify(self, digest: str) -> Manifest:
        """Checks every file's digest. Raises `DigestMismatch` naming the file that differs, is missing or is extra."""
        manifest = self.manifest(digest)
        _check_files(self.path(digest), manifest, f"the bundle {digest[:12]}")
        return manifest

    def load(self, digest: str, *, original: bool = False) -> Predictor:
        """Loads what is served, or the original model, from bytes whose digest was checked.

        Raises `DigestMismatch`, or `UntrustedFormat` for a model that runs code when it is loaded.
        """
        manifest = self.manifest(digest)
        entry = manifest.model_entry if original else manifest.served
        path = self.path(digest) / entry
        model = Checked(manifest.format_of(entry), path, self._files(digest, manifest, entry), manifest.model_call)
        code = manifest.features
        if code is None:
            return recalibrated(predictor_of(model, manifest.contract, self._trust), manifest.recalibration)
        from fairlead.adapters.features.code import bundled

        source = bundled(self.path(digest) / code.entry, self._files(digest, manifest, code.entry), code, self._trust)
        featured = source.before(lambda contract: predictor_of(model, contract, self._trust), manifest.contract)
        return recalibrated(featured, manifest.recalibration)

    def _files(self, digest: str, manifest: Manifest, entry: str) -> dict[str, bytes]:
        """The checked bytes of a file (under "") or of a folder's files, by their path in it."""
        files = {
            name.removeprefix(entry).lstrip("/"): self._checked(digest, name, stated)
            for name, stated in manifest.files.items()
            if name == entry or name.startswith(f"{entry}/")
        }
        if not files:
            raise _mismatch(f"the bundle {digest[:12]}", entry, "was not registered with it")
        return files

    def _checked(self, digest: str, name: str, stated: str) -> bytes:
        data = _read(self.path(digest) / name, digest)
        if sha256(data).hexdigest() != stated:
            raise _mismatch(f"the bundle {digest[:12]}", name, "is not what was registered")
        return data


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _check_files(folder: Path, manifest: Manifest, what: str) -> None:
    """Compares a folder, file by file, with what its manifest says. A link is no file, whatever it leads to."""
    found = {
        path.relative_to(folder).as_posix(): path
        for path in folder.rglob("*")
        if path.is_symlink() or not path.is_dir()
    }
    own = found.pop(MANIFEST, None)
    if own is not None and own.is_symlink():
        raise _mismatch(what, MANIFEST, "is a link")
    for name in sorted(set(manifest.files) | set(found)):
        if name not in found:
            raise _mismatch(what, name, "is missing")
        if name not in manifest.files:
            raise _mismatch(what, name, "was not registered with it")
        if found[name].is_symlink() or file_sha256(found[name]) != manifest.files[name]:
            raise _mismatch(what, name, "is not what was registered")


def _same_file_system(one: Path, other: Path) -> bool:
    return one.stat().st_dev == other.stat().st_dev


def _finish(folder: Path, manifest: Manifest) -> None:
    """Writes the manifest, makes the files read-only, and has all of it on the disk before it gets its name."""
    (folder / MANIFEST).write_bytes(canonical(manifest))
    folder.chmod(0o755)  # temporary folders are private; a gateway may run as another user
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(0o444)
        _sync(path)
    _sync(folder)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _read(path: Path, digest: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _mismatch(f"the bundle {digest[:12]}", path.name, f"cannot be read: {error.strerror}") from error


def _mismatch(what: str, name: str, how: str) -> DigestMismatch:
    return DigestMismatch(f"{name} of {what} {how}: restore the folder from a backup, or register the model again")
