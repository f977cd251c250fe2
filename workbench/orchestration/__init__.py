"""Pipelines of notebooks: what they are, how they run, how they end, and whether this machine is fit for them."""
