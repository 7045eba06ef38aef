"""The hub: keeps the record, learns, judges, signs and distributes. Never on the request path."""
