"""Services that train, what a challenger must be worth, and how late labels are, as the settings state them."""

from __future__ import annotations

from math import isinf

import pytest

from fairlead.adapters.trainers.airflow import AirflowTrainer
from fairlead.adapters.trainers.dagster import DagsterTrainer
from fairlead.adapters.trainers.opener import opened
from fairlead.adapters.trainers.prefect import PrefectTrainer
from fairlead.adapters.trainers.ray_job import RayTrainer
from fairlead.app.compose import open_remote
from fairlead.config.load import parse_settings
from fairlead.errors import SettingsError

RAY = 'type: ray, url: "http://ray:8265", entrypoint: "t {dataset}"'


def stated(trainer: str) -> str:
    """A settings file with this trainer."""
    return f"retraining: {{trainer: {{{trainer}}}}}"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (RAY, RayTrainer),
        ('type: airflow, url: "https://air", dag: d, username: u, password: p', AirflowTrainer),
        ('type: dagster, url: "https://dag", job: j, location: l', DagsterTrainer),
        ('type: prefect, url: "https://pre/api", deployment: f/d, token: t, parameters: {a: 1}', PrefectTrainer),
    ],
)
def test_each_type_opens_its_trainer(text: str, kind: type) -> None:
    """Named by its host, with whatever it was given; without a trainer there is none."""
    retraining = parse_settings(stated(text)).retraining
    assert retraining.trains
    assert retraining.trainer is not None
    found = opened(retraining.trainer)
    assert isinstance(found, kind)
    assert "://" not in found.address
    assert open_remote(None) is None
    assert not parse_settings("project: x").retraining.trains


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (stated('type: ray, url: "http://ray"'), "of type ray, which needs entrypoint"),
        (stated('type: airflow, url: "http://a"'), "of type airflow, which needs dag"),
        (stated('type: prefect, url: "http://a"'), "of type prefect, which needs deployment"),
        (stated('type: dagster, url: "http://a"'), "of type dagster, which needs job"),
        (stated('type: dagster, url: "http://a", job: j'), "needs location"),
        (stated(f"{RAY}, dag: d"), "of type ray: dag is for airflow"),
        (stated('type: airflow, url: "http://a", dag: d, username: u'), "username and password belong together"),
        (stated('type: ray, url: "http://a", entrypoint: "python t.py"'), "entrypoint lacks {dataset}"),
        (stated('type: ray, url: "http://a", entrypoint: "t {data}"'), "{data} in retraining.trainer is unknown"),
        (
            stated('type: prefect, url: "http://a", deployment: d, parameters: {a: ["{x}"]}'),
            "{x} in retraining.trainer",
        ),
        (stated(f'{RAY}, model: "models:/hotel@latest"'), "model lacks {run}"),
        (stated(f"{RAY}, poll: 1ms"), "poll is how often"),
        (stated('type: cron, url: "http://a"'), "cron"),
        (stated(f"{RAY}, tokn: x"), "tokn"),
        (f'retraining: {{command: "t {{dataset}} {{output}}", trainer: {{{RAY}}}}}', "a command and a trainer"),
        ("retraining: {worth: {cost: -1}}", "worth.cost is a finite number"),
        ("retraining: {worth: {horizon: 0s}}", "worth.horizon is how long"),
        ("models: {hotel: {labels: {delay: soon}}}", "soon"),
        ("models: {hotel: {labels: {share: 0%}}}", "labels.share is a share above 0%"),
        ("models: {hotel: {labels: {at_most: 0s}}}", "labels.at_most is how long"),
    ],
)
def test_what_is_stated_wrongly_is_told(text: str, said: str) -> None:
    """With the key, and what to write."""
    with pytest.raises(SettingsError) as caught:
        parse_settings(text)
    assert said in caught.value.line


def test_a_secret_is_in_no_error() -> None:
    """A wrong address is told without what stands in it."""
    retraining = parse_settings(
        stated('type: prefect, url: "ftp://u:s3cret@h", deployment: d, token: t0ken')
    ).retraining
    assert retraining.trainer is not None
    with pytest.raises(SettingsError, match="no http") as caught:
        opened(retraining.trainer)
    assert "s3cret" not in caught.value.line
    assert "t0ken" not in repr(retraining)


def test_a_delay_is_stated_or_read_off_the_log() -> None:
    """`auto` waits for `at_most` until the log shows it."""
    read = parse_settings(
        "models: {a: {labels: {delay: auto, at_most: 30d}}, b: {labels: {delay: 7d, share: 80%}}}"
    ).models
    assert (read["a"].labels.auto, read["a"].labels.seconds) == (True, 30 * 86_400.0)
    assert isinf(read["a"].labels.delay)
    assert (read["b"].labels.auto, read["b"].labels.seconds, read["b"].labels.share) == (False, 7 * 86_400.0, 0.8)
