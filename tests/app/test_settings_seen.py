"""Settings that differ from those of the last start."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from fairlead.app.compose import open_context
from fairlead.app.settings_seen import note_settings
from fairlead.config.load import parse_settings
from fairlead.core.facts_act import UpstreamChanged

BEFORE = "alerting: {channels: [{name: chat, type: slack, webhook: https://example.com/secret}]}"


def test_which_sections_changed_is_journalled_and_nothing_of_what_they_say(tmp_path: Path) -> None:
    """The first start tells nothing, the same again neither; a changed section is named, a secret is not."""
    context = replace(open_context(tmp_path / "home"), settings=parse_settings(BEFORE))
    assert note_settings(context) == ()
    assert note_settings(context) == ()
    other = parse_settings(f"{BEFORE}\nmonitoring: {{window: 1h}}\nserving: {{workers: 3}}")
    assert note_settings(replace(context, settings=other)) == ("serving", "monitoring")
    (fact,) = [entry.fact for entry in context.journal.read(kinds=["upstream_changed"])]
    assert isinstance(fact, UpstreamChanged)
    assert (fact.model, fact.source) == ("", "settings")
    assert "serving, monitoring changed" in fact.what
    kept = (tmp_path / "home" / "settings.seen.json").read_text()
    assert "secret" not in kept + fact.what
    (tmp_path / "home" / "settings.seen.json").write_text("[")
    assert note_settings(context) == ()
