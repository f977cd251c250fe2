"""Reconciliation: orders, fills, positions and cash held against the broker's, every difference a row."""
