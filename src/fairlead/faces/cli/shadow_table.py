"""The shadow phase of a rollout on a terminal: the whole in a sentence, its segments, and the rows that differ most."""

from __future__ import annotations

from fairlead.faces.cli.output import figure, say, table
from fairlead.operations.shadow_report import ShadowReport, sentence

_ROWS = 5


def show_shadow(report: ShadowReport) -> None:
    """Prints it; `--json` has all rows and all quantiles."""
    say(sentence(report))
    if report.segments:
        rows = [
            (
                one.segment,
                f"{one.units:,}",
                f"{one.rate:.2%}",
                f"{one.up:,} / {one.down:,}",
                figure(one.log_e, 2),
                "yes" if one.differs else "",
            )
            for one in report.segments
        ]
        heads = ("segment", "units", "decided otherwise", "up / down", "evidence ln e", "differs")
        table("", heads, rows, ("units", "decided otherwise", "evidence ln e"))
    if report.worst:
        pairs = [
            (one.request_id, str(one.served), str(one.shadow), figure(one.served_score), figure(one.shadow_score))
            for one in report.worst[:_ROWS]
        ]
        names = ("differs most", "served", "shadow", "served score", "shadow score")
        table("", names, pairs, ("served score", "shadow score"))
