"""What the bundle holds: its files, its card, and whether the contract is what the training data show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fairlead.core.bundle import CARD, PROFILE, Golden, ModelCard
from fairlead.core.contract import Contract, Kind
from fairlead.core.decode import RowDecoder
from fairlead.core.gate import Check
from fairlead.core.gate_judgement import SchemaSeen, judge_card, judge_digest, judge_schema
from fairlead.errors import BundleError, ContractError, NotFound
from fairlead.flows.gate_checks.subject import Subject, decode, spread
from fairlead.ports.bundles import BundleStore
from fairlead.ports.dataset import Dataset
from fairlead.stats.grid import NumericGrid
from fairlead.stats.profile import TableProfile

_MOST_ROWS = 20_000  # held-out rows that are read one by one
_OWN = "__"  # columns of the profile that are no features begin so: the model's own score


def check_digest(bundles: BundleStore, digest: str) -> Check:
    """Every file against the manifest, and the manifest against its name."""
    try:
        manifest = bundles.verify(digest)
    except (BundleError, NotFound) as error:
        return judge_digest(error.line, 0, 0.0)
    folder = bundles.path(digest)
    return judge_digest("", len(manifest.files), sum(map(megabytes, (folder / name for name in manifest.files))))


def check_card(subject: Subject) -> Check:
    """The thirteen fields."""
    return judge_card(decode(subject.folder / CARD, ModelCard))


def check_schema(subject: Subject) -> Check:
    """The contract against the reference profile, the golden rows and every held-out row."""
    contract = subject.contract
    profile = decode(subject.folder / PROFILE, TableProfile)
    rows = read_heldout(contract, subject.heldout)
    problems = [
        *_names(contract, "the reference profile", [name for name in profile.names if not name.startswith(_OWN)]),
        *_kinds(contract, profile),
        *_golden(contract, subject.golden),
        *rows.problems,
    ]
    seen = SchemaSeen(len(contract.features), rows.rows, len(subject.golden.rows), rows.strange, rows.first_strange)
    return judge_schema(problems, seen, subject.policy)


@dataclass
class HeldoutRead:
    """Held-out rows as the gateway would read them: what it would refuse (the first of each field), and how many rows
    hold a value that training did not show."""

    rows: int
    problems: list[str]
    strange: int = 0
    first_strange: str = ""


def read_heldout(contract: Contract, table: Dataset) -> HeldoutRead:
    """Names and order, then each row."""
    names = [name for name in table.names if name != contract.target]
    read = HeldoutRead(0, list(_names(contract, "the held-out data", names)))
    if any(name not in names for name in contract.names):
        return read
    reader, told = RowDecoder(contract), set[str]()
    picked = spread(table, _MOST_ROWS)
    numbers = picked if isinstance(picked, Sequence) else range(table.rows)
    for number, values in zip(numbers, table.tuples(contract.names, picked), strict=True):
        read.rows += 1
        row = dict(zip(contract.names, values, strict=True))
        try:
            _, strange = reader.check(row, "")
        except ContractError as error:
            if error.path not in told:
                told.add(error.path)
                read.problems.append(f"held-out row {number}: {error.line.lstrip('.')}")
            continue
        read.strange += bool(strange)
        if strange and not read.first_strange:
            name, what = strange[0]
            read.first_strange = f"{name} = {row[name]!r} ({what.replace('_', ' ')}) in row {number}"
    return read


def megabytes(path: Path) -> float:
    """A file's size in 10^6 bytes."""
    return path.stat().st_size / 1e6


def _golden(contract: Contract, golden: Golden) -> Iterator[str]:
    """Golden rows are JSON objects, which have no order: the first that the gateway would refuse."""
    reader = RowDecoder(contract)
    for number, row in enumerate(golden.rows):
        try:
            reader.check(row, "")
        except ContractError as error:
            yield f"golden row {number}: {error.line.lstrip('.')}"
            return


def _names(contract: Contract, who: str, names: list[str]) -> Iterator[str]:
    """Names and order."""
    own = list(contract.names)
    missing = [name for name in own if name not in names]
    extra = [name for name in names if name not in own]
    if missing:
        yield f"{who} lacks {', '.join(missing)}"
    if extra:
        yield f"{who} also has {', '.join(extra)}"
    if not (missing or extra) and own != names:
        first = next(place for place, (one, two) in enumerate(zip(own, names, strict=True)) if one != two)
        yield f"{who} has another order, from {names[first]} on"


def _kinds(contract: Contract, profile: TableProfile) -> Iterator[str]:
    """Kinds and categories, as far as the profile tells them."""
    grids = {column.grid.name: column.grid for column in profile.columns}
    for feature in contract.features:
        grid = grids.get(feature.name)
        if grid is None:
            continue
        if isinstance(grid, NumericGrid):
            if feature.kind is Kind.CATEGORY:
                yield f"{feature.name} is a category, but numbers in the reference profile"
        elif feature.kind in (Kind.NUMBER, Kind.INTEGER):
            yield f"{feature.name} is a {feature.kind}, but categories in the reference profile"
        elif feature.categories and (unknown := [name for name in grid.categories if name not in feature.categories]):
            yield f"{feature.name} was {unknown[0]!r} in training, which the contract does not list"
