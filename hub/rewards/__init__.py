"""What came of what was shown: exposures and outcomes joined into rewards to learn from and to measure by."""
