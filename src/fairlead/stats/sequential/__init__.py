"""Evidence that may be looked at as often as one likes.

Every function here returns ln E of an *e-process*: a non-negative process whose expectation is at most 1 at every
stopping time while the null hypothesis holds. Ville's inequality (1939) then gives P(E ever reaches 1 / alpha) <=
alpha, so a rollout may be judged after each request without spending more than alpha. Averages of e-processes are
e-processes; the minimum of two is one for the union of their nulls.

    failures      does the canary fail more often than the champion, at any split?
    rates         is a rate above a limit?
    latency       is the canary slower than the champion, and slower than allowed?
    divergence    have the scores left their expected distribution?
    betting       has the live loss risen above what was validated?
    sizing        how many failures and requests would it take to know?
"""
