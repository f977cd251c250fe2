"""Telling clients: who listens, what they hear, and the faults and skew in between."""
