"""Matching: the fill model, pure functions from working orders and a bar to fills."""
