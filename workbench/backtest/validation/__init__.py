"""Out of sample: walk-forward and purged cross-validation of a strategy and its parameters."""
