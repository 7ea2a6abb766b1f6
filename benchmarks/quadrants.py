"""Each quadrant on real data, by its right name, and the same whatever the labels' delay.

Five streams of the shared data whose later part is known for what it is: `watch_world` trains or reads the model and
cuts windows of rows enough to tell (222 to 5,000), a window a day. Judged are the windows of the named part, by the
watch itself, with labels 0, 7, 30 and 60 days late. `before` are the windows before that part. A delay must change when
a window is named, never how: quadrant, harm and verdict of every matured report are compared with those of no delay.

| part | what it is | quadrant |
|---|---|---|
| car price, second half | used cars; the mix shifts, and the error falls | benign |
| car loan, second half | loans; the inputs shift and the AUROC falls as its scores foretell | covariate |
| sea, from its first change on | the rule itself changes, inputs stand still | concept |
| insects, middle third | the features are permuted under the same labels | concept |
| credit products, second half | inputs move, accuracy falls, and no score in the log could foretell it | unknown |

    python -m benchmarks.quadrants --data ../shared/data [--delays 0 7 30 60]
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.watch_streams import own_past
from benchmarks.watch_world import PLANS, Stream, stream
from fairlead.core.report import Stage, WindowReport


class Case(NamedTuple):
    """A part of a stream, by shares of its later rows, and what it is. `before` ends the windows before it."""

    stream: str
    name: str
    begins: float
    ends: float
    before: float
    rows: int  # of a window


CASES = (
    Case("car price", "benign", 0.5, 1.0, 0.5, 3_000),
    Case("car loan", "covariate", 0.5, 1.0, 0.5, 5_000),
    Case("sea", "concept", 2_000 / 32_000, 1.0, 2_000 / 32_000, 2_000),
    Case("insects", "concept", (1_775 - 888) / 4_437, (3_550 - 888) / 4_437, (1_775 - 888) / 4_437, 222),
    Case("credit products", "unknown", 0.5, 1.0, 0.5, 3_000),
)


def main() -> None:
    """Prints one line a case; exits with 1 where a part is not named rightly."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--delays", type=float, nargs="+", default=[0.0, 7.0, 30.0, 60.0])
    parser.add_argument("--streams", nargs="+")
    asked = parser.parse_args()
    print("| part | windows | named | right | before it | paged as benign | changed by a delay |")
    print("|---|---|---|---|---|---|---|")
    wrong = 0
    for case in CASES:
        if asked.streams and case.stream not in asked.streams:
            continue
        plan = next(plan for plan in PLANS if plan.name == case.stream)
        one = cut(stream(plan, asked.data), case.rows)
        by_delay = [matured(own_past(one, delay).looks) for delay in asked.delays]
        line, failed = told(case, by_delay[0], (changed(by_delay), sum(map(len, by_delay[1:]))))
        print(line, flush=True)
        wrong += failed
    raise SystemExit(1 if wrong else 0)


def cut(one: Stream, rows: int) -> Stream:
    """The stream in windows of so many rows."""
    windows = len(one.current) // rows
    current = one.current[: windows * rows].assign(__window__=np.repeat(np.arange(windows), rows))
    return one._replace(current=current)


def matured(looks: object) -> dict[int, WindowReport]:
    """Each window's last word."""
    return {look.window: look.report for look in looks if look.report.stage is Stage.MATURED}  # type: ignore[attr-defined]


def changed(by_delay: list[dict[int, WindowReport]]) -> int:
    """How many windows are named or judged otherwise than at the first delay. Late labels mature at nine of ten, those
    of no delay are complete: figures differ a little, so what is compared is what is said."""
    first = by_delay[0]
    return sum(_said(report) != _said(first[place]) for other in by_delay[1:] for place, report in other.items())


def _said(report: WindowReport) -> tuple[str, bool, str]:
    return report.quadrant.value, report.harmful, report.verdict.value


def told(case: Case, found: dict[int, WindowReport], differ: tuple[int, int]) -> tuple[str, bool]:
    """The line of a case, and whether it failed."""
    total = len(found)
    part = [report for place, report in found.items() if case.begins * total <= place + 0.01 < case.ends * total - 0.5]
    calm = [report for place, report in found.items() if place + 1 <= case.before * total]
    names = Counter(report.quadrant.value for report in part)
    most = names.most_common(1)[0][0]
    before = Counter(report.quadrant.value for report in calm)
    paged = sum(report.harmful for report in part if report.quadrant.value == "benign")
    share = names[case.name] / len(part)
    line = (
        f"| {case.stream} | {len(part)} | {_counts(names)} | {share:.0%} {case.name} | {_counts(before)} | {paged} | "
        f"{differ[0]} of {differ[1]} |"
    )
    return line, most != case.name


def _counts(names: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in names.most_common()) or "none"


if __name__ == "__main__":
    main()
