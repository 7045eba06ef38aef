"""Collaborative filtering: who used what together, judged by what was held back."""
