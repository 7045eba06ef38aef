"""What a node is on disk: its files by name, its identity, keys, trust and bundles."""
