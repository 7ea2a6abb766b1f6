"""Look-ups of one model: what a row names, what is found, and what stands in for what is not."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.core.lookup import LookedUp, LookupRules, Unavailable, Unknown
from fairlead.errors import ContractError, SettingsError
from fairlead.flows.lookups import Found, Lookups, Unanswered
from fairlead.ports.features import FeaturesDown
from fairlead.testing.clock import ManualClock
from fairlead.testing.features import MemoryFeatures

CONTRACT = Contract(
    (
        Feature("basket", Kind.NUMBER),
        Feature("orders", Kind.INTEGER, fill=2),
        Feature("tier", Kind.CATEGORY, nullable=True, fill="new"),
    ),
    Task.BINARY,
    "y",
    ("no", "yes"),
    "customer_id",
)
RULES = LookupRules("repo", ("customer_id",), timeout=5.0)
KNOWN: dict[Any, Mapping[str, Any]] = {7: {"orders": 3, "tier": "gold", "other": 1.5}, 8: {"orders": 4}}


class Setting:
    """A model's look-ups over features in memory."""

    def __init__(self, rules: LookupRules = RULES, kind: Kind = Kind.INTEGER) -> None:
        self.source = MemoryFeatures("customer_id", KNOWN, ("orders", "tier", "other"), kind)
        self.clock = ManualClock()
        self.lookups = Lookups("churn", rules, lambda: self.source, self.clock)
        part = self.lookups.of(CONTRACT)
        assert part is not None
        self.part: LookedUp = part

    def read(self, row: Any, unit: str | None = None) -> Any:
        """A caller's row."""
        wanted = self.lookups.read(self.part, Raw(msgspec.json.encode(row)), unit, "features")
        assert wanted is not None
        return wanted

    def filled(self, *rows: dict[str, Any]) -> list[dict[str, Any]]:
        """Rows as the model takes them."""
        wanted = [self.read(row) for row in rows]
        found = asyncio.run(self.lookups.find([one.key for one in wanted if one.key is not None]))
        return [msgspec.json.decode(self.lookups.write(self.part, one, found)) for one in wanted]

    @property
    def counted(self) -> dict[str, int]:
        """What was counted, but for zeros."""
        return {name: count for name, count in self.lookups.counted.outcomes.items() if count}


@pytest.fixture
def setting() -> Iterator[Callable[..., Setting]]:
    """Makes settings, and ends their threads."""
    made: list[Setting] = []

    def make(**changes: Any) -> Setting:
        kind = changes.pop("kind", Kind.INTEGER)
        made.append(Setting(msgspec.structs.replace(RULES, **changes), kind))
        return made[-1]

    yield make
    for one in made:
        one.lookups.close()


@contextmanager
def holding(source: MemoryFeatures) -> Iterator[None]:
    """A store that answers nobody meanwhile."""
    held = threading.Event()
    source.before = lambda: held.wait(10.0)
    try:
        yield
    finally:
        held.set()


def test_what_is_found_joins_what_was_brought(setting: Callable[..., Setting]) -> None:
    """All rows are looked up at once, each entity once; the key is no feature, and what the model lacks is left out."""
    made = setting()
    assert made.filled(
        {"customer_id": 7, "basket": 1.0}, {"basket": 2.0, "customer_id": 7.0}, {"customer_id": 7, "basket": 3}
    ) == [{"basket": value, "orders": 3, "tier": "gold"} for value in (1.0, 2.0, 3)]
    assert made.source.asked == [[{"customer_id": 7}]]
    assert made.counted == {"found": 1}
    assert sum(made.lookups.counted.timing.cells) == 1


def test_the_part_of_a_version(setting: Callable[..., Setting]) -> None:
    """A request brings the rest and the key; a version that takes nothing of it has no part."""
    made = setting()
    assert made.part.asked.names == ("basket", "customer_id")
    assert made.part.asked.features[1].kind is Kind.INTEGER
    assert [feature.name for feature in made.part.features] == ["orders", "tier"]
    assert made.lookups.of(msgspec.structs.replace(CONTRACT, features=CONTRACT.features[:1])) is None
    with_key = msgspec.structs.replace(CONTRACT, features=(*CONTRACT.features, Feature("customer_id", Kind.INTEGER)))
    part = made.lookups.of(with_key)
    assert part is not None
    assert (part.aside, part.asked.names) == ((), ("basket", "customer_id"))
    overridden = setting(override=True).part.asked
    assert overridden.names == ("basket", "customer_id", "orders", "tier")


