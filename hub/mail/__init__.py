"""Mail: at most one a reason to write, decided when it is sent, handed over once, and never against anybody's will."""
