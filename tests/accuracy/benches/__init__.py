"""One module for each data set; each has `measure(ground: Ground) -> list[Claim]`."""
