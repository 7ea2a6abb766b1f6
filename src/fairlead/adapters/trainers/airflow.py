"""Training as a DAG run of Airflow 3: `POST /api/v2/dags/{dag}/dagRuns`, `GET /api/v2/dags/{dag}/dagRuns/{run}`.

The run's key is the DAG run's id: Airflow answers 409 where it is there already. A token is stated, or fetched with a
name and a password (`POST /auth/token`), anew where Airflow no longer takes it: it answers 403 to one that has expired.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

from fairlead.adapters.trainers.http import Answer, Service, field
from fairlead.adapters.trainers.terms import Terms
from fairlead.ports.trainer import RunState

_ENDED = {"success": False, "failed": True}
_THERE = 409
_NO_LONGER = (401, 403)


class AirflowTrainer:
    """`dag` is the DAG's id. `login` is a name and a password; empty: `token` is what there is."""

    name = "airflow"

    def __init__(self, service: Service, dag: str, terms: Terms, token: str = "", login: tuple[str, str] = ("", "")):
        self._service = service
        self._dag = dag
        self._terms = terms
        self._token = token
        self._login = login
        self.address = service.host

    def submit(self, run: str, dataset: Path, output: Path) -> str:
        """Makes the DAG run, or finds it made."""
        conf = self._terms.filled(self._terms.values(run, dataset, output))
        body = {"dag_run_id": run, "logical_date": None, "conf": conf, "note": "asked for by fairlead"}
        answer = self._ask("POST", f"/api/v2/dags/{quote(self._dag, safe='')}/dagRuns", body)
        if answer.taken:
            return field(answer.document, "dag_run_id") or run
        if answer.status == _THERE:
            return run
        raise self._service.refused(f"a run of the DAG {self._dag}", answer)

    def state(self, external: str) -> RunState:
        """Its state: queued (also of a paused DAG), running, success or failed."""
        path = f"/api/v2/dags/{quote(self._dag, safe='')}/dagRuns/{quote(external, safe='')}"
        answer = self._ask("GET", path)
        if not answer.taken:
            raise self._service.refused(f"a look at the DAG run {external}", answer)
        state = field(answer.document, "state")
        if not state:
            raise self._service.unread("a look at a DAG run")
        return RunState(state in _ENDED, _ENDED.get(state, False), state)

    def collect(self, run: str, output: Path) -> str:
        """The model's path or address."""
        return self._terms.collect(run, output)

    def _ask(self, method: str, path: str, body: Any = None) -> Answer:
        """A request with the token that there is, and once more with a new one where it is no longer taken."""
        if not self._token and self._login[0]:
            self._renew()
        answer = self._service.ask(method, path, body, self._bearer())
        if answer.status in _NO_LONGER and self._login[0]:
            self._renew()
            answer = self._service.ask(method, path, body, self._bearer())
        return answer

    def _bearer(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self._token}"} if self._token else {}

    def _renew(self) -> None:
        username, password = self._login
        answer = self._service.ask("POST", "/auth/token", {"username": username, "password": password})
        self._token = field(answer.document, "access_token")
        if not answer.taken or not self._token:
            raise self._service.refused(f"a token for {username}", answer)
