"""How much it takes to know: failures and requests until the failure evidence is expected to cross its threshold.

Under a relative risk R the evidence grows per failure by KL(theta(R) || theta(1 + tolerance)), the divergence of two
coins; so ln(1 / alpha) / KL failures are needed, and failures come at rho p_canary + (1 - rho) p_champion a request.
The mixture over risks costs at most ln 6 on top of ln(1 / alpha); `alpha` may carry it.
"""

from __future__ import annotations

from math import ceil, inf, log

from fairlead.stats.sequential.failures import canary_fraction


def failures_needed(share: float, risk: float, alpha: float, tolerance: float = 0.0) -> float:
    """First failures on both arms until `risk` is expected to be seen; infinite where nothing can be told apart.

    >>> round(failures_needed(share=0.05, risk=3.0, alpha=0.01), 1)
    84.5
    """
    if not 0.0 < share < 1.0 or risk <= 1.0 + tolerance:
        return inf
    return log(1.0 / alpha) / _coin_divergence(canary_fraction(share, risk), canary_fraction(share, 1.0 + tolerance))


def requests_needed(share: float, champion_rate: float, risk: float, alpha: float, tolerance: float = 0.0) -> float:
    """Requests on both arms until `risk` is expected to be seen, at the champion's failure rate; may be infinite.

    >>> requests_needed(share=0.05, champion_rate=0.01, risk=3.0, alpha=0.01)
    7682
    """
    failures = failures_needed(share, risk, alpha, tolerance)
    rate = champion_rate * (share * risk + 1.0 - share)
    return ceil(failures / rate) if rate > 0.0 and failures < inf else inf


def _coin_divergence(p: float, q: float) -> float:
    return p * log(p / q) + (1.0 - p) * log((1.0 - p) / (1.0 - q))
