"""The Edgewise protocol: what hub and edge must compute identically.

One rule decides placement: if hub and edge must compute it identically, it lives here; otherwise it is local
to one of them. Everything but `cli`, `clock` and `terminal` is pure: no clock, no randomness, no I/O.
"""
