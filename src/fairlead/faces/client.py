"""A Python client of the data plane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

import httpx

from fairlead.errors import ContractError, NotFound, StateError


class Client:
    """Talks to a gateway. Usable as a context manager; safe to share between threads.

    `url` is the data plane's address, such as http://127.0.0.1:8080.
    """

    def __init__(self, url: str, *, timeout_seconds: float = 10.0) -> None:
        self._http = httpx.Client(base_url=url, timeout=timeout_seconds)

    def predict(self, model: str, features: Mapping[str, Any], **identity: Any) -> dict[str, Any]:
        """One prediction. `identity` may hold request_id, unit_id and timestamp.

        Raises `ContractError` when the row breaks the model's contract, `NotFound` for an unknown model, and
        `StateError` when the gateway cannot be reached or fails.
        """
        return self._post(f"/v1/models/{model}/predict", {"features": dict(features), **identity})

    def predict_many(self, model: str, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """A batch: one answer a row, in order."""
        body = {"instances": [{"features": dict(row)} for row in rows]}
        predictions: list[dict[str, Any]] = self._post(f"/v1/models/{model}/predict", body)["predictions"]
        return predictions

    def outcomes(self, outcomes: Sequence[Mapping[str, Any]]) -> None:
        """What really happened: dicts with request_id, outcome and, when it differs from now, observed_at."""
        self._post("/v1/outcomes", [dict(outcome) for outcome in outcomes])

    def events(self, events: Sequence[Mapping[str, Any]]) -> None:
        """What happened to units: dicts with model, unit_id, name, value and, to be one fact however often it is sent,
        at or event_id."""
        self._post("/v1/events", [dict(event) for event in events])

    def health(self) -> dict[str, Any]:
        """Which version each model serves."""
        return self._answer(self._send("GET", "/health"))

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _post(self, path: str, body: Any) -> dict[str, Any]:
        return self._answer(self._send("POST", path, body))

    def _send(self, method: str, path: str, body: Any = None) -> httpx.Response:
        try:
            return self._http.request(method, path, json=body)
        except ValueError as error:
            raise ContractError(
                f"the request cannot be written as JSON ({error}): NaN and infinity have no JSON"
            ) from error
        except httpx.HTTPError as error:
            raise StateError(
                f"the gateway at {self._http.base_url} did not answer ({error}): is `fairlead up` running?"
            ) from error

    def _answer(self, response: httpx.Response) -> dict[str, Any]:
        try:
            body = response.json()
        except ValueError:
            body = {}
        if response.is_success:
            answer: dict[str, Any] = body
            return answer
        said = str(body.get("error", response.reason_phrase)) if isinstance(body, dict) else response.reason_phrase
        if response.status_code == 404:
            raise NotFound(said)
        if response.status_code < 500:
            raise ContractError(said, str(body.get("path", "")) if isinstance(body, dict) else "")
        raise StateError(f"the gateway answered {response.status_code}: {said}")
