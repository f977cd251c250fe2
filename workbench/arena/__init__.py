"""Analysts argue about one view and end in a Decision: a probability, its evidence, its cost. They may only reduce."""
