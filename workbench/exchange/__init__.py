"""The local exchange: a simulated Alpaca on loopback that the unmodified alpaca-py client trades on."""
