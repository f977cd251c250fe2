"""Risk: limits and exposure, the check of a wish before it is written down, and the states that forbid trading."""
