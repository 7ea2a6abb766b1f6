"""What a stream's process counts."""

from __future__ import annotations

from fairlead.flows.stream_counts import SIDES, StreamCounts, stream_exposition


def samples(counts: StreamCounts) -> dict[str, str]:
    """The page's samples by name and labels."""
    lines = stream_exposition(counts, "stay", 'a"b\\c\nd').decode().splitlines()
    return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))


def test_every_counter_is_told() -> None:
    """By model and group, whose names are escaped; the lag only once it is known."""
    named = 'model_name="stay",group="a\\"b\\\\c\\nd"'
    counts = StreamCounts(
        answered=3, dead=2, duplicate=1, redelivered=4, failed=1, republished=5, batches=6, fell_back=8
    )
    counts.interrupted["sink"] = 7
    found = samples(counts)
    assert f"fairlead_stream_lag{{{named}}}" not in found
    assert found == {
        f'fairlead_stream_messages_total{{{named},result="answered"}}': "3",
        f'fairlead_stream_messages_total{{{named},result="dead"}}': "2",
        f'fairlead_stream_messages_total{{{named},result="duplicate"}}': "1",
        f"fairlead_stream_redelivered_total{{{named}}}": "4",
        f"fairlead_stream_republished_total{{{named}}}": "5",
        f"fairlead_stream_fell_back_total{{{named}}}": "8",
        f"fairlead_stream_failed_total{{{named}}}": "1",
        f"fairlead_stream_batches_total{{{named}}}": "6",
        **{
            f'fairlead_stream_reconnects_total{{{named},side="{side}"}}': "7" if side == "sink" else "0"
            for side in SIDES
        },
    }
    counts.lag = 0
    assert samples(counts)[f"fairlead_stream_lag{{{named}}}"] == "0"
