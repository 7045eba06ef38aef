"""The hub's admin side: JSON for people's tools, health and metrics for operators. Read-only so far.

`answers` are the shapes, `views` make them from the ledger, `guard` decides who may ask,
`routes` is the one table that the application and its OpenAPI document are made from.
"""
