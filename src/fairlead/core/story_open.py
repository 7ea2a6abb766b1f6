"""The story of an incident that an alert or a person opened: broken data, machines, a figure that left its bound."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fairlead.core.action_items import lessons
from fairlead.core.event import Entry
from fairlead.core.incident import Incident, around
from fairlead.core.listing import counted, first_of
from fairlead.core.reach import paid
from fairlead.core.report import WindowReport, reports
from fairlead.core.triage import FIRST_RESPONSE


def impact_of(incident: Incident, entries: Sequence[Entry]) -> tuple[str, ...]:
    """Whom it reached: the answers of the windows since it began that show it, each counted once."""
    shown = affected(incident, entries)
    rows, units = sum(one.rows for one in shown), sum(one.units for one in shown)
    lines = [f"Predictions affected: {rows:,} in {counted(len(shown), 'window')}; users or units: at most {units:,}."]
    if incident.began_at is None:
        lines = ["Predictions affected: not known, for nobody said when it began."]
    failed = sum(one.failed for one in shown)
    if failed:
        lines.append(f"Requests without an answer: {failed:,}.")
    harmful = [one for one in shown if one.harmful]
    if harmful:
        lines.append(f"{counted(len(harmful), 'window')} did harm: {harmful[-1].harm.reason}.")
        lines.append(paid(harmful))
    elif shown:
        lines.append(_unharmed(shown))
    return (*lines, "Data loss: no. Every answered request is in the log.")


def _unharmed(shown: Sequence[WindowReport]) -> str:
    """What the labels say where no window is harmful: without any, nothing."""
    labels = sum(one.performance.labels for one in shown if one.performance is not None)
    if not labels:
        return "No labels came for its answers: whether it did harm to the metric is not known."
    answers = sum(one.rows for one in shown)
    share = f" ({labels / answers:.0%} of the answers)" if labels <= answers else ""
    return f"No window is known to have done harm to the metric, by {counted(labels, 'label')}{share}."


def affected(incident: Incident, entries: Sequence[Entry]) -> tuple[WindowReport, ...]:
    """The windows that it reached, in order: of broken data those with a broken column, of others all of its time."""
    latest: dict[str, WindowReport] = {}
    for _, report in reports(around(incident, entries)):
        before = latest.get(report.window)
        latest[report.window] = report if before is None or report.broken or not before.broken else before
    if incident.category == "data":
        return tuple(one for one in latest.values() if one.broken or one.harmful)
    return tuple(latest.values())


def causes_of(incident: Incident, entries: Sequence[Entry]) -> tuple[str, ...]:
    """What was found, by whom, and what is left to be found."""
    shown = affected(incident, entries)
    broken = {shift.name: shift for one in reversed(shown) for shift in one.broken}  # as it was first seen
    lines = [f"Trigger: {incident.reason}"]
    lines += [f"Broken: {shift.broken}." for shift in list(broken.values())[:5]]
    harmful = next((one for one in shown if one.harmful), None)
    if harmful is not None and harmful.suspects:
        lines.append(f"Suspects, in order: {first_of(list(harmful.suspects))}.")
    if incident.triage is not None:
        lines.append(f"Triage: {incident.triage.reason}.")
    return (*lines, "Why it came about is to be confirmed by the owner.")


def well_of(incident: Incident) -> tuple[str, ...]:
    """What went well, as far as instants tell."""
    lines = []
    if incident.triage is not None:
        lines.append(f"It was triaged {incident.triage.at - incident.opened_at:.1f} s after it was opened.")
    by_itself = [one for one in incident.actions if one.automatic and not one.failed]
    if by_itself:
        took = by_itself[0].at - incident.opened_at
        lines.append(f"The first action was taken {took:.1f} s after it was opened, without a hand.")
    if incident.acknowledged_at is not None:
        lines.append(f"It was acknowledged {(incident.acknowledged_at - incident.opened_at) / 60:.1f} min after that.")
    told = [one for one in incident.messages if one.sent_at is not None and one.sent_at <= one.due_at]
    if told:
        lines.append(f"{counted(len(told), 'audience')} told in time.")
    return tuple(lines)


def poorly_of(incident: Incident) -> tuple[str, ...]:
    """What went poorly, as far as instants tell."""
    return tuple(_poorly(incident))


def _poorly(incident: Incident) -> Iterator[str]:
    if incident.acknowledged_at is None:
        yield "Nobody acknowledged it."
    for one in incident.actions:
        if one.failed:
            yield f"Tried in vain: {one.action.replace('_', ' ')} ({one.reason})."
    late = [one for one in incident.messages if one.sent_at is not None and one.sent_at > one.due_at]
    if late:
        yield f"{', '.join(one.audience for one in late)} told later than agreed."
    if incident.triage is not None and not incident.triage.approved and not incident.actions:
        waits = incident.triage.action.replace("_", " ")
        yield f"What was recommended ({waits}) needed a person's word, and waited for it."


def actions_of(incident: Incident) -> tuple[str, ...]:
    """What the review is to settle."""
    return (f"First response, to be confirmed: {FIRST_RESPONSE[incident.category].lower()}", *lessons(incident))
