"""Few pages that count: fairlead's watch and its peers' default rules on the same rows of real and synthetic streams.

Seventeen streams (`watch_world`), each with a frozen model: eight with known change points, seven natural ones, two of
shuffled rows in which nothing happens. Real harm is defined by realised labels alone (`fairlead.core.backtest`): all
labels of the window, mean loss two standard errors above the held-out loss by a tenth of it and by 0.01. A window
stands for a day. Peers judge features alone, by the rules that they ship: evidently's preset (half of the columns
drift), nannyml (any column; `realised` and `estimated`: its performance calculators, on binary streams), alibi-detect
(Bonferroni), and the practice of PSI > 0.25 or p < 0.05 in any column. Each alarmed window is a page of a rule without
memory; told once until it is over, as fairlead tells, it is a notice: both are counted for everyone. fairlead's levels
are the usual ones, or those that a `--budget` of pages in 30 days is compiled into; `--rules` shows its parts alone.

    FAIRLEAD_PEERS=DIR python -m benchmarks.watch_streams --data ../shared/data [--delay 0] [--streams sea hotel]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.peers.systems import ROOT, installed, measure, peers_folder, write_job
from benchmarks.watch_world import PLANS, Stream, stream
from fairlead.core.alert import AlertPolicy
from fairlead.core.backtest import DAY, RuleScore, scored
from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.core.harm import HarmPolicy
from fairlead.core.page_budget import Watched, compiled, thresholds
from fairlead.core.verdict import Outcome
from fairlead.core.window import WindowPlan
from fairlead.flows.backtest import Look, Past, look_back, rule_signals, score_rules
from fairlead.flows.backtest_reference import reference_of
from fairlead.flows.backtest_rows import Rows, tallied
from fairlead.flows.backtest_rules import RULES, Rule
from fairlead.flows.watching.judge import Policy
from fairlead.stats.columns import CategoricalColumn, Column, NumericColumn

SYSTEMS = ("evidently:tests", "nannyml", "alibi", "nannyml:realised", "nannyml:estimated")
BINARY_ONLY = ("nannyml:realised", "nannyml:estimated")
PRACTICE = ("any column PSI > 0.25", "any column p < 0.05")
PARTS = ("drop of the realised metric", "loss of the window", "test of the live loss", "drop of the estimated metric")
OWN = "fairlead"
WINDOWS, NOTICES = ("alarmed", "false_windows"), ("notices", "false_notices")
START = 20_000  # the day that the first window is called


def main() -> None:
    """Runs every stream, prints the tables."""
    asked = _arguments()
    folder = peers_folder(asked.peers)
    systems = [] if asked.own else installed(folder, asked.systems or SYSTEMS)
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for plan in PLANS:
        if asked.streams and plan.name not in asked.streams:
            continue
        one = stream(plan, asked.data)
        past = own_past(one, asked.delay, asked.budget)
        scores = judged(one, past, systems, folder, asked)
        found[plan.name] = {name: _plain(score, one) for name, score in scores.items()}
        print(lines(plan.name, plan.kind, found[plan.name]), flush=True)
        if asked.json:
            asked.json.write_text(json.dumps(found, indent=1), encoding="utf-8")
    print(totals(found))


def judged(
    one: Stream, past: Past, systems: Sequence[str], folder: Path, asked: argparse.Namespace
) -> dict[str, RuleScore]:
    """Every system's score on one stream."""
    rules = score_rules(past, RULES)
    scores = {OWN: rules[0]}
    shown = PARTS if asked.rules else PRACTICE
    scores |= {rule.rule: rule for rule in rules if rule.rule in shown}
    with tempfile.TemporaryDirectory() as scratch:
        for system in systems:
            if system in BINARY_ONLY and (one.task != "binary" or np.isnan(one.reference["__score__"]).any()):
                continue
            alarms = remembered(one, system, folder, Path(scratch) / system.replace(":", "-"), asked.results)
            if isinstance(alarms, str):
                print(f"  {one.name}: {system}: {alarms}")
                continue
            scores[system] = scored(system, "", _told(alarms, past), past.windows)
    return scores


