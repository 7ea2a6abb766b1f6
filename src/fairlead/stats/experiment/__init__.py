"""Experiments: how many units it takes, who gets which arm, and what the difference is.

plan         units per arm, power, the smallest effect that can be found
rates        two proportions: pooled z, score intervals of the difference and of the ratio, Newcombe
means        two means: Welch's t, the difference and the ratio (Fieller)
moments      per-unit values as moments: ratio metrics (delta method), a pre-period covariate (CUPED), at every look
units        rows that belong to one unit, added up to one row
splits       assignment: by place on [0, 1), stratified, by cluster, by time block
"""
