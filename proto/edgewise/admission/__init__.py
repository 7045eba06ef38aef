"""From received bytes to a bundle that may decide: checks, refusals, and everything computed once."""
