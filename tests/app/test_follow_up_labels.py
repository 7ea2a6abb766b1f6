"""How late labels are is what the settings say: the watch of each model waits by it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fairlead.app.compose import open_context
from fairlead.app.follow_up import FollowUp
from fairlead.config.load import parse_settings
from fairlead.testing.registry import MemoryRegistry

SETTINGS = """
models:
  read: {labels: {delay: auto, share: 80%, at_most: 30d}}
  stated: {labels: {delay: 7d}}
"""


@pytest.mark.parametrize(("name", "learns"), [("read", True), ("stated", False), ("unknown", False)])
def test_a_watch_reads_the_delay_off_the_log_only_where_that_is_asked(tmp_path: Path, name: str, learns: bool) -> None:
    """With its bound until the log shows it; otherwise the stated delay, and nothing is sampled."""
    settings = parse_settings(SETTINGS)
    context = replace(open_context(tmp_path / "home"), settings=settings, open_registry=MemoryRegistry)
    follow_up = FollowUp(context, None, "")
    try:
        watch = follow_up._watch(name)
        assert (watch.matures is not None) is learns
        if watch.matures is not None:
            assert watch.matures.seconds(0.0) == 30 * 86_400.0
        assert watch.judge(1e9) == ()
    finally:
        follow_up.close()
