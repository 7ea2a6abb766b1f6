"""Where bundles are kept, by digest."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from fairlead.core.bundle import Manifest
from fairlead.ports.predictor import Predictor


class BundleStore(Protocol):
    """Content-addressed and immutable."""

    def put(self, folder: Path, manifest: Manifest) -> str:
        """Moves a finished folder in, atomically, and returns its digest. Putting twice is putting once."""
        ...

    def path(self, digest: str) -> Path:
        """The bundle's folder. Raises `NotFound`."""
        ...

    def manifest(self, digest: str) -> Manifest:
        """Reads the manifest and checks it against the digest. Raises `DigestMismatch`."""
        ...

    def verify(self, digest: str) -> Manifest:
        """Checks every file's digest. Raises `DigestMismatch` naming the file."""
        ...

    def load(self, digest: str, *, original: bool = False) -> Predictor:
        """Verifies and loads what is served, or the original model."""
        ...
