"""Whether what is served answers as it did when it was registered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray

from fairlead.core.bundle import Parity
from fairlead.core.verdict import Outcome
from fairlead.errors import UntrustedFormat
from fairlead.flows.gate_checks.agreement import check_clean, check_portable
from fairlead.flows.gate_checks.subject import Subject
from fairlead.ports.stage import CleanRun
from fairlead.testing.bundles import ScriptedBundles
from fairlead.testing.candidate import Parts, StayPredictor

Put = Callable[..., str]
MakeSubject = Callable[..., Subject]


class Clean:
    """A clean process that found this."""

    def __init__(self, run: CleanRun) -> None:
        self.run, self.asked = run, ""

    def reproduce(self, digest: str) -> CleanRun:
        self.asked = digest
        return self.run


class Untrusted:
    """An original that runs code when it is loaded."""

    def predict(self, rows: Sequence[tuple[Any, ...]]) -> NDArray[np.float64]:
        raise UntrustedFormat("model.pkl is a pickle file")


@pytest.mark.parametrize(
    ("run", "outcome", "said"),
    [
        (CleanRun("", 40, 0.0, 1.2, "3.11.7"), Outcome.HOLDS, "Python 3.11.7"),
        (CleanRun("", 40, 0.01, 1.2, "3.11.7"), Outcome.BREACHED, "up to 0.01, beyond 1e-05"),
        (CleanRun("", 0, 0.0, 1.2, "3.11.7"), Outcome.UNDECIDED, "golden set is empty"),
        (CleanRun("It does not load: no module named sklearn."), Outcome.BREACHED, "no module named sklearn"),
    ],
)
def test_a_clean_process_decides(put: Put, subject: MakeSubject, run: CleanRun, outcome: Outcome, said: str) -> None:
    """What the fresh interpreter found is judged by the parity's tolerance."""
    examined, process = subject(put()), Clean(run)
    found = check_clean(examined, process)
    assert process.asked == examined.info.bundle
    assert found.outcome is outcome
    assert said in found.reason


def test_a_portable_model_that_agrees_holds(put: Put, subject: MakeSubject) -> None:
    """The same answers to the golden rows, on both sides."""
    found = check_portable(subject(put()))
    assert (found.outcome, found.measured["rows"]) == (Outcome.HOLDS, 40)
    assert "against the skops original" in found.reason


def test_a_portable_model_that_answers_otherwise_is_found(
    put: Put, subject: MakeSubject, bundles: ScriptedBundles
) -> None:
    """A translation that drifted from its original does not pass."""
    digest = put()
    bundles.script(digest, StayPredictor(blur=0.1))
    found = check_portable(subject(digest))
    assert found.outcome is Outcome.BREACHED


def test_an_original_that_runs_code_is_not_loaded(put: Put, subject: MakeSubject, bundles: ScriptedBundles) -> None:
    """The portable model is then held against the answers that the original gave when it was registered."""
    digest = put()
    bundles.script(digest, Untrusted(), original=True)
    found = check_portable(subject(digest))
    assert found.outcome is Outcome.HOLDS
    assert "would run code" in found.reason
    shifted = put(Parts(golden_shift=0.01))
    bundles.script(shifted, Untrusted(), original=True)
    assert check_portable(subject(shifted)).outcome is Outcome.BREACHED


@pytest.mark.parametrize(
    ("form", "parity", "said"),
    [
        ("skops", None, "no portable translation of this skops model"),
        ("skops", Parity(40, 0.2, 1e-5), "differs by up to 0.2 on 40 golden rows, beyond 1e-05"),
        ("onnx", None, "it is ONNX already"),
    ],
)
def test_serving_the_original_has_its_reason(
    put: Put, subject: MakeSubject, form: str, parity: Parity | None, said: str
) -> None:
    """No translation, one that failed parity, or nothing to translate."""
    examined = subject(put(Parts(portable=None)))
    examined.__dict__["manifest"] = replace(examined.manifest, model_format=form, parity=parity)
    found = check_portable(examined)
    assert found.outcome is Outcome.HOLDS
    assert said in found.reason
