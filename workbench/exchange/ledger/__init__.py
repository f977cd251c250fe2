"""The durable ledger of the exchange: one SQLite file, its tables, and its rows there and back."""
