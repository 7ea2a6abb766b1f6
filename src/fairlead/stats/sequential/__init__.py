"""Evidence that may be looked at as often as one likes.

Most functions here return ln E of an *e-process*: a non-negative process whose expectation is at most 1 at every
stopping time while the null hypothesis holds. Ville's inequality (1939) then gives P(E ever reaches 1 / alpha) <=
alpha, so a rollout may be judged after each request without spending more than alpha. Averages of e-processes are
e-processes; the minimum of two is one for the union of their nulls. A *confidence sequence* is the set of values that
no e-process has refuted: it holds the truth at every look together.

    evidence         ln E, its largest value and p_t, as one value
    failures         does the canary fail more often than the champion, at any split?
    rates            is a rate above a limit?
    latency          is the canary slower than the champion, and slower than allowed?
    scaled_latency   is it slower than a multiple of what the champion takes at the time?
    divergence       have the scores left their expected distribution?
    divergence_tilts the same, sooner where all scores move a little
    score_shift      do canary and champion score further apart than a bound?
    mean_difference  do the arms differ in a mean (revenue, a bounded reward), by how much?
    means, capital   where does a mean lie? empirical Bernstein and asymptotic; betting
    quantiles        where does a quantile lie?
    sample_ratio     do the arms get the units that the split says?
    betting          has the live loss risen above what was validated?
    edetector        has it risen since some time? (forgets, and counts time between false alarms)
    combine          several guardrails and segments: one verdict
    sizing           how many failures and requests would it take to know?

Each test comes three ways: from counts; as a path, the value after each of an array of observations; and as a frozen
state (`...Watch`) of constant size that batches update. Missing values, impossible counts and shares are `ValueError`s
(`observations`); an empty batch changes nothing.
"""
