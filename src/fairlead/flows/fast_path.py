"""What answers in production: of the original and its translations, the fastest that answers as the original does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
from msgspec import Struct

from fairlead.core.bundle import Golden, Parity, Tried
from fairlead.core.contract import Contract
from fairlead.core.evaluate import Floats
from fairlead.core.listing import counted
from fairlead.errors import FairleadError
from fairlead.ports import Clock, Predictor
from fairlead.ports.model_reader import Conversion, ModelReader, OpenedModel

TOLERANCE = 1e-5
_FEW, _MANY = 20, 200  # single rows timed: of what is slow, of what is fast
_FAST = 1e-3  # seconds a row: what is fast is timed again, over more rows
_NAMES = {
    "onnx": "ONNX translation",
    "xgboost": "XGBoost booster",
    "lightgbm": "LightGBM booster",
    "catboost": "CatBoost model",
}

Row = tuple[Any, ...]


@dataclass(frozen=True)
class Original:
    """The model as it was trained, and what it answered: to the golden rows, and to held-out rows."""

    predictor: Predictor
    format: str
    golden: Golden
    asked: Sequence[Row]
    heldout: Sequence[Row]
    answers: Floats  # (n, k) to `heldout`

    @property
    def rows(self) -> list[Row]:
        """All rows that a translation is compared on."""
        return [*self.asked, *self.heldout]

    @property
    def said(self) -> Floats:
        """(n, k) answers to them."""
        return np.vstack([np.asarray(self.golden.outputs, np.float64), self.answers])


class Chosen(Struct, frozen=True):
    """What is served: a translation, or the original where there is none. `parity` and `speedup` are of what is
    served, else of the first translation that could be measured."""

    translation: Conversion | None
    parity: Parity | None
    speedup: float | None
    tried: tuple[Tried, ...]
    sentence: str


class _Measured(Struct, frozen=True):
    conversion: Conversion
    tried: Tried

    @property
    def may_serve(self) -> bool:
        """Answers as the original does, and no slower. On a clock that stands still it counts as no slower."""
        parity = self.tried.parity
        return parity is not None and parity.holds and (self.tried.speedup is None or self.tried.speedup >= 1.0)


def choose_served(
    contract: Contract, model: OpenedModel, reader: ModelReader, clock: Clock, original: Original
) -> Chosen:
    """Measures every translation against the original. A translation that fails in any way is not served."""
    seconds = _seconds(clock, original.predictor, original.asked)
    own = Tried(original.format, None, _microseconds(seconds), 1.0 if seconds > 0 else None)
    found = [
        _Measured(conversion, _tried(conversion, contract, reader, clock, (original, seconds)))
        for conversion in model.translations(contract)
    ]
    best = max((one for one in found if one.may_serve), key=lambda one: one.tried.speedup or 0.0, default=None)
    shown = best or next((one for one in found if one.tried.parity is not None), None)
    return Chosen(
        best.conversion if best else None,
        shown.tried.parity if shown else None,
        shown.tried.speedup if shown else None,
        (own, *(one.tried for one in found)),
        _sentence(best, found),
    )


def _tried(
    conversion: Conversion, contract: Contract, reader: ModelReader, clock: Clock, against: tuple[Original, float]
) -> Tried:
    original, seconds = against
    form, name = conversion.format, _NAMES[conversion.format]
    if conversion.model is None:
        return Tried(form, reason=conversion.reason)
    try:
        predictor = reader.translated(conversion, contract)
    except FairleadError as error:
        return Tried(form, reason=f"its {name} cannot be loaded: {error.line}")
    parity = _parity(name, predictor, original)
    if isinstance(parity, str):
        return Tried(form, reason=parity)
    taken = _seconds(clock, predictor, original.asked)
    speedup = round(seconds / taken, 2) if seconds > 0 and taken > 0 else None
    return Tried(form, parity, _microseconds(taken), speedup)


def _parity(name: str, translated: Predictor, original: Original) -> Parity | str:
    """The largest difference on the golden set and on held-out rows, or why there is none to be had.

    A difference of values is relative above 1.
    """
    said = original.said
    try:
        other = translated.predict(original.rows)
    except Exception as error:  # noqa: BLE001  # a runtime fails with classes of its own; the original can still be served
        text = str(error).strip().partition("\n")[0]
        return f"its {name} cannot answer ({type(error).__name__}: {text})"
    if other.shape != said.shape:
        return f"its {name} answers shape {other.shape}, not {said.shape}"
    differences = np.abs(other - said) / np.maximum(1.0, np.abs(said))
    largest = float(differences.max()) if np.isfinite(other).all() else float(np.finfo(np.float64).max)
    return Parity(len(said), largest, TOLERANCE)


def _seconds(clock: Clock, predictor: Predictor, rows: Sequence[Row]) -> float:
    """The median time of one row; 0 on a clock that stands still."""
    first = _median(clock, predictor, rows, _FEW)
    return _median(clock, predictor, rows, _MANY) if 0 < first < _FAST else first


def _median(clock: Clock, predictor: Predictor, rows: Sequence[Row], times: int) -> float:
    seconds = []
    for turn in range(times):
        row = [rows[turn % len(rows)]]
        before = clock.monotonic()
        predictor.predict(row)
        seconds.append(clock.monotonic() - before)
    return median(seconds)


def _microseconds(seconds: float) -> float | None:
    return round(seconds * 1e6, 1) if seconds > 0 else None


def _sentence(best: _Measured | None, found: Sequence[_Measured]) -> str:
    others = [_clause(one) for one in found if one is not best]
    if best is None:
        return f"the original is served: {'; '.join(dict.fromkeys(others))}"
    said = f"the {_NAMES[best.conversion.format]} is served: it {_difference(best.tried)}{_faster(best.tried)}"
    return "; ".join([said, *others])


def _clause(one: _Measured) -> str:
    parity, name = one.tried.parity, _NAMES[one.conversion.format]
    if parity is None:
        return one.tried.reason
    if not parity.holds:
        return f"its {name} {_difference(one.tried)}, beyond {parity.tolerance:g}"
    if not one.may_serve:
        return f"its {name} {_difference(one.tried)}, but answers a row {one.tried.speedup:.2g} times as fast"
    return f"its {name} {_difference(one.tried)}{_faster(one.tried)}"


def _difference(tried: Tried) -> str:
    parity = tried.parity or Parity(0, 0.0, TOLERANCE)
    return f"differs by at most {parity.largest_difference:.2g} on {counted(parity.rows, 'row')}"


def _faster(tried: Tried) -> str:
    if tried.speedup is None:
        return ""
    return f" and answers a row {tried.speedup:.{0 if tried.speedup >= 10 else 1}f} times faster"
