"""Training as a flow run of a Prefect deployment: `POST /deployments/{id}/create_flow_run`, `GET /flow_runs/{id}`.

The url is that of the API, as http://127.0.0.1:4200/api. The run's key is the idempotency key: asked again, Prefect
answers with the flow run that is there.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from fairlead.adapters.trainers.http import Service, field
from fairlead.adapters.trainers.terms import Terms
from fairlead.errors import StateError
from fairlead.ports.trainer import RunState

_ENDED = {"COMPLETED": False, "FAILED": True, "CANCELLED": True, "CRASHED": True}


class PrefectTrainer:
    """`deployment` is its id, or FLOW/DEPLOYMENT."""

    name = "prefect"

    def __init__(self, service: Service, deployment: str, terms: Terms) -> None:
        self._service = service
        self._deployment = deployment
        self._terms = terms
        self.address = service.host

    def submit(self, run: str, dataset: Path, output: Path) -> str:
        """Makes the flow run."""
        body = {
            "name": run,
            "idempotency_key": run,
            "parameters": self._terms.filled(self._terms.values(run, dataset, output)),
            "state": {"type": "SCHEDULED"},
            "tags": ["fairlead"],
        }
        path = f"/deployments/{quote(self._id(), safe='')}/create_flow_run"
        answer = self._service.ask("POST", path, body)
        if not answer.taken:
            raise self._service.refused(f"a run of the deployment {self._deployment}", answer)
        external = field(answer.document, "id")
        if not external:
            raise self._service.unread("a new flow run")
        return external

    def _id(self) -> str:
        if "/" not in self._deployment:
            return self._deployment
        path = "/".join(quote(part, safe="") for part in self._deployment.split("/", 1))
        answer = self._service.ask("GET", f"/deployments/name/{path}")
        found = field(answer.document, "id")
        if answer.taken and found:
            return found
        if answer.taken:
            raise self._service.unread("a deployment's name")
        raise self._service.refused(f"the deployment {self._deployment}", answer)

    def state(self, external: str) -> RunState:
        """Its state's type; a run that waits to be tried again is SCHEDULED, and so not over."""
        answer = self._service.ask("GET", f"/flow_runs/{quote(external, safe='')}")
        if not answer.taken:
            raise self._service.refused(f"a look at the flow run {external}", answer)
        kind = field(answer.document, "state", "type") or field(answer.document, "state_type")
        if not kind:
            raise StateError(f"the flow run {external} has no state: look at it in Prefect")
        said = " ".join(f"{kind.lower()} {field(answer.document, 'state', 'message')}".split())
        return RunState(kind in _ENDED, _ENDED.get(kind, False), said)

    def collect(self, run: str, output: Path) -> str:
        """The model's path or address."""
        return self._terms.collect(run, output)
