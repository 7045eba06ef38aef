"""What another policy would have earned on decisions that were logged, and whether the log can say so.

`logged` loads what was imported, `policies` gives a target's probabilities, `estimators` are pure functions on
arrays, `bootstrap` their intervals, `verdict` judges the overlap, `evaluate` puts them together.
"""
