"""Is it luck? Intervals, probabilities and counts of trials for every number that a backtest shows."""
