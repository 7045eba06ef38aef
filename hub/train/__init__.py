"""Training: the ranker from what was logged, scores from any table; how each is judged and exported."""
