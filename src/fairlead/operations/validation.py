"""A contract against a table, as the gateway would hold it against each row: `validate(table, contract)`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fairlead.adapters.bundle_folder import BundleFolder
from fairlead.adapters.contract_columns import FATES, ContractColumns, Look, shown_value
from fairlead.adapters.sources.rows import Chunk, open_rows
from fairlead.adapters.sqlite_journal import SqliteJournal
from fairlead.adapters.tables import as_table
from fairlead.core.contract import Contract, Policy
from fairlead.core.decode import shown
from fairlead.core.event import AliasMoved, VersionRegistered
from fairlead.core.examine import BROKEN_RULE, WHATS, Breach, Fate
from fairlead.core.listing import counted, first_of
from fairlead.core.verdict import Outcome, Verdict
from fairlead.errors import NotFound, UsageError
from fairlead.operations.context import Context
from fairlead.operations.models import resolve
from fairlead.operations.validation_values import ContractReport, Example, FieldReport
from fairlead.ports import Journal

EXAMPLES = 3  # of each kind in a field
SLICE = 1 << 16  # rows of a table in memory that are looked at together
NAMED = 5  # fields that the verdict names

Progress = Callable[[int, int], None]


def validate(
    table: Any, contract: Contract | str, *, allow: float = 0.0, home: str | Path = ".fairlead"
) -> ContractReport:
    """Holds a contract against a table, without a model: what would the gateway make of each row?

    `table` is a pandas, polars or Arrow table, a dict of columns, or the path of a Parquet file or folder, a Delta
    table, a CSV or JSON lines file; other columns than the contract's are passed over. `contract` is one, or the
    version that has it, as `NAME@V` of the home folder `home`. `allow` is the share of rows that may be refused or
    fall back, in [0, 1).

    Raises `TableError` for a table that cannot be read, `NotFound` for an unknown version, `UsageError`.

    >>> from fairlead.core.contract import Feature, Kind, Task
    >>> contract = Contract((Feature("age", Kind.INTEGER, maximum=120.0),), Task.BINARY, "y", ("0", "1"))
    >>> report = validate({"age": [30, 40, None, 400]}, contract)
    >>> report.verdict.outcome.value, report.refused, report.warned
    ('breached', 1, 1)
    """
    found, name = (contract, "") if isinstance(contract, Contract) else _registered(Path(home), contract)
    return held_against(table, found, name, allow=allow)


def validate_version(
    context: Context, version: str, data: str, *, allow: float = 0.0, progress: Progress | None = None
) -> ContractReport:
    """The same for a version of an opened home. Raises what `validate` does."""
    info = resolve(context, version)
    contract = context.bundles.manifest(info.bundle).contract
    return held_against(data, contract, f"{info.model}@{info.version}", allow=allow, progress=progress)


def held_against(
    table: Any, contract: Contract, name: str = "", *, allow: float = 0.0, progress: Progress | None = None
) -> ContractReport:
    """The report of one contract. `progress` is told the rows that are done, and in all (0 where nobody knows)."""
    if not 0.0 <= allow < 1.0:
        raise UsageError(f"allow is {allow:g}: it is the share of rows that may break the contract, from 0 to below 1")
    columns, gathered = ContractColumns(contract), _Gathered(contract)
    rows, chunks = _chunks(table, contract)
    for chunk in chunks:
        gathered.add(columns.look(chunk))
        if progress is not None:
            progress(gathered.rows, rows)
    return gathered.report(name or contract.target, allow)


class _Gathered:
    """Counts over chunks."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._fates: Counter[Fate] = Counter()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._refused: Counter[str] = Counter()
        self._examples: dict[tuple[str, str], list[Example]] = {}
        self._unread = 0
        self.rows = 0

    def add(self, look: Look) -> None:
        self._fates.update(dict(zip(FATES, np.bincount(look.fates, minlength=len(FATES)).tolist(), strict=True)))
        self._unread += look.unread
        for breach, places in look.breaches.items():
            key = (breach.field, breach.what)
            self._counts[key] += places.size
            self._refused[breach.field] += places.size if breach.policy is Policy.REJECT else 0
            known = self._examples.setdefault(key, [])
            known += [self._example(look, breach, at) for at in places[: EXAMPLES - len(known)].tolist()]
        self.rows += look.fates.size

    def _example(self, look: Look, breach: Breach, place: int) -> Example:
        rule = breach.what == BROKEN_RULE
        value = "" if rule else shown(shown_value(look, breach.field, place))
        return Example(self.rows + place, breach.what, value)

    def report(self, name: str, allow: float) -> ContractReport:
        fields = [self._field(one.name, one.kind.value) for one in self._contract.features]
        fields += [self._field(rule.text, "rule") for rule in self._contract.rules]
        counts = {fate: self._fates[fate] for fate in FATES}
        bad = counts[Fate.REFUSED] + counts[Fate.FALLBACK]
        verdict = _verdict(self.rows, bad, allow, fields, self._unread)
        told = {fate.value: count for fate, count in counts.items()}
        return ContractReport(
            verdict=verdict,
            contract=name,
            rows=self.rows,
            **told,
            unread=self._unread,
            allow=allow,
            fields=tuple(fields),
        )

    def _field(self, name: str, kind: str) -> FieldReport:
        counts = {what: self._counts[name, what] for what in WHATS}
        examples = tuple(one for what in WHATS for one in self._examples.get((name, what), ()))
        return FieldReport(name, kind, **counts, refused=self._refused[name], examples=examples)


