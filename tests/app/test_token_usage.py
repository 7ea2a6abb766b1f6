"""Tokens that applications' traces tell of, from the log to an alert."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from msgspec import structs

from fairlead.adapters.fact_log import SegmentFacts
from fairlead.adapters.segment_reader import SpanTail
from fairlead.app.compose import open_context
from fairlead.app.follow_up import FollowUp
from fairlead.core.event import AlertRaised, VersionRegistered
from fairlead.core.genai import tokens_of
from fairlead.core.record import SpanRecord
from fairlead.testing.log import make_prediction
from fairlead.testing.registry import MemoryRegistry


def span(number: int, tokens: int, ago: float = 60.0) -> SpanRecord:
    """A call of a language model that used as many tokens, half of them in."""
    now = time.time()
    used = {"gen_ai.usage.input_tokens": tokens // 2, "gen_ai.usage.output_tokens": tokens // 2}
    return SpanRecord(f"t{number}", f"s{number}", "", "chat", "app", now - ago, now - ago, now, attributes=used)


def test_a_day_of_tokens_is_an_alert_of_its_own(tmp_path: Path) -> None:
    """What was used in the last day, each span once, in all applications; not what is older."""
    config = tmp_path / "fairlead.yaml"
    config.write_text(
        'alerting: {alerts: [{name: tokens, condition: "token_usage > 1000", message: "{value} tokens"}]}'
    )
    context = replace(open_context(tmp_path / "home", config), open_registry=MemoryRegistry)
    context.journal.append([VersionRegistered("hotel", 1, "b" * 64, "july")], actor="ana", at=time.time())
    log = SegmentFacts(context.home / "log", 0)
    log.add_spans([span(1, 600), span(1, 600), span(2, 500), span(3, 5000, ago=90_000.0)])
    log.close()
    follow_up = FollowUp(context, config, "")
    now = time.time()
    follow_up.observe([structs.replace(make_prediction("q1"), timestamp=now, received_at=now)], ())
    follow_up.tick()
    follow_up.close()
    (raised,) = [entry.fact for entry in context.journal.read() if isinstance(entry.fact, AlertRaised)]
    assert (raised.alert, raised.title) == ("tokens", "1100 tokens")


def test_a_tail_gives_each_span_once(tmp_path: Path) -> None:
    """What is added later comes later; a batch that is sent again does not."""
    tail = SpanTail(tmp_path)
    assert tail.poll(10) == []
    log = SegmentFacts(tmp_path, 0)
    log.add_spans([span(1, 2)])
    assert [one.span_id for one in tail.poll(10)] == ["s1"]
    log.add_spans([span(1, 2), span(2, 2)])
    assert [one.span_id for one in tail.poll(10)] == ["s2"]
    log.close()


def test_only_counts_are_tokens() -> None:
    """By any of the conventions; a text, a negative number, an infinity is none."""
    assert tokens_of({"gen_ai.usage.prompt_tokens": 7, "llm.token_count.completion": 5}) == 12.0
    assert tokens_of({"gen_ai.usage.input_tokens": "7", "gen_ai.usage.output_tokens": -1}) == 0.0
    assert tokens_of({"gen_ai.usage.input_tokens": float("inf")}) == 0.0
