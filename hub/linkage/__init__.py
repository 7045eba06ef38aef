"""Records of people without a shared key: which are the same person, with what probability, and why.

`records` reads files into one prepared form, `comparisons` says what agreement of a field may look like,
`scoring` learns how much each agreement is worth (Splink on DuckDB, without any truth), `clusters` makes
people of pairs, `quality` compares them with a truth where there is one.
"""