def _verdict(rows: int, bad: int, allow: float, fields: list[FieldReport], unread: int) -> Verdict:
    if not rows:
        return Verdict(Outcome.UNMEASURED, "the table has no rows: nothing can be said of it")
    if not bad:
        strange = sum(one.strange > 0 for one in fields)
        said = f", with something strange in {counted(strange, 'field')}" if strange else ""
        return Verdict(Outcome.HOLDS, f"all {counted(rows, 'row')} may be answered{said}")
    worst = sorted((one for one in fields if one.refused), key=lambda one: -one.refused)
    told = [f"{one.name} ({one.refused:,})" for one in worst] + ([f"no object ({unread:,})"] if unread else [])
    because = f": {first_of(told, NAMED)}" if told else ""
    share = f"{bad:,} of {counted(rows, 'row')} ({bad / rows:.2%}) would be refused or fall back"
    if bad <= allow * rows:
        return Verdict(Outcome.HOLDS, f"{share}, within the {allow:.2%} that are allowed{because}")
    return Verdict(Outcome.BREACHED, f"{share}{because}")


def _chunks(table: Any, contract: Contract) -> tuple[int, Iterable[Chunk]]:
    """The rows in all (0: unknown), and the chunks."""
    if isinstance(table, str | Path):
        source = open_rows(str(table))
        names = [name for name in contract.names if name in source.columns]
        return source.rows or 0, (chunk for part in source.parts() for chunk in part.chunks(names))
    held = as_table(table)
    return held.num_rows, _slices(held)


def _slices(table: Any) -> Iterator[Chunk]:
    for start in range(0, table.num_rows, SLICE):
        part = table.slice(start, SLICE)
        yield Chunk(part.num_rows, part)


def _registered(home: Path, version: str) -> tuple[Contract, str]:
    """The contract of a version, as the journal of a home knows it: no registry is opened. Raises `NotFound`."""
    name, _, which = version.partition("@")
    if not home.is_dir():
        raise NotFound(f"there is no home folder at {home}: pass home=, or a contract in the place of {version!r}")
    journal = SqliteJournal(home / "journal.db")
    digests = {
        entry.fact.version: entry.fact.bundle
        for entry in journal.read(model=name, kinds=["version_registered"])
        if isinstance(entry.fact, VersionRegistered)
    }
    number = int(which) if which.isdecimal() else _holder(journal, name, which)
    if number not in digests:
        there = first_of([f"{name}@{each}" for each in digests]) or "none of this name"
        raise NotFound(f"no version {version!r} is registered in {home}: there is {there}")
    return BundleFolder(home / "bundles").manifest(digests[number]).contract, f"{name}@{number}"


def _holder(journal: Journal, name: str, alias: str) -> int | None:
    facts = [entry.fact for entry in journal.read(model=name, kinds=["alias_moved"])]
    held = [fact.version for fact in facts if isinstance(fact, AliasMoved) and fact.alias == alias]
    return held[-1] if held else None
