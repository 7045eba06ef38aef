"""Experiments that run: who was exposed to what, what came of it, and whether the next step of a ramp may follow.

`exposed` makes decisions into people, `measures` makes their events into numbers, `trial` reads both from the ledger,
`report` judges them by `hub.statistics`, and `ramp` says what holds back more coverage.
"""
