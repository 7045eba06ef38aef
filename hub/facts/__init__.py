"""Live facts at the hub: who may change numbers, how they are published, and those that the hub counts itself."""
