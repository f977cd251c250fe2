"""Auditing a strategy: does it peek, does it forget where the history began, and how little takes its profit away."""
