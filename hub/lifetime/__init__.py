"""What a customer will buy in future, from a file of purchases: BG/NBD, Gamma-Gamma, and trees that stand on both.

`purchases` reads the file, `history` counts what was known at a moment, `bgnbd` and `gamma_gamma` are the models of
buying and of spending, `forecast` applies them, `learned` corrects them by what happened after earlier moments,
`calibration` compares a forecast with what came, `trial` puts it together, and `page` shows it.
"""
