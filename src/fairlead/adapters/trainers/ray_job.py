"""Training as a Ray job: `POST /api/jobs/`, `GET /api/jobs/{id}`. The run's key is the submission's id."""

from __future__ import annotations

import shlex
from pathlib import Path
from urllib.parse import quote

from fairlead.adapters.trainers.http import Service, field
from fairlead.adapters.trainers.terms import Terms, fill
from fairlead.ports.trainer import RunState

_ENDED = {"SUCCEEDED": False, "FAILED": True, "STOPPED": True}


class RayTrainer:
    """`entrypoint` is a shell command on the cluster, with {dataset}, {output} and {run}, which are quoted in it."""

    name = "ray"

    def __init__(self, service: Service, entrypoint: str, terms: Terms) -> None:
        self._service = service
        self._entrypoint = entrypoint
        self._terms = terms
        self.address = service.host

    def submit(self, run: str, dataset: Path, output: Path) -> str:
        """Looks for the submission, and makes it where there is none. Ray refuses a second one of the same id: what
        refuses is looked at again, should another process have been faster."""
        if self._known(run):
            return run
        values = self._terms.values(run, dataset, output)
        body = {
            "entrypoint": fill(self._entrypoint, values, shlex.quote),
            "submission_id": run,
            "metadata": {"fairlead_run": run},
        }
        answer = self._service.ask("POST", "/api/jobs/", body)
        if answer.taken:
            return field(answer.document, "submission_id") or run
        if self._known(run):
            return run
        raise self._service.refused(f"the job {run}", answer)

    def _known(self, run: str) -> bool:
        answer = self._service.ask("GET", f"/api/jobs/{quote(run, safe='')}")
        if answer.status == 404:
            return False
        if not answer.taken:
            raise self._service.refused(f"a look at the job {run}", answer)
        return True

    def state(self, external: str) -> RunState:
        """Its status, with the message that Ray has for it."""
        answer = self._service.ask("GET", f"/api/jobs/{quote(external, safe='')}")
        if not answer.taken:
            raise self._service.refused(f"a look at the job {external}", answer)
        status = field(answer.document, "status")
        if not status:
            raise self._service.unread("a look at a job")
        said = " ".join(f"{status.lower()} {field(answer.document, 'message')}".split())
        return RunState(status in _ENDED, _ENDED.get(status, False), said)

    def collect(self, run: str, output: Path) -> str:
        """The model's path or address."""
        return self._terms.collect(run, output)
