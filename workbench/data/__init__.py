"""Facts: where they come from, whether they can be believed, and what was known when."""
