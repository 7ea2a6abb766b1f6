"""What the settings let a slow model take up."""

from __future__ import annotations

import pytest

from fairlead.config.load import parse_settings
from fairlead.config.settings import Settings
from fairlead.core.admission import Limits
from fairlead.errors import SettingsError


def test_without_limits_the_defaults_hold_for_all_models() -> None:
    """Under the empty name."""
    assert Settings().limits() == {"": Limits()}
    assert parse_settings("models: {churn: {owner: growth}}").limits() == {"": Limits()}


def test_a_models_limits_go_over_those_of_all() -> None:
    """What it leaves out is as for all models, and what they leave out is the default."""
    text = """
serving: {limits: {timeout: 4s, queue: 32}}
models:
  churn: {limits: {timeout: 500ms, batch_wait: 2ms, concurrency: 2}}
  price: {limits: {wait: 1s, batch: 1}}
"""
    limits = parse_settings(text).limits()
    assert limits == {
        "": Limits(timeout=4.0, queue=32),
        "churn": Limits(timeout=0.5, queue=32, batch_wait=0.002, concurrency=2),
        "price": Limits(timeout=4.0, queue=32, wait=1.0, batch=1),
    }
    assert (limits[""].longest_wait, limits["churn"].longest_wait, limits["price"].longest_wait) == (2.0, 0.25, 1.0)
    assert type(limits["churn"].timeout) is float


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ("{timeout: 0s}", "limits.timeout is 0: write 0.01 to 600"),
        ("{timeout: 11m}", "limits.timeout is 660: write 0.01 to 600"),
        ("{timeout: soon}", "'soon' is not a duration"),
        ("{concurrency: 0}", "limits.concurrency is 0: write 1 to 64"),
        ("{concurrency: 2.5}", "Expected `int | null`, got `float`"),
        ("{queue: 0}", "limits.queue is 0: write 1 to 100000"),
        ("{queue: -1}", "limits.queue is -1"),
        ("{wait: 700s}", "limits.wait is 700"),
        ("{batch: 5000}", "limits.batch is 5000: write 1 to 4096"),
        ("{batch_wait: 2s}", "limits.batch_wait is 2: write 0 to 1"),
        ("{timout: 1s}", "did you mean 'timeout'?"),
        ("often", "Expected `object`, got `str`"),
    ],
)
@pytest.mark.parametrize("place", ["serving: {{limits: {0}}}", "models: {{churn: {{limits: {0}}}}}"])
def test_a_limit_that_would_answer_nobody_is_refused(place: str, limits: str, said: str) -> None:
    """For all models and for one, with the range that it may have."""
    with pytest.raises(SettingsError) as caught:
        parse_settings(place.format(limits))
    assert said in str(caught.value)
