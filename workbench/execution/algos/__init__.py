"""Execution algorithms: a large quantity becomes a schedule of small orders that survives its process."""
