"""What a machine can know of a model card."""

from __future__ import annotations

from fairlead.core.bundle import Lineage, ModelCard
from fairlead.core.card import fill, metrics_text, subgroups_text, training_text
from fairlead.core.contract import Contract, Task


def test_fills_only_the_gaps() -> None:
    """What the author wrote stands; blanks are gaps."""
    card = fill(ModelCard(owner="anna", date="  "), owner="nobody", date="2026-01-31", metrics="auroc 0.7")
    assert (card.owner, card.date, card.metrics) == ("anna", "2026-01-31", "auroc 0.7")
    assert "intended_use" in card.missing


def test_sentences() -> None:
    """The texts name data, span and numbers."""
    contract = Contract((), Task.BINARY, "canceled", ("0", "1"))
    lineage = Lineage("july", "ab" * 32, 9_666, "2015-07-01", "2015-10-31")
    assert training_text(lineage, contract) == (
        "july: 9,666 rows, from 2015-07-01 to 2015-10-31, 0 features, target canceled (SHA-256 abababababab)"
    )
    assert metrics_text({}) == ""
    assert subgroups_text("auroc", {"hotel": {}}) == "auroc by hotel: no subgroup has enough rows"
