"""Templates: how contents become HTML, and nothing but HTML that was meant.

`links`: which addresses a page may point to.
"""
