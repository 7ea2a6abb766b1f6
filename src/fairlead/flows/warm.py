"""From a route table to what answers it: every version that the table names, loaded and ready."""

from __future__ import annotations

from collections.abc import Mapping
from math import isclose
from pathlib import Path

import msgspec
from msgspec import Struct

from fairlead.core.bundle import GOLDEN, PORTABLE, Golden, Manifest
from fairlead.core.decode import OutputReader, RowDecoder
from fairlead.core.route import ModelRoute, RouteTable
from fairlead.errors import BundleError, ContractError, NotFound, StateError
from fairlead.ports.bundles import BundleStore
from fairlead.ports.predictor import Predictor

ROUNDING = 1e-6


class LiveVersion(Struct, frozen=True):
    """A version that can answer: its contract compiled, its model loaded."""

    version: int
    digest: str
    manifest: Manifest
    rows: RowDecoder
    outputs: OutputReader
    predictor: Predictor


class LiveModel(Struct, frozen=True):
    """One model's route and the versions that are warm."""

    name: str
    route: ModelRoute
    versions: dict[int, LiveVersion]

    def version(self, number: int) -> LiveVersion:
        """A warm version. Raises `NotFound`."""
        try:
            return self.versions[number]
        except KeyError:
            warm = ", ".join(map(str, sorted(self.versions)))
            raise NotFound(f"version {number} of model {self.name!r} is not served here; warm are: {warm}") from None


class Live(Struct, frozen=True):
    """Everything that a worker serves. Immutable: a change is a new one, swapped by reference."""

    generation: int
    models: dict[str, LiveModel]

    def model(self, name: str) -> LiveModel:
        """A served model. Raises `NotFound`."""
        try:
            return self.models[name]
        except KeyError:
            known = ", ".join(sorted(self.models)) or "none yet: deploy one"
            raise NotFound(f"no model {name!r} is served here; served are: {known}") from None


def warm(table: RouteTable, store: BundleStore, before: Live | None) -> Live:
    """Loads what `before` does not hold yet; the rest is shared with it, and what the table no longer names is dropped.

    Blocks while it reads and loads. Raises `StateError` for a table that cannot be served, and whatever the store
    raises for a bundle; `before` then goes on serving.
    """
    loaded: dict[str, LiveVersion] = {}
    if before is not None:
        loaded = {live.digest: live for model in before.models.values() for live in model.versions.values()}
    models = {}
    for name, route in table.models.items():
        check_route(name, route)
        versions = {number: _version(number, digest, store, loaded) for number, digest in route.bundles.items()}
        models[name] = LiveModel(name, route, versions)
    return Live(table.generation, models)


def check_route(name: str, route: ModelRoute) -> None:
    """Raises `StateError` unless the arms' shares sum to 1 and every version that answers has a bundle."""
    if not route.arms:
        raise StateError(f"the route of model {name!r} has no arm: publish a table with a champion")
    total = sum(arm.share for arm in route.arms)
    if not isclose(total, 1.0, abs_tol=1e-9) or any(arm.share < 0.0 for arm in route.arms):
        shares = ", ".join(f"{arm.name} {arm.share:g}" for arm in route.arms)
        raise StateError(f"the shares of model {name!r} must be positive and sum to 1: {shares}")
    named = {arm.version for arm in route.arms} | set(route.shadows)
    cold = sorted(named - set(route.bundles))
    if cold:
        raise StateError(f"the route of model {name!r} names version {cold[0]} without a bundle: publish its digest")


def _version(number: int, digest: str, store: BundleStore, loaded: Mapping[str, LiveVersion]) -> LiveVersion:
    known = loaded.get(digest)
    if known is not None and known.version == number:
        return known
    if known is not None:
        return LiveVersion(number, digest, known.manifest, known.rows, known.outputs, known.predictor)
    manifest = store.manifest(digest)
    reader = OutputReader(manifest.contract, manifest.threshold)
    live = LiveVersion(number, digest, manifest, RowDecoder(manifest.contract), reader, store.load(digest))
    rehearse(live, store.path(digest) / GOLDEN)
    return live


def rehearse(live: LiveVersion, path: Path) -> float:
    """Answers the bundle's golden rows and returns the largest difference from the answers it was registered with.

    It also makes the first caller's request as fast as the next. Rows that the contract refuses are left out. Raises
    `BundleError` when this process answers differently, or cannot read the golden set.
    """
    try:
        golden = msgspec.json.decode(path.read_bytes(), type=Golden)
    except (OSError, msgspec.DecodeError) as error:
        raise BundleError(f"the golden set {path} cannot be read ({error}): register the version again") from error
    worst, allowed = 0.0, _tolerance(live.manifest)
    for values, expected in zip(golden.rows, golden.outputs, strict=True):
        try:
            row, _ = live.rows.check(values)
        except ContractError:
            continue
        answered = live.predictor.predict([row])[0].tolist()
        worst = max(worst, *(abs(a - e) for a, e in zip(answered, expected, strict=True)))
    if not worst <= allowed:
        raise BundleError(
            f"version {live.version} of {live.manifest.name!r} answers its golden rows up to {worst:.3g} differently "
            f"here than when it was registered (allowed: {allowed:.3g}): compare the library versions with its lineage"
        )
    return worst


def _tolerance(manifest: Manifest) -> float:
    """What parity allowed a portable model; for the original, what another processor's rounding explains."""
    if manifest.served == PORTABLE and manifest.parity is not None:
        return max(manifest.parity.tolerance, ROUNDING)
    return ROUNDING
