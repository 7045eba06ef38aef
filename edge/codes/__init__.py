"""Promotion codes on a node: the numbers that the hub has lent it, and what visitors were promised."""
