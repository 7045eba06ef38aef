"""What others logged, taken in row by row: good rows are kept, bad ones are written aside with their reason.

`rows` reads a file without losing its good rows, `cells` parses whole columns, `rejects` keeps what was refused
and why, `maps` says which column is what, `decisions` puts them together.
"""