def test_other_keys_than_the_stores_are_told() -> None:
    """The setting names the fields by which the store is asked."""
    source = MemoryFeatures("customer_id", KNOWN, ("orders",), Kind.INTEGER)
    lookups = Lookups("churn", msgspec.structs.replace(RULES, entity=("client",)), lambda: source, ManualClock())
    with pytest.raises(SettingsError, match=r"features.entity of churn is client: write customer_id"):
        lookups.of(CONTRACT)


def test_a_feature_of_another_kind_is_told() -> None:
    """A whole number will do for a number; nothing else for anything else."""
    source = MemoryFeatures("customer_id", KNOWN, ("orders", "tier"))
    lookups = Lookups("churn", RULES, lambda: source, ManualClock())
    number = msgspec.structs.replace(CONTRACT, features=(Feature("orders", Kind.NUMBER),))
    assert lookups.of(number) is not None
    for name, kind in (("orders", Kind.CATEGORY), ("tier", Kind.NUMBER), ("orders", Kind.BOOLEAN)):
        odd = msgspec.structs.replace(CONTRACT, features=(Feature(name, kind),))
        with pytest.raises(
            SettingsError, match=f"the feature {name} of churn is .* in the store, but the version takes"
        ):
            lookups.of(odd)


@pytest.mark.parametrize(
    ("missing", "expected"),
    [(Unknown.IMPUTE, {"orders": 2, "tier": "new"}), (Unknown.NULL, {"orders": None, "tier": None})],
)
def test_an_unknown_entity_is_what_the_policy_says(
    setting: Callable[..., Setting], missing: Unknown, expected: dict[str, Any]
) -> None:
    """The contract's fill, or null; of an entity that is known in part, only what is not known."""
    made = setting(missing=missing)
    assert made.filled({"customer_id": 99, "basket": 1}) == [{"basket": 1, **expected}]
    assert made.filled({"customer_id": 8, "basket": 1}) == [{"basket": 1, "orders": 4, "tier": expected["tier"]}]
    assert made.counted == {"missing": 1, "partly": 1}


def test_an_unknown_entity_is_refused_by_default(setting: Callable[..., Setting]) -> None:
    """With the field that names it, and what is not known."""
    for customer, feature in ((99, "orders"), (8, "tier")):
        with pytest.raises(ContractError, match=f"nothing is known of customer_id {customer} .{feature}.") as caught:
            setting().filled({"customer_id": customer, "basket": 1})
        assert caught.value.path == "features.customer_id"


@pytest.mark.parametrize(("ttl", "said"), [(2_592_000.0, "30 days"), (90.0, "90 s"), (86_400.0, "86400 s")])
def test_what_is_too_old_is_told_by_its_ttl(setting: Callable[..., Setting], ttl: float, said: str) -> None:
    """A feature with a ttl may be there and be older; one without is not known at all."""
    made = setting()
    made.source.ttls = {"orders": ttl}
    with pytest.raises(
        ContractError, match=rf"nothing newer than the ttl of {said} is known of customer_id 99 .orders."
    ):
        made.filled({"customer_id": 99, "basket": 1})
    with pytest.raises(ContractError, match=r"nothing is known of customer_id 8 .tier."):
        made.filled({"customer_id": 8, "basket": 1})


@pytest.mark.parametrize(
    ("row", "unit", "what"),
    [
        ({"basket": 1}, None, r"features.customer_id: expected an integer, came nothing .the field is missing."),
        ({"customer_id": None}, "7", r"features.customer_id: expected an integer, came null"),
        ({"customer_id": "7"}, None, r'features.customer_id: expected an integer, came "7"'),
        ({"customer_id": True}, None, r"features.customer_id: expected an integer, came true"),
        ({"customer_id": 7.5}, None, r"features.customer_id: expected an integer, came 7.5"),
        ({"customer_id": 2**63}, None, r"features.customer_id: expected an integer, came 9223372036854775808"),
        ({"customer_id": [7]}, None, r"features.customer_id: expected an integer, came \[7\]"),
        ({"basket": 1}, "seven", r'unit_id: expected an integer, the customer_id, came "seven"'),
        ({"basket": 1}, "7" * 20, r"unit_id: expected an integer"),
        ({"basket": 1}, "٧", r"unit_id: expected an integer"),
        ({"customer_id": 7, "orders": 3}, None, r"features.orders: is looked up by customer_id: leave it out"),
    ],
)
def test_a_row_that_names_no_entity_is_refused(
    setting: Callable[..., Setting], row: dict[str, Any], unit: str | None, what: str
) -> None:
    """A key of the wrong kind, none, and a feature that is not the caller's to say."""
    with pytest.raises(ContractError, match=what):
        setting().read(row, unit)


