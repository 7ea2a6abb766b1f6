"""Looking up for messages of one call of the model: once for each, however often the rest is answered anew."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from fairlead.core.record import Prediction
from fairlead.core.route import Route
from fairlead.errors import ContractError, StateError
from fairlead.flows.answering import answered
from fairlead.flows.features import each_with_features
from fairlead.flows.serve import Arrival, Ask, Serving
from fairlead.flows.warm import LiveModel


class Filled:
    """Rows as one model's versions take them, by request. Another model, or another route of it, begins anew."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._model: LiveModel | None = None
        self._rows: dict[str, Ask | ContractError] = {}

    async def answered(
        self, model: LiveModel, asks: Sequence[Ask], arrival: Arrival, routes: Sequence[Route]
    ) -> list[Prediction]:
        """The logged answers, in order. Raises what `flows.answering.answered` does."""
        if model.lookups is None:
            return await answered(self._serving, model, asks, arrival, routes)
        rows = await self._fill(model, asks, arrival, routes)
        try:
            return await answered(self._serving, replace(model, lookups=None), rows, arrival, routes)
        except StateError:
            self._rows.clear()  # the log is away, and may be for long: what was found now is old then
            raise

    async def _fill(
        self, model: LiveModel, asks: Sequence[Ask], arrival: Arrival, routes: Sequence[Route]
    ) -> list[Ask]:
        """The rows with their features. Raises the `ContractError` of the first that has one, and `Overloaded`."""
        if model is not self._model:
            self._model, self._rows = model, {}
        left = [pair for pair in zip(asks, routes, strict=True) if pair[0].request_id not in self._rows]
        if left:
            own, dealt = [ask for ask, _ in left], [route for _, route in left]
            given = await each_with_features(self._serving, model, own, arrival, dealt)
            self._rows |= {ask.request_id: row for ask, row in zip(own, given, strict=True)}
        filled: list[Ask] = []
        for ask in asks:
            row = self._rows[ask.request_id]
            if isinstance(row, ContractError):
                raise row
            filled.append(row)
        return filled
