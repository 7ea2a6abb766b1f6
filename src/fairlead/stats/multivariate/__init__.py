"""Drift that no single column shows, or that many show a little.

    mmd           do the rows come from one distribution? exact, every pair of rows
    fourier       the same in linear time, from a sketch that adds up
    classifier    can a model tell the two sides apart, and by which columns?
    scores        did the model's output vector move?
    correlation   did the columns' dependence on each other change?

Each gives an `Evidence`: a p-value, an effect with the limit it is held against, and the smallest effect that this many
rows would have shown.
"""
