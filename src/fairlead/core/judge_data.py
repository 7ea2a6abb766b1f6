"""The training data's checks: what was counted and a policy in, an outcome with its sentence out."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

from msgspec import Struct

from fairlead.core.contract import Contract, Feature, Kind, Policy
from fairlead.core.gate import Check, CheckName, Figure, GatePolicy, figures
from fairlead.core.judging import judged
from fairlead.core.listing import counted, first_of
from fairlead.core.verdict import Outcome

_TOLD = 3  # problems that a sentence names


class Nulls(Struct, frozen=True):
    """A feature's share of null training rows, now and in the champion's; None where that has no such feature."""

    name: str
    share: float
    before: float | None = None


class Extent(Struct, frozen=True):
    """Where the middle 98 % of a feature's training values lie, and where the champion's lay. `outside` is the share of
    rows out of the contract's range, `infinite` counts infinities."""

    name: str
    low: float
    high: float
    outside: float = 0.0
    infinite: int = 0
    before: tuple[float, float] | None = None


class Categories(Struct, frozen=True):
    """Training rows of a feature by category, of those that the champion's training did not hold or the contract does
    not list; None where nothing is known of before."""

    name: str
    rows: int
    unknown: int
    example: str = ""


class Hit(Struct, frozen=True):
    """A feature that looks like personal data, and by what."""

    name: str
    kind: str  # e-mail address, telephone number, …
    share: float  # of its values; 0 where only the name says so


def told(name: CheckName, problems: Sequence[str], holds: str, required: str, measured: dict[str, Figure]) -> Check:
    """Breached with the first problems, else holding with a sentence."""
    if not problems:
        return Check(name, Outcome.HOLDS, holds, measured, required)
    more = f" (and {len(problems) - _TOLD} more)" if len(problems) > _TOLD else ""
    return Check(name, Outcome.BREACHED, f"{'; '.join(problems[:_TOLD])}{more}.", measured, required)


@judged
def judge_nulls(found: Sequence[Nulls], unlabelled: int, rows: int, policy: GatePolicy) -> Check:
    """No feature is null more often than its threshold, or much more often than in the champion's training."""
    problems = []
    for one in found:
        most = policy.null_shares.get(one.name, policy.null_share)
        if one.share > most:
            problems.append(f"{one.name} is null in {one.share:.1%} of the training rows, at most {most:.0%} may be")
        elif one.before is not None and one.share > max(policy.null_growth * one.before, one.before + 0.05):
            problems.append(f"{one.name} is null in {one.share:.1%} of the training rows, before in {one.before:.1%}")
    if unlabelled > policy.unlabelled_share * rows:
        problems.append(f"{unlabelled:,} of {counted(rows, 'training row')} have no outcome that the model knows")
    worst = max(found, key=lambda one: one.share, default=None)
    required = (
        f"at most {policy.null_share:.0%} of a feature's rows null (or its own bound), at most "
        f"{policy.null_growth:g} times the champion's share, at most {policy.unlabelled_share:.0%} without an outcome"
    )
    measured = figures(
        features=len(found), largest_share=round(worst.share, 4) if worst else None, unlabelled=unlabelled
    )
    most_said = f"; most in {worst.name}: {worst.share:.1%}" if worst and worst.share else ""
    holds = f"{sum(one.share > 0 for one in found)} of {counted(len(found), 'feature')} have nulls{most_said}."
    return told("null_rates", problems, holds, required, measured)


@judged
def judge_ranges(found: Sequence[Extent], champion: int | None, policy: GatePolicy) -> Check:
    """No infinities, few values out of the contract's range, and of the champion's order of magnitude."""
    times, problems = policy.range_times, []
    for one in found:
        if one.infinite:
            problems.append(f"{one.name} is infinite in {counted(one.infinite, 'training row')}")
        if one.outside > policy.strange_share:
            problems.append(f"{one.name} lies out of the contract's range in {one.outside:.1%} of the training rows")
        if one.before is not None and (said := _moved(one, one.before, times)):
            problems.append(f"{one.name} {said} in v{champion}'s training: has its unit changed?")
    compared = sum(one.before is not None for one in found)
    against = f"of the order of v{champion}'s in {compared}" if champion is not None else "there is no champion's yet"
    required = (
        f"no infinity, at most {policy.strange_share:.0%} out of the contract's range, and ranges within "
        f"{times:g} times the champion's"
    )
    measured = figures(features=len(found), compared=compared, wrong=len(problems))
    holds = f"{counted(len(found), 'number')} within the contract's ranges; the middle 98 % are {against}."
    if champion is None:
        holds = f"{counted(len(found), 'number')} within the contract's ranges; {against}."
    return told("ranges_plausible", problems, holds, required, measured)


