"""Loopback stand-ins for services that train: Ray, Airflow 3, Dagster and Prefect, as far as a trainer asks them.

Each checks method, path, headers and body as the service documents them, keeps its runs, and answers as the service
does: a key that is there already is refused or answered with the run that is there. `away` statuses are answered
first. What is wrong with a request is kept in `faults`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Protocol
from urllib.parse import unquote

import msgspec

Document = dict[str, Any]
Reply = tuple[int, Any]


class Api(Protocol):
    """One service's rules."""

    def answer(self, method: str, path: str, body: Any, headers: dict[str, str], /) -> Reply:
        """The status and the document."""
        ...


class Runs:
    """The runs of a service, by its own id: what each was asked with, and its state."""

    def __init__(self) -> None:
        self.bodies: dict[str, Document] = {}
        self.states: dict[str, str] = {}
        self.on_start: Callable[[Document], None] = lambda _: None  # trains, if anybody does

    def start(self, external: str, body: Document, state: str) -> None:
        """Takes a run in."""
        self.bodies[external] = body
        self.states[external] = state
        self.on_start(body)


class TrainingService(ThreadingHTTPServer):
    """Serves one API."""

    def __init__(self, api: Api) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.api = api
        self.away: list[int] = []  # statuses that are answered first
        self.lost: list[str] = []  # methods whose next answer is lost on its way back
        self.asked: list[tuple[str, str]] = []
        self.faults: list[str] = []

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: TrainingService

    def _reply(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        raw = self.rfile.read(length)
        server = self.server
        document: Any = {}
        server.asked.append((self.command, self.path))
        if server.away:
            status = server.away.pop(0)
        else:
            body = msgspec.json.decode(raw) if raw else None
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, document = server.api.answer(self.command, unquote(self.path), body, headers)
            if status in (400, 404, 405, 422):
                server.faults.append(f"{self.command} {self.path}: {document}")
        if self.command in server.lost:
            server.lost.remove(self.command)
            self.close_connection = True
            return
        content = msgspec.json.encode(document)
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self) -> None:
        """Answers a question."""
        self._reply()

    def do_POST(self) -> None:
        """Answers a request."""
        self._reply()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def serving(api: Api) -> Iterator[TrainingService]:
    """A service that runs until the end of the block."""
    server = TrainingService(api)
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class RayApi(Runs):
    """Ray's job server. A second submission of an id is refused."""

    def answer(self, method: str, path: str, body: Any, _headers: dict[str, str]) -> Reply:
        """`POST /api/jobs/`, `GET /api/jobs/{id}`."""
        if (method, path) == ("POST", "/api/jobs/"):
            return self._submit(body)
        external = path.removeprefix("/api/jobs/")
        if method != "GET" or "/" in external:
            return 404, {"detail": "no such route"}
        if external not in self.bodies:
            return 404, f"Job {external} does not exist"
        state = self.states[external]
        return 200, {"type": "SUBMISSION", "submission_id": external, "status": state, "message": "as told"}

    def _submit(self, body: Any) -> Reply:
        unknown = set(body) - {"entrypoint", "submission_id", "runtime_env", "metadata", "entrypoint_num_cpus"}
        texts = all(isinstance(body.get(name), str) and body[name] for name in ("entrypoint", "submission_id"))
        metadata = body.get("metadata", {})
        plain = all(isinstance(value, str) for value in metadata.values())
        if unknown or not texts or not plain:
            return 400, {"detail": f"bad submission: {sorted(unknown)}"}
        if body["submission_id"] in self.bodies:
            return 500, {"detail": f"Job with submission_id {body['submission_id']} already exists"}
        self.start(body["submission_id"], body, "PENDING")
        return 200, {"job_id": body["submission_id"], "submission_id": body["submission_id"]}


class AirflowApi(Runs):
    """Airflow 3's API with one DAG. Its tokens are told for a name and a password; `tokens` are those it takes."""

    def __init__(self, dag: str = "train_hotel", login: tuple[str, str] = ("fairlead", "s3cret")) -> None:
        super().__init__()
        self._runs = f"/api/v2/dags/{dag}/dagRuns"
        self._login = login
        self.tokens = {"t0ken"}

    def answer(self, method: str, path: str, body: Any, headers: dict[str, str]) -> Reply:
        """`POST /auth/token`, `POST …/dagRuns`, `GET …/dagRuns/{run}`."""
        if (method, path) == ("POST", "/auth/token"):
            if (body.get("username"), body.get("password")) != self._login:
                return 401, {"detail": "Invalid credentials"}
            self.tokens.add("fr3sh")
            return 201, {"access_token": "fr3sh"}
        if headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            return 403, {"detail": "Forbidden"}
        if (method, path) == ("POST", self._runs):
            return self._trigger(body)
        external = path.removeprefix(f"{self._runs}/")
        if method != "GET" or external not in self.bodies:
            return 404, {"detail": "The DagRun was not found"}
        return 200, {"dag_run_id": external, "state": self.states[external]}

    def _trigger(self, body: Any) -> Reply:
        allowed = {
            "dag_run_id",
            "logical_date",
            "conf",
            "note",
            "data_interval_start",
            "data_interval_end",
            "run_after",
        }
        if set(body) - allowed or "logical_date" not in body or not isinstance(body.get("conf", {}), dict):
            return 422, {"detail": "Field required, or extra inputs are not permitted"}
        if body["dag_run_id"] in self.bodies:
            return 409, {"detail": "DagRun already exists"}
        self.start(body["dag_run_id"], body, "queued")
        return 200, {"dag_run_id": body["dag_run_id"], "state": "queued"}


