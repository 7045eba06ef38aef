"""A visitor's profile: commutative, mergeable aggregates, equal to the byte in whatever order events arrive."""
