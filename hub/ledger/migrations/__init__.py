"""Revisions of the ledger's tables, run by `hub.ledger.migrate`."""