def own_past(one: Stream, delay: float, budget: float | None = None) -> Past:
    """The watch over the stream; labels come `delay` windows late; `budget` pages are stated for 30 days."""
    task = Task(one.task)
    features = [Feature(name, Kind.NUMBER) for name in one.numeric]
    features += [Feature(name, Kind.CATEGORY) for name in one.categorical]
    classes = tuple(str(place) for place in range(one.classes)) if task is not Task.REGRESSION else ()
    if task is Task.BINARY and np.isnan(one.reference["__score__"]).any():
        task = Task.MULTICLASS
    contract = Contract(tuple(features), task, "__truth__", classes)
    ledger = None if budget is None else compiled(budget, Watched(30.0, len(features)))
    levels = thresholds(ledger, Policy().alpha)
    harm = HarmPolicy(alpha=levels.harm, drop_alpha=levels.metric, loss_alpha=levels.loss)
    policy = Policy(harm, levels.drift, maturity_seconds=delay * DAY)
    reference = reference_of(rows_of(one, one.reference, np.zeros(len(one.reference)), 0.0), contract, 0.5, policy.harm)
    plan = WindowPlan(DAY)
    rows = rows_of(one, one.current, instants(one), delay * DAY)
    tallies = sorted(tallied(rows, reference, plan, 1), key=lambda tally: tally.window.starts_at)
    return look_back(one.name, reference, tallies, policy)


def rows_of(one: Stream, frame: Any, at: np.ndarray, delay_seconds: float) -> Rows:
    """A frame as the backtest takes it."""
    columns: dict[str, Column] = {name: NumericColumn(name, frame[name].to_numpy(float)) for name in one.numeric}
    for name in one.categorical:
        values, codes = np.unique(frame[name].to_numpy(str), return_inverse=True)
        columns[name] = CategoricalColumn(name, codes.astype(np.int32), tuple(values.tolist()))
    score, decided, truth = (frame[f"__{name}__"].to_numpy(float) for name in ("score", "decided", "truth"))
    return Rows(at, columns, score, decided, truth, at + delay_seconds)


def instants(one: Stream) -> np.ndarray:
    """A window is a day, its rows evenly spread."""
    place = one.current["__window__"].to_numpy()
    each = int((place == 0).sum())
    return (START + place) * DAY + (np.arange(place.size) % each) * (DAY - 1) / each


def remembered(one: Stream, system: str, folder: Path, job: Path, kept: Path | None) -> list[bool] | str:
    """A peer's answer, read from the folder of results where it was asked before: it does not change with us."""
    name = None if kept is None else kept / f"{one.name.replace(' ', '-')}-{system.replace(':', '-')}.json"
    if name is not None and name.exists():
        found: list[bool] = json.loads(name.read_text(encoding="utf-8"))
        return found
    answer = asked_peer(one, system, folder, job)
    if name is not None and not isinstance(answer, str):
        name.parent.mkdir(parents=True, exist_ok=True)
        name.write_text(json.dumps(answer), encoding="utf-8")
    return answer


def asked_peer(one: Stream, system: str, folder: Path, job: Path) -> list[bool] | str:
    """Whether the peer's own rule calls each window drifted; or why it gave no answer."""
    columns = [*one.numeric, *one.categorical, "__score__", "__decided__", "__truth__"]
    numeric, categorical = one.numeric, one.categorical
    reference, current = one.reference[columns], one.current[columns]
    if system.startswith("nannyml"):
        options: dict[str, Any] = {"windows": "__window__"}
        current = current.assign(__window__=one.current["__window__"].to_numpy())
    else:
        options = {"pairs": "__pair__"}
        reference = reference.assign(__pair__="r")
        current = current.assign(__pair__=[f"r/{place:03}" for place in one.current["__window__"]])
    if system not in BINARY_ONLY:
        left = ["__score__", "__decided__", "__truth__"]
        reference, current = reference.drop(columns=left), current.drop(columns=left)
    tables = (pa.Table.from_pandas(side, preserve_index=False) for side in (reference, current))
    write_job(job, *tables, numeric=numeric, categorical=categorical, **options)
    answer = measure(system, job, folder, nice=5)
    if "error" in answer:
        return str(answer["error"])
    return [bool(found[0]) for found in answer["found"]]


def _told(alarms: Sequence[bool], past: Past) -> list[Any]:
    """A peer's alarms at the windows' closes, told as every other rule is."""
    looks: dict[int, Look] = {}
    for look in past.looks:
        looks.setdefault(look.window, look)
    by_report = {
        id(looks[place].report): Outcome.BREACHED if alarm else Outcome.HOLDS for place, alarm in enumerate(alarms)
    }
    rule = Rule("peer", "", lambda report: by_report[id(report)])
    return rule_signals([looks[place] for place in sorted(looks)], rule, AlertPolicy())


def _plain(score: RuleScore, one: Stream) -> dict[str, Any]:
    windows = int(one.current["__window__"].max()) + 1
    return {
        "windows": windows,
        "rows": len(one.current) // windows,
        "alarmed": score.breached,
        "notices": score.notices,
        "false_windows": score.false_windows,
        "false_notices": score.false_notices,
        "stretches": score.stretches,
        "found": score.found,
        "delays": [None if delay is None else delay / DAY for delay in score.delays],
    }


