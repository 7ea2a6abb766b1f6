"""Rules over several features of a row, such as `departure >= arrival`: text to a check, by a small safe grammar.

    departure >= arrival                          1 <= adults + children <= 20
    refund == 0 or status == "cancelled"          country in ("PT", "ES") and `agent-id` > 0

Comparisons (chained ones too) of sums, differences, products and quotients of numbers; `and`, `or`, `not`, `in`. A name
is a feature; one that is no plain word stands in backticks. Nothing else is taken: no calls, no attributes, no
indexing. A rule that meets a null says nothing of that row; one that divides by zero does not hold there.
"""

from __future__ import annotations

import ast
import operator
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

from msgspec import Struct

from fairlead.core.contract import Feature, Kind, Policy, Rule
from fairlead.core.listing import first_of
from fairlead.errors import UsageError

LONGEST = 500  # characters of a rule
_QUOTED = re.compile(r"`([^`]+)`")

Row = tuple[Any, ...]
Value = Callable[[Row], Any]

_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


class Check(Struct, frozen=True):
    """A rule made ready for the rows of one contract. `places` are those of the features that it names."""

    rule: Rule
    names: tuple[str, ...]
    places: tuple[int, ...]
    judge: Value

    def holds(self, row: Row) -> bool:
        """Whether the row obeys; also where one of its features is null."""
        if any(row[place] is None for place in self.places):
            return True
        try:
            return bool(self.judge(row))
        except (ZeroDivisionError, OverflowError):
            return False

    def told(self, row: Row) -> str:
        """The features and what the row holds in them.

        >>> features = (Feature("arrival", Kind.INTEGER), Feature("departure", Kind.INTEGER))
        >>> check = checked(Rule("departure >= arrival"), features)
        >>> check.holds((3, 5)), check.holds((5, 3)), check.told((5, 3))
        (True, False, 'departure is 3, arrival is 5')
        """
        return ", ".join(f"{name} is {row[place]}" for name, place in zip(self.names, self.places, strict=True))


class _Part(NamedTuple):
    """A part of a rule: how it is computed, and what it is: number, text or truth."""

    value: Value
    kind: str


class Logic:
    """How the parts of a rule are put together; here over the values of one row. `core.rule_columns` has another."""

    def worked(self, work: Callable[[Any, Any], Any], left: Value, right: Value) -> Value:
        """A sum, a difference, a product or a quotient."""
        return lambda row: work(left(row), right(row))

    def gathered(self, parts: Sequence[Value], *, every: bool) -> Value:
        """All of several truths, or any."""
        gather = all if every else any
        return lambda row: gather(part(row) for part in parts)

    def negated(self, part: Value) -> Value:
        """Not."""
        return lambda row: not part(row)

    def among(self, value: Value, known: frozenset[Any], *, inside: bool) -> Value:
        """In a list of constants, or not in it."""
        return lambda row: (value(row) in known) is inside


_ONE_ROW = Logic()


def checked(rule: Rule, features: Sequence[Feature], logic: Logic = _ONE_ROW) -> Check:
    """The rule over rows of these features. Raises `UsageError` for one that cannot be read, with the reason."""
    return _Reader(rule, features, logic).check()


