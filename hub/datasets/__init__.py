"""Public data, read from pinned packages when it is needed, and a simulated world for when it cannot be.

Nothing of it is kept in the repository: it is downloaded by hash into a cache, and read from there.
"""
