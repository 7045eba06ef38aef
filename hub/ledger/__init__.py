"""What the hub was told, once and for good: events, decisions, preferences, outcomes, and who published what.

`tables` says what is kept, `dialect` is the only place that knows a database by name. `batch` puts payloads into
their producer's order, `storing` decides in one transaction which of them are taken, `canonical` folds profiles and
`writing` writes inside it. `reading` gives back, `registry` keeps nodes, models, releases and the audit; `ledger` puts
them together.
"""