def lines(name: str, kind: str, scores: dict[str, dict[str, Any]]) -> str:
    """One stream as rows of a Markdown table."""
    first = next(iter(scores.values()))
    size = f"{first['windows']} windows of {first['rows']} rows, {first['stretches']} harmful stretches"
    head = f"\n**{name}** ({kind}): {size}\n"
    rows = [
        "| system | alarmed | false windows/30 d | real | notices | false/30 d | real | found | delays (windows) |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for system, one in scores.items():
        periods = one["windows"] / 30
        late = ", ".join("never" if delay is None else f"{delay:g}" for delay in one["delays"])
        alarmed, told = (_real([one], *keys) for keys in (WINDOWS, NOTICES))
        rows.append(
            f"| {system} | {one['alarmed']} | {one['false_windows'] / periods:.2f} | {alarmed} | {one['notices']} | "
            f"{one['false_notices'] / periods:.2f} | {told} | {one['found']}/{one['stretches']} | {late} |"
        )
    return head + "\n".join(rows)


def totals(found: dict[str, dict[str, dict[str, Any]]]) -> str:
    """All streams that a system answered, beside fairlead on the same ones."""
    names = list(dict.fromkeys(system for scores in found.values() for system in scores))
    heads: tuple[str, ...] = (
        "system",
        "streams",
        "false windows/30 d",
        "fairlead's",
        "false notices/30 d",
        "fairlead's",
        "harm found",
    )
    heads += (
        "fairlead's",
        "later than fairlead",
        "earlier",
        "real windows",
        "fairlead's",
        "real notices",
        "fairlead's",
    )
    rows = ["", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for system in names:
        pairs = [(scores[system], scores[OWN]) for scores in found.values() if system in scores]
        periods = sum(one["windows"] for one, _ in pairs) / 30
        later, earlier = _order(pairs)
        rows.append(
            f"| {system} | {len(pairs)} | {_rate(pairs, 0, 'false_windows', periods)} | "
            f"{_rate(pairs, 1, 'false_windows', periods)} | {_rate(pairs, 0, 'false_notices', periods)} | "
            f"{_rate(pairs, 1, 'false_notices', periods)} | {_sum(pairs, 0, 'found')}/{_sum(pairs, 0, 'stretches')} | "
            f"{_sum(pairs, 1, 'found')}/{_sum(pairs, 1, 'stretches')} | "
            f"{later} | {earlier} | "
            + " | ".join(_real([pair[side] for pair in pairs], *keys) for keys in (WINDOWS, NOTICES) for side in (0, 1))
            + " |"
        )
    return "\n".join(rows)


def _real(scores: Sequence[dict[str, Any]], all_of: str, false: str) -> str:
    """The share of alarmed windows, or of notices, with real harm."""
    told = sum(one[all_of] for one in scores)
    return f"{(told - sum(one[false] for one in scores)) / told:.0%}" if told else ""


def _order(pairs: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> tuple[int, int]:
    """Stretches that the system found later than fairlead, or never; and earlier."""
    later = earlier = 0
    for one, own in pairs:
        for theirs, ours in zip(one["delays"], own["delays"], strict=True):
            a, b = (float("inf") if delay is None else delay for delay in (theirs, ours))
            later, earlier = later + (a > b), earlier + (a < b)
    return later, earlier


def _rate(pairs: Sequence[tuple[dict[str, Any], dict[str, Any]]], side: int, key: str, periods: float) -> str:
    return f"{_sum(pairs, side, key) / periods:.2f}"


def _sum(pairs: Sequence[tuple[dict[str, Any], dict[str, Any]]], side: int, key: str) -> int:
    return sum(pair[side][key] for pair in pairs)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--peers", default=None, help="where the environments are")
    parser.add_argument("--own", action="store_true", help="fairlead alone")
    parser.add_argument("--delay", type=float, default=0.0, help="windows until a label comes")
    parser.add_argument("--budget", type=float, default=None, help="pages in 30 days, compiled into thresholds")
    parser.add_argument("--rules", action="store_true", help="fairlead's own parts beside it")
    parser.add_argument("--systems", nargs="*", default=None, help=f"some of {', '.join(SYSTEMS)}")
    parser.add_argument("--streams", nargs="*", default=None)
    parser.add_argument("--results", type=Path, default=None, help="keeps the peers' answers, so a run can go on")
    parser.add_argument("--json", type=Path, default=None)
    return parser.parse_args()


if __name__ == "__main__":
    main()
