"""Held-out rows with values taken away, put out of range and replaced by unseen ones, as the contract lets through."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import nan
from typing import Any

import numpy as np

from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.core.decode import RowDecoder
from fairlead.core.gate import Check
from fairlead.core.judge_model import Disturbed, judge_robust
from fairlead.core.training import quality, truths
from fairlead.errors import ContractError
from fairlead.flows.gate_checks.subject import Subject, spread
from fairlead.stats.performance import Floats

ROWS = 1_000
_SHARE = 0.05  # of each feature's values that are disturbed
_WIDTHS = 3.0  # of its range, by which a number is put out of it
_UNSEEN = "never seen before"

Row = tuple[Any, ...]
Change = Callable[[Feature, Any], Any]


def check_robust(subject: Subject) -> Check:
    """One twentieth of each feature's values disturbed, in each of three ways, and every feature alone and wholly."""
    contract, table = subject.contract, subject.heldout
    rows = table.tuples((*contract.names, contract.target), spread(table, ROWS))
    truth = truths(contract.task, contract.classes, [row[-1] for row in rows])
    kept = [place for place in range(len(rows)) if not np.isnan(truth[place])]
    seen = _Disturbing(subject, [rows[place][:-1] for place in kept], truth[kept])
    return judge_robust(seen.all(), subject.policy)


class _Disturbing:
    """Counts what becomes of disturbed rows."""

    def __init__(self, subject: Subject, rows: Sequence[Row], truth: Floats) -> None:
        self._contract: Contract = subject.contract
        self._served = subject.served
        self._reader = RowDecoder(subject.contract)
        self._rows = list(rows)
        self._truth = truth
        self.asked = self.refused = self.broken = 0
        self.first = ""

    def all(self) -> Disturbed:
        """Every way; the quality that counts is the lowest of the three."""
        if not self._rows:
            return Disturbed(0, 0, 0, "", nan, nan)
        self._each_alone()
        found = {name: self._spread(name, change) for name, change in _WAYS.items()}
        before, after = min(found.values(), key=lambda pair: pair[1] - pair[0] if pair[1] == pair[1] else 0.0)
        each = {name: pair[1] for name, pair in found.items()}
        return Disturbed(self.asked, self.refused, self.broken, self.first, before, after, each)

    def _each_alone(self) -> None:
        """A good row with one strange value, feature by feature: whatever goes wrong is told by that feature's name."""
        for place, feature in enumerate(self._contract.features):
            for name, change in _WAYS.items():
                value = change(feature, self._rows[0][place])
                self._answered([(*self._rows[0][:place], value, *self._rows[0][place + 1 :])], f"{feature.name} {name}")

    def _spread(self, name: str, change: Change) -> tuple[float, float]:
        """The quality before and after, on the rows that both times were answered."""
        rng = np.random.default_rng(0)
        hit = rng.random((len(self._rows), len(self._contract.features))) < _SHARE
        mixed = [
            tuple(
                change(feature, value) if hit[number, place] else value
                for place, (feature, value) in enumerate(zip(self._contract.features, row, strict=True))
            )
            for number, row in enumerate(self._rows)
        ]
        kept, said = self._answered(mixed, f"values {name}")
        if said is None or not kept:
            return nan, nan
        task, truth = self._contract.task, self._truth[kept]
        before = self._served.predict([self._rows[place] for place in kept])
        return quality(task, truth, before).value, quality(task, truth, said).value

    def _answered(self, rows: Sequence[Row], what: str) -> tuple[list[int], Floats | None]:
        """Which rows the contract lets through, and the answers to them; None where they are no answers."""
        read: list[Row] = []
        kept: list[int] = []
        for number, row in enumerate(rows):
            try:
                clean, _ = self._reader.check(dict(zip(self._contract.names, row, strict=True)), "")
            except ContractError:
                self.refused += 1
                continue
            read.append(clean)
            kept.append(number)
        self.asked += len(rows)
        if not read:
            return kept, None
        try:
            said = self._served.predict(read)
        except Exception as error:  # noqa: BLE001 - a model is somebody else's code: it may fail in any way
            self._wrong(len(read), f"{what}: {type(error).__name__}: {str(error).strip().partition(chr(10))[0]}")
            return kept, None
        bad = ~np.isfinite(said).all(axis=1)
        if self._contract.task is not Task.REGRESSION:
            bad |= (np.nan_to_num(said) < -1e-6).any(axis=1) | (np.nan_to_num(said) > 1 + 1e-6).any(axis=1)
        if bad.any():
            self._wrong(int(bad.sum()), f"{what}: answered {said[np.flatnonzero(bad)[0]].tolist()}")
            return kept, None
        return kept, said

    def _wrong(self, count: int, what: str) -> None:
        self.broken += count
        self.first = self.first or what


def _nothing(_feature: Feature, _value: Any) -> Any:
    """A null, which the contract takes, fills or refuses."""
    return None


def _far(feature: Feature, value: Any) -> Any:
    """A number three ranges above its own; anything else as it was."""
    if feature.kind not in (Kind.NUMBER, Kind.INTEGER) or feature.maximum is None or feature.minimum is None:
        return value
    far = feature.maximum + _WIDTHS * max(feature.maximum - feature.minimum, 1.0)
    return round(far) if feature.kind is Kind.INTEGER else far


def _strange(feature: Feature, value: Any) -> Any:
    """A category that nobody has seen; anything else as it was."""
    return _UNSEEN if feature.kind is Kind.CATEGORY else value


_WAYS: dict[str, Change] = {"missing": _nothing, "out_of_range": _far, "unseen": _strange}
