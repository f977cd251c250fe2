"""Runs and notebooks turned into figures, tables and pages."""
