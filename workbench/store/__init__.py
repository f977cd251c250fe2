"""What is on disk: the database (SQLite or PostgreSQL, by URL) and the vintages (Parquet, by URL)."""
