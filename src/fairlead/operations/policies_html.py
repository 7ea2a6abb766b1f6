"""A policy's valuation as HTML: one self-contained page, or a fragment for a notebook. No script, no network."""

from __future__ import annotations

from html import escape

from fairlead.core.listing import counted
from fairlead.core.verdict import Outcome
from fairlead.operations.experiments_svg import STYLE, Mark, forest, plot
from fairlead.operations.page_style import document, note, table
from fairlead.operations.policy_reading import PolicyReading
from fairlead.stats.policy.values import Value

SAYS = {Outcome.HOLDS: "earns more", Outcome.BREACHED: "earns less"}
NAMES = {
    "logged": "the policy that ran",
    "value": "the new policy",
    "gain": "the new policy less the one that ran",
    "bernstein": "the new policy, exact bounds",
}
HEADS = ("estimate", "reward a decision", "interval", "lower bound")


def page(report: PolicyReading) -> str:
    """A whole document; light and dark follow the reader's system."""
    return document(f"Policy: {_word(report)}", STYLE, _body(report))


def fragment(report: PolicyReading) -> str:
    """What a notebook shows."""
    return note(STYLE, _body(report))


def _word(report: PolicyReading) -> str:
    return SAYS.get(report.verdict.outcome, report.verdict.outcome.value)


def _body(report: PolicyReading) -> str:
    verdict = report.verdict
    size = f"{counted(report.support.rows, 'logged decision')}, worth {report.support.effective:,.0f} of equal weight"
    notes = "".join(f"<li>{escape(one)}</li>" for one in report.notes)
    return (
        f'<main><h1>Policy evaluation</h1><p class="soft">{size}; estimated by {escape(report.estimator)}</p>'
        f'<section class="verdict {verdict.outcome}"><b>{_word(report)}</b><p>{escape(verdict.reason)}</p></section>'
        f"{_pictures(report)}<h2>Figures</h2>{_figures(report)}<h2>What the log can tell</h2>{_support(report)}"
        + (f'<ul class="note-list">{notes}</ul>' if notes else "")
        + f'<p class="soft" style="margin-top:12px">{_small_print(report)}</p></main>'
    )


def _pictures(report: PolicyReading) -> str:
    """What both earn on one axis, and the gain on its own; nothing where there is nothing to compare."""
    if report.gain is None:
        return ""
    tone = report.verdict.outcome.value
    earned = [
        _mark(name, one, "none" if name == "logged" else tone)
        for name, one in report.estimates.items()
        if name != "gain"
    ]
    return (
        "<h2>What each earns</h2>"
        + plot(f"mean reward of a decision, {_level(report)} intervals", forest(earned, "mean rewards", signed=False))
        + plot("gain on the same rows", forest([_mark("gain", report.gain, tone)], "the gain"))
    )


def _mark(name: str, found: Value, tone: str) -> Mark:
    return Mark(NAMES[name], found.value, found.low, found.high, tone, unit="")


def _figures(report: PolicyReading) -> str:
    rows, biased = "", any(one.bias is not None for one in report.estimates.values())
    for name, one in report.estimates.items():
        sign = "+" if name == "gain" else ""
        bias = f"<td>{'' if one.bias is None else format(one.bias, '+.4g')}</td>" if biased else ""
        rows += (
            f"<tr><td>{NAMES[name]}</td><td>{one.value:{sign}.4g}</td><td>{one.low:{sign}.4g} to {one.high:{sign}.4g}"
            f"</td><td>{one.lower:{sign}.4g}</td>{bias}</tr>"
        )
    return table((*HEADS, "bias") if biased else HEADS, rows)


def _support(report: PolicyReading) -> str:
    found = report.support
    facts = (
        ("effective decisions", f"{found.effective:,.1f}", "as many of equal weight would tell as much (Kish)"),
        ("mean weight", f"{found.covered:.4g}", f"1 under common support; at most {found.covered_high:.4g}"),
        ("largest weight", f"{found.largest:,.4g}", "how much the heaviest decision counts"),
        ("taken for sure", f"{found.certain:.1%}", "decisions in which the policy that ran left nothing to chance"),
    )
    rows = "".join(
        f'<tr><td>{name}</td><td>{value}</td><td class="text">{means}</td></tr>' for name, value, means in facts
    )
    return table(("figure", "", ""), rows)


def _small_print(report: PolicyReading) -> str:
    said = (
        f"Intervals are two-sided at {_level(report)}, normal as the log grows, if the logged probabilities are right; "
    )
    said += "the lower bound is one-sided at that level. "
    if report.bernstein is not None:
        said += "Exact bounds are those of Maurer and Pontil: they hold at any size. "
    return said + "The verdict is that of the gain."


def _level(report: PolicyReading) -> str:
    return f"{100 * (1 - report.alpha):.4g} %"
