"""What an experiment says: lift with its interval, whether it may be read at all, and what to do about it.

`summary` holds an arm's sufficient statistics and `compare` makes lift of two of them; `balance` asks whether the
split is what was meant, `verdict` turns all of it into one word and a sentence. Everything here is a pure function
of numbers, but for the two modules that read files.
"""
