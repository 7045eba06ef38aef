"""Journeys: enabled one at a time by people, watched from the ledger, each mail decided when it is sent."""
