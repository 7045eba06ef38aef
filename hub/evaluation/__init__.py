"""What another policy would have earned on decisions that were logged, and whether the log can say so.

`logged` loads what was imported, `policies` gives a target's probabilities; `estimators`, `shrinkage` and `slates` are
pure functions on arrays, `bootstrap` and `bernstein` their intervals; `families` computes those that were asked for,
`verdict` judges the overlap, `evaluate` puts them together. `from_ledger` and `bundles` ask the same of our own
decisions.
"""