class PrefectApi(Runs):
    """Prefect's API with one deployment. A flow takes the parameters that it has, and no other."""

    DEPLOYMENT = "3f6c7a1e-0000-4000-8000-000000000001"

    def __init__(self, name: str = "train-hotel/nightly", parameters: tuple[str, ...] = ("dataset", "output", "run")):
        super().__init__()
        self._name = name
        self._parameters = set(parameters)
        self._keys: dict[str, str] = {}

    def answer(self, method: str, path: str, body: Any, _headers: dict[str, str]) -> Reply:
        """`GET /deployments/name/…`, `POST /deployments/{id}/create_flow_run`, `GET /flow_runs/{id}`."""
        if (method, path) == ("GET", f"/api/deployments/name/{self._name}"):
            return 200, {"id": self.DEPLOYMENT}
        if (method, path) == ("POST", f"/api/deployments/{self.DEPLOYMENT}/create_flow_run"):
            return self._create(body)
        external = path.removeprefix("/api/flow_runs/")
        if method != "GET" or external not in self.bodies:
            return 404, {"detail": "Not Found"}
        return 200, self._shown(external)

    def _create(self, body: Any) -> Reply:
        if set(body) - {"name", "idempotency_key", "parameters", "state", "tags", "work_queue_name"}:
            return 422, {"detail": "extra fields not permitted"}
        extra = set(body.get("parameters", {})) - self._parameters
        if extra or body.get("state", {}).get("type") != "SCHEDULED":
            return 422, {"detail": f"Validation failed for parameters: unexpected {sorted(extra)}"}
        key = body.get("idempotency_key", "")
        if key in self._keys:
            return 200, self._shown(self._keys[key])
        external = self._keys[key] = f"flow-run-{len(self._keys) + 1}"
        self.start(external, body, "SCHEDULED")
        return 201, self._shown(external)

    def _shown(self, external: str) -> Document:
        return {"id": external, "state": {"type": self.states[external], "message": None}}


class DagsterApi(Runs):
    """Dagster's GraphQL endpoint: runs by tag, launches, and one run's status."""

    def __init__(self, selector: tuple[str, str, str] = ("training", "__repository__", "train_hotel")) -> None:
        super().__init__()
        self._selector = dict(zip(("repositoryLocationName", "repositoryName", "jobName"), selector, strict=True))
        self._tags: dict[str, str] = {}

    def answer(self, method: str, path: str, body: Any, _headers: dict[str, str]) -> Reply:
        """`POST /graphql`."""
        if (method, path) != ("POST", "/graphql") or not isinstance(body.get("query"), str):
            return 404, {"detail": "Not Found"}
        values = body.get("variables", {})
        for field, act in (("runsOrError", self._find), ("launchRun", self._launch), ("runOrError", self._look)):
            if f"{field}(" in body["query"]:
                return 200, {"data": {field: act(values)}}
        return 400, {"errors": [{"message": "no such field"}]}

    def _find(self, values: Document) -> Document:
        (tag,) = values["filter"]["tags"]
        found = [name for name, key in self._tags.items() if tag == {"key": "fairlead/run", "value": key}]
        return {"__typename": "Runs", "results": [{"runId": one, "status": self.states[one]} for one in found]}

    def _launch(self, values: Document) -> Document:
        params = values["params"]
        if params["selector"] != self._selector:
            return {"__typename": "PipelineNotFoundError", "message": f"no job {params['selector']['jobName']}"}
        if "ops" not in params["runConfigData"]:
            return {"__typename": "RunConfigValidationInvalid", "errors": [{"message": "Missing required entry ops"}]}
        (tag,) = params["executionMetadata"]["tags"]
        external = f"dagster-{len(self._tags) + 1}"
        self._tags[external] = tag["value"]
        self.start(external, params, "QUEUED")
        return {"__typename": "LaunchRunSuccess", "run": {"runId": external, "status": "QUEUED"}}

    def _look(self, values: Document) -> Document:
        external = values["id"]
        if external not in self.bodies:
            return {"__typename": "RunNotFoundError", "message": f"Run {external} could not be found"}
        return {"__typename": "Run", "runId": external, "status": self.states[external]}
