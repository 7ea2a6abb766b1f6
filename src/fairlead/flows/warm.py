"""From a route table to what answers it: every version that the table names, loaded and ready."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from math import isclose
from pathlib import Path
from types import MappingProxyType

import msgspec
from msgspec import Struct

from fairlead.core.agreement import agreement
from fairlead.core.bundle import GOLDEN, TRANSLATIONS, Golden, Manifest
from fairlead.core.contract import Contract
from fairlead.core.decode import OutputReader, Row, RowDecoder
from fairlead.core.lookup import LookedUp
from fairlead.core.pace import SIZES, Pace, paced
from fairlead.core.route import Arm, ModelRoute, RouteTable
from fairlead.errors import BundleError, ContractError, NotFound, StateError
from fairlead.flows.lookups import Lookups
from fairlead.ports.bundles import BundleStore
from fairlead.ports.clock import Clock
from fairlead.ports.predictor import Predictor

ROUNDING = 1e-6
TRIES = 9  # how often a row is timed, and a third as often a batch; the least counts, since noise only adds
MOST_SECONDS = 1.0  # what timing one size may take; a batch that might take longer is not timed


class LiveVersion(Struct, frozen=True):
    """A version that can answer: its contract compiled, its model loaded. `pace` is what its answers cost here;
    `features` are looked up for its requests by `lookups`, None where a request brings them all."""

    version: int
    digest: str
    manifest: Manifest
    rows: RowDecoder
    outputs: OutputReader
    predictor: Predictor
    pace: Pace = Pace()
    features: LookedUp | None = None
    lookups: Lookups | None = None

    @property
    def asked(self) -> Contract:
        """The contract of what a request brings."""
        return self.manifest.contract if self.features is None else self.features.asked


class LiveModel(Struct, frozen=True):
    """One model's route and the versions that are warm. `is_quick`: each of them may answer on the event loop, and
    nothing is looked up for any by `lookups`."""

    name: str
    route: ModelRoute
    versions: dict[int, LiveVersion]
    is_quick: bool = True
    lookups: Lookups | None = None

    def version(self, number: int) -> LiveVersion:
        """A warm version. Raises `NotFound`."""
        try:
            return self.versions[number]
        except KeyError:
            warm = ", ".join(map(str, sorted(self.versions)))
            raise NotFound(f"version {number} of model {self.name!r} is not served here; warm are: {warm}") from None


class Live(Struct, frozen=True):
    """Everything that a worker serves. Immutable: a change is a new one, swapped by reference.

    `errors` names each model that cannot be served as its table says, and why; `waiting` those that are being loaded
    for it. Until they can they are served as before, or by their champion alone, or not at all.
    """

    generation: int
    models: dict[str, LiveModel]
    errors: dict[str, str] = {}
    waiting: tuple[str, ...] = ()

    def model(self, name: str) -> LiveModel:
        """A served model. Raises `NotFound`."""
        try:
            return self.models[name]
        except KeyError:
            known = ", ".join(sorted(self.models)) or "none yet: deploy one"
            raise NotFound(f"no model {name!r} is served here; served are: {known}") from None


def by_version(versions: Iterable[LiveVersion]) -> list[tuple[LiveVersion, list[int]]]:
    """Each version once, with the places at which it stands, in order."""
    places: dict[int, tuple[LiveVersion, list[int]]] = {}
    for at, live in enumerate(versions):
        places.setdefault(id(live), (live, []))[1].append(at)
    return list(places.values())


def load(
    number: int,
    digest: str,
    store: BundleStore,
    clock: Clock | None = None,
    lookups: Mapping[str, Lookups] = MappingProxyType({}),
) -> LiveVersion:
    """A version, ready to answer. Blocks while it reads and loads; raises what the store, `rehearse` and its model's
    `lookups` (by name) do.

    With a clock its answers are timed; without one they count as free.
    """
    manifest = store.manifest(digest)
    reader = OutputReader(manifest.contract, manifest.threshold)
    looking = lookups.get(manifest.name)
    features = looking.of(manifest.contract) if looking is not None else None
    rows, predictor = RowDecoder(manifest.contract), store.load(digest)
    live = LiveVersion(number, digest, manifest, rows, reader, predictor, features=features, lookups=looking)
    asked = rehearse(live, store.path(digest) / GOLDEN)
    return (
        live
        if clock is None
        else msgspec.structs.replace(live, pace=measure(live.predictor, asked, clock, tolerance(manifest)))
    )


def arrange(
    table: RouteTable, versions: Mapping[str, LiveVersion], faults: Mapping[str, str], before: Live | None
) -> Live:
    """What can be served of a table with the versions that are loaded; `faults` are the bundles that cannot be.

    Both go by the bundles' digests. Each model stands by itself: one whose versions are all there is served as the
    table says, whatever becomes of another. The generation is the table's once every version is loaded or known to
    fail, else still the one before.
    """
    models, errors = {}, {}
    waiting: list[str] = []
    for name, route in table.models.items():
        error = _fault(name, route, faults)
        if not error and all(digest in versions for digest in route.bundles.values()):
            models[name] = _live(name, route, versions)
            continue
        known = before.models.get(name) if before is not None else None
        model = known or _champion_alone(name, route, versions)
        if model is not None:
            models[name] = model
        if error:
            errors[name] = error
        else:
            waiting.append(name)
    generation = table.generation if not waiting else before.generation if before is not None else 0
    return Live(generation, models, errors, tuple(waiting))


def _fault(name: str, route: ModelRoute, faults: Mapping[str, str]) -> str:
    try:
        check_route(name, route)
    except StateError as error:
        return error.line
    bad = (f"version {number}: {faults[digest]}" for number, digest in route.bundles.items() if digest in faults)
    return "; ".join(bad)


def _live(name: str, route: ModelRoute, versions: Mapping[str, LiveVersion]) -> LiveModel:
    warm = {number: _numbered(number, versions[at]) for number, at in route.bundles.items()}
    lookups = next((version.lookups for version in warm.values() if version.features is not None), None)
    is_quick = lookups is None and all(version.pace.is_quick for version in warm.values())
    return LiveModel(name, route, warm, is_quick, lookups)


def _champion_alone(name: str, route: ModelRoute, versions: Mapping[str, LiveVersion]) -> LiveModel | None:
    """A model that was not served before, without the version that cannot be loaded. It draws no arms, so what it
    answers is no evidence for a rollout."""
    champion = route.arms[-1].version if route.arms else None
    if champion is None or route.bundles.get(champion) not in versions:
        return None
    alone = ModelRoute((Arm(route.arms[-1].name, champion, 1.0),), {champion: route.bundles[champion]})
    return _live(name, alone, versions)


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


def _numbered(number: int, known: LiveVersion) -> LiveVersion:
    if known.version == number:
        return known
    return msgspec.structs.replace(known, version=number)


def rehearse(live: LiveVersion, path: Path) -> list[Row]:
    """Answers the bundle's golden rows, compares with the answers it was registered with, and returns the rows.

    It also makes the first caller's request as fast as the next. Rows that the contract refuses are left out. Raises
    `BundleError` when this process answers differently, or cannot read the golden set.
    """
    worst, allowed = 0.0, tolerance(live.manifest)
    golden = golden_rows(live, path)
    for row, expected in golden:
        worst = max(worst, agreement([expected], live.predictor.predict([row]), allowed).largest_difference)
    if not worst <= allowed:
        raise BundleError(
            f"version {live.version} of {live.manifest.name!r} answers its golden rows up to {worst:.3g} differently "
            f"here than when it was registered (allowed: {allowed:.3g}): compare the library versions with its lineage"
        )
    return [row for row, _ in golden]


def golden_rows(live: LiveVersion, path: Path) -> list[tuple[Row, tuple[float, ...]]]:
    """A bundle's golden rows as its model takes them, each with the answer that was recorded; those that the contract
    refuses are left out. Raises `BundleError` where the set cannot be read."""
    try:
        golden = msgspec.json.decode(path.read_bytes(), type=Golden)
    except (OSError, msgspec.DecodeError) as error:
        raise BundleError(f"the golden set {path} cannot be read ({error}): register the version again") from error
    kept: list[tuple[Row, tuple[float, ...]]] = []
    for values, expected in zip(golden.rows, golden.outputs, strict=True):
        try:
            kept.append((live.rows.check(values)[0], expected))
        except ContractError:
            continue
    return kept


def measure(predictor: Predictor, rows: Sequence[Row], clock: Clock, tolerance: float = ROUNDING) -> Pace:
    """Times single rows and batches of `SIZES`, after the rehearsal: what a first call costs extra is not in it.

    Batches are timed, and so are ever joined from rows of different requests, only where a row's answer does not
    depend on the rows beside it: a model that scales by its batch, or takes one row only, answers each alone.
    """
    if not rows:
        return Pace()
    single = _least_seconds(predictor, [[rows[turn % len(rows)]] for turn in range(TRIES)], clock)
    batches: list[tuple[int, float]] = []
    try:
        if not _answers_alike(predictor, rows[: _affordable(single)], tolerance):
            return Pace(single)
        for size in SIZES[: bisect_right(SIZES, _affordable(single))]:
            batch = [rows[at % len(rows)] for at in range(size)]
            batches.append((size, _least_seconds(predictor, [batch] * (TRIES // 3), clock)))
    except Exception:  # noqa: BLE001 - whatever a model raises: larger batches are not for it
        return paced(single, batches)
    return paced(single, batches)


def _affordable(single: float) -> int:
    """The rows that are surely answered within `MOST_SECONDS`: at least 2, at most the largest of `SIZES`."""
    return max(2, min(SIZES[-1], int(MOST_SECONDS / single))) if single > 0.0 else SIZES[-1]


def _answers_alike(predictor: Predictor, rows: Sequence[Row], tolerance: float) -> bool:
    """Whether rows get the same answers together as alone."""
    alone = [predictor.predict([row])[0] for row in rows]
    return agreement(alone, predictor.predict(rows), tolerance).holds


def _least_seconds(predictor: Predictor, batches: Sequence[Sequence[Row]], clock: Clock) -> float:
    begun = clock.monotonic()
    least = float("inf")
    for batch in batches:
        at = clock.monotonic()
        predictor.predict(batch)
        now = clock.monotonic()
        least = min(least, now - at)
        if now - begun > MOST_SECONDS:
            break
    return least


def tolerance(manifest: Manifest) -> float:
    """How far an answer may be from the recorded one, absolute, and relative to answers beyond 1: what parity allowed
    a portable model; for the original, what another processor's rounding explains."""
    if manifest.served in TRANSLATIONS.values() and manifest.parity is not None:
        return max(manifest.parity.tolerance, ROUNDING)
    return ROUNDING