def _moved(one: Extent, before: tuple[float, float], times: float) -> str:
    """How a range left its old one: much wider, much narrower, or far away. Nothing where one of them is a point."""
    width, old = one.high - one.low, before[1] - before[0]
    if not (width > 0 and old > 0):
        return ""
    far = max(before[0] - one.high, one.low - before[1])
    if width > times * old or old > times * width or far > times * old:
        return f"reaches from {one.low:.4g} to {one.high:.4g}, from {before[0]:.4g} to {before[1]:.4g}"
    return ""


@judged
def judge_categories(found: Sequence[Categories], champion: int | None, policy: GatePolicy) -> Check:
    """Few training rows hold a category that nobody knew before."""
    who = f"v{champion}'s training" if champion is not None else "the contract"
    problems = [
        f"{one.name} holds categories that {who} does not know in {one.unknown / one.rows:.1%} of the training rows"
        + (f" (such as {one.example!r})" if one.example else "")
        for one in found
        if one.rows and one.unknown > policy.strange_share * one.rows
    ]
    new = sum(one.unknown > 0 for one in found)
    required = f"at most {policy.strange_share:.0%} of a feature's rows of categories that {who} does not know"
    measured = figures(features=len(found), with_new=new, wrong=len(problems))
    if not found:
        return told("categories_known", (), "Does not apply: no feature is a category.", required, measured)
    holds = f"{counted(len(found), 'category feature')} against {who}: {new} with new categories, all of few rows."
    return told("categories_known", problems, holds, required, measured)


@judged
def judge_rows(rows: int, before: int | None, features: int, policy: GatePolicy) -> Check:
    """Enough rows, and no sudden drop."""
    problems = []
    if rows < policy.fewest_rows:
        problems.append(f"{counted(rows, 'training row')}: at least {policy.fewest_rows:,} are needed")
    if before and rows < policy.rows_kept * before:
        problems.append(f"{counted(rows, 'training row')}, the champion had {before:,}: has something upstream failed?")
    required = f"at least {policy.fewest_rows:,} rows, and {policy.rows_kept:.0%} of the champion's"
    measured = figures(rows=rows, before=before, features=features)
    against = f", the champion had {before:,}" if before else ""
    return told("row_count", problems, f"{counted(rows, 'training row')}{against}.", required, measured)


@judged
def judge_rules(broken: Mapping[str, int], rows: int, contract: Contract, policy: GatePolicy) -> Check:
    """The contract's rules over the training rows: what it would refuse must not be in them, warnings may be few."""
    required = f"no row against a rule that refuses, at most {policy.strange_share:.0%} against one that warns"
    if not contract.rules:
        said = "Does not apply: the contract has no rules over several features."
        return told("rules_hold", (), said, required, figures(rules=0))
    problems = []
    for rule in contract.rules:
        count = broken.get(rule.text, 0)
        allowed = policy.strange_share * rows if rule.policy is Policy.WARN else 0
        if count > allowed:
            problems.append(f"{count:,} of {counted(rows, 'training row')} break {rule.text}")
    measured = figures(rules=len(contract.rules), rows=rows, broken=sum(broken.values()))
    holds = (
        f"{counted(len(contract.rules), 'rule')} over {counted(rows, 'training row')}: {sum(broken.values())} broken."
    )
    return told("rules_hold", problems, holds, required, measured)


@judged
def judge_pinned(
    dataset: str, digest: str, before: tuple[str, str] | None, commit: str | None, *, named: bool
) -> Check:
    """The data set has a name and a digest, and the name was not used for other rows. `before` is the champion's."""
    problems = []
    if not dataset:
        problems.append("the lineage names no data set")
    if len(digest) != 64 or set(digest) - set("0123456789abcdef"):
        problems.append("the lineage holds no SHA-256 of the data set")
    if named and before is not None and before[0] == dataset and before[1] != digest:
        problems.append(f"the data set {dataset} has changed: the champion was trained on other rows of that name")
    required = "a name and a SHA-256 of the training data, and one digest for one name"
    code = f", code {commit[:12]}" if commit else ", code of no known commit"
    holds = f"{dataset}, SHA-256 {digest[:12]}{code}."
    measured = figures(dataset=dataset, digest=digest, code_commit=commit)
    return told("dataset_pinned", problems, holds, required, measured)


@judged
def judge_personal(hits: Sequence[Hit], looked: int, policy: GatePolicy) -> Check:
    """No feature holds personal data in the clear."""
    wrong = [hit for hit in hits if hit.name not in policy.personal_allowed]
    problems = [
        f"{hit.name} holds what looks like {hit.kind} in {hit.share:.0%} of its values"
        if hit.share
        else f"{hit.name} is named like {hit.kind}"
        for hit in wrong
    ]
    required = "no e-mail address, telephone number, bank account, card number, address or name in the clear"
    measured = figures(features=looked, found=len(hits), allowed=len(hits) - len(wrong))
    allowed = f"; allowed: {first_of([hit.name for hit in hits], 5)}" if hits else ""
    holds = f"None of {counted(looked, 'feature')} looks like personal data{allowed}."
    if hits:
        holds = f"{counted(len(hits), 'feature')} of {looked} looks like personal data{allowed}."
    return told("personal_data", problems, holds, required, measured)


