"""What another policy would have earned, from the log of the one that ran; and how varied decisions are.

log          a log with its propensities, checked; importance weights
values       IPS, self-normalised IPS, doubly robust, clipped and switched weights, with intervals
diversity    entropy of decisions, exploration, approvals against a reference
"""
