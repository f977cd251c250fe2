"""Bots: strategies at work on an account, with a plan, bounds, a book of their own and a log."""
