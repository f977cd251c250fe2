"""The exchange's market: bars, prints, quotes, option contracts, invented coins and news, read through a moment."""