@judged
def judge_compatible(
    own: Contract, theirs: Contract | None, champion: int | None, nulls: Mapping[str, float], policy: GatePolicy
) -> Check:
    """A request that the champion answers, the candidate answers too, and in the same terms. `nulls` are the shares of
    the champion's training rows: of what was hardly ever null, a null may be refused."""
    required = "no feature, class or target that callers know is gone or retyped, and none is new and required"
    if theirs is None:
        said = "Does not apply: there is no champion whose callers could be let down."
        return told("schema_compatible", (), said, required, figures(compared=False))
    rare = {name for name in theirs.names if nulls.get(name, 0.0) < policy.known_null}
    problems = [] if policy.breaking_schema else _breaks(own, theirs, rare)
    narrowed = [one.name for one in own.features if one.name in rare and _narrows(one, theirs)]
    new = [name for name in own.names if name not in theirs.names]
    measured = figures(compared=True, breaks=len(problems), new=len(new))
    holds = f"What v{champion}'s callers send is answered"
    holds += f"; new and not required: {first_of(new, 5)}" if new else ", and there are no new features"
    holds += f"; a null, rare before, is refused in {first_of(narrowed, 5)}." if narrowed else "."
    if policy.breaking_schema:
        holds = "Breaking changes are allowed by gates.bounds.breaking_schema."
    return told("schema_compatible", problems, holds, required, measured)


def _narrows(now: Feature, theirs: Contract) -> bool:
    before = next(one for one in theirs.features if one.name == now.name)
    return _answers_nulls(before) and not _answers_nulls(now)


def _breaks(own: Contract, theirs: Contract, rare: Container[str]) -> list[str]:
    known = {feature.name: feature for feature in own.features}
    found = []
    if own.task is not theirs.task or own.target != theirs.target:
        found.append(f"it answers {own.task} of {own.target}, the champion {theirs.task} of {theirs.target}")
    elif set(own.classes) != set(theirs.classes):
        found.append(f"its classes are {first_of(own.classes, 5)}, the champion's {first_of(theirs.classes, 5)}")
    for before in theirs.features:
        now = known.get(before.name)
        if now is None:
            found.append(f"{before.name} is gone: callers who send it are refused")
        elif not _takes(now, before):
            found.append(f"{before.name} was {_article(before.kind)} and is {_article(now.kind)}")
        elif before.name not in rare and _narrows(now, theirs):
            found.append(f"{before.name} may be null no longer")
    names = set(theirs.names)
    found += [
        f"{now.name} is new and required" for now in own.features if now.name not in names and not _answers_nulls(now)
    ]
    return found


def _takes(now: Feature, before: Feature) -> bool:
    return now.kind is before.kind or (now.kind is Kind.NUMBER and before.kind is Kind.INTEGER)


def _answers_nulls(feature: Feature) -> bool:
    return feature.nullable or feature.missing is not Policy.REJECT


def _article(kind: Kind) -> str:
    return f"an {kind}" if kind is Kind.INTEGER else f"a {kind}"


@judged
def judge_missing(contract: Contract, nulls: Mapping[str, float]) -> Check:
    """For each feature it is stated what happens to a null, and it is what training can bear out."""
    problems = []
    for feature in contract.features:
        if feature.missing is Policy.IMPUTE and not feature.nullable and (why := _why_no_fill(feature)):
            problems.append(f"a null of {feature.name} would be imputed, but {why}")
        if nulls.get(feature.name) and not _answers_nulls(feature):
            share = nulls[feature.name]
            problems.append(f"{feature.name} is null in {share:.1%} of the training rows, but a null is refused")
    taken = sum(feature.nullable for feature in contract.features)
    filled = sum(feature.missing is Policy.IMPUTE and not feature.nullable for feature in contract.features)
    refused = sum(not _answers_nulls(feature) for feature in contract.features)
    measured = figures(as_values=taken, imputed=filled, refused=refused)
    required = "a strategy for each feature; what is imputed lies within the training values"
    holds = f"A null is a value of its own in {taken}, imputed in {filled}, refused in {refused} features"
    other = len(contract.features) - taken - filled - refused
    holds += f", and answered by another in {other}." if other else "."
    return told("missing_strategy", problems, holds, required, measured)


def _why_no_fill(feature: Feature) -> str:
    fill = feature.fill
    if fill is None:
        return "there is nothing to impute"
    if feature.categories and fill not in feature.categories:
        return f"{fill!r} is no category of training"
    if isinstance(fill, int | float) and not isinstance(fill, bool):
        low = feature.minimum if feature.minimum is not None else fill
        high = feature.maximum if feature.maximum is not None else fill
        if not low <= fill <= high:
            return f"{fill:g} lies out of the training values"
    return ""
