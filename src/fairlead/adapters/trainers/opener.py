"""The trainer that the settings name."""

from __future__ import annotations

from fairlead.adapters.trainers.airflow import AirflowTrainer
from fairlead.adapters.trainers.dagster import DagsterTrainer
from fairlead.adapters.trainers.http import Service
from fairlead.adapters.trainers.prefect import PrefectTrainer
from fairlead.adapters.trainers.ray_job import RayTrainer
from fairlead.adapters.trainers.terms import Terms
from fairlead.config.trainer import TrainerSettings
from fairlead.ports.trainer import RemoteTrainer

_PLAIN = {"dataset": "{dataset}", "output": "{output}", "run": "{run}"}
_OPS = {"ops": {"train": {"config": _PLAIN}}}


def opened(stated: TrainerSettings) -> RemoteTrainer:
    """A trainer by its API. Raises `SettingsError` for what is no address."""
    token = stated.token.reveal()
    usual = _OPS if stated.type == "dagster" else _PLAIN
    terms = Terms(usual if stated.parameters is None else stated.parameters, stated.runs, stated.model)
    if stated.type == "airflow":
        login = (stated.username, stated.password.reveal())
        return AirflowTrainer(Service("airflow", stated.url), stated.dag, terms, token, login)
    name = "dagster-cloud-api-token" if stated.type == "dagster" else "authorization"
    value = token if stated.type == "dagster" else f"Bearer {token}"
    service = Service(stated.type, stated.url, {name: value} if token else {})
    if stated.type == "ray":
        return RayTrainer(service, stated.entrypoint, terms)
    if stated.type == "dagster":
        return DagsterTrainer(service, stated.job, terms, stated.location, stated.repository)
    return PrefectTrainer(service, stated.deployment, terms)