def test_keys_of_text_are_texts(setting: Callable[..., Setting]) -> None:
    """A number is none; the unit is one as it stands."""
    made = setting(kind=Kind.CATEGORY)
    assert made.read({"customer_id": "a b"}).key == ("a b",)
    assert made.read({"basket": 1}, "12").key == ("12",)
    with pytest.raises(ContractError, match=r"features.customer_id: expected a string, came 7"):
        made.read({"customer_id": 7})


def test_the_unit_names_the_entity(setting: Callable[..., Setting]) -> None:
    """Where the row does not; the row goes first."""
    assert setting().read({"basket": 1}, "-7").key == (-7,)
    assert setting().read({"basket": 1, "customer_id": 8}, "7").key == (8,)


def test_what_is_no_object_is_the_contracts_to_refuse(setting: Callable[..., Setting]) -> None:
    """Broken JSON, a list and half of a surrogate pair are left as they came."""
    made = setting()
    for text in (b"{", b"[1]", b'{"basket": NaN}', b'{"a": "\\ud800"}'):
        assert made.lookups.read(made.part, Raw(text), None, "features") is None


def test_a_caller_may_bring_a_value_where_that_is_allowed(setting: Callable[..., Setting]) -> None:
    """It wins over the store's; who brings all needs no entity."""
    made = setting(override=True)
    assert made.filled({"customer_id": 7, "basket": 1, "tier": None}) == [{"basket": 1, "tier": None, "orders": 3}]
    assert made.filled({"basket": 1, "orders": 9, "tier": "x"}) == [{"basket": 1, "orders": 9, "tier": "x"}]
    assert made.counted == {"found": 1}


@pytest.mark.parametrize("what", ["slow", "down"])
@pytest.mark.parametrize("policy", list(Unavailable))
def test_a_store_that_does_not_answer_is_what_the_policy_says(
    setting: Callable[..., Setting], what: str, policy: Unavailable
) -> None:
    """Refused with why, or answered by the fill or by null; the two troubles have a policy each."""
    otherwise = Unavailable.NULL if policy is Unavailable.REFUSE else Unavailable.REFUSE
    slow, down = (policy, otherwise) if what == "slow" else (otherwise, policy)
    made = setting(timeout=0.02 if what == "slow" else 20.0, slow=slow, down=down)
    said = "the feature store did not answer within 20 ms" if what == "slow" else "the store is gone"
    if what == "down":
        made.source.error = FeaturesDown(said)
    row = {"customer_id": 7, "basket": 1}
    expected: dict[Unavailable, Any] = {
        Unavailable.IMPUTE: {"orders": 2, "tier": "new"},
        Unavailable.NULL: {"orders": None, "tier": None},
    }
    with holding(made.source) if what == "slow" else nullcontext():
        if policy is Unavailable.REFUSE:
            with pytest.raises(Unanswered, match=said):
                made.filled(row)
        else:
            assert made.filled(row) == [{"basket": 1, **expected[policy]}]
    assert made.counted == {what: 1}
    assert sum(made.lookups.counted.timing.cells) == 1


def test_a_slow_store_holds_up_nobody_else(setting: Callable[..., Setting]) -> None:
    """The event loop goes on while a look-up waits, and so does it when every thread hangs."""
    made = setting(timeout=1.0)

    async def asked() -> tuple[int, Found]:
        turns = 0
        with holding(made.source):
            waiting = [asyncio.ensure_future(made.lookups.find([(key,)])) for key in range(20)]
            while not all(one.done() for one in waiting):
                turns += 1
                await asyncio.sleep(0.001)
        assert all(isinstance(one.exception(), Unanswered) for one in waiting)
        while made.lookups.is_busy:  # noqa: ASYNC110  # the threads come free, and what was given up is not asked any more
            await asyncio.sleep(0.001)
        return turns, await made.lookups.find([(7,)])

    turns, found = asyncio.run(asked())
    assert turns > 5
    assert found.known == {(7,): KNOWN[7]}
    assert made.counted == {"slow": 20, "found": 1}
    assert [len(rows) for rows in made.source.asked] == [1, 1, 1, 1, 1]


