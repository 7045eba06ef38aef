"""Which records are one person's: `rules` says what may join people, `resolve` decides, without any clock or store.

What is known lies in the ledger (`hub.ledger.links`, `hub.ledger.people`); a person is always computed from all of it
(`proto/decisions/0017-persons-are-views.md`).
"""
