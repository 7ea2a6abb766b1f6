"""A service that trains, and what it is told of each run."""

from __future__ import annotations

import re
from typing import Any, Literal

from fairlead.config.fields import Duration, Secret, Section
from fairlead.errors import SettingsError

TrainerType = Literal["ray", "airflow", "dagster", "prefect"]
_NAMED = re.compile(r"\{(\w*)\}")
_KNOWN = ("dataset", "output", "run")
# What each type cannot do without: the key, and how it is written.
_NEEDS = {
    "ray": ("entrypoint", 'entrypoint: "python train.py --data {dataset} --out {output}"'),
    "airflow": ("dag", "dag: train_hotel"),
    "dagster": ("job", "job: train_hotel, location: training"),
    "prefect": ("deployment", "deployment: train-hotel/nightly"),
}
_ONLY = {
    "entrypoint": "ray",
    "dag": "airflow",
    "username": "airflow",
    "password": "airflow",
    "job": "dagster",
    "location": "dagster",
    "deployment": "prefect",
}


class TrainerSettings(Section, frozen=True):
    """A service that trains, by its API: a Ray job, an Airflow 3 DAG, a Dagster job or a Prefect deployment.

    Texts in `parameters` (in `entrypoint`, for ray) may hold {dataset} and {output}, paths that the service must see,
    and {run}, the run's key. `runs` is where it sees the home's folder `runs`; left out: at the same path. `model` is
    an address at which it leaves the model, such as models:/hotel@{run}; left out: one file, or a folder model/, in
    {output}.
    """

    type: TrainerType
    url: str
    entrypoint: str = ""
    dag: str = ""
    job: str = ""
    location: str = ""
    repository: str = "__repository__"
    deployment: str = ""
    parameters: dict[str, Any] | None = None  # left out: dataset, output and run
    token: Secret = Secret("")
    username: str = ""
    password: Secret = Secret("")
    runs: str = ""
    model: str = ""
    poll: Duration = Duration(10)

    def __post_init__(self) -> None:
        """Refuses what no service could be asked with."""
        key, example = _NEEDS[self.type]
        if not getattr(self, key):
            raise SettingsError(f"retraining.trainer is of type {self.type}, which needs {key}: add {example}")
        for name, kind in _ONLY.items():
            if getattr(self, name) and self.type != kind:
                raise SettingsError(f"retraining.trainer is of type {self.type}: {name} is for {kind}")
        if self.type == "dagster" and not self.location:
            raise SettingsError("retraining.trainer is of type dagster, which needs location: add the code location's")
        if bool(self.username) != bool(self.password):
            raise SettingsError("retraining.trainer: username and password belong together: write both, or a token")
        if not 0.1 <= self.poll <= 3600.0:
            raise SettingsError("retraining.trainer.poll is how often its state is asked for: write 100ms to 1h")
        self._check_placeholders()

    def _check_placeholders(self) -> None:
        said = [self.entrypoint, *_texts(self.parameters)]
        unknown = sorted({name for text in said for name in _NAMED.findall(text)} - set(_KNOWN))
        if unknown:
            raise SettingsError(
                f"{{{unknown[0]}}} in retraining.trainer is unknown: use {{dataset}}, {{output}} and {{run}}"
            )
        if self.type == "ray" and "{dataset}" not in self.entrypoint:
            raise SettingsError("retraining.trainer.entrypoint lacks {dataset}: the job would not know its data")
        if self.model and "{run}" not in self.model:
            raise SettingsError(
                "retraining.trainer.model lacks {run}, so that a run would take another's model: write it as "
                "models:/NAME@{run}"
            )


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for each in inner for text in _texts(each)]
