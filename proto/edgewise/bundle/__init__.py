"""What is released: one immutable, content-addressed set of rules, models, catalogue and feature table."""
