"""Scores from any table: a probability, a class, a quantity or a count, learned, judged and exported."""
