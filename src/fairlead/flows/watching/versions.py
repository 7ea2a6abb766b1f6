"""The references of one model's versions: each is loaded when it is first asked for."""

from __future__ import annotations

import logging
from collections.abc import Callable

from fairlead.errors import FairleadError
from fairlead.flows.watching.reference import Reference

_LOG = logging.getLogger("fairlead.watch")


class Versions:
    """Of one model. `load` reads the reference of a bundle's digest and a version."""

    def __init__(self, model: str, load: Callable[[str, int], Reference]) -> None:
        self._model = model
        self._load = load
        self._known: dict[int, Reference | str] = {}  # or why there is none
        self.digests: dict[int, str] = {}

    def register(self, version: int, digest: str) -> None:
        """A version has this bundle from now on."""
        self.digests[version] = digest
        self._known.pop(version, None)

    def held(self, version: int) -> Reference | str | None:
        """What is known of a version; None before it was loaded."""
        return self._known.get(version)

    def loaded(self, version: int) -> Reference | str:
        """A version's reference, or why there is none."""
        found = self._known[version] = self._read(version)
        return found

    def _read(self, version: int) -> Reference | str:
        digest = self.digests.get(version)
        if digest is None:
            return f"version {version} of {self._model} was never registered"
        try:
            return self._load(digest, version)
        except Exception as error:  # noqa: BLE001 - a model may raise anything: then it is unmeasured, and says why
            _LOG.exception("version %d of %s cannot be watched", version, self._model)
            if isinstance(error, FairleadError):
                return error.line
            first = f"{type(error).__name__}: {error}".partition("\n")[0]
            return f"version {version} of {self._model} cannot be asked about its held-out rows ({first})"
