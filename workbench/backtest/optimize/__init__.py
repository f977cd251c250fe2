"""The optimizer: searches parameters for an objective and hands on the region around the best, never that alone."""
