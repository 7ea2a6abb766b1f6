"""Feedback loops, read from the log: diversity, exploration, slices, shaped labels, and a challenger's worth."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
import numpy as np

from fairlead.adapters.fact_log import SegmentFactReader
from fairlead.core.contract import Contract, Task
from fairlead.core.exploring import EXPLORED, chance_of, draws_of
from fairlead.core.inference import label_text
from fairlead.core.loops import (
    LoopReport,
    Part,
    Slot,
    fact_of_loops,
    judge_diversity,
    judge_exploration,
    judge_shaped,
    judge_slices,
)
from fairlead.core.record import OutcomeRecord, Prediction
from fairlead.core.verdict import Outcome
from fairlead.core.window import DAY, WindowPlan
from fairlead.errors import FairleadError, NotFound
from fairlead.flows.labelled import Labelled, as_columns
from fairlead.flows.shown import Shown
from fairlead.operations.context import Context
from fairlead.operations.models import resolve
from fairlead.operations.policies import LEAST_EFFECTIVE, evaluate_policy
from fairlead.ports import VersionInfo
from fairlead.stats.experiment.rates import Counts
from fairlead.stats.policy.diversity import ApprovalShift, approval_shifts, entropy, exploration
from fairlead.stats.shaped import shaped

MOST_ROWS = 200_000  # the newest of the log
MOST_VALUED = 20_000  # of them, asked of every version for the value of another one
MOST_SLOTS = 60
FEWEST = 30  # decisions of a slice on each side, below which it is not audited
MOST_OTHER = 0.01  # of the rows, that cannot be decided again as they were
_UNLIKE = ("shadow", "fallback")
ACTOR = "loops"


class _Row(NamedTuple):
    at: float
    request: str
    unit: str
    version: int
    arm: str
    rollout: str
    propensity: float
    decision: str
    features: msgspec.Raw
    score: float | None


class _Log(NamedTuple):
    rows: list[_Row]  # in order of event time
    outcomes: dict[str, OutcomeRecord]

    @property
    def now(self) -> float:
        return self.rows[-1].at if self.rows else 0.0


def loops(context: Context, model: str, *, challenger: str = "", reward: str = "", keep: str = "") -> LoopReport:
    """Reads a model's log.

    `challenger` names the version whose decisions are valued (a number or an alias); `reward` is the event that pays,
    the first number of a unit within a day; empty: whether the decision proved right. With a reason to `keep` it, the
    reading is journalled. Raises `NotFound` and `StateError`.
    """
    champion = _champion(context, model)
    manifest = context.bundles.manifest(champion.bundle)
    settings, alpha = context.settings, float(context.settings.monitoring.alpha)
    log = _read(context, model, manifest.contract)
    if not log.rows:
        raise NotFound(f"nobody has asked {model} yet: there is no decision to look at")
    slots = _slots(log.rows, settings.monitoring.plan)
    explored = exploration(sum(_explores(row) for row in log.rows), len(log.rows), alpha)
    known = settings.models.get(model)
    columns = settings.loops.slices or (known.segments if known else ()) or manifest.segments
    slices = _slices(log, columns, manifest.contract, float(settings.loops.audit))
    delay = known.labels.seconds if known else 14 * DAY
    labels = shaped(_labelled(log, delay))
    parts = [
        judge_diversity(slots),
        judge_exploration(explored, len(log.rows), settings.loops.explore),
        judge_slices(slices, alpha, _unaudited(columns, manifest.contract, log, float(settings.loops.audit))),
        judge_shaped(labels, alpha),
    ]
    if challenger:
        version = resolve(context, f"{model}@{challenger}")
        if parts[-1].outcome is Outcome.BREACHED and not reward:
            why = "outcomes are known of some decisions only (see shaped): name an event that pays with --reward"
            parts.append(Part("challenger", Outcome.UNMEASURED, f"version {version.version} cannot be valued: {why}"))
        else:
            parts.append(_valued(context, log, version, reward))
    since = log.rows[0].at
    report = LoopReport(
        model, len(log.rows), since, log.now, tuple(parts), slots[-MOST_SLOTS:], explored, slices, labels
    )
    if keep:
        context.journal.append([fact_of_loops(report, keep)], actor=ACTOR, at=context.clock.now())
    return report


def _champion(context: Context, model: str) -> VersionInfo:
    try:
        return resolve(context, f"{model}@champion")
    except NotFound:
        return resolve(context, f"{model}@{context.registry.versions(model)[-1].version}")


def _read(context: Context, model: str, contract: Contract) -> _Log:
    """The newest answers to callers, in order of event time, and what became known of them."""
    rows: deque[_Row] = deque(maxlen=MOST_ROWS)
    outcomes: dict[str, OutcomeRecord] = {}
    reader = context.open_log()
    while True:
        predictions, told = reader.poll()
        if not predictions and not told:
            break
        rows.extend(_row(one, contract) for one in predictions if _counts(one, model))
        for outcome in told:
            before = outcomes.get(outcome.request_id)
            if before is None or outcome.received_at >= before.received_at:
                outcomes[outcome.request_id] = outcome
    return _Log(sorted(rows, key=lambda row: (row.at, row.request)), outcomes)


def _counts(one: Prediction, model: str) -> bool:
    mine = one.model_name == model and one.shadow_of is None and one.arm not in _UNLIKE
    return mine and one.status == 200 and one.prediction is not None


def _row(one: Prediction, contract: Contract) -> _Row:
    assert one.prediction is not None
    decision = label_text(one.prediction) if contract.task is not Task.REGRESSION else f"{float(one.prediction)!r}"
    return _Row(
        one.timestamp, one.request_id, one.unit_id, one.model_version, one.arm, one.rollout, one.propensity, decision,
        one.features, one.score,
    )  # fmt: skip


def _explores(row: _Row) -> bool:
    """Whether chance gave this unit another version than most get, or took its decision."""
    return row.arm == EXPLORED or (row.arm != "champion" and row.propensity < 0.5)


def _slots(rows: Sequence[_Row], plan: WindowPlan) -> tuple[Slot, ...]:
    kinds = _kinds(rows)
    counts: dict[float, dict[str, int]] = {}
    names: dict[float, str] = {}
    for row in rows:
        window = plan.window_of(row.at)
        names[window.starts_at] = window.name
        held = counts.setdefault(window.starts_at, dict.fromkeys(kinds.values(), 0))
        held[kinds[row.decision]] += 1
    return tuple(Slot(names[at], at, entropy(list(counts[at].values())), counts[at]) for at in sorted(counts))


def _kinds(rows: Sequence[_Row]) -> Mapping[str, str]:
    """What each decision counts as: itself, or, where there are too many (values), its fifth of all of them."""
    found = dict.fromkeys(row.decision for row in rows)
    if len(found) <= 50:
        return {name: name for name in found}
    try:
        values = np.array([float(row.decision) for row in rows])
    except ValueError:
        return {name: name for name in found}
    cuts = np.quantile(values, [0.2, 0.4, 0.6, 0.8])
    return {name: f"fifth {int(np.searchsorted(cuts, float(name), side='left')) + 1}" for name in found}


def _labelled(log: _Log, delay: float) -> dict[str, tuple[int, int]]:
    """(labelled, all) by decision, of rows whose labels have had their time; each unit once."""
    ripe = [row for row in log.rows if row.at <= log.now - delay]
    kinds = _kinds(ripe)
    counts: dict[str, tuple[int, int]] = {}
    seen: set[str] = set()
    for row in ripe:
        if row.unit in seen:
            continue
        seen.add(row.unit)
        known, total = counts.get(kinds[row.decision], (0, 0))
        outcome = log.outcomes.get(row.request)
        in_time = outcome is not None and outcome.observed_at <= row.at + delay
        counts[kinds[row.decision]] = known + in_time, total + 1
    return counts


def _slices(
    log: _Log, columns: Sequence[str], contract: Contract, audit: float
) -> dict[str, tuple[ApprovalShift, ...]]:
    """Approvals (the last class) of the last `audit` seconds against all before, by slice; each unit once a side."""
    if contract.task is Task.REGRESSION or not columns:
        return {}
    approved, cut = contract.classes[-1], log.now - audit
    found: dict[str, tuple[ApprovalShift, ...]] = {}
    sides: dict[str, dict[str, list[list[int]]]] = {name: {} for name in columns}
    for row in log.rows:
        values = _features(row)
        for name in columns:
            value = values.get(name)
            held = sides[name].setdefault("missing" if value is None else label_text(value), [[0, 0], [0, 0]])
            side = held[int(row.at > cut)]
            side[0] += row.decision == approved
            side[1] += 1
    for name, by_value in sides.items():
        kept = {value: pair for value, pair in by_value.items() if min(pair[0][1], pair[1][1]) >= FEWEST}
        if kept:
            now, before = ([Counts(*pair[side]) for pair in kept.values()] for side in (1, 0))
            found[name] = approval_shifts(list(kept), now, before)
    return found


def _unaudited(columns: Sequence[str], contract: Contract, log: _Log, audit: float) -> str:
    """Why slices that are named have no audit, where none has; empty where none is named."""
    if not columns:
        return ""
    if contract.task is Task.REGRESSION:
        return f"{', '.join(columns)}: a number that is answered approves of nobody"
    since = datetime.fromtimestamp(log.now - audit, UTC).strftime("%Y-%m-%d %H:%MZ")
    return f"{', '.join(columns)}: no value has {FEWEST} decisions both before and after {since} (`loops.audit`)"


def _features(row: _Row) -> Mapping[str, Any]:
    try:
        values = msgspec.json.decode(row.features)
    except msgspec.DecodeError:
        return {}
    return values if isinstance(values, dict) else {}


# -- a challenger's worth ------------------------------------------------------------------------------------------


def _valued(context: Context, log: _Log, challenger: VersionInfo, reward: str) -> Part:
    """What the challenger's decisions would have earned on the newest rows, by self-normalised importance weights.

    The chance of a logged decision is the sum of the shares of the versions that would have decided so: each is asked
    for its decision on the row; where decisions are drawn, it is known from the draw. One version alone decides for
    sure, and then nothing is known of other decisions."""
    name = "challenger"
    try:
        table, other, beyond = _table(context, log, challenger, reward)
    except FairleadError as error:
        return Part(name, Outcome.UNMEASURED, f"version {challenger.version} cannot be valued: {error.line}")
    if not table["reward"]:
        return Part(name, Outcome.UNMEASURED, "no row has its outcome: send outcomes, or name --reward EVENT")
    if other > MOST_OTHER:
        why = f"{other:.1%} of the logged decisions are not what their version decides on the logged features"
        return Part(name, Outcome.UNMEASURED, f"version {challenger.version} cannot be valued: {why}")
    if beyond > MOST_OTHER:
        why = f"it decides otherwise on {beyond:.1%} of the rows at scores where no decision is drawn: widen the band"
        return Part(name, Outcome.UNMEASURED, f"version {challenger.version} cannot be valued: {why}")
    report = evaluate_policy(
        table, reward="reward", propensity="chance", target="target", least_effective=LEAST_EFFECTIVE
    )
    return Part(name, report.verdict.outcome, f"version {challenger.version}: {report.verdict.reason}")


def _table(
    context: Context, log: _Log, challenger: VersionInfo, reward: str
) -> tuple[dict[str, list[float]], float, float]:
    """Reward, chance and target by row; the share of rows that their version would decide otherwise now; and of those
    that the challenger decides otherwise where no decision is drawn."""
    rows = log.rows[-MOST_VALUED:]
    paid = _paid(context, rows, challenger.model, reward) if reward else _right(log, rows)
    rows = [row for row in rows if row.request in paid]
    shares = _shares(rows)
    versions = sorted({version for mix in shares.values() for version in mix} | {challenger.version})
    decided = {version: _decisions(context, challenger.model, version, rows) for version in versions}
    classes, beyond = len(_contract(context, challenger).classes), 0
    table: dict[str, list[float]] = {"reward": [], "chance": [], "target": []}
    for place, row in enumerate(rows):
        said = {version: decided[version][place] for version in decided}
        draws, wanted = draws_of(row.rollout), said[challenger.version]
        if draws is not None:
            chance = chance_of(draws, row.score, classes, as_decided=said[row.version] == row.decision)
            beyond += wanted != said[row.version] and not draws.among(row.score)
        else:
            mix = shares[row.rollout, row.arm, round(row.propensity, 3)]
            chance = sum(share for version, share in mix.items() if said[version] == row.decision)
        if chance == 0.0 or (draws is None and said[row.version] != row.decision):
            continue  # the version saw something else then: features that were looked up, or a default stood in
        table["reward"].append(paid[row.request])
        table["chance"].append(min(1.0, chance))
        table["target"].append(float(wanted == row.decision))
    asked = max(len(rows), 1)
    return table, 1.0 - len(table["reward"]) / asked, beyond / asked


def _contract(context: Context, info: VersionInfo) -> Contract:
    return context.bundles.manifest(info.bundle).contract


def _shares(rows: Sequence[_Row]) -> dict[tuple[str, str, float], dict[int, float]]:
    """The mix of versions that a row's arm was dealt from: its own share, the rest among the rollout's other arms as
    their rows are."""
    counts: dict[str, dict[int, int]] = {}
    for row in rows:
        counts.setdefault(row.rollout, {}).setdefault(row.version, 0)
        counts[row.rollout][row.version] += 1
    found: dict[tuple[str, str, float], dict[int, float]] = {}
    for row in rows:
        key = row.rollout, row.arm, round(row.propensity, 3)
        if key in found:
            continue
        others = {version: count for version, count in counts[row.rollout].items() if version != row.version}
        total = sum(others.values())
        rest = 1.0 - row.propensity
        mix = {version: rest * count / total for version, count in others.items()} if total else {}
        found[key] = {**mix, row.version: row.propensity if total else 1.0}
    return found


def _decisions(context: Context, model: str, version: int, rows: Sequence[_Row]) -> list[str]:
    """What a version decides on rows. Raises `FairleadError` where its bundle is gone, or rows lack its features."""
    info = resolve(context, f"{model}@{version}")
    manifest, predictor = context.bundles.manifest(info.bundle), context.bundles.load(info.bundle)
    contract = manifest.contract
    truth = contract.classes[0] if contract.classes else 0.0
    columns = as_columns([Labelled(row.at, row.request, row.features, truth) for row in rows], contract)
    output = predictor.predict(list(zip(*(columns[name] for name in contract.names), strict=True)))
    if contract.task is Task.REGRESSION:
        return [repr(float(value)) for value in output[:, 0]]
    if contract.task is Task.BINARY:
        places = (output[:, -1] >= manifest.threshold).astype(int)
    else:
        places = output.argmax(axis=1)
    return [contract.classes[place] for place in places]


def _right(log: _Log, rows: Sequence[_Row]) -> dict[str, float]:
    known = ((row, log.outcomes.get(row.request)) for row in rows)
    return {row.request: float(label_text(one.outcome) == row.decision) for row, one in known if one is not None}


def _paid(context: Context, rows: Sequence[_Row], model: str, reward: str) -> dict[str, float]:
    """The first number that each row's unit logged within a day of its answer; 0 where there is none."""
    shown, last = Shown(MOST_ROWS), max((row.at for row in rows), default=0.0)
    for event in SegmentFactReader(context.home / "log").events():
        if event.model_name == model and event.name == reward and shown.takes(event):
            shown.add(event)
    ripe = [row for row in rows if row.at <= last - DAY] or list(rows)
    return {row.request: shown.first(row.unit, reward, row.at, row.at + DAY) for row in ripe}
