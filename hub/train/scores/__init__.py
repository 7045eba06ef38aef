"""Scores of visitors: what one will do, learned from the ledger by replay, calibrated, exported and registered."""
