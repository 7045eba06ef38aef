"""How good the models are, on public data, against numbers that others have published: `make bench-accuracy`.

One module in `benches` for each data set, with a function `measure(ground)`. It names its protocol with every number,
so that whoever reads the table can repeat it.
"""
