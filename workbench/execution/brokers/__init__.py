"""Brokers: what one can be asked, and Alpaca behind that protocol, from an order's JSON to the events of a stream."""