class _Reader:
    """Reads one rule."""

    def __init__(self, rule: Rule, features: Sequence[Feature], logic: Logic) -> None:
        self._rule = rule
        self._logic = logic
        self._features = {feature.name: (place, feature) for place, feature in enumerate(features)}
        self._named: dict[str, int] = {}  # in the order in which the rule names them
        self._quoted: dict[str, str] = {}

    def check(self) -> Check:
        text = self._rule.text
        if len(text) > LONGEST:
            raise UsageError(f"the rule {text[:40]!r}… is longer than {LONGEST} characters: write several")
        if self._rule.policy is Policy.IMPUTE:
            raise self._refused("it says nothing of what to impute: it may reject, warn or fall back")
        plain = _QUOTED.sub(self._placeholder, text)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what Python says of strange escapes
                tree = ast.parse(plain.strip(), mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise self._refused(
                "it is no comparison, such as departure >= arrival; a name that is no plain word stands in backticks"
            ) from None
        part = self._part(tree.body)
        if part.kind != "truth":
            raise self._refused(f"it gives a {part.kind}, no yes or no: compare it with something")
        if not self._named:
            raise self._refused("it names no feature, so it says the same of every row")
        return Check(self._rule, tuple(self._named), tuple(self._named.values()), part.value)

    def _placeholder(self, found: re.Match[str]) -> str:
        word = f"_quoted_{len(self._quoted)}"
        self._quoted[word] = found[1]
        return word

    def _part(self, node: ast.expr) -> _Part:
        readers: Mapping[type[ast.expr], Callable[[Any], _Part]] = {
            ast.Name: self._name,
            ast.Constant: self._constant,
            ast.BinOp: self._arithmetic,
            ast.UnaryOp: self._unary,
            ast.BoolOp: self._all_or_any,
            ast.Compare: self._compare,
        }
        reader = readers.get(type(node))
        if reader is None:
            raise self._refused(f"it may hold comparisons and sums of features, not a {_spoken(node)}")
        return reader(node)

    def _name(self, node: ast.Name) -> _Part:
        name = self._quoted.get(node.id, node.id)
        if name not in self._features:
            near = get_close_matches(name, self._features, n=1)
            raise self._refused(
                f"there is no feature {name!r}: "
                + (f"did you mean {near[0]}?" if near else f"there are {first_of(list(self._features))}")
            )
        place, feature = self._features[name]
        self._named.setdefault(name, place)
        kind = {Kind.CATEGORY: "text", Kind.BOOLEAN: "truth"}.get(feature.kind, "number")
        return _Part(operator.itemgetter(place), kind)

    def _constant(self, node: ast.Constant) -> _Part:
        value = node.value
        if isinstance(value, str):
            for word, name in self._quoted.items():  # backticks inside a text are its own
                value = value.replace(word, f"`{name}`")
        if isinstance(value, bool):
            return _Part(lambda _: value, "truth")
        if isinstance(value, int | float):
            return _Part(lambda _: value, "number")
        if isinstance(value, str):
            return _Part(lambda _: value, "text")
        raise self._refused(f"{ast.unparse(node)} is neither number nor text")

    def _arithmetic(self, node: ast.BinOp) -> _Part:
        work = _ARITHMETIC.get(type(node.op))
        if work is None:
            raise self._refused("it may add, subtract, multiply and divide, nothing else")
        left, right = (self._number(side).value for side in (node.left, node.right))
        return _Part(self._logic.worked(work, left, right), "number")

    def _unary(self, node: ast.UnaryOp) -> _Part:
        if isinstance(node.op, ast.Not):
            return _Part(self._logic.negated(self._truth(node.operand).value), "truth")
        if isinstance(node.op, ast.USub | ast.UAdd):
            number, sign = self._number(node.operand).value, -1 if isinstance(node.op, ast.USub) else 1
            return _Part(lambda row: sign * number(row), "number")
        raise self._refused("a sign is + or -")

    def _all_or_any(self, node: ast.BoolOp) -> _Part:
        parts = [self._truth(one).value for one in node.values]
        return _Part(self._logic.gathered(parts, every=isinstance(node.op, ast.And)), "truth")

    def _compare(self, node: ast.Compare) -> _Part:
        sides = [node.left, *node.comparators]
        links = [self._link(*link) for link in zip(sides[:-1], node.ops, sides[1:], strict=True)]
        if len(links) == 1:
            return links[0]
        return _Part(self._logic.gathered([link.value for link in links], every=True), "truth")

    def _link(self, left: ast.expr, how: ast.cmpop, right: ast.expr) -> _Part:
        if isinstance(how, ast.In | ast.NotIn):
            return self._among(self._part(left), right, inside=isinstance(how, ast.In))
        compare = _COMPARE.get(type(how))
        if compare is None:
            raise self._refused("it may compare by <, <=, >, >=, ==, != and in")
        one, two = self._part(left), self._part(right)
        if one.kind != two.kind:
            raise self._refused(f"{_text(left)} is a {one.kind}, {_text(right)} a {two.kind}: they are never alike")
        if one.kind != "number" and not isinstance(how, ast.Eq | ast.NotEq):
            raise self._refused(f"a {one.kind} has no order: compare {_text(left)} by == or !=")
        first, second = one.value, two.value
        return _Part(lambda row: compare(first(row), second(row)), "truth")

    def _among(self, one: _Part, right: ast.expr, *, inside: bool) -> _Part:
        if not isinstance(right, ast.Tuple | ast.List) or not all(
            isinstance(each, ast.Constant) for each in right.elts
        ):
            raise self._refused('what follows `in` is a list of constants, such as ("PT", "ES")')
        listed = [self._part(each) for each in right.elts]
        if any(each.kind != one.kind for each in listed):
            raise self._refused(f"the list after `in` holds something else than a {one.kind}")
        known = frozenset(each.value(()) for each in listed)
        return _Part(self._logic.among(one.value, known, inside=inside), "truth")

    def _number(self, node: ast.expr) -> _Part:
        return self._of_kind(node, "number")

    def _truth(self, node: ast.expr) -> _Part:
        return self._of_kind(node, "truth")

    def _of_kind(self, node: ast.expr, kind: str) -> _Part:
        part = self._part(node)
        if part.kind != kind:
            raise self._refused(f"{_text(node)} is a {part.kind} where a {kind} was expected")
        return part

    def _refused(self, why: str) -> UsageError:
        for word, name in self._quoted.items():
            why = why.replace(word, f"`{name}`")
        return UsageError(f"the rule {self._rule.text!r} cannot be read: {why}")


def _text(node: ast.expr) -> str:
    return ast.unparse(node)


def _spoken(node: ast.expr) -> str:
    words = {
        ast.Call: "call",
        ast.Attribute: "dot",
        ast.Subscript: "index",
        ast.IfExp: "choice",
        ast.Lambda: "function",
    }
    return words.get(type(node), type(node).__name__.lower())
