"""Training as a run of a Dagster job, over its GraphQL API.

Dagster gives every launch an id of its own: the run's key is a tag, by which a run that was launched before is found.
Whoever launches holds the run's lock, so nobody else launches between the question and the launch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fairlead.adapters.trainers.http import Service, field, said_of
from fairlead.adapters.trainers.terms import Terms
from fairlead.errors import StateError
from fairlead.ports.trainer import RunState

TAG = "fairlead/run"
FIND = """query Find($filter: RunsFilter!) { runsOrError(filter: $filter, limit: 1) { __typename
  ... on Runs { results { runId status } } ... on Error { message } } }"""
LAUNCH = """mutation Launch($params: ExecutionParams!) { launchRun(executionParams: $params) { __typename
  ... on LaunchRunSuccess { run { runId status } }
  ... on RunConfigValidationInvalid { errors { message } } ... on Error { message } } }"""
LOOK = """query Look($id: ID!) { runOrError(runId: $id) { __typename
  ... on Run { runId status } ... on Error { message } } }"""
_ENDED = {"SUCCESS": False, "FAILURE": True, "CANCELED": True}


class DagsterTrainer:
    """`job` is the job's name, in a repository of a code location."""

    name = "dagster"

    def __init__(self, service: Service, job: str, terms: Terms, location: str, repository: str) -> None:
        self._service = service
        self._job = job
        self._terms = terms
        self._selector = {"repositoryLocationName": location, "repositoryName": repository, "jobName": job}
        self.address = service.host

    def submit(self, run: str, dataset: Path, output: Path) -> str:
        """Finds the run by its tag, or launches it."""
        found = self._asked(FIND, {"filter": {"tags": [{"key": TAG, "value": run}]}}, "runsOrError")
        if found.get("__typename") != "Runs":
            raise self._refused("a look for its runs", found)
        for one in found.get("results") or ():
            return str(one["runId"])
        params = {
            "selector": self._selector,
            "runConfigData": self._terms.filled(self._terms.values(run, dataset, output)),
            "executionMetadata": {"tags": [{"key": TAG, "value": run}]},
        }
        launched = self._asked(LAUNCH, {"params": params}, "launchRun")
        external = field(launched, "run", "runId")
        if launched.get("__typename") != "LaunchRunSuccess" or not external:
            raise self._refused(f"a run of the job {self._job}", launched)
        return external

    def state(self, external: str) -> RunState:
        """Its status."""
        found = self._asked(LOOK, {"id": external}, "runOrError")
        status = field(found, "status")
        if found.get("__typename") != "Run" or not status:
            raise self._refused(f"a look at the run {external}", found)
        return RunState(status in _ENDED, _ENDED.get(status, False), status.lower())

    def collect(self, run: str, output: Path) -> str:
        """The model's path or address."""
        return self._terms.collect(run, output)

    def _asked(self, query: str, variables: dict[str, Any], name: str) -> dict[str, Any]:
        answer = self._service.ask("POST", "/graphql", {"query": query, "variables": variables})
        if not answer.taken:
            raise self._service.refused("a GraphQL query", answer)
        document = answer.document if isinstance(answer.document, dict) else {}
        found = (document.get("data") or {}).get(name)
        if not isinstance(found, dict):
            errors = document.get("errors")
            if errors:
                raise StateError(f"dagster at {self._service.host} did not take a GraphQL query: {said_of(answer)}")
            raise self._service.unread("a GraphQL query")
        return found

    def _refused(self, what: str, found: dict[str, Any]) -> StateError:
        errors = [field(one, "message") for one in found.get("errors") or ()]
        said = field(found, "message") or "; ".join(errors) or str(found.get("__typename"))
        return StateError(f"dagster at {self._service.host} refused {what}: {' '.join(said.split())[:300]}")
