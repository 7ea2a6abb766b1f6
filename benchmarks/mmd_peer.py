"""One measurement of a maximum mean discrepancy, in a fresh process of whatever interpreter runs this file.

    python benchmarks/mmd_peer.py SYSTEM REFERENCE.npy CURRENT.npy PERMUTATIONS

SYSTEM is `fairlead`, `fourier` (fairlead's linear-time estimate), `alibi` or `frouros`. Prints one JSON line: seconds
of wall and CPU (children's too) of fitting and comparing, after a warm-up on 100 rows, and the p-value.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

Compare = Callable[[Any, Any], float]


def fairlead(permutations: int) -> Compare:
    """Exact, every pair of rows."""
    from fairlead.stats.multivariate.mmd import mmd

    return lambda x, y: mmd(x, y, np.random.default_rng(0), permutations=permutations).p_value


def fourier(_: int) -> Compare:
    """In linear time; the p-value is a law's, so there is nothing to permute."""
    from fairlead.stats.multivariate.fourier import fourier_mmd

    return lambda x, y: fourier_mmd(x, y, np.random.default_rng(0)).p_value


def alibi(permutations: int) -> Compare:
    """alibi-detect, its PyTorch backend on the CPU."""
    import torch  # type: ignore[import-not-found, unused-ignore]
    from alibi_detect.cd import MMDDrift  # type: ignore[import-not-found, unused-ignore]

    torch.manual_seed(0)

    def compare(x: Any, y: Any) -> float:
        detector = MMDDrift(x, backend="pytorch", n_permutations=permutations, device="cpu")
        return float(detector.predict(y)["data"]["p_val"])

    return compare


def frouros(permutations: int) -> Compare:
    """frouros, with the bandwidth that the rows' number of columns suggests, on every core."""
    from frouros.callbacks import PermutationTestDistanceBased  # type: ignore[import-not-found, unused-ignore]
    from frouros.detectors.data_drift import MMD  # type: ignore[import-not-found, unused-ignore]
    from frouros.utils.kernels import rbf_kernel  # type: ignore[import-not-found, unused-ignore]

    def compare(x: Any, y: Any) -> float:
        test = PermutationTestDistanceBased(num_permutations=permutations, num_jobs=-1, random_state=0, name="test")
        detector = MMD(kernel=partial(rbf_kernel, sigma=float(np.sqrt(x.shape[1]))), callbacks=test)
        detector.fit(X=x)
        return float(detector.compare(X=y)[1]["test"]["p_value"])

    return compare


SYSTEMS = {one.__name__: one for one in (fairlead, fourier, alibi, frouros)}


def cpu() -> float:
    """Seconds of this process and its children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def main() -> None:
    """Measures once."""
    name, reference, current, permutations = sys.argv[1:]
    x, y = np.load(reference), np.load(current)
    compare = SYSTEMS[name](int(permutations))
    compare(x[:100], y[:100])
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, used = time.perf_counter(), cpu()
    p_value = compare(x, y)
    wall, used = time.perf_counter() - wall, cpu() - used
    added = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - resident) / 1024
    print(json.dumps({"wall": wall, "cpu": used, "p_value": p_value, "added_mib": added}))


if __name__ == "__main__":
    main()