def test_while_the_store_is_busy_questions_join(setting: Callable[..., Setting]) -> None:
    """Those of many requests become one, and each gets its own answer."""
    made = setting()

    async def asked() -> list[Found]:
        with holding(made.source):
            waiting = [asyncio.ensure_future(made.lookups.find([(key % 9,)])) for key in range(30)]
            await asyncio.sleep(0.05)
        return [await one for one in waiting]

    found = asyncio.run(asked())
    assert [one.known for one in found] == [{(key % 9,): KNOWN.get(key % 9, {})} for key in range(30)]
    assert sorted(len(rows) for rows in made.source.asked) == [1, 1, 1, 1, 26]


def test_a_few_entities_of_a_near_store_are_read_at_once(setting: Callable[..., Setting]) -> None:
    """On the event loop's own thread; many are not, and none for a while after reads that were slow."""
    made = setting(missing=Unknown.NULL)
    made.source.is_near = True
    threads: list[str] = []
    made.source.before = lambda: threads.append(threading.current_thread().name)
    main = threading.current_thread().name
    rows = [{"customer_id": key, "basket": 1} for key in range(9)]
    made.filled(*rows[:8])
    made.filled(*rows)
    assert (threads[0], threads[1] == main) == (main, False)
    made.source.before = lambda: made.clock.advance(0.01)
    for _ in range(3):
        made.filled(rows[0])
    made.source.before = lambda: threads.append(threading.current_thread().name)
    made.filled(rows[0])
    made.clock.advance(1.0)
    made.filled(rows[0])
    assert [name == main for name in threads[2:]] == [False, True]
    made.source.error = FeaturesDown("gone")
    with pytest.raises(Unanswered, match="gone"):
        made.filled(rows[0])


def test_what_was_found_is_kept_for_a_while(setting: Callable[..., Setting]) -> None:
    """Until its time is over, nothing known too; the oldest goes first where there is no more room."""
    made = setting(cache=10.0, entries=2, missing=Unknown.NULL)
    for customer in (7, 7, 99, 99, 8, 99, 7):
        made.filled({"customer_id": customer, "basket": 1})
    assert [row["customer_id"] for (row,) in made.source.asked] == [7, 99, 8, 7]
    assert made.counted == {"found": 2, "missing": 1, "partly": 1, "cached": 3}
    made.clock.advance(10.0)
    made.filled({"customer_id": 7, "basket": 1})
    assert len(made.source.asked) == 5


def test_what_is_kept_outlives_the_store(setting: Callable[..., Setting]) -> None:
    """A batch of which a part is kept is answered for that part, where the rest may be made up."""
    made = setting(cache=10.0, down=Unavailable.IMPUTE)
    made.filled({"customer_id": 7, "basket": 1})
    made.source.error = FeaturesDown("gone")
    rows = made.filled({"customer_id": 7, "basket": 1}, {"customer_id": 8, "basket": 1})
    assert [row["orders"] for row in rows] == [3, 2]


KEYS = st.integers(-(2**63), 2**63 - 1)
CELLS = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=5)


@given(st.lists(st.tuples(KEYS, st.dictionaries(st.text(max_size=4), CELLS, max_size=4)), min_size=1, max_size=5))
def test_nothing_that_was_brought_is_changed(asked: list[tuple[int, dict[str, Any]]]) -> None:
    """Whatever else stands in a row stands there afterwards, in its order."""
    made = Setting(msgspec.structs.replace(RULES, missing=Unknown.NULL))
    own = {"orders", "tier", "customer_id"}
    for key, brought in asked:
        kept = {name: value for name, value in brought.items() if name not in own}
        wanted = made.read({**kept, "customer_id": key})
        found = Found({wanted.key: KNOWN[7]})
        row = msgspec.json.decode(made.lookups.write(made.part, wanted, found))
        assert row == {**kept, "orders": 3, "tier": "gold"}
        assert list(row)[: len(kept)] == list(kept)
    made.lookups.close()
