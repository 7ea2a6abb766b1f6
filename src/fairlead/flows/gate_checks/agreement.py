"""Whether what is served answers as the model did when it was registered: elsewhere, and in the portable format."""

from __future__ import annotations

import numpy as np

from fairlead.core.agreement import Agreement, agreement
from fairlead.core.gate import Check
from fairlead.core.gate_judgement import judge_clean, judge_portable
from fairlead.core.listing import counted
from fairlead.errors import UntrustedFormat
from fairlead.flows.gate_checks.subject import Subject
from fairlead.ports.stage import CleanProcess


def tolerance(subject: Subject) -> float:
    """What the served answers may differ by: nothing to speak of, unless a translation is served."""
    parity = subject.manifest.parity
    return max(subject.policy.parity_tolerance, 0.0) if parity is None else parity.tolerance


def check_clean(subject: Subject, process: CleanProcess) -> Check:
    """Loads the bundle in a fresh interpreter and compares with the golden outputs."""
    run = process.reproduce(subject.info.bundle)
    if run.problem:
        return judge_clean(run.problem, None)
    detail = f"Python {run.python}, {run.seconds:.1f} s"
    return judge_clean("", Agreement(run.rows, run.largest_difference, tolerance(subject), detail))


def check_portable(subject: Subject) -> Check:
    """Answers the golden rows with the portable model and with the original, and compares the two."""
    manifest = subject.manifest
    if manifest.served == manifest.model_entry:
        return judge_portable(None, why_original(subject))
    rows = subject.golden_rows
    try:
        said = subject.bundles.load(subject.info.bundle, original=True).predict(rows)
        detail = f"against the {manifest.model_format} original"
    except UntrustedFormat:
        said = np.asarray(subject.golden.outputs, np.float64)
        detail = f"against the recorded outputs: the {manifest.model_format} original would run code when loaded"
    return judge_portable(agreement(said, subject.served.predict(rows), tolerance(subject), detail))


def why_original(subject: Subject) -> str:
    """Why no translation is served."""
    parity = subject.manifest.parity
    if subject.manifest.model_format == "onnx":
        return "it is ONNX already"
    if parity is not None and parity.holds:
        return "its portable translation is no faster"
    if parity is None:
        return f"there is no portable translation of this {subject.manifest.model_format} model"
    return (
        f"its portable translation differs by up to {parity.largest_difference:.3g} on "
        f"{counted(parity.rows, 'golden row')}, "
        f"beyond {parity.tolerance:g}"
    )
